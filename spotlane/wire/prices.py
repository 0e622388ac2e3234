"""Offers, quotes and the price book, as they travel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from spotlane.wire.base import Cloud, Wire


class OfferRef(Wire):
    """One machine type in one zone. ``zone`` is "-" where a cloud prices by region."""

    cloud: Cloud
    region: str
    zone: str
    instance_type: str


class Told(Wire):
    """Who told a figure, and when, on the market's clock."""

    source: str
    observed_at: datetime


class PlacementScore(Wire):
    """What a cloud says of its spot capacity for an offer: our grade, the cloud's own word, who told it and when (the market's clock)."""

    grade: Literal["high", "medium", "low"]
    says: str
    source: str
    observed_at: datetime


class Quote(Wire):
    """A price with its source and age; USD/h. ``observed_at`` is when a feed last confirmed it, on the market's clock.

    In evidence ``on_demand_told`` and ``interruptions_told`` say who told those figures, where it wasn't the spot price's own source, and
    ``placement_score`` what the cloud says of its capacity there.
    """

    offer: OfferRef
    spot_usd_per_hour: float | None = Field(gt=0)
    on_demand_usd_per_hour: float | None = Field(gt=0)
    interruptions_per_hour: float | None = Field(default=None, ge=0)
    source: str
    observed_at: datetime
    on_demand_told: Told | None = None
    interruptions_told: Told | None = None
    placement_score: PlacementScore | None = None


class PriceBook(Wire):
    """Quotes of one tick."""

    market_now: datetime
    quotes: list[Quote]


class FeedFault(Wire):
    """Why a feed gave no prices of a region ("*": of none) in its last collection; since when, until when and how often it failed so (wall clock)."""

    region: str
    reason: str
    detail: str
    first_at: datetime
    last_at: datetime
    times: int


class FeedStatus(Wire):
    """How the price feed of a cloud does: when it last answered (wall clock), what its newest quote is of (market's clock), its quotes by state.

    ``stale`` quotes are past their limit, ``doubtful`` ones are held back; neither starts a move. Null is "not yet".
    """

    cloud: Cloud
    observed_at: datetime | None
    answered_at: datetime | None
    fresh: int
    stale: int
    doubtful: int
    faults: list[FeedFault]


class HeldBack(Wire):
    """A quote that was quarantined: its offer's id, why, since when, until when and how often (wall clock)."""

    offer: str
    reason: str
    detail: str
    first_at: datetime
    last_at: datetime
    times: int


class ReferenceTold(Wire):
    """What a cloud told last of what changes rarely: source, time on the market's clock, and of how many things. What it hasn't told is as embedded.

    ``types`` are machine types that aren't embedded.
    """

    cloud: Cloud
    what: Literal["shapes", "types", "egress", "scores"]
    source: str
    observed_at: datetime
    entries: int


class Feeds(Wire):
    """The feeds of all clouds, what was held back last, and what beside prices the clouds have told."""

    market_now: datetime | None
    feeds: list[FeedStatus]
    held_back: list[HeldBack]
    reference: list[ReferenceTold] = Field(default_factory=list)
