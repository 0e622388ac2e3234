"""Offers, quotes and the price book, as they travel."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from spotlane.wire.base import Cloud, Wire


class OfferRef(Wire):
    """One machine type in one zone. ``zone`` is "-" where a cloud prices by region."""

    cloud: Cloud
    region: str
    zone: str
    instance_type: str


class Quote(Wire):
    """A price with its source and age; USD/h. ``observed_at`` is when a feed last confirmed it, on the market's clock."""

    offer: OfferRef
    spot_usd_per_hour: float | None = Field(gt=0)
    on_demand_usd_per_hour: float | None = Field(gt=0)
    interruptions_per_hour: float | None = Field(default=None, ge=0)
    source: str
    observed_at: datetime


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


class Feeds(Wire):
    """The feeds of all clouds, and what was held back last."""

    market_now: datetime | None
    feeds: list[FeedStatus]
    held_back: list[HeldBack]
