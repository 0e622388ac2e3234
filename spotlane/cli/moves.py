"""``spotlane plan | migrate | daemon | ledger``: decisions and dollars."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.session import automation, edge, environment, reported
from spotlane.errors import Fault, InvalidDocument

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's.")]
_POLL_SECONDS = 0.5


def register(cli: typer.Typer) -> None:
    """Adds the verbs of this module."""
    cli.command("plan")(plan)
    cli.command("migrate")(migrate)
    cli.command("daemon")(daemon)
    cli.command("ledger")(ledger)


@reported
def plan(workload: Annotated[str | None, typer.Argument(help="Only this workload.")] = None, tenant: Tenant = None, json: Json = False) -> None:
    """Dry run: what the daemon would do now, with dollars and reasons. Changes nothing."""
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


@reported
def daemon(
    action: Annotated[str, typer.Argument(help="run, pause or resume")] = "run",
    once: Annotated[bool, typer.Option("--once", help="One cycle of the running service, then its report.")] = False,
    json: Json = False,
) -> None:
    """The rebalancing daemon: runs in the foreground, or is paused and resumed where it runs."""
    if action not in ("run", "pause", "resume"):
        raise InvalidDocument("daemon", [Fault("action", f"{action!r} is not one of run, pause, resume")])
    if action == "run" and not once:
        os.environ.update(environment())
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", "automation"])
    service = automation(edge())
    if once:
        report = service.tick()
        if json:
            output.document(report)
            return
        output.say(f"{report.quotes} quotes of {report.market_now:%Y-%m-%d %H:%M} UTC, {report.quarantined} quarantined")
        for item in report.plan.items:
            output.say(f"  {item.workload}: {item.verdict} ({item.reason})")
        for fault in report.errors:
            output.failure(fault)
        return
    service.daemon(paused=action == "pause")
    if json:
        output.document({"paused": action == "pause"})
    else:
        output.say("the daemon is paused" if action == "pause" else "the daemon runs")


@reported
def ledger(tenant: Tenant = None, workload: Annotated[str | None, typer.Option(help="Only this workload's.")] = None, json: Json = False) -> None:
    """What was paid, and what on-demand and staying would have cost, from the quotes in force then."""
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


def parse_offer(text: str) -> wire.OfferRef:
    """An offer from its id. Raises :class:`InvalidDocument`."""
    parts = text.split("/")
    if len(parts) != 4 or parts[0] not in ("aws", "azure", "gcp") or not all(parts):
        raise InvalidDocument("--to", [Fault("offer", f"{text!r} is not <cloud>/<region>/<zone>/<instance type>, as in aws/eu-west-1/eu-west-1a/m5.large")])
    return wire.OfferRef.model_validate({"cloud": parts[0], "region": parts[1], "zone": parts[2], "instanceType": parts[3]})


def _offer(offer: wire.OfferRef | None) -> str:
    return "-" if offer is None else f"{offer.cloud}/{offer.region}"
