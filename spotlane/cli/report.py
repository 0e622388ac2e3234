"""``spotlane report``: a month for those who sign it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.session import automation, edge, reported
from spotlane.cli.spend import month_of
from spotlane.client import AutomationClient, Client
from spotlane.errors import ApiProblem, Fault, InvalidDocument, SpotlaneError
from spotlane.report import page, rows
from spotlane.report.figures import Sources
from spotlane.report.figures import report as figures_of

T = TypeVar("T")


def register(cli: typer.Typer) -> None:
    """Adds the verb of this module."""
    cli.command("report")(report)


@reported
def report(
    month: Annotated[str, typer.Option(help="YYYY-MM in UTC, on the market's clock.")],
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for spotlane-MONTH[-TENANT].html and .csv; made if it isn't there.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="One JSON document: where the files are, and the headline figures.")] = False,
) -> None:
    """The month as a page to print and sign, and as CSV: savings by workload and move, caps, availability, boundary, audit anchors. Changes nothing."""
    begin, end = month_of(month)
    client = edge()
    found = figures_of(gathered(client, automation(client), month, begin, end, tenant, datetime.now(UTC)))
    name = f"spotlane-{month}" + (f"-{tenant}" if tenant else "")
    files = {out / f"{name}.html": page.html(found), out / f"{name}.csv": rows.text(found)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidDocument(str(out), [Fault("--out", f"can't be written to: {error.strerror}; name another folder")]) from error
    total = found.total
    if json:
        figures = {"paidUsd": str(total.paid), "savedUsd": str(total.saved), "savedStayedUsd": str(total.saved_stayed), "provenUsd": str(found.proven)}
        rest = {"hours": total.hours, "unknownHours": total.unknown_hours, "available": found.available, "outsideBoundaryHours": found.outside_hours}
        output.document({"month": month, "files": [str(path) for path in files], "ledgerSha256": found.ledger_digest, **figures, **rest})
        return
    for path in files:
        output.say(str(path))
    output.say(f"{total.hours:.1f} h: paid {total.paid:.2f} USD, saved {total.saved:.2f} against on-demand and {total.saved_stayed:.2f} against staying")


def gathered(client: Client, service: AutomationClient, month: str, begin: datetime, end: datetime, tenant: str | None, now: datetime) -> Sources:
    """Everything that the report is made from. Raises :class:`SpotlaneError` where the edge is away; what only the automation service or a platform's key
    can tell is left unknown without them."""
    hours = [one for one in client.ledger_hours(tenant, month=month) if begin <= one.hour < end]
    placements = {one.placement for one in hours}
    tenants = {one.id: one for one in client.tenants() if tenant is None or one.id == tenant}
    boundaries = {name: _unless_away(lambda one=one: service.check_boundary(one.boundary)) for name, one in tenants.items()}  # type: ignore[misc]  # bound at once
    spend = _unless_away(lambda: service.spend(tenant))
    return Sources(
        month=month,
        begin=begin,
        end=end,
        tenant=tenant,
        made_at=now,
        hours=hours,
        moves=[one for one in client.ledger_moves(tenant) if one.migration in placements],
        decisions={one.id: one.decision for one in client.migrations() if one.id in placements},
        events=list(client.all_events(tenant)),
        boundaries=boundaries,
        caps=[] if spend is None else [one for one in spend.items if one.month == month],
        alerts=sorted(client.alerts(tenant, month=month), key=lambda one: (one.owner, one.percent)),
        anchors=_anchors(client),
    )


def _anchors(client: Client) -> list[wire.AuditHead] | None:
    try:
        return list(client.audit_heads())
    except ApiProblem as problem:
        if problem.problem.status == 403:
            return None
        raise


def _unless_away(asked: Callable[[], T]) -> T | None:
    try:
        return asked()
    except SpotlaneError as error:
        output.progress(f"left unknown in the report: {error}")
        return None
