"""Replicas under changing capacity: how many spot machines, in which zones, with which spare, and when machines on demand stand in.

A service wants ``replicas`` machines ready. A spot machine may go without notice, and a new one (of either kind) is ready only after the cold start. So what
can be bought is the chance not to be short: a spare (one more spot machine), or machines on demand beside, or instead of, those that are likely to go. A
target A says how long the service may be short: 1 - A of the time. To keep it at least cost, an hour short is worth the 1 / (1 - A) hours of a spare
that would be paid to prevent it. Every choice is then the least of::

    sum of the prices  +  price of a spot machine / (1 - A) x cold start x rate at which the fleet falls short

The rate follows from what was seen, by zone: losses in the machine-hours that were held, in a long memory (a day) and a short one (20 minutes), of which the
worse counts, for losses come in bursts; what many zones lose at once is added to the rate of all, for zones fail together; a zone that has refused
one more machine stands at its *ceiling*, and takes back sooner. Priors: a machine of which nothing is known is taken back once a day, a zone at its ceiling
takes back once an hour. A loss takes one machine of its zone, and each further one at odds that begin even and are learnt.

Spread over zones, a spare prevents most shortages; where a single zone is left, it doesn't, and the sum says so. Pure: ``hours`` is the market's clock.

Two use it: ``benchmarks availability`` step by step (:func:`observe`), and the daemon, which recalls what is on record (:mod:`domain.placement.recall`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

MEMORIES = (1 / 3, 24.0)
"""Half-lives in hours of what was seen of a zone: a burst, and a day."""
_MEAN_LIFE = 1.0 / 0.6931471805599453  # of an exponential memory, in half-lives

_PRIOR_LOSSES = 0.5
"""How much the prior weighs, in losses: half a one, as in Jeffreys' prior of a Poisson rate; but no more hours than the memory itself holds of one machine:
what a cloud tells of a quiet month says little in a bad hour."""

_REPAID_HOURS = 1.0
"""A machine moves to a safer zone if that repays itself so soon; a day's memory says little about what comes much later."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a service asks: replicas ready, the share of time that it must have them, and how long a machine takes to be ready, in hours.

    ``availability``: 99 % is the objective that SkyServe's own experiments state. ``spare``: how many more than wanted may be ready.
    ``per_zone``: how many of its machines one zone may hold, None for any number. ``standing_by``: machines ready in no zone of these, which make up for as
    many losses. ``retry_hours``: how long a refusal is believed before the zone is asked for as many again; ``ceiling_hours``: how long it warns of a ceiling.
    """

    replicas: int
    availability: float = 0.99
    cold_start_hours: float = 120 / 3600
    step_hours: float = 30 / 3600
    spare: int = 1
    retry_hours: float = 600 / 3600
    ceiling_hours: float = 1.0
    losses_per_hour: float = 1 / 24
    losses_at_ceiling_per_hour: float = 1.0
    per_zone: int | None = None
    standing_by: int = 0


@dataclass(frozen=True, slots=True)
class Replica:
    """A spot machine: its zone, and since when it is held."""

    zone: str
    since: float


@dataclass(frozen=True, slots=True)
class Belief:
    """What was seen of a zone: hours held and losses in each memory, and the number of machines above which it refused, and when."""

    held: tuple[float, ...] = (0.0,) * len(MEMORIES)
    lost: tuple[float, ...] = (0.0,) * len(MEMORIES)
    ceiling: int | None = None
    refused_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the zones of a market until ``hours``; of zones at their ceiling together: hours held, and losses."""

    zones: Mapping[str, Belief] = field(default_factory=dict)
    hours: float = 0.0
    ceiling_held: float = 0.0
    ceiling_lost: float = 0.0
    further_staked: float = 0.0
    further_lost: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step brought in one zone: machines held before, asked for in all (kept and new), and had afterwards."""

    zone: str
    held: int
    asked: int
    got: int


@dataclass(frozen=True, slots=True)
class Option:
    """A way to hold the target: so many machines of each kind, their price, and what falling short with them is worth, each in USD/h."""

    spot: int
    on_demand: int
    usd_per_hour: float
    risk_usd_per_hour: float

    @property
    def cost(self) -> float:
        """Both, in USD/h."""
        return self.usd_per_hour + self.risk_usd_per_hour


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """Spot machines to keep, machines to ask for by zone, how many on demand to hold until all are ready; and why: the option chosen among the others, and
    the losses per hour and machine expected of each zone.

    ``added`` are the zones that the choice counts on, the best first; ``launch`` asks everywhere where machines are missing, for those whom a refusal costs
    nothing.
    """

    keep: tuple[Replica, ...]
    launch: Mapping[str, int]
    added: Mapping[str, int]
    on_demand: int
    chosen: Option
    others: tuple[Option, ...]
    usd_per_hour: float
    rates: Mapping[str, float]

    @property
    def risk_usd_per_hour(self) -> float:
        """Of the option chosen."""
        return self.chosen.risk_usd_per_hour


def observe(seen: Seen, outcomes: Iterable[Outcome], hours: float, goal: Goal) -> Seen:
    """What is known after a step that ended at ``hours``."""
    passed = max(hours - seen.hours, 0.0) if seen.zones else goal.step_hours
    fading = tuple(0.5 ** (passed / half) for half in MEMORIES)
    zones = {name: replace(one, held=_times(one.held, fading), lost=_times(one.lost, fading)) for name, one in seen.zones.items()}
    ceiling_held, ceiling_lost = seen.ceiling_held, seen.ceiling_lost
    staked, further = seen.further_staked, seen.further_lost
    for one in outcomes:
        before = zones.get(one.zone, Belief())
        at_ceiling = one.held > 0 and before.ceiling is not None and before.ceiling <= one.held and hours - before.refused_at <= goal.ceiling_hours
        lost = 1.0 if one.got < one.held else 0.0
        belief = before
        if one.held:
            belief = replace(belief, held=tuple(h + passed * one.held for h in belief.held), lost=tuple(n + lost for n in belief.lost))
        if one.got < one.asked:
            belief = replace(belief, ceiling=one.got, refused_at=hours)
        elif one.asked > one.held:
            belief = replace(belief, ceiling=None)
        if at_ceiling:
            ceiling_held, ceiling_lost = ceiling_held + passed, ceiling_lost + lost
        if lost:
            # After the first each further one either goes or ends the row: a series of trials.
            gone = one.held - one.got
            staked, further = staked + min(gone, one.held - 1), further + gone - 1
        zones[one.zone] = belief
    return Seen(zones, hours, ceiling_held, ceiling_lost, staked, further)


def decide(
    goal: Goal,
    replicas: tuple[Replica, ...],
    on_demand_ready: int,
    spot: Mapping[str, float],
    on_demand: float | None,
    seen: Seen,
    hours: float,
    expected: Mapping[str, float] | None = None,
) -> FleetPlan:
    """The least cost of what the target is worth. ``spot`` and ``on_demand`` are USD/h, by zone for spot; zones that may not be used aren't named, and without
    a price on demand nothing is bought so. ``expected`` are losses per hour and machine of a zone as its cloud tells them, before anything was seen.

    ``on_demand_ready`` machines on demand are ready now. No more than one replica beyond those wanted is ever ready for long.
    """
    case = _Case(goal, spot, seen, hours, expected or {})
    wanted = goal.replicas
    replicas = tuple(one for one in replicas if one.zone in spot)  # a zone that may not be used any more is left at once
    options: list[tuple[Option, _Fleet]] = []
    for number in range(wanted + goal.spare, -1, -1):
        fleet = case.fitted(replicas, number)
        for beside in range(max(wanted - fleet.total, 0), wanted + goal.spare - fleet.total + 1) if on_demand is not None else (0,):
            options.append((Option(fleet.total, beside, case.price(fleet) + beside * (on_demand or 0.0), case.risk(fleet, beside)), fleet))
    if on_demand is None:  # who is short is short at any price: no option is better for having fewer machines
        most = max(min(option.spot, wanted) for option, _ in options)
        options = [(option, fleet) for option, fleet in options if option.spot >= most]
    chosen, fleet = min(options, key=lambda one: (one[0].cost, one[0].on_demand))
    beside = chosen.on_demand
    extra = fleet.total + beside - wanted
    # What is given up for machines on demand stays until they are ready.
    kept = fleet.kept if on_demand_ready >= beside else replicas
    launch = dict(fleet.added)
    if len(replicas) + beside < wanted or (fleet.added and len(replicas) < wanted):
        # Whoever is short asks everywhere: a refusal costs nothing, and what comes beyond need is given back at the next step.
        for zone in spot:
            if zone not in launch and case.may_ask(zone) and not case.is_full(zone, fleet.counts):
                launch[zone] = 1
    elif not launch and beside == 0 and len(kept) == fleet.total and (zone_of_relief := case.relocation(fleet)) is not None:
        launch[zone_of_relief] = 1
    ready = sum(1 for one in kept if case.is_ready(one))
    needed = 0 if on_demand is None else min(max(wanted + extra - ready, beside), wanted)
    others = tuple(dict.fromkeys(option for option, _ in options if option != chosen))
    return FleetPlan(kept, launch, fleet.added, needed, chosen, others, case.price(fleet) + needed * (on_demand or 0.0), case.rates)


@dataclass(frozen=True, slots=True)
class _Fleet:
    kept: tuple[Replica, ...]
    added: Mapping[str, int]
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class _Case:
    """One decision: rates and prices at hand."""

    def __init__(self, goal: Goal, spot: Mapping[str, float], seen: Seen, hours: float, expected: Mapping[str, float]) -> None:
        self.goal, self.spot, self.seen, self.hours = goal, spot, seen, hours
        lasting = {zone: self._lasting(seen.zones.get(zone, Belief()), expected.get(zone, goal.losses_per_hour)) for zone in spot}
        usual = sum(lasting.values()) / len(lasting) if lasting else goal.losses_per_hour
        together = self._lately(sum(one.held[0] for one in seen.zones.values()), sum(one.lost[0] for one in seen.zones.values()), usual)
        # What befalls all comes on top, so that the better of two zones stays the better one.
        common = max(together - usual, 0.0)
        self.rates = {
            zone: max(rate, self._lately(seen.zones.get(zone, Belief()).held[0], seen.zones.get(zone, Belief()).lost[0], rate)) + common
            for zone, rate in lasting.items()
        }
        self.at_ceiling = (seen.ceiling_lost + 1.0) / (seen.ceiling_held + 1.0 / goal.losses_at_ceiling_per_hour)
        self.further = (seen.further_lost + 1.0) / (seen.further_staked + 2.0)
        """Odds that a loss takes one more machine of its zone: even ones at first (the mean of Beta(1, 1))."""
        self.worth = min(spot.values(), default=0.0) / (1.0 - goal.availability) * (goal.cold_start_hours + goal.step_hours)
        """USD for one fall below the number wanted: it lasts until a new machine is ready, and is seen a step late."""

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The zones where a machine may be added. Where a zone holds one, only the first by price and the first by price and risk can be the best: others cost
        time alone."""
        if self.goal.per_zone != 1:
            return tuple(self.spot)
        open_zones = [zone for zone in self.spot if self.may_ask(zone) and self._room(zone) > 0]
        by_price = sorted(open_zones, key=lambda zone: (self.spot[zone], zone))
        by_both = sorted(open_zones, key=lambda zone: (self.spot[zone] + self.rate(zone, 1) * self.worth, zone))
        # The machines held stand in as many of them, and are not added again.
        most = 2 * (self.goal.replicas + self.goal.spare) + 1
        first = {*by_price[:most], *by_both[:most]}
        return tuple(zone for zone in self.spot if zone in first)

    def _lasting(self, belief: Belief, prior: float) -> float:
        """Losses per machine and hour in the long memory, begun with the prior."""
        weight = min(_PRIOR_LOSSES / prior, _MEAN_LIFE * MEMORIES[1])
        return (belief.lost[1] + prior * weight) / (belief.held[1] + weight)

    def _lately(self, held: float, lost: float, usual: float) -> float:
        """The same in the short memory, begun with what is usual."""
        begun = _MEAN_LIFE * MEMORIES[0]
        return (lost + usual * begun) / (held + begun)

    def rate(self, zone: str, count: int) -> float:
        """Losses per hour of a zone in which ``count`` machines are held."""
        belief = self.seen.zones.get(zone)
        if belief is not None and belief.ceiling is not None and belief.ceiling <= count and self.hours - belief.refused_at <= self.goal.ceiling_hours:
            return max(self.rates[zone] * count, self.at_ceiling)
        return self.rates[zone] * count

    def price(self, fleet: _Fleet) -> float:
        """USD/h of the spot machines."""
        return sum(self.spot[zone] * count for zone, count in fleet.counts.items())

    def risk(self, fleet: _Fleet, extra: int) -> float:
        """USD/h of falling short, ``extra`` machines on demand being ready beside."""
        return self._risk(fleet.counts, extra)

    def _risk(self, counts: Mapping[str, int], extra: int) -> float:
        spare = sum(counts.values()) + extra + self.goal.standing_by - self.goal.replicas
        falls = 0.0
        for zone, count in counts.items():
            if count > spare >= 0:
                falls += self.rate(zone, count) * self.further**spare
            elif count and spare < 0:
                falls += self.rate(zone, count)
        return falls * self.worth

    def may_ask(self, zone: str) -> bool:
        """Whether the zone hasn't refused in this very step."""
        belief = self.seen.zones.get(zone)
        return belief is None or self.hours - belief.refused_at > 1e-9

    def is_full(self, zone: str, counts: Mapping[str, int]) -> bool:
        """Whether the zone holds as many of the machines as it may."""
        return self.goal.per_zone is not None and counts.get(zone, 0) >= self.goal.per_zone

    def _room(self, zone: str) -> float:
        belief = self.seen.zones.get(zone)
        allowed = float("inf") if self.goal.per_zone is None else self.goal.per_zone
        if belief is None or belief.ceiling is None or self.hours - belief.refused_at >= self.goal.retry_hours:
            return allowed
        return min(belief.ceiling, allowed)

    def fitted(self, replicas: tuple[Replica, ...], number: int) -> _Fleet:
        """The replicas cut down to ``number``, or as many more as zones may give."""
        kept = sorted(replicas, key=lambda one: (one.since, one.zone))
        counts: dict[str, int] = {}
        for one in kept:
            counts[one.zone] = counts.get(one.zone, 0) + 1
        given_up: list[Replica] = []
        while len(kept) > number:
            gone = min(kept, key=lambda one: (self._cost({**counts, one.zone: counts[one.zone] - 1}), self.is_ready(one), -one.since, one.zone))
            kept.remove(gone)
            given_up.append(gone)
            counts[gone.zone] -= 1
        # Make before break: what is given up stays while its successor isn't ready.
        unready = sum(1 for one in kept if not self.is_ready(one))
        kept += [one for one in given_up if self.is_ready(one)][:unready]
        added: dict[str, int] = {}
        while sum(counts.values()) < number:
            open_zones = [zone for zone in self.candidates if counts.get(zone, 0) < self._room(zone) and self.may_ask(zone)]
            if not open_zones:
                break
            best = min(open_zones, key=lambda zone: (self._cost({**counts, zone: counts.get(zone, 0) + 1}), zone))
            counts[best] = counts.get(best, 0) + 1
            added[best] = added.get(best, 0) + 1
        return _Fleet(tuple(kept), added, {zone: count for zone, count in counts.items() if count})

    def relocation(self, fleet: _Fleet) -> str | None:
        """The zone in which one of the machines would be so much safer that an hour of it repays the time for which both are held."""
        best: tuple[float, str] | None = None
        now = self._cost(fleet.counts)
        for zone in self.candidates:
            if fleet.counts.get(zone, 0) >= self._room(zone) or not self.may_ask(zone):
                continue
            for left in fleet.counts:
                if left != zone:
                    moved = {**fleet.counts, zone: fleet.counts.get(zone, 0) + 1, left: fleet.counts[left] - 1}
                    saved = (now - self._cost(moved)) * _REPAID_HOURS - self.spot[zone] * (self.goal.cold_start_hours + self.goal.step_hours)
                    if saved > 0 and (best is None or saved > best[0]):
                        best = (saved, zone)
        return None if best is None else best[1]

    def is_ready(self, replica: Replica) -> bool:
        """Whether the machine has been held for its cold start."""
        return self.hours - replica.since >= self.goal.cold_start_hours - 1e-9

    def _cost(self, counts: Mapping[str, int]) -> float:
        return sum(self.spot[zone] * count for zone, count in counts.items()) + self._risk(counts, 0)


def _times(figures: tuple[float, ...], factors: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(figure * factor for figure, factor in zip(figures, factors, strict=True))
