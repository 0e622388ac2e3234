"""The availability that a workload asks for, in the daemon's cycle: how many machines serve, of which kind, which one is given up, and why. Pure.

:mod:`domain.placement.fleet` decides; here stands what it is asked, and what follows for one workload now: at most one machine is given up or made, for one
machine of a workload changes at a time. What is made is an offer of the engine's, with its evidence, boundary and caps, in the zones that the fleet asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median

from automation.service.standbys import Capacity, Retire, machines, standby_of
from automation.service.translation import offer_from_wire
from domain.placement.domains import Domains
from domain.placement.fleet import FleetPlan, Goal, Option, Replica, Seen, decide
from domain.placement.plan import ZoneRef
from domain.placement.recall import Mark, Tenure, recall
from domain.refusals import RefusalKind, read
from spotlane import wire

_AT_MOST_BESIDE = 2
"""Machines beyond those asked for: a spare, and the successor of one that is given up. The edge admits no more."""


@dataclass(frozen=True, slots=True)
class Prices:
    """USD/h of a machine in each zone that may be used, those where one is held among them; on demand the least, None where none may be bought; and losses
    per hour that clouds tell of."""

    spot: Mapping[ZoneRef, float]
    on_demand: float | None
    expected: Mapping[ZoneRef, float]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What is held of a workload, and the one thing that is done for it: a machine given up, or one made in ``zones``. ``bridges`` are the machines on demand
    that stay so: they don't go back to spot by price."""

    holding: wire.Holding
    give_up: Retire | None = None
    make: Capacity | None = None
    zones: frozenset[ZoneRef] = frozenset()
    bridges: frozenset[str] = frozenset()
    short: bool = False
    """Fewer serve than are asked for."""

    @property
    def wants_more(self) -> bool:
        """Whether another machine is looked for; where none may be had the plan says so."""
        return self.make is not None or (self.short and self.give_up is None)

    @property
    def elsewhere(self) -> str:
        """Why an offer in another zone isn't taken."""
        return f"for an availability of {self.holding.availability:.4%} a machine is worth more in another zone"


def serving(workload: wire.Workload) -> list[wire.Placement]:
    """Its machines that serve, in their order."""
    return [one for one in machines(workload) if one.state is not wire.PlacementState.STANDBY]


def goal_of(workload: wire.Workload, cold_start_hours: float | None) -> Goal:
    """What it asks for. A standby stands in for a spare: none is held beside it."""
    rules = workload.spec.placement
    standby = standby_of(workload) is not None
    goal = Goal(rules.replicas, rules.availability or 0.0, spare=0 if rules.warm_standby else 1, per_zone=1, standing_by=int(standby))
    return goal if cold_start_hours is None else replace(goal, cold_start_hours=max(cold_start_hours, goal.step_hours))


def cold_start_hours(placements: Iterable[wire.Placement]) -> float | None:
    """How long a machine takes to serve on the market's clock: the middle of those on record; None without any."""
    took = [_hours(one.market_served_from) - _hours(one.market_created_at) for one in placements if one.market_served_from is not None and not one.beside]
    return median(took) if took else None


def without(workload: wire.Workload, hit: wire.Placement) -> wire.Workload:
    """The workload as it is when this machine has gone."""
    first = None if workload.placement is None or workload.placement.id == hit.id else workload.placement
    return workload.model_copy(update={"placement": first, "further": [one for one in workload.further if one.id != hit.id]})


def recalled(
    placements: Iterable[wire.Placement], migrations: Iterable[wire.Migration], market_now: datetime, goal: Goal, going: wire.Placement | None = None
) -> Seen:
    """What zones are known by: the spot machines that served in them, those that were taken back, ``going`` now among them, and what was refused for want of
    capacity."""
    now = _hours(market_now)
    held = [
        Tenure(zone_id(_zone(one.offer)), _hours(one.market_served_from), now if one.market_served_until is None else _hours(one.market_served_until))
        for one in placements
        if one.market_served_from is not None and one.capacity == "spot"
    ]
    lost: dict[str | None, Mark] = {}
    refused: list[Mark] = []
    for one in migrations:
        evidence, offer = one.decision.evidence, one.decision.offer
        if evidence is None or offer is None:
            continue
        if one.kind == "interruption" and evidence.current_quote is not None:
            # Replacing one machine may have taken several tries.
            lost.setdefault(one.from_placement, Mark(zone_id(_zone(evidence.current_quote.offer)), _hours(evidence.market_now)))
        if one.status == "failed" and one.decision.capacity == "spot" and read((one.error or "").split("; ")).kind is RefusalKind.NO_CAPACITY:
            refused.append(Mark(zone_id(_zone(offer)), _hours(evidence.market_now)))
    if going is not None and going.capacity == "spot":
        lost[going.id] = Mark(zone_id(_zone(going.offer)), now)
    return recall(held, lost.values(), refused, now, goal)


def usable(prices: Prices, workload: wire.Workload, domains: Domains) -> Prices:
    """Without zones that fail together with one where a machine is held: there a second one protects against nothing."""
    held = {_zone(one.offer) for one in machines(workload)}
    standby = standby_of(workload)
    taken = set() if standby is None else domains.around(_zone(standby.offer))
    own = held - ({_zone(standby.offer)} if standby is not None else set())
    around = {zone for one in held for zone in domains.around(one)} | taken
    return replace(prices, spot={zone: usd for zone, usd in prices.spot.items() if zone in own or zone not in around})


