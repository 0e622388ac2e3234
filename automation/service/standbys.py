"""The machines of a workload beside its first one, in the daemon's cycle: others that serve, and the standby, each in a failure domain of its own. Pure.

A workload is seen once for each of its machines (:func:`as_one_of`, :func:`as_standby`): the same engine judges all, each kept out of the others' failure
domains. What is beside the first is only looked at where the first stays as it is: one machine of a workload changes at a time, the first one first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from automation.service.translation import evidence_to_wire, offer_from_wire
from domain.placement.domains import Domains, Failure
from domain.placement.plan import Move, Trigger, Verdict, ZoneRef
from domain.refusals import RefusalKind, read
from spotlane import wire

Role = Literal["serving", "standby"]
_UNFORCED = ("deploy", "move", "redeploy", "requested")
_AFTER_COMMIT = (wire.MigrationStep.DRAIN, wire.MigrationStep.DECOMMISSION, wire.MigrationStep.RECORD)
Capacity = Literal["spot", "on-demand"]


@dataclass(frozen=True, slots=True)
class Retire:
    """A machine that is no longer wanted: given up, with nothing in its place."""

    workload: str
    placement: str
    detail: str
    role: Role = "serving"
    holding: wire.Holding | None = None


def standby_of(workload: wire.Workload) -> wire.Placement | None:
    """The machine that stands by, the oldest of several; None without one."""
    return next((one for one in workload.further if one.state is wire.PlacementState.STANDBY), None)


def machines(workload: wire.Workload) -> list[wire.Placement]:
    """Its machines in their order: the first, the others that serve by their age, the standby."""
    first = [] if workload.placement is None else [workload.placement]
    standby = standby_of(workload)
    return [*first, *others(workload), *([] if standby is None else [standby])]


def others(workload: wire.Workload) -> list[wire.Placement]:
    """Machines that serve beside the first, the oldest first."""
    return sorted((one for one in workload.further if one.state is wire.PlacementState.SERVING), key=lambda one: one.generation)


def role_of(placement: wire.Placement) -> Role:
    """Whether a machine serves or stands by."""
    return "standby" if placement.state is wire.PlacementState.STANDBY else "serving"


def as_one_of(workload: wire.Workload, placement: wire.Placement | None) -> wire.Workload:
    """The workload as another machine that serves sees it; None for one that is to come."""
    return workload.model_copy(update={"placement": placement})


def ranks(workloads: Iterable[wire.Workload], more: Mapping[str, bool] | None = None) -> list[list[wire.Workload]]:
    """The machines that serve beside the first, as they see their workloads: the second ones, then the third ones, and so on. Where some are missing, one
    of them is looked at: it is the next to be made. ``more`` says of a workload by its id whether another is wanted, in place of the number asked for."""
    found: list[list[wire.Workload]] = []
    for one in workloads:
        beside: list[wire.Placement | None] = [*others(one)]
        if (more or {}).get(one.id, len(beside) + 1 < one.spec.placement.replicas):
            beside.append(None)
        for rank, placement in enumerate(beside):
            if rank == len(found):
                found.append([])
            found[rank].append(as_one_of(one, placement))
    return found


def wanted(workload: wire.Workload) -> bool:
    """Whether its owner asks for a standby."""
    return workload.spec.placement.warm_standby


def as_standby(workload: wire.Workload) -> wire.Workload:
    """The workload as its standby sees it: placed where that is, and sending nothing to anybody while it stands by."""
    rules = workload.spec.placement.model_copy(update={"egress_gib_per_hour": 0.0, "state_gib": 0.0})
    return workload.model_copy(update={"placement": standby_of(workload), "spec": workload.spec.model_copy(update={"placement": rules})})


def apart(workload: wire.Workload, placement: wire.Placement | None, domains: Domains, saving: Iterable[wire.Migration] = ()) -> frozenset[ZoneRef]:
    """The zones where this machine of the workload (None: one to come) may not be for the sake of the others; of ``saving``, what :func:`rescues`, those on
    their way count as well. Where two are in one domain, it is the one that comes later in :func:`machines` that leaves."""
    own = None if placement is None else placement.id
    coming = [one.decision.offer for one in saving if one.workload == workload.id and one.from_placement != own]
    taken = {zone for offer in coming if offer is not None for zone in domains.around(offer_from_wire(offer)[:3])}
    precedes = True
    for other in machines(workload):
        if placement is not None and other.id == placement.id:
            precedes = False
            continue
        around = domains.around(_zone(other))
        if precedes or placement is None or _zone(placement) not in around:
            taken |= around
    return frozenset(taken)


def retired(workloads: Iterable[wire.Workload], chosen: Mapping[str, Retire | None] | None = None) -> Iterator[Retire]:
    """Machines that nobody asks for, one of a workload: the youngest that serves of too many, a standby that isn't wanted, a second one. ``chosen`` says of a
    workload by its id which of those that serve is given up (None: none), in place of the number asked for."""
    for one in workloads:
        serving, kept = others(one), standby_of(one) if wanted(one) else None
        surplus = [each for each in one.further if each.state is wire.PlacementState.STANDBY and (kept is None or each.id != kept.id)]
        if chosen is not None and one.id in chosen:
            if (gone := chosen[one.id]) is not None:
                yield gone
                continue
        elif len(serving) + 1 > one.spec.placement.replicas and serving:
            yield Retire(one.id, serving[-1].id, f"{len(serving) + 1} machines serve; its owner asks for {one.spec.placement.replicas}")
            continue
        if surplus:
            yield Retire(one.id, surplus[0].id, "its owner asks for no standby" if kept is None else f"{kept.id} stands by already", "standby")


def rescues(migration: wire.Migration) -> bool:
    """Whether it is making a machine serve in the place of one that goes or fails, and hasn't told yet who serves."""
    forced = migration.kind in ("interruption", "unhealthy") and migration.decision.role == "serving"
    return forced and migration.status == "running" and migration.step not in _AFTER_COMMIT


