"""``spotlane ledger | forecast``: what was paid, and what a month will have cost."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from spotlane import ledger_export, wire
from spotlane.cli import output
from spotlane.cli.session import edge, reported
from spotlane.forecast import forecast as forecast_of


class LedgerForm(StrEnum):
    """How the ledger is shown."""

    TABLE = "table"
    CSV = "csv"
    FOCUS = "focus"


def register(cli: typer.Typer) -> None:
    """Adds the verbs of this module."""
    cli.command("ledger")(ledger)
    cli.command("forecast")(forecast)


@reported
def ledger(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    workload: Annotated[str | None, typer.Option(help="Only this workload's.")] = None,
    form: Annotated[LedgerForm, typer.Option("--format", help="csv and focus (FOCUS 1.2) give every hour as CSV on standard output.")] = LedgerForm.TABLE,
    month: Annotated[str | None, typer.Option(help="With csv and focus: only this month, YYYY-MM in UTC.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """What was paid, and what on-demand and staying would have cost, from the quotes in force then."""
    if form is not LedgerForm.TABLE:
        if json:
            raise typer.BadParameter("--json and --format are two forms; choose one")
        _exported(form, edge().ledger_hours(tenant, workload, month=month), month)
        return
    if month is not None:
        raise typer.BadParameter("--month goes with --format csv or focus")
    book = edge().ledger(tenant, workload)
    if json:
        output.document(book)
        return
    rows = [
        (m.migration, m.kind, _offer(m.from_offer), _offer(m.to_offer), output.usd(m.evidence.expected_usd_per_hour), output.usd(m.evidence.net_saving_usd, 2))
        for m in book.moves
    ]
    output.table(("MOVE", "KIND", "FROM", "TO", "USD/h", "USD SAVED"), rows, "no moves yet")
    totals = book.totals
    output.say(
        f"{totals.hours:.1f} h: paid {output.usd(totals.paid_usd, 2)} USD, "
        f"on-demand {output.usd(totals.on_demand_usd, 2)}, stayed {output.usd(totals.stayed_usd, 2)}"
    )
    if totals.unknown_hours:
        output.say(f"the price of {totals.unknown_hours:.1f} h is unknown: they are in no sum")


def _exported(form: LedgerForm, hours: Iterable[wire.LedgerHour], month: str | None) -> None:
    header, row = (ledger_export.FOCUS, ledger_export.focus) if form is LedgerForm.FOCUS else (ledger_export.PLAIN, ledger_export.plain)
    period = None if month is None else month_of(month)
    writer = csv.DictWriter(sys.stdout, header, lineterminator="\n")
    writer.writeheader()
    unknown = 0
    for one in hours:
        if period is not None and not period[0] <= one.hour < period[1]:
            continue
        if form is LedgerForm.FOCUS and not ledger_export.whole(one):
            unknown += 1
            continue
        writer.writerow(row(one))
    if unknown:
        output.progress(f"{unknown} hours of unknown cost are left out: FOCUS allows no null cost, and it wasn't 0; --format csv shows them")


@reported
def forecast(
    month: Annotated[str, typer.Option(help="YYYY-MM in UTC, on the market's clock.")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    workload: Annotated[str | None, typer.Option(help="Only this workload's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """What a month cost so far and will have cost: the ledger's hours, and what is left of the month at the mean rate of its last 24 hours."""
    begin, end = month_of(month)
    told = forecast_of(edge().ledger_hours(tenant, workload), begin, end)
    if json:
        known = {"usdPerHour": told.usd_per_hour, "forecastUsd": told.forecast_usd}
        amounts = {name: None if amount is None else str(amount) for name, amount in known.items()}
        output.document(
            {"month": month, "asOf": told.as_of and told.as_of.isoformat(), "paidUsd": str(told.paid_usd), **amounts, "unknownHours": told.unknown_hours}
        )
    elif told.as_of is None or told.usd_per_hour is None or told.forecast_usd is None:
        output.say("the ledger has no hour yet: nothing to forecast from; the first closes an hour after a workload runs")
    else:
        output.say(f"{month}: paid {output.usd(told.paid_usd, 2)} USD up to {told.as_of:%Y-%m-%d %H:%M} UTC")
        output.say(f"by its end: {output.usd(told.forecast_usd, 2)} USD, at {output.usd(told.usd_per_hour)} USD/h")
        if told.unknown_hours:
            output.say(f"the price of {told.unknown_hours:.1f} h is unknown: they are in neither sum")


def month_of(text: str) -> tuple[datetime, datetime]:
    """Beginning and end (excluded) of ``--month YYYY-MM``, in UTC. Raises :class:`typer.BadParameter` for what is no month."""
    try:
        return ledger_export.period(text)
    except ValueError as error:
        raise typer.BadParameter(f"--month {text}: give it as YYYY-MM, such as 2026-03") from error


def _offer(offer: wire.OfferRef | None) -> str:
    return "-" if offer is None else f"{offer.cloud}/{offer.region}"