def chosen(workload: wire.Workload, prices: Prices, seen: Seen, market_now: datetime, goal: Goal) -> Fleet:
    """The least cost of what the target is worth, and the one step towards it. ``prices`` name each zone where a machine is held."""
    hours = _hours(market_now)
    on_spot = [one for one in serving(workload) if one.capacity == "spot"]
    on_demand = [one for one in serving(workload) if one.capacity == "on-demand"]
    plan = decide(
        goal,
        tuple(_replica(one, hours, goal) for one in on_spot),
        len(on_demand),
        {zone_id(zone): usd for zone, usd in prices.spot.items()},
        prices.on_demand,
        seen,
        hours,
        {zone_id(zone): rate for zone, rate in prices.expected.items()},
    )
    number = len(on_spot) + len(on_demand)
    bridges = frozenset(one.id for one in sorted(on_demand, key=lambda one: one.generation)[: plan.chosen.on_demand])
    gone = _given_up(workload, plan, on_spot, on_demand) if number > workload.spec.placement.replicas else None
    if gone is not None:
        detail = f"{_said(goal, plan)}; {gone.id} isn't needed any more"
        holding = _holding(goal, plan, prices, on_spot, detail)
        return Fleet(holding, Retire(workload.id, gone.id, detail, holding=holding), bridges=bridges)
    make: Capacity | None = None
    if number < workload.spec.placement.replicas + _AT_MOST_BESIDE:
        make = "on-demand" if len(on_demand) < plan.chosen.on_demand else "spot" if plan.launch else None
    # A refusal costs a run and the lease: the best zone is asked, not all at once.
    best = next(iter(plan.added or plan.launch), None)
    zones = frozenset(zone for zone in prices.spot if zone_id(zone) == best) if make == "spot" else frozenset()
    detail = _said(goal, plan) if make is None else f"{_said(goal, plan)}; one more is made{' on demand' if make == 'on-demand' else ''}"
    return Fleet(_holding(goal, plan, prices, on_spot, detail, zones), None, make, zones, bridges, number < workload.spec.placement.replicas)


def _replica(placed: wire.Placement, hours: float, goal: Goal) -> Replica:
    """A machine as the fleet knows it; what serves is ready, whenever it was made."""
    return Replica(zone_id(_zone(placed.offer)), min(_hours(placed.market_served_from or placed.market_created_at), hours - goal.cold_start_hours))


def _given_up(workload: wire.Workload, plan: FleetPlan, on_spot: Sequence[wire.Placement], on_demand: Sequence[wire.Placement]) -> wire.Placement | None:
    """The machine that the plan doesn't keep, the youngest of several: nothing is given up before what stands in for it serves."""
    if len(on_demand) > plan.on_demand:
        return max(on_demand, key=lambda one: one.generation)
    kept: dict[str, int] = {}
    for replica in plan.keep:
        kept[replica.zone] = kept.get(replica.zone, 0) + 1
    surplus = []
    for one in sorted(on_spot, key=lambda each: each.generation):
        zone = zone_id(_zone(one.offer))
        if kept.get(zone, 0):
            kept[zone] -= 1
        else:
            surplus.append(one)
    return surplus[-1] if surplus else None


def _said(goal: Goal, plan: FleetPlan) -> str:
    """The choice in a sentence, beside the best one with another number of machines."""
    one = plan.chosen
    said = f"for an availability of {goal.availability:.4%} of {goal.replicas} machines it holds {_option(one)}"
    others = [other for other in plan.others if other.spot + other.on_demand != one.spot + one.on_demand]
    if not others:
        return said
    return f"{said}, where {_option(min(others, key=lambda other: other.cost))}"


def _option(one: Option) -> str:
    kinds = f"{one.spot} on spot" + (f" and {one.on_demand} on demand" if one.on_demand else "")
    return f"{kinds}: {one.usd_per_hour:.4f} USD/h, and shortages are worth {one.risk_usd_per_hour:.4f} USD/h"


def _holding(
    goal: Goal, plan: FleetPlan, prices: Prices, on_spot: Sequence[wire.Placement], detail: str, asked: frozenset[ZoneRef] = frozenset()
) -> wire.Holding:
    counts: dict[ZoneRef, int] = {}
    for one in on_spot:
        counts[_zone(one.offer)] = counts.get(_zone(one.offer), 0) + 1
    cheapest = sorted(asked - counts.keys(), key=lambda zone: (prices.spot[zone], zone))[:_ZONES_TOLD]
    shown = [*sorted(counts), *cheapest]
    return wire.Holding(
        availability=goal.availability,
        replicas=goal.replicas,
        chosen=_option_to_wire(plan.chosen),
        others=[_option_to_wire(one) for one in sorted(plan.others, key=lambda one: one.cost)[:_OPTIONS_TOLD]],
        zones=[
            wire.ZoneRate.model_validate(
                {"cloud": zone[0], "region": zone[1], "zone": zone[2], "held": counts.get(zone, 0), "lossesPerHour": plan.rates[zone_id(zone)]}
            )
            for zone in shown
            if zone_id(zone) in plan.rates
        ],
        detail=detail,
    )


_ZONES_TOLD = 4
_OPTIONS_TOLD = 4


def _option_to_wire(one: Option) -> wire.HoldingOption:
    return wire.HoldingOption(spot=one.spot, on_demand=one.on_demand, usd_per_hour=one.usd_per_hour, risk_usd_per_hour=one.risk_usd_per_hour)


def zone_id(zone: ZoneRef) -> str:
    """The zone as the fleet names it."""
    return "/".join(zone)


def _zone(offer: wire.OfferRef) -> ZoneRef:
    return offer_from_wire(offer)[:3]


def _hours(moment: datetime) -> float:
    return moment.timestamp() / 3600.0
