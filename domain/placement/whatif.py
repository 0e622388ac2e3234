"""What a boundary costs: now, and what workloads would have cost over recorded prices under one. Pure: the very engine that places decides here too.

Now (:func:`premium`): the cheapest placement inside the boundary against the cheapest of all. Over a history (:func:`courses`): workloads begin on the cheapest
offer that they may use, and at each moment the engine decides as it would have decided then, with its own thresholds, regrets and move budgets; between two
moments they pay the price of the first. Charged are the machine, the service's egress to its users, and what moves cost; the risk of interruptions, which
decisions weigh, is not, for no recording tells them. An offer that a moment doesn't price is not sold: what runs on it is interrupted and placed anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.catalog import CATALOG, Catalog, OfferRef
from domain.network import LIST_PRICES, Tariffs
from domain.offers import Offers, RegionPredicate
from domain.placement.engine import plan
from domain.placement.plan import Current, Demand, Deploy, Move, Problem, Reason, Settings, Stay, Trigger, Verdict
from domain.placement.volatility import MEASURED, Volatility
from domain.prices import Quote, known
from domain.workload import Requirements

_HOUR = timedelta(hours=1)
_MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Moment:
    """What was sold at a time: quotes whose spot price is known. However old, they hold: a recording has a row a change."""

    at: datetime
    quotes: tuple[Quote, ...]


def moments(
    changes: Iterable[Quote], begin: datetime, end: datetime, step: timedelta, needs: Iterable[Requirements], catalog: Catalog = CATALOG
) -> Iterator[Moment]:
    """The prices in force at ``begin`` and every ``step`` before ``end``, of the machine types that serve any of ``needs``.

    ``changes`` come in the order of their ``observed_at``; each holds until the next of its offer, and one without a spot price ends it.
    """
    asked = tuple(dict.fromkeys(needs))
    fits: dict[tuple[str, str], bool] = {}
    held: dict[OfferRef, Quote] = {}
    queue = iter(changes)
    coming = next(queue, None)
    at = begin
    while at < end:
        while coming is not None and coming.observed_at <= at:
            kind = (coming.offer.cloud, coming.offer.instance_type)
            if kind not in fits:
                fits[kind] = catalog.has_machine(*kind) and any(one.fits(catalog.machine(*kind)) for one in asked)
            if fits[kind]:
                held[coming.offer] = coming
            coming = next(queue, None)
        yield Moment(at, tuple(one for one in held.values() if known(one.spot) is not None))
        at += step


@dataclass(frozen=True, slots=True)
class Course:
    """What a workload would have cost, in USD, over ``hours`` in which it was placed; in ``unplaced_hours`` nothing that it might use was sold."""

    machine_usd: float = 0.0
    egress_usd: float = 0.0
    moves_usd: float = 0.0
    hours: float = 0.0
    unplaced_hours: float = 0.0
    moves: int = 0

    @property
    def usd(self) -> float:
        """Everything charged."""
        return self.machine_usd + self.egress_usd + self.moves_usd

    @property
    def usd_per_hour(self) -> float | None:
        """The mean of the hours in which it was placed; None without any. What makes courses of different hours comparable."""
        return self.usd / self.hours if self.hours else None


@dataclass
class _Walker:
    """One workload on its way."""

    demand: Demand
    course: Course = field(default_factory=Course)
    current: Current | None = None
    moved: list[datetime] = field(default_factory=list)

    def asks(self, at: datetime, sold: Mapping[OfferRef, float]) -> Demand:
        """Its demand at a moment."""
        lost = self.current is not None and self.current.offer not in sold
        recent = sum(at - one <= _MONTH for one in self.moved)
        trigger = Trigger.INTERRUPTION if lost else Trigger.PRICE
        return replace(self.demand, current=self.current, moves_in_30_days=recent, trigger=trigger)

    def goes(self, verdict: Verdict, at: datetime) -> float:
        """Takes a verdict; what the step costs once."""
        if isinstance(verdict, Deploy | Move):
            if isinstance(verdict, Move) and verdict.reason is Reason.CHEAPEST:
                self.moved.append(at)
            self.current = Current(f"{verdict.workload}", verdict.offer, at)
            return verdict.evidence.move_cost_usd if isinstance(verdict, Move) else 0.0
        if isinstance(verdict, Stay) and self.current is not None:
            hurdle = None if verdict.evidence is None else verdict.evidence.hurdle
            if hurdle is not None:
                self.current = replace(self.current, regret=hurdle.regret)
        else:
            self.current = None  # nothing that it may use is sold
        return 0.0

    def pays(self, hours: float, prices: Mapping[OfferRef, float], tariffs: Tariffs, once: float, moved: bool) -> None:
        """For the time until the next moment."""
        held = self.course
        if self.current is None:
            self.course = replace(held, unplaced_hours=held.unplaced_hours + hours)
            return
        offer = self.current.offer
        self.course = Course(
            held.machine_usd + prices[offer] * hours,
            held.egress_usd + self.demand.rules.egress_gib_per_hour * tariffs.internet(offer.cloud, offer.region) * hours,
            held.moves_usd + once,
            held.hours + hours,
            held.unplaced_hours,
            held.moves + moved,
        )


def courses(
    history: Iterable[Moment],
    end: datetime,
    demands: Sequence[Demand],
    settings: Settings = Settings(),
    tariffs: Tariffs = LIST_PRICES,
    volatility: Volatility = MEASURED,
) -> tuple[Course, ...]:
    """What each demand would have cost from the first moment to ``end``, in the demands' order; where they run now and who asked for what counts for nothing.

    Monthly caps are left out: their months were another history's.
    """
    walkers = [_Walker(replace(one, current=None, requested=None, excluded={}, caps=())) for one in demands]
    holding = replace(settings, price_limit=timedelta.max)
    for here, until in _spans(history, end):
        prices = {quote.offer: price for quote in here.quotes if (price := known(quote.spot)) is not None}
        asked = tuple(one.asks(here.at, prices) for one in walkers)
        found = plan(Problem(here.at, Offers.quoted(here.quotes), asked, holding, tariffs, volatility)).verdicts
        for walker, verdict in zip(walkers, found, strict=True):
            once = walker.goes(verdict, here.at)
            walker.pays((until - here.at) / _HOUR, prices, tariffs, once, isinstance(verdict, Move))
    return tuple(one.course for one in walkers)


def _spans(history: Iterable[Moment], end: datetime) -> Iterator[tuple[Moment, datetime]]:
    """Each moment with the time until which it holds; one is held at a time."""
    held: Moment | None = None
    for moment in history:
        if held is not None:
            yield held, moment.at
        held = moment
    if held is not None:
        yield held, end


@dataclass(frozen=True, slots=True)
class Premium:
    """A workload's first placement with and without a boundary: offers, and USD/h expected, all in; None where nothing fits."""

    free_offer: OfferRef | None
    free_usd_per_hour: float | None
    bound_offer: OfferRef | None
    bound_usd_per_hour: float | None

    @property
    def usd_per_hour(self) -> float | None:
        """What the boundary costs; None where nothing can be placed inside it, or at all."""
        if self.free_usd_per_hour is None or self.bound_usd_per_hour is None:
            return None
        return self.bound_usd_per_hour - self.free_usd_per_hour


def premium(
    now: datetime,
    offers: Offers,
    demands: Sequence[Demand],
    boundaries: Sequence[RegionPredicate],
    settings: Settings = Settings(),
    tariffs: Tariffs = LIST_PRICES,
) -> tuple[Premium, ...]:
    """What each demand's own boundary of ``boundaries`` costs now, as if it were placed for the first time."""
    blank = [replace(one, current=None, requested=None, trigger=Trigger.PRICE, caps=()) for one in demands]
    free, bound = (
        plan(Problem(now, offers, tuple(replace(one, boundary=where) for one, where in zip(blank, each, strict=True)), settings, tariffs)).verdicts
        for each in ([anywhere] * len(blank), boundaries)
    )
    return tuple(Premium(*_placed(one), *_placed(other)) for one, other in zip(free, bound, strict=True))


def anywhere(cloud: str, region: str) -> str | None:
    """No boundary."""
    return None


def _placed(verdict: Verdict) -> tuple[OfferRef | None, float | None]:
    return (verdict.offer, verdict.evidence.expected_usd_per_hour) if isinstance(verdict, Deploy) else (None, None)
