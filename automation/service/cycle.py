"""What a cycle decides: of each machine of each workload one verdict, the first machines before those beside them, one change of a workload at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from automation.service import redeploys, standbys
from automation.service.decider import Decider, bridged
from automation.service.estate import Estate
from automation.service.fleets import Fleet
from automation.service.served import Served
from automation.service.standbys import Capacity, Retire, Role
from domain.placement import fallback
from domain.placement.plan import Deploy, Move, Reason, Stay, Trigger, Verdict
from domain.windows import Hold, held
from spotlane import wire
from spotlane.client import Client

_PLACEABLE = {wire.WorkloadState.PENDING, wire.WorkloadState.RUNNING, wire.WorkloadState.INTERRUPTED, wire.WorkloadState.UNHEALTHY, wire.WorkloadState.FAILED}


@dataclass(frozen=True)
class Judged:
    """A verdict, and the machine that it is on: None for one to come."""

    verdict: Verdict
    role: Role
    placement: str | None
    capacity: Capacity = "spot"
    holding: wire.Holding | None = None
    """Of a workload that asks for an availability: on its first machine, and on what is made for that."""

    @property
    def acts(self) -> bool:
        """Whether it has a machine made."""
        return isinstance(self.verdict, Deploy | Move)


@dataclass(frozen=True)
class Cycle:
    """What a cycle decided of machines, the first ones first, and what is given up."""

    judged: tuple[Judged, ...]
    retired: tuple[Retire, ...] = ()


class Cycles:
    """Decides cycles. ``holds`` are asked anew for each; ``clock`` is the wall's."""

    def __init__(self, edge: Client, decider: Decider, served: Served, holds: Callable[[], Mapping[str, Hold]], clock: Callable[[], datetime]) -> None:
        self._edge = edge
        self._decider = decider
        self._served = served
        self._holds = holds
        self._clock = clock

    def decide(self, estate: Estate, market_now: datetime, workloads: Sequence[wire.Workload]) -> Cycle:
        """What a cycle decides of the first machines; and where those stay, of the others that serve, then of the standbys."""
        running = [one for one in workloads if one.state is wire.WorkloadState.RUNNING]
        chosen = self._decider.fleets_of(estate, market_now, running, lambda: self._served.of(estate.workloads))
        judged = self._judged(estate, market_now, workloads, "serving", chosen)
        staying = {one.verdict.workload for one in judged if isinstance(one.verdict, Stay)}
        calm = [one for one in workloads if one.id in staying and one.state is wire.WorkloadState.RUNNING]
        holds, now = self._holds(), self._clock()
        free = [one for one in calm if held(holds, one.id, one.tenant, Trigger.REDEPLOY, now) is None]
        retired = tuple(standbys.retired(free, {name: fleet.give_up for name, fleet in chosen.items()}))
        given_up = {one.workload for one in retired}
        whole = [one for one in calm if one.id not in given_up]
        more = {name: fleet.wants_more for name, fleet in chosen.items()}
        stages: list[tuple[Role, list[wire.Workload]]] = [("serving", rank) for rank in standbys.ranks(whole, more)]
        stages.append(("standby", [standbys.as_standby(one) for one in whole if standbys.wanted(one)]))
        for role, views in stages:
            if views := self._free(views, judged, estate, market_now):
                judged += self._judged(estate, market_now, views, role, chosen, beside=True)
        return Cycle(tuple(judged), retired)

    def _free(self, views: Sequence[wire.Workload], judged: Sequence[Judged], estate: Estate, market_now: datetime) -> list[wire.Workload]:
        """Those of which nothing else is made in this cycle; under caps, of whose tenant nothing is: what is made next must know what that costs."""
        acting = {one.verdict.workload for one in judged if one.acts}
        if not views or not acting:
            return list(views)
        tenants = {one.tenant for one in estate.workloads if one.id in acting}
        months = self._decider.months(estate, market_now)
        return [one for one in views if one.id not in acting and not (one.tenant in tenants and months.caps(one))]

    def _judged(
        self, estate: Estate, market_now: datetime, workloads: Sequence[wire.Workload], role: Role, chosen: Mapping[str, Fleet], *, beside: bool = False
    ) -> list[Judged]:
        """By price, but for those whose declaration has changed or whose credentials end; and of that what is held, or is held on demand, stays as it is."""
        changed = redeploys.due(workloads, estate.migrations, self._edge.placements, self._clock())
        order = [Trigger.REDEPLOY, Trigger.RENEWAL, Trigger.PRICE]
        ranked = sorted(workloads, key=lambda one: order.index(changed.get(one.id, Trigger.PRICE)))
        # In one plan: what is placed for any reason takes of the same monthly caps.
        why = {one.id: changed.get(one.id, Trigger.PRICE) for one in ranked}
        verdicts = self._decider.decide(estate, market_now, ranked, lambda one: why[one.id], role=role, within=chosen)
        judged = [Judged(verdict, role, None if one.placement is None else one.placement.id) for one, verdict in zip(ranked, verdicts, strict=True)]
        lacking = [
            (one, verdict) for one, verdict in zip(ranked, verdicts, strict=True) if role == "serving" and fallback.wanted(verdict, bridged(one), why[one.id])
        ]
        free = self._free([one for one, _ in lacking], judged, estate, market_now)
        lacking = [(one, verdict) for one, verdict in lacking if one in free]
        bought = {
            verdict.workload: (verdict, capacity) for verdict, capacity in self._decider.fallen_back(estate, market_now, lacking, lambda one: why[one.id])
        }
        if role == "serving":
            bought |= {
                one.id: (self._decider.on_demand_beside(estate, market_now, one), "on-demand")
                for one in ranked
                if one.placement is None and one.id in chosen and chosen[one.id].make == "on-demand"
            }
        final = [bought.get(one.verdict.workload, (_kept(one, chosen), one.capacity)) for one in judged]
        allowed = self._unless_held([verdict for verdict, _ in final], {one.id: one for one in workloads}, beside)
        found = [Judged(verdict, role, one.placement, capacity) for one, verdict, (_, capacity) in zip(judged, allowed, final, strict=True)]
        return [_for_availability(one, chosen, beside) for one in found]

    def _unless_held(self, verdicts: Iterable[Verdict], workloads: Mapping[str, wire.Workload], beside: bool) -> Iterator[Verdict]:
        holds, now = self._holds(), self._clock()
        for verdict in verdicts:
            workload = workloads[verdict.workload]
            trigger = _trigger(verdict, workload, beside)
            if isinstance(verdict, Deploy | Move) and trigger and (reason := held(holds, workload.id, workload.tenant, trigger, now)) is not None:
                yield Stay(verdict.workload, Reason.HELD, reason, verdict.evidence)
            else:
                yield verdict


