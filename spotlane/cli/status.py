"""``spotlane status``: one screen: what runs where, at what price, what it saves, what comes next."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.session import automation, edge, reported
from spotlane.client import AutomationClient, Client
from spotlane.errors import ApiProblem, SpotlaneError

COLUMNS = ("WORKLOAD", "STATE", "RUNS ON", "USD/h", "OF ON-DEMAND %", "NEXT")
_SECONDS = 2.0


def register(cli: typer.Typer) -> None:
    """Adds the verb of this module."""
    cli.command("status")(status)


@dataclass(frozen=True)
class Seen:
    """What one look found. ``plan`` is None where the automation service is away: ``away`` then says why."""

    workloads: Sequence[wire.Workload]
    totals: wire.LedgerTotals
    plan: wire.Plan | None
    away: str = ""
    spend: wire.Spend | None = None
    alerts: Sequence[wire.SpendAlert] = ()
    months: Sequence[wire.WorkloadMonth] = ()


@reported
def status(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on, and print again whenever something has changed; ends with Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document; with --watch one a line.")] = False,
) -> None:
    """What runs where, at what price, what was saved, and what the daemon would do next. Changes nothing."""
    follow(tenant, json=json, looks=None if watch else 1)


def follow(tenant: str | None, *, json: bool, looks: int | None) -> None:
    """Looks ``looks`` times (None: until Ctrl-C), and prints what has changed. Raises :class:`SpotlaneError`."""
    client = edge()
    service = automation(client)
    bell = None if looks == 1 else Bell(client, tenant)
    shown: object = None
    for number in itertools.count(1):
        seen = look(client, service, tenant)
        told = document(seen) if json else (rows(seen), footer(seen))
        if told != shown:
            output.record(document(seen)) if json and looks != 1 else _print(seen, json=json)
            shown = told
        if number == looks or bell is None:
            return
        try:
            bell.wait()
        except KeyboardInterrupt:
            return


class Bell:
    """Rings whenever something has changed since the last wait; every two seconds where the edge tells no changes, or too many follow them."""

    def __init__(self, client: Client, tenant: str | None) -> None:
        self._rung = threading.Event()
        self._changes = client.changes(tenant)
        self._failed: SpotlaneError | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def wait(self) -> None:
        """Until it rings. Raises :class:`SpotlaneError` where nothing more can be heard."""
        if isinstance(self._failed, ApiProblem) and self._failed.problem.status in (404, 429):
            time.sleep(_SECONDS)
            return
        self._rung.wait()
        if self._failed is None:
            self._rung.clear()
        elif not isinstance(self._failed, ApiProblem) or self._failed.problem.status not in (404, 429):
            raise self._failed

    def _listen(self) -> None:
        try:
            for _ in self._changes:
                self._rung.set()
        except SpotlaneError as error:
            self._failed = error
        self._rung.set()


def look(client: Client, service: AutomationClient, tenant: str | None) -> Seen:
    """One look; the automation service may be away, the edge may not. Raises :class:`SpotlaneError`."""
    workloads = sorted(client.workloads(tenant), key=lambda one: one.id)
    totals = client.ledger(tenant).totals
    try:
        plan, spend = service.plan(tenant=tenant), service.spend(tenant)
        alerts = sorted(client.alerts(tenant, month=f"{spend.market_now:%Y-%m}"), key=lambda one: (one.owner, one.percent))
        months = list(client.ledger_months(tenant, month=f"{spend.market_now:%Y-%m}"))
        return Seen(workloads, totals, plan, "", spend, alerts, months)
    except SpotlaneError as error:
        return Seen(workloads, totals, None, str(error))


def rows(seen: Seen) -> list[tuple[str, ...]]:
    """A row a workload, and one for each machine that it holds beside the first, by :data:`COLUMNS`."""
    items = seen.plan.items if seen.plan is not None else []
    found = []
    for one in seen.workloads:
        mine = [item for item in items if item.workload == one.id]
        beside = {placed.id: placed for placed in one.further}
        found.append(_row(one, next((item for item in mine if item.role == "serving" and item.placement not in beside), None)))
        found += [_beside(placed, next((item for item in mine if item.placement == name), None)) for name, placed in beside.items()]
    return found


def footer(seen: Seen) -> list[str]:
    """The lines below the table."""
    totals = seen.totals
    lines = [
        f"{totals.hours:.1f} h served: paid {totals.paid_usd:.2f} USD, "
        f"{_saved(totals.saved_usd, totals.on_demand_usd)} on-demand ({totals.on_demand_usd:.2f}), "
        f"{_saved(totals.saved_stayed_usd, totals.stayed_usd)} staying where they began ({totals.stayed_usd:.2f})"
    ]
    if totals.unknown_hours:
        lines.append(f"the price of {totals.unknown_hours:.1f} h is unknown: they are in no sum")
    if seen.months:
        saved = sum((one.saved_usd for one in seen.months), Decimal(0))
        lines.append(f"in {seen.months[0].month}: paid {sum((one.paid_usd for one in seen.months), Decimal(0)):.2f} USD, saved {saved:.2f} against on-demand")
    lines += [_cap(one) for one in (seen.spend.items if seen.spend is not None else ())]
    lines += [_alert(one) for one in seen.alerts]
    if seen.workloads:
        lines.append(_health(seen.workloads))
    if seen.plan is None:
        return [*lines, f"the automation service is away, so that nothing moves: {seen.away}"]
    return [*lines, f"prices of {_minute(seen.plan.market_now)}; what is planned saves {seen.plan.saving_usd_per_30_days:.2f} USD in 30 days"]


def document(seen: Seen) -> dict[str, Any]:
    """The look for programs."""
    return {
        "workloads": [one.model_dump(mode="json", by_alias=True) for one in seen.workloads],
        "totals": seen.totals.model_dump(mode="json", by_alias=True),
        "plan": None if seen.plan is None else seen.plan.model_dump(mode="json", by_alias=True),
        "away": seen.away,
        "spend": None if seen.spend is None else seen.spend.model_dump(mode="json", by_alias=True),
        "alerts": [one.model_dump(mode="json", by_alias=True) for one in seen.alerts],
        "months": [one.model_dump(mode="json", by_alias=True) for one in seen.months],
    }


def _print(seen: Seen, *, json: bool) -> None:
    if json:
        output.document(document(seen))
        return
    output.table(COLUMNS, rows(seen), "no workloads; `spotlane workload apply -f FILE` makes one")
    for line in footer(seen):
        output.say(line)


def _row(workload: wire.Workload, verdict: wire.PlanItem | None) -> tuple[str, ...]:
    placed = workload.placement
    if placed is None:
        return (workload.id, workload.state, "-", "-", "-", _next(workload, verdict))
    return (workload.id, workload.state, *_machine(placed, verdict), _next(workload, verdict))


def _beside(placed: wire.Placement, verdict: wire.PlanItem | None) -> tuple[str, ...]:
    """The row of a machine beside the first; its workload's own stands above it."""
    return (f"  {placed.id}", placed.state, *_machine(placed, verdict), "-" if verdict is None else _planned(verdict))


