"""What the domain asks of the world. Each port has few methods, its contract written down; ``tests/contracts`` holds one suite for all who keep it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.catalog import CloudName, Machine, OfferRef
from domain.prices import Quote
from domain.told import Egress, Score, Shape


@dataclass(frozen=True, slots=True)
class Scope:
    """What a collection asks for: regions of the feed's cloud and machine types; None asks for all that the embedded catalogue lists.

    ``new_types`` are asked for beside them: types that the cloud itself has told of.
    """

    regions: frozenset[str] | None = None
    instance_types: frozenset[str] | None = None
    new_types: tuple[Machine, ...] = ()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A quote that was held back; ``reason`` is a stable word, ``detail`` a sentence with both figures."""

    quote_offer: OfferRef
    reason: str
    detail: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class FeedError:
    """Why one region (``"*"``: all of them) gave no answer: ``reason`` is one of unavailable, throttled, denied, malformed, timeout, empty."""

    cloud: CloudName
    region: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What one collection brought. ``observed_at`` is the time of the source's own clock (``Date`` of its answers), None if it gave no answer.

    ``shapes``, ``egress`` and ``scores`` change rarely: they come with the collections that asked for them anew.
    """

    cloud: CloudName
    observed_at: datetime | None
    quotes: tuple[Quote, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    errors: tuple[FeedError, ...] = field(default=())
    shapes: tuple[Shape, ...] = ()
    egress: tuple[Egress, ...] = ()
    scores: tuple[Score, ...] = ()


class PriceFeed(Protocol):
    """Prices of one cloud.

    ``collect`` asks the source once for everything in scope and returns; it raises nothing that the source can cause. A region that fails is an
    entry of ``errors`` and leaves the quotes of the others untouched. Every quote is in USD/h for Linux on shared hardware, carries the source's
    own time as ``observed_at``, and is only of offers in scope. ``now`` (wall clock) bounds the work, it never becomes a price's time.
    """

    @property
    def cloud(self) -> CloudName:
        """Whose prices these are."""
        ...

    def collect(self, now: datetime) -> FeedReport:
        """One collection."""
        ...
