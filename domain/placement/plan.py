"""Values of placement: the problem, the verdicts, and the evidence that each carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from domain.catalog import OfferRef
from domain.money import HOURS_PER_30_DAYS
from domain.network import LIST_PRICES, Tariffs
from domain.offers import Offers, RegionPredicate
from domain.placement.capacity import Record, odds
from domain.placement.switching import Regret
from domain.placement.volatility import MEASURED, Volatility
from domain.prices import Price, Quote
from domain.spend import Cap
from domain.workload import PlacementRules, Requirements

ZoneRef = tuple[str, str, str]
"""(cloud, region, zone): what fails together."""


class Trigger(StrEnum):
    """Why a workload is looked at now."""

    PRICE = "price"
    INTERRUPTION = "interruption"
    UNHEALTHY = "unhealthy"
    REQUESTED = "requested"
    REDEPLOY = "redeploy"
    RENEWAL = "renewal"


class Reason(StrEnum):
    """Stable words: why an offer lost, or why a workload stays."""

    CHOSEN = "chosen"
    CHEAPEST = "cheapest"
    DEARER = "dearer"
    SCARCER = "scarcer"
    TOO_SMALL = "too-small"
    OUTSIDE_BOUNDARY = "outside-boundary"
    OUTSIDE_RULES = "outside-rules"
    PEER = "peer"
    EXCLUDED = "excluded"
    NO_CAPACITY = "no-capacity"
    UNKNOWN_PRICE = "unknown-price"
    STALE_PRICE = "stale-price"
    OVER_CAP = "over-cap"
    OVER_MONTH_CAP = "over-month-cap"
    BELOW_THRESHOLD = "below-threshold"
    DWELL = "dwell"
    MOVE_BUDGET = "move-budget"
    FIRST_PLACEMENT = "first-placement"
    INTERRUPTED = "interrupted"
    UNHEALTHY = "unhealthy"
    REQUESTED = "requested"
    REDEPLOY = "redeploy"
    HELD = "held"
    AVAILABILITY = "availability"


@dataclass(frozen=True, slots=True)
class Current:
    """Where a workload runs: placement id, offer, since when it serves (the market's clock), and what staying there has cost too much since."""

    placement: str
    offer: OfferRef
    since: datetime
    regret: Regret | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """One workload to be placed.

    ``boundary`` is asked once per region; workloads that share the object share the answer. ``excluded`` names offers not to be tried now, with the
    reason (interrupted or refused recently). ``apart`` names the zones where it may not be: those of its other machines, and what fails together with
    them. ``ends_at`` bounds a temporary workload.
    ``requested`` is the offer that a person asked for. ``caps`` are the monthly caps that it falls under, its own and its tenant's.
    """

    workload: str
    needs: Requirements
    rules: PlacementRules
    boundary: RegionPredicate
    current: Current | None = None
    moves_in_30_days: int = 0
    excluded: Mapping[OfferRef, str] = field(default_factory=dict)
    trigger: Trigger = Trigger.PRICE
    requested: OfferRef | None = None
    ends_at: datetime | None = None
    apart: frozenset[ZoneRef] = frozenset()
    caps: tuple[Cap, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """The platform's own figures.

    ``reign_hours``: how long a cheapest region stays the cheapest. AWS in 2023, 64 types in 22 regions: 0.033 changes a day, so 30 days.
    ``overlap_hours``: how long both machines run in a move. ``interruptions_when_unknown``: per hour, of a pool for which nobody publishes a rate;
    12.5 % a month, the middle bucket of AWS's Spot Advisor. ``patience``: see :mod:`domain.placement.switching`. ``price_moves``: how many moves by
    price one plan may hold, None for any number; the most saving ones come first. ``refusal_hours``: from asking for an offer until the next one is asked,
    where it is refused: the mean wait for a cycle (docs/adr/0045). ``short_hours``: how many hours of a machine an hour without one is worth, 1 / (1 - 99 %).
    """

    price_limit: timedelta = timedelta(hours=6)
    reign_hours: float = HOURS_PER_30_DAYS
    overlap_hours: float = 0.25
    interruptions_when_unknown: float = 0.000185
    patience: float = 5.0
    price_moves: int | None = None
    alternatives: int = 6
    refusal_hours: float = 30 / 3600
    short_hours: float = 100.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Everything that a plan depends on; nothing else does. ``answered``: what is remembered of refusals and launches."""

    market_now: datetime
    offers: Offers
    demands: tuple[Demand, ...]
    settings: Settings = Settings()
    tariffs: Tariffs = LIST_PRICES
    volatility: Volatility = MEASURED
    answered: Mapping[OfferRef, Record] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alternative:
    """An offer that lost; ``usd_per_hour`` is its expected cost, all in."""

    offer: OfferRef
    usd_per_hour: Price
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What an expected cost is made of, each in USD/h: the machine, the service's egress, the risk of an interruption times what one costs."""

    spot: float
    egress: float
    risk: float


@dataclass(frozen=True, slots=True)
class MoveCost:
    """What a move costs once, in USD: the state's way to the new machine, and the old one for as long as both run."""

    carry: float
    overlap: float

    @property
    def usd(self) -> float:
        """Both."""
        return self.carry + self.overlap


@dataclass(frozen=True, slots=True)
class Asking:
    """That the offer may be refused: the chance, with what was answered before, and what one refusal costs in USD (:mod:`domain.placement.capacity`)."""

    chance: float
    record: Record
    refusal_usd: float

    @property
    def usd(self) -> float:
        """What asking for it is expected to cost in refusals."""
        return self.refusal_usd * odds(self.chance)


@dataclass(frozen=True, slots=True)
class Hurdle:
    """What a price move had to clear: the least gap in USD/h, what staying must have cost too much in USD, and the hours still to be stayed."""

    gap_usd_per_hour: float
    gap: float
    regret_usd: float
    regret: Regret
    dwell_left_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a verdict was reached. USD and USD/h; savings are over ``horizon_hours``, after egress, overlap and what refusals are expected to cost.

    ``stale`` marks a forced move that had to be decided on quotes past their limit. ``considered`` counts all offers, ``counts`` those that
    fell to each reason. ``hurdle`` is told where the price alone was in question, ``caps`` are the monthly caps that the verdict had to keep. ``asking`` is
    None where no machine is asked for.
    """

    market_now: datetime
    quote: Quote
    quote_age_seconds: float
    current_quote: Quote | None
    expected_usd_per_hour: float
    parts: Parts
    current_usd_per_hour: float | None
    move_cost: MoveCost
    horizon_hours: float
    net_saving_usd: float | None
    net_saving_share: float | None
    considered: int
    counts: Mapping[str, int]
    alternatives: tuple[Alternative, ...]
    stale: bool = False
    hurdle: Hurdle | None = None
    caps: tuple[Cap, ...] = ()
    asking: Asking | None = None

    @property
    def move_cost_usd(self) -> float:
        """What the move costs once."""
        return self.move_cost.usd


@dataclass(frozen=True, slots=True)
class Deploy:
    """Place a workload that runs nowhere."""

    workload: str
    offer: OfferRef
    reason: Reason
    detail: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Move:
    """Move a workload. ``trigger`` says what set it off, ``reason`` what decided it."""

    workload: str
    offer: OfferRef
    from_placement: str
    trigger: Trigger
    reason: Reason
    detail: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Stay:
    """Leave a workload where it is; ``evidence`` is None where the present price isn't known."""

    workload: str
    reason: Reason
    detail: str
    evidence: Evidence | None


@dataclass(frozen=True, slots=True)
class NoOffer:
    """Nothing that is sold now may be used: ``reason`` is what the cheapest fitting offer fell to."""

    workload: str
    reason: Reason
    detail: str
    considered: int
    counts: Mapping[str, int]
    alternatives: tuple[Alternative, ...]


Verdict = Deploy | Move | Stay | NoOffer


@dataclass(frozen=True, slots=True)
class PlacementPlan:
    """One verdict for each demand, in the demands' order."""

    market_now: datetime
    verdicts: tuple[Verdict, ...]

    def actions(self) -> tuple[Deploy | Move, ...]:
        """What is to be done."""
        return tuple(verdict for verdict in self.verdicts if isinstance(verdict, Deploy | Move))

    @property
    def saving_usd_per_30_days(self) -> float:
        """Net savings of the moves, brought to 30 days."""
        return sum(
            verdict.evidence.net_saving_usd * HOURS_PER_30_DAYS / verdict.evidence.horizon_hours
            for verdict in self.verdicts
            if isinstance(verdict, Move) and verdict.evidence.net_saving_usd is not None
        )