def _machine(placed: wire.Placement, verdict: wire.PlanItem | None) -> tuple[str, str, str]:
    """Where it runs, what it costs, and what share that is of on-demand: at the price it was taken at, where the daemon has none of now."""
    quote = (verdict.evidence.current_quote if verdict is not None and verdict.evidence is not None else None) or placed.quote
    listed = quote.on_demand_usd_per_hour
    spot = listed if placed.capacity == "on-demand" else quote.spot_usd_per_hour
    share = f"{100 * spot / listed:.0f}" if spot is not None and listed is not None else "-"
    return f"{placed.offer.cloud}/{placed.offer.region} {placed.offer.instance_type}", output.usd(spot), share


def _next(workload: wire.Workload, verdict: wire.PlanItem | None) -> str:
    if workload.active_migration is not None:
        return f"moving now ({workload.active_migration})"
    if verdict is None:
        return "-"
    return _planned(verdict)


def _planned(verdict: wire.PlanItem) -> str:
    offer = verdict.decision.offer if verdict.decision is not None else None
    to = f" to {offer.cloud}/{offer.region} {offer.instance_type}" if offer is not None else ""
    return f"{verdict.verdict.replace('_', ' ')}{to}: {verdict.reason}"


def _cap(one: wire.SpendCap) -> str:
    standing = {"within": "", "headed-over": ", headed over it", "over": ", used up"}[one.standing]
    return f"cap of {one.owner}: {one.paid_usd:.2f} of {one.cap_usd:.2f} USD paid in {one.month}, {one.projected_usd:.2f} projected{standing}"


def _alert(one: wire.SpendAlert) -> str:
    return f"alert: {one.owner} reached {one.percent} % of its cap of {one.cap_usd:.2f} USD at {_minute(one.market_at)}"


def _saved(saved: Decimal, other: Decimal) -> str:
    if other == 0:
        return "as much as"
    share = 100 * saved / other
    return f"{share:.0f} % less than" if share >= 0 else f"{-share:.0f} % more than"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _health(workloads: Sequence[wire.Workload]) -> str:
    """How many serve, and which don't."""
    wanted = [one for one in workloads if one.state not in (wire.WorkloadState.TERMINATED, wire.WorkloadState.STOPPING)]
    ill = [f"{one.id} is {one.state}" for one in wanted if one.state not in (wire.WorkloadState.RUNNING, wire.WorkloadState.MIGRATING)]
    return f"health: {len(wanted) - len(ill)} of {len(wanted)} serve" + (f"; {', '.join(ill)}" if ill else "")
