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
