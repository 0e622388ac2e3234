"""``spotlane plan | migrate | daemon``: what would be moved, what is, and when."""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from spotlane import wire
from spotlane.cli import output, whatif
from spotlane.cli.session import automation, edge, environment, reported
from spotlane.cli.waiting import usual_of_moves
from spotlane.errors import Fault, InvalidDocument

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's.")]
_POLL_SECONDS = 0.5
_REMEMBERED = 50
"""Moves whose length tells how long the next one will take."""


def register(cli: typer.Typer) -> None:
    """Adds the verbs of this module."""
    cli.command("plan")(plan)
    cli.command("migrate")(migrate)
    cli.command("daemon")(daemon)


@reported
def plan(
    workload: Annotated[str | None, typer.Argument(help="Only this workload.")] = None,
    tenant: Tenant = None,
    boundary: Annotated[Path | None, typer.Option(help="What this boundary (or a tenant file's) would cost instead: now, and over recorded prices.")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=90, help="With --boundary: so many days of recorded prices.")] = 7,
    json: Json = False,
) -> None:
    """Dry run: what the daemon would do now, with dollars and reasons; or what a changed boundary would cost. Changes nothing."""
    if boundary is not None:
        whatif.shown(automation(edge()), boundary, tenant, workload, days, json=json)
        return
    found = automation(edge()).plan(tenant=tenant, workload=workload)
    if json:
        output.document(found)
        return
    rows = []
    for item in found.items:
        offer = item.decision.offer if item.decision else None
        to = f"{offer.cloud}/{offer.region} {offer.instance_type}" if offer else "-"
        evidence = item.evidence
        now = output.usd(evidence.current_usd_per_hour if evidence else None)
        then = output.usd(evidence.expected_usd_per_hour if evidence else None)
        rows.append((item.workload, item.verdict, to, now, then, output.usd(evidence.net_saving_usd if evidence else None, 2), item.reason))
    output.table(("WORKLOAD", "VERDICT", "TO", "USD/h NOW", "USD/h THEN", "USD SAVED", "REASON"), rows, "no workloads")
    output.say(f"prices of {found.market_now:%Y-%m-%d %H:%M} UTC; net saving {found.saving_usd_per_30_days:.2f} USD per 30 days")


@reported
def migrate(
    workload: str,
    to: Annotated[str | None, typer.Option(help="Offer: <cloud>/<region>/<zone>/<instance type>; without it, the best allowed one.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end.")] = True,
    json: Json = False,
) -> None:
    """Moves a workload now, under traffic. Refused where the offer lies outside its boundary."""
    client = edge()
    migration = automation(client).move(wire.MoveRequest(workload=workload, offer=parse_offer(to) if to else None))
    step = ""
    if wait and migration.status == "running":
        told = usual_of_moves(itertools.islice(client.migrations(), _REMEMBERED))
        output.progress(f"{migration.id} is under way" + (f" ({told})" if told else "") + "; Ctrl-C ends the waiting, not the move")
    while wait and migration.status == "running":
        if migration.step != step:
            step = migration.step
            output.progress(f"{migration.id}: {step} …")
        time.sleep(_POLL_SECONDS)
        migration = client.migration(migration.id)
    if json:
        output.document(migration)
    else:
        offer = migration.decision.offer
        output.say(f"{migration.id}: {migration.status}" + (f" on {offer.cloud}/{offer.region} {offer.instance_type}" if offer else ""))
    if migration.status == "failed":
        output.failure(migration.error or "the migration failed; nothing of it is left")
        raise typer.Exit(1)


_ACTIONS = ("run", "pause", "resume", "windows", "holds")


@reported
def daemon(
    action: Annotated[str, typer.Argument(help="run, pause, resume, windows (when prices may move something) or holds (what is held)")] = "run",
    once: Annotated[bool, typer.Option("--once", help="One cycle of the running service, then its report.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="What a cycle would begin now, and what is held; begins nothing.")] = False,
    tenant: Tenant = None,
    workload: Annotated[str | None, typer.Option(help="Only this workload.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Prices move it only then, as 'mon-fri 22:00-06:00 Europe/Berlin'; may be given several times.")
    ] = None,
    never: Annotated[list[str] | None, typer.Option(help="Prices don't move it then.")] = None,
    json: Json = False,
) -> None:
    """The rebalancing daemon: runs in the foreground, or holds still where it runs: everything, a tenant's workloads, or one."""
    faults = [] if action in _ACTIONS else [Fault("action", f"{action!r} is not one of {', '.join(_ACTIONS)}")]
    if (only or never) and action != "windows":
        faults.append(Fault("--only, --never", "they belong to `spotlane daemon windows`"))
    if tenant and workload:
        faults.append(Fault("--tenant, --workload", "a hold is a tenant's or a workload's; name one"))
    if faults:
        raise InvalidDocument("daemon", faults)
    if action == "run" and not once and not dry_run:
        os.environ.update(environment())
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "automation"])
    service = automation(edge())
    if dry_run:
        _shown(service.plan(tenant, workload), json=json)
    elif once:
        _cycle(service.tick(), json=json)
    elif action == "holds":
        _held(service.holds(), json=json)
    elif action != "windows" and tenant is None and workload is None:
        service.daemon(paused=action == "pause")
        output.document({"paused": action == "pause"}) if json else output.say("the daemon is paused" if action == "pause" else "the daemon runs")
    else:
        known = next((one for one in service.holds() if (one.tenant, one.workload) == (tenant, workload)), wire.Hold(tenant=tenant, workload=workload))
        change = {"only": only or [], "never": never or []} if action == "windows" else {"paused": action == "pause"}
        _held([service.hold(known.model_copy(update=change))], json=json)


def _cycle(report: wire.TickReport, *, json: bool) -> None:
    if json:
        output.document(report)
        return
    output.say(f"{report.quotes} quotes of {report.market_now:%Y-%m-%d %H:%M} UTC, {report.quarantined} quarantined")
    for item in report.plan.items:
        output.say(_line(item))
    for fault in report.errors:
        output.failure(fault)


def _shown(plan: wire.Plan, *, json: bool) -> None:
    if json:
        output.document(plan)
        return
    for item in plan.items:
        output.say(_line(item))
    output.say(f"${plan.saving_usd_per_30_days:,.2f} saved in 30 days by what would be begun; nothing was")


def _line(item: wire.PlanItem) -> str:
    whose = item.workload if item.role == "serving" else f"{item.workload}, standby"
    return f"  {whose}: {item.verdict} ({item.reason})"


def _held(holds: list[wire.Hold], *, json: bool) -> None:
    if json:
        output.document({"items": [one.model_dump(mode="json", by_alias=True) for one in holds]})
        return
    rows = [(one.workload or one.tenant or "everything", "paused" if one.paused else "", ", ".join(one.only), ", ".join(one.never)) for one in holds]
    output.table(("WHAT", "PAUSED", "ONLY", "NEVER"), rows, "nothing is held")


def parse_offer(text: str) -> wire.OfferRef:
    """An offer from its id. Raises :class:`InvalidDocument`."""
    parts = text.split("/")
    if len(parts) != 4 or parts[0] not in ("aws", "azure", "gcp") or not all(parts):
        raise InvalidDocument("--to", [Fault("offer", f"{text!r} is not <cloud>/<region>/<zone>/<instance type>, as in aws/eu-west-1/eu-west-1a/m5.large")])
    return wire.OfferRef.model_validate({"cloud": parts[0], "region": parts[1], "zone": parts[2], "instanceType": parts[3]})
