"""What a boundary costs: the cheapest placement that it allows against the cheapest one of all, by the very functions that place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from domain.boundary.compiled import CompiledBoundary
from domain.money import HOURS_PER_30_DAYS
from domain.offers import Offers
from domain.placement import Demand, Deploy, Problem, plan
from domain.workload import PlacementRules, Requirements
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


def premiums(boundary: CompiledBoundary, prices: Prices, workloads: dict[str, Requirements], now: datetime) -> list[Premium]:
    """The premium of each workload. Raises ``ValueError`` for an empty price book."""
    if prices.market_now is None or not prices.quotes:
        raise ValueError("a price book is needed: `spotlane prices --json --limit 100000 > prices.json`")
    offers = Offers.quoted(prices.quotes)

    def inside(cloud: str, region: str) -> str | None:
        finding = boundary.refusal(cloud, region, now)
        return None if finding is None else finding.sentence()

    refused = _refused(boundary, prices, now)
    found = []
    for name, needs in workloads.items():
        free, bound = (
            plan(Problem(prices.market_now, offers, (Demand(name, needs, PlacementRules(), predicate),))).verdicts[0] for predicate in (_anywhere, inside)
        )
        found.append(Premium(name, *_of(free), *_of(bound), dict(refused)))
    return found


def _refused(boundary: CompiledBoundary, prices: Prices, now: datetime) -> Counter[str]:
    return Counter(finding.rule for quote in prices.quotes if (finding := boundary.refusal(quote.offer.cloud, quote.offer.region, now)) is not None)


def _anywhere(cloud: str, region: str) -> str | None:
    return None


def _of(verdict: object) -> tuple[str | None, float | None]:
    return (verdict.offer.id, verdict.evidence.expected_usd_per_hour) if isinstance(verdict, Deploy) else (None, None)
