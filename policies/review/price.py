"""What a boundary costs, now by a price book and over a recording, by the very functions that place (:mod:`domain.placement.whatif`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.boundary.compiled import CompiledBoundary
from domain.catalog import OfferRef
from domain.money import HOURS_PER_30_DAYS
from domain.offers import Offers, RegionPredicate
from domain.placement import Demand
from domain.placement.whatif import Course, anywhere, courses, moments, premium
from domain.workload import PlacementRules, Requirements
from policies.review.history import History
from policies.review.prices import Prices


@dataclass(frozen=True, slots=True)
class Premium:
    """One workload's placement with and without the boundary; None where nothing fits. ``refused`` counts the offers that fell to each rule."""

    workload: str
    free_offer: str | None
    free_usd_per_hour: float | None
    bound_offer: str | None
    bound_usd_per_hour: float | None
    refused: dict[str, int]

    @property
    def usd_per_30_days(self) -> float | None:
        """What the boundary costs; None where nothing can be placed inside it."""
        if self.free_usd_per_hour is None or self.bound_usd_per_hour is None:
            return None
        return (self.bound_usd_per_hour - self.free_usd_per_hour) * HOURS_PER_30_DAYS

    @property
    def percent(self) -> float | None:
        """The same, of the free price."""
        if self.free_usd_per_hour is None or self.bound_usd_per_hour is None:
            return None
        return (self.bound_usd_per_hour / self.free_usd_per_hour - 1) * 100


@dataclass(frozen=True, slots=True)
class Past:
    """What one workload would have cost over a recording, without the boundary and inside it."""

    workload: str
    free: Course
    bound: Course

    @property
    def percent(self) -> float | None:
        """What the boundary would have cost per hour that was placed, of the free price; None where it was never placed."""
        free, bound = self.free.usd_per_hour, self.bound.usd_per_hour
        return None if not free or bound is None else (bound / free - 1) * 100


def premiums(boundary: CompiledBoundary, prices: Prices, workloads: Mapping[str, Requirements], now: datetime) -> list[Premium]:
    """The premium of each workload. Raises ``ValueError`` for an empty price book."""
    if prices.market_now is None or not prices.quotes:
        raise ValueError("a price book is needed: `spotlane prices --json --limit 100000 > prices.json`")
    demands = _demands(workloads)
    found = premium(prices.market_now, Offers.quoted(prices.quotes), demands, [_inside(boundary, now)] * len(demands))
    refused = Counter(finding.rule for quote in prices.quotes if (finding := boundary.refusal(quote.offer.cloud, quote.offer.region, now)) is not None)
    return [
        Premium(name, _id(one.free_offer), one.free_usd_per_hour, _id(one.bound_offer), one.bound_usd_per_hour, dict(refused))
        for name, one in zip(workloads, found, strict=True)
    ]


def past(
    boundary: CompiledBoundary, history: History, workloads: Mapping[str, Requirements], days: float | None, step: timedelta, now: datetime
) -> tuple[tuple[datetime, datetime], list[Past]]:
    """The window of the recording, and each workload's courses over it. Exemptions hold as they do ``now``."""
    begin, end = history.window(days)
    demands, inside = _demands(workloads), _inside(boundary, now)
    both = [Demand(one.workload, one.needs, one.rules, where) for where in (anywhere, inside) for one in demands]
    found = courses(moments(history.changes(begin), begin, end, step, workloads.values()), end, both)
    return (begin, end), [Past(name, found[at], found[len(demands) + at]) for at, name in enumerate(workloads)]


def _demands(workloads: Mapping[str, Requirements]) -> list[Demand]:
    return [Demand(name, needs, PlacementRules(), anywhere) for name, needs in workloads.items()]


def _inside(boundary: CompiledBoundary, now: datetime) -> RegionPredicate:
    def inside(cloud: str, region: str) -> str | None:
        finding = boundary.refusal(cloud, region, now)
        return None if finding is None else finding.sentence()

    return inside


def _id(offer: OfferRef | None) -> str | None:
    return None if offer is None else offer.id
