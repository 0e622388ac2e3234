"""``spotlane prices``: the price book, how the feeds do, and recordings of them."""

from __future__ import annotations

from typing import Annotated

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.page import Examples
from spotlane.cli.session import automation, become, edge, environment, reported

cli = typer.Typer(cls=Examples, help="The price book, the feeds that fill it, recordings.", invoke_without_command=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
_PASSED = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@cli.callback()
@reported
def prices(
    context: typer.Context,
    cloud: Annotated[str | None, typer.Option(help="aws, azure or gcp.")] = None,
    region: Annotated[str | None, typer.Option(help="Only this region.")] = None,
    limit: Annotated[int, typer.Option(help="Cheapest first, this many.")] = 20,
    json: Json = False,
) -> None:
    """The price book: spot and on-demand with source and age."""
    if context.invoked_subcommand is None:
        _book(cloud, region, limit, json)


def _book(cloud: str | None, region: str | None, limit: int, json: bool) -> None:
    book = edge().prices(cloud, region)
    if json:
        output.document(book)
        return
    known = sorted((quote for quote in book.quotes if quote.spot_usd_per_hour is not None), key=lambda quote: quote.spot_usd_per_hour or 0)
    rows = [
        (
            f"{q.offer.cloud}/{q.offer.region}/{q.offer.zone}",
            q.offer.instance_type,
            output.usd(q.spot_usd_per_hour),
            output.usd(q.on_demand_usd_per_hour),
            f"{(book.market_now - q.observed_at).total_seconds() / 60:.0f} min",
            q.source,
        )
        for q in known[:limit]
    ]
    output.table(("WHERE", "TYPE", "USD/h SPOT", "USD/h ON-DEMAND", "AGE", "SOURCE"), rows, "no prices yet; the daemon collects them")


@cli.command("feeds")
@reported
def feeds(json: Json = False) -> None:
    """How each cloud's feed does: when it last answered, quotes fresh, stale and doubtful, what was held back and why."""
    found = automation(edge()).feeds()
    if json:
        output.document(found)
    else:
        show(found)


def show(found: wire.Feeds) -> None:
    """Tables for people."""
    rows = [
        (
            one.cloud,
            "never" if one.answered_at is None else f"{one.answered_at:%Y-%m-%d %H:%M:%S}",
            "-" if one.observed_at is None else f"{one.observed_at:%Y-%m-%d %H:%M:%S}",
            one.fresh,
            one.stale,
            one.doubtful,
            "; ".join(f"{fault.region}: {fault.reason} ({fault.detail})" for fault in one.faults) or "-",
        )
        for one in found.feeds
    ]
    output.table(("CLOUD", "ANSWERED (UTC)", "PRICES OF", "FRESH", "STALE", "DOUBTFUL", "FAULTS"), rows, "no feeds")
    held = [(one.offer, one.reason, one.detail, f"{one.last_at:%Y-%m-%d %H:%M:%S}", one.times) for one in found.held_back]
    output.table(("HELD BACK", "WHY", "", "LAST (UTC)", "TIMES"), held, "nothing was held back")
    if found.reference:
        told = [(one.cloud, one.what, one.entries, f"{one.observed_at:%Y-%m-%d %H:%M:%S}", one.source) for one in found.reference]
        output.table(("CLOUD", "TOLD", "ENTRIES", "OF (UTC)", "SOURCE"), told, "")


@cli.command("record", context_settings=_PASSED, add_help_option=False)
@reported
def record(context: typer.Context) -> None:
    """Keeps what the live feeds see in a parquet file, for `spotlane local up --market FILE`."""
    become("automation.feeds", ["record", *(context.args or ["--help"])], environment())
