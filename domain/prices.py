"""Prices with their source and age. What isn't known is :class:`Unknown`, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.catalog import OfferRef
from domain.told import Score
from domain.unknown import Unknown

__all__ = ["Price", "Quote", "Rate", "Told", "Unknown", "known", "or_unknown"]

Price = float | Unknown
"""USD/h, above 0."""
Rate = float | Unknown
"""Events per hour, 0 or more."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who told a figure, and when, on the market's clock."""

    source: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Quote:
    """What one offer costs, as a feed last confirmed it at ``observed_at`` (the market's clock).

    ``source`` and ``observed_at`` are the spot price's; the on-demand price and the rate are from the same answer unless ``on_demand_told`` or
    ``interruptions_told`` says otherwise. ``score`` is what the cloud says of its capacity there. ``doubtful`` says why the figure isn't trusted (a jump
    that is held back until it is confirmed); such a quote starts no move.
    """

    offer: OfferRef
    spot: Price
    on_demand: Price
    source: str
    observed_at: datetime
    interruptions_per_hour: Rate = Unknown()
    doubtful: str | None = None
    on_demand_told: Told | None = None
    interruptions_told: Told | None = None
    score: Score | None = None

    def age(self, now: datetime) -> timedelta:
        """Time since the quote was last confirmed; a quote from the future (clocks differ by a little) has age 0."""
        return max(now - self.observed_at, timedelta(0))

    def is_fresh(self, now: datetime, limit: timedelta) -> bool:
        """Whether the quote may start a move: trusted, and not older than ``limit``."""
        return self.doubtful is None and self.age(now) <= limit


def known(figure: float | Unknown) -> float | None:
    """The figure, or None where it isn't known: for wire formats, where unknown is null."""
    return None if isinstance(figure, Unknown) else figure


def or_unknown(figure: float | None, reason: str = "not observed") -> float | Unknown:
    """The figure of a wire format; null is :class:`Unknown`."""
    return Unknown(reason) if figure is None else figure
