"""``spotlane forecast``: what a month cost so far, and what it will have cost."""

from __future__ import annotations

from typing import Annotated

import typer

from spotlane import ledger_export
from spotlane.cli import output
from spotlane.cli.session import edge, reported
from spotlane.forecast import forecast as forecast_of


def register(cli: typer.Typer) -> None:
    """Adds the verb of this module."""
    cli.command("forecast")(forecast)


@reported
def forecast(
    month: Annotated[str, typer.Option(help="YYYY-MM in UTC, on the market's clock.")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    workload: Annotated[str | None, typer.Option(help="Only this workload's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """What a month cost so far and will have cost: the ledger's hours, and what is left of the month at the mean rate of its last 24 hours."""
    try:
        begin, end = ledger_export.period(month)
    except ValueError as error:
        raise typer.BadParameter(f"--month {month}: give it as YYYY-MM, such as 2026-03") from error
    told = forecast_of(edge().ledger_hours(tenant, workload), begin, end)
    if json:
        known = {"usdPerHour": told.usd_per_hour, "forecastUsd": told.forecast_usd}
        amounts = {name: None if amount is None else str(amount) for name, amount in known.items()}
        output.document({"month": month, "asOf": told.as_of and told.as_of.isoformat(), "paidUsd": str(told.paid_usd), **amounts})
    elif told.as_of is None or told.usd_per_hour is None or told.forecast_usd is None:
        output.say("the ledger has no hour yet: nothing to forecast from; the first closes an hour after a workload runs")
    else:
        output.say(f"{month}: paid {output.usd(told.paid_usd, 2)} USD up to {told.as_of:%Y-%m-%d %H:%M} UTC")
        output.say(f"by its end: {output.usd(told.forecast_usd, 2)} USD, at {output.usd(told.usd_per_hour)} USD/h")