def yields(workload: wire.Workload, hit: wire.Placement, migrations: Iterable[wire.Migration], *, beside: bool) -> bool:
    """Whether what is at work on the workload keeps what saves its machine ``hit`` from nothing (adr/0072), as the edge will see it: nothing is, or a machine
    beside is made or given up, or another one moves that needn't, or who serves is settled and an old machine's end alone is left. Where another one is saved,
    too, a machine that is taken back and needs another made (``beside``) gets it at once."""
    if workload.active_migration is None:
        return True
    active = next((one for one in migrations if one.id == workload.active_migration), None)
    if active is None or active.kind == "terminate":
        return False
    if active.step in _AFTER_COMMIT or active.decision.role == "standby" or active.kind == "retire":
        return True
    if rescues(active):
        return beside and active.from_placement != hit.id
    if active.step is wire.MigrationStep.COMMIT:
        return False
    other = workload.placement is not None if active.kind == "deploy" else active.from_placement != hit.id
    return active.kind in _UNFORCED and other


def failures(migrations: Iterable[wire.Migration]) -> Iterator[Failure]:
    """What migrations tell of zones: machines that were taken back, and requests refused for want of capacity."""
    for one in migrations:
        evidence, offer = one.decision.evidence, one.decision.offer
        if evidence is None or offer is None:
            continue
        if one.kind == "interruption" and evidence.current_quote is not None:
            yield Failure(evidence.market_now, offer_from_wire(evidence.current_quote.offer)[:3])
        if one.status == "failed" and read((one.error or "").split("; ")).kind is RefusalKind.NO_CAPACITY:
            yield Failure(evidence.market_now, offer_from_wire(offer)[:3])


def _zone(placement: wire.Placement) -> ZoneRef:
    return offer_from_wire(placement.offer)[:3]


def takeover(
    workload: wire.Workload, standby: wire.Placement, trigger: Trigger, verdict: Verdict, digest: str, deadline: datetime | None, market_now: datetime
) -> wire.Decision:
    """The standby serves in the place of a machine that goes or fails. ``verdict`` is the engine's on the standby's own offer; its evidence is kept."""
    source = None if workload.placement is None else workload.placement.id
    why = "is being taken back" if trigger is Trigger.INTERRUPTION else "fails its probes"
    return wire.Decision.model_validate(
        {
            "id": _identity(f"{workload.id}|take-over|{standby.id}|{source}|{market_now.isoformat()}"),
            "workload": workload.id,
            "kind": "interruption" if trigger is Trigger.INTERRUPTION else "unhealthy",
            "offer": standby.offer,
            "fromPlacement": source,
            "boundaryDigest": digest,
            "evidence": evidence_to_wire(verdict.evidence) if isinstance(verdict, Move) else None,
            "reason": f"its machine {why}: its standby takes over",
            "deadline": deadline,
            "promote": standby.id,
        }
    )


def retirement(one: Retire, digest: str, market_now: datetime) -> wire.Decision:
    """The proposal to give a machine up. The same machine at the same market time is one proposal: an earlier one may have had to give way."""
    return wire.Decision.model_validate(
        {
            "id": _identity(f"{one.workload}|retire|{one.placement}|{market_now.isoformat()}"),
            "workload": one.workload,
            "kind": "retire",
            "offer": None,
            "fromPlacement": one.placement,
            "boundaryDigest": digest,
            "evidence": None,
            "reason": one.detail,
            "role": one.role,
            "holding": one.holding,
        }
    )


def retired_item(one: Retire, digest: str, market_now: datetime) -> wire.PlanItem:
    """A machine that is given up, as a plan shows it."""
    known = {"workload": one.workload, "verdict": "retire", "reason": f"{one.placement}: {one.detail}", "evidence": None}
    return wire.PlanItem.model_validate(
        known | {"decision": retirement(one, digest, market_now), "role": one.role, "placement": one.placement, "holding": one.holding}
    )


def _identity(text: str) -> str:
    return "decision-" + hashlib.sha256(text.encode()).hexdigest()[:24]