def placeable(workload: wire.Workload, *, moving: bool = False) -> bool:
    """Whether a machine may be made for it now; with ``moving`` also beside a move under way."""
    if workload.state is wire.WorkloadState.MIGRATING:
        return moving
    return workload.state in _PLACEABLE and (moving or workload.active_migration is None)


def _kept(one: Judged, chosen: Mapping[str, Fleet]) -> Verdict:
    """The verdict; a machine that is held on demand for the availability asked for, or is given up, isn't moved by price."""
    verdict, fleet = one.verdict, chosen.get(one.verdict.workload)
    if fleet is None or one.role != "serving" or not isinstance(verdict, Move) or verdict.reason is not Reason.CHEAPEST:
        return verdict
    if one.placement in fleet.bridges or (fleet.give_up is not None and fleet.give_up.placement == one.placement):
        return Stay(verdict.workload, Reason.AVAILABILITY, fleet.holding.detail, verdict.evidence)
    return verdict


def _for_availability(one: Judged, chosen: Mapping[str, Fleet], beside: bool) -> Judged:
    """With what is held and why, on the first machine and on one that is made for it."""
    fleet = chosen.get(one.verdict.workload)
    if fleet is None or one.role != "serving" or (beside and one.placement is not None):
        return one
    verdict = one.verdict
    if one.placement is None and isinstance(verdict, Deploy):
        verdict = replace(verdict, detail=f"{fleet.holding.detail}: {verdict.detail}")
    return replace(one, verdict=verdict, holding=fleet.holding)


def _trigger(verdict: Verdict, workload: wire.Workload, beside: bool) -> Trigger | None:
    """What sets off a verdict, as holds know it; None where none holds it: what runs outside its boundary leaves, what lost its machine gets another."""
    if beside and isinstance(verdict, Deploy):
        return Trigger.REDEPLOY
    if isinstance(verdict, Move):
        return verdict.trigger if verdict.reason in (Reason.CHEAPEST, Reason.OVER_CAP, Reason.OVER_MONTH_CAP, Reason.REDEPLOY) else None
    return Trigger.REDEPLOY if isinstance(verdict, Deploy) and workload.state is wire.WorkloadState.PENDING else None
