"""Offers: what the market sells now, in columns, with chainable verbs: ``offers.available().within(boundary).fitting(needs).fresh(now, limit).cheapest()``.

The columns are numpy arrays in the order of the offers' ids, so that ties always break the same way; a verb only narrows the selection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CATALOG, Catalog, Machine, OfferRef
from domain.prices import Quote, Unknown
from domain.told import Grade
from domain.workload import Requirements

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

RegionPredicate = Callable[[str, str], str | None]
"""``(cloud, region)`` to the reason why a boundary refuses it, or None. Asked once per region, never per machine type."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One machine type in one zone with its quote; ``available`` is False where the cloud has just refused it to us."""

    ref: OfferRef
    machine: Machine
    quote: Quote
    available: bool = True


@dataclass(frozen=True)
class Columns:
    """The offers, sorted by id, and the figures that decisions compare; NaN stands for unknown inside the arrays."""

    offers: tuple[Offer, ...]

    def _floats(self, figure: Callable[[Offer], float | Unknown]) -> Floats:
        return np.array([np.nan if isinstance(value := figure(offer), Unknown) else value for offer in self.offers], dtype=np.float64)

    @cached_property
    def spot(self) -> Floats:
        """USD/h."""
        return self._floats(lambda offer: offer.quote.spot)

    @cached_property
    def on_demand(self) -> Floats:
        """USD/h."""
        return self._floats(lambda offer: offer.quote.on_demand)

    @cached_property
    def interruptions(self) -> Floats:
        """Interruptions per hour."""
        return self._floats(lambda offer: offer.quote.interruptions_per_hour)

    @cached_property
    def grades(self) -> tuple[Grade | None, ...]:
        """What each offer's cloud says of its capacity; None where it says nothing."""
        return tuple(None if offer.quote.score is None else offer.quote.score.grade for offer in self.offers)

    @cached_property
    def observed(self) -> Floats:
        """Seconds since the epoch at which each quote was last confirmed."""
        return np.array([offer.quote.observed_at.timestamp() for offer in self.offers], dtype=np.float64)

    @cached_property
    def trusted(self) -> Mask:
        """Whether each quote is free of doubt."""
        return np.array([offer.quote.doubtful is None for offer in self.offers], dtype=np.bool_)

    @cached_property
    def available(self) -> Mask:
        """Whether each offer is thought to have capacity."""
        return np.array([offer.available for offer in self.offers], dtype=np.bool_)

    @cached_property
    def positions(self) -> dict[OfferRef, int]:
        """Where each offer stands."""
        return {offer.ref: at for at, offer in enumerate(self.offers)}

    @cached_property
    def places(self) -> tuple[tuple[str, str], ...]:
        """The distinct (cloud, region), sorted."""
        return tuple(sorted({(offer.ref.cloud, offer.ref.region) for offer in self.offers}))

    @cached_property
    def place(self) -> Index:
        """For each offer the position of its region in :attr:`places`."""
        at = self._place_positions
        return np.array([at[offer.ref.cloud, offer.ref.region] for offer in self.offers], dtype=np.intp)

    @cached_property
    def _place_positions(self) -> dict[tuple[str, str], int]:
        return {place: position for position, place in enumerate(self.places)}

    def place_of(self, cloud: str, region: str) -> int | None:
        """Where a region stands in :attr:`places`; None where nothing is offered in it."""
        return self._place_positions.get((cloud, region))

    @cached_property
    def zones(self) -> tuple[tuple[str, str, str], ...]:
        """The distinct (cloud, region, zone), sorted."""
        return tuple(sorted({offer.ref[:3] for offer in self.offers}))

    @cached_property
    def zone(self) -> Index:
        """For each offer the position of its zone in :attr:`zones`."""
        at = {zone: position for position, zone in enumerate(self.zones)}
        return np.array([at[offer.ref[:3]] for offer in self.offers], dtype=np.intp)

    @cached_property
    def machines(self) -> tuple[Machine, ...]:
        """The distinct machine types, in order of appearance."""
        return tuple(dict.fromkeys(offer.machine for offer in self.offers))

    @cached_property
    def machine(self) -> Index:
        """For each offer the position of its machine type in :attr:`machines`."""
        at = {machine: position for position, machine in enumerate(self.machines)}
        return np.array([at[offer.machine] for offer in self.offers], dtype=np.intp)

    def mask_of_places(self, allowed: Callable[[str, str], bool]) -> Mask:
        """Which offers stand in a region that ``allowed`` accepts; asks once per region."""
        return np.array([allowed(cloud, region) for cloud, region in self.places], dtype=np.bool_)[self.place] if self.offers else np.zeros(0, np.bool_)

    def mask_of_machines(self, allowed: Callable[[Machine], bool]) -> Mask:
        """Which offers are of a machine type that ``allowed`` accepts; asks once per type."""
        return np.array([allowed(machine) for machine in self.machines], dtype=np.bool_)[self.machine] if self.offers else np.zeros(0, np.bool_)

    def mask_of_fresh(self, now: datetime, limit: timedelta) -> Mask:
        """Which quotes may start a move: trusted and not older than ``limit``."""
        return self.trusted & (now.timestamp() - self.observed <= limit.total_seconds())


@dataclass(frozen=True)
class Offers:
    """A selection of offers. Verbs return a narrower one and never change this one."""

    columns: Columns
    index: Index = field(repr=False)

    @classmethod
    def of(cls, offers: Iterable[Offer]) -> Offers:
        """All of ``offers``, in the order of their ids; of two with one id the later confirmed stays."""
        newest: dict[OfferRef, Offer] = {}
        for offer in offers:
            held = newest.get(offer.ref)
            if held is None or held.quote.observed_at <= offer.quote.observed_at:
                newest[offer.ref] = offer
        columns = Columns(tuple(newest[ref] for ref in sorted(newest)))
        return cls(columns, np.arange(len(columns.offers)))

    @classmethod
    def quoted(cls, quotes: Iterable[Quote], refused: Mapping[OfferRef, str] | None = None, catalog: Catalog = CATALOG) -> Offers:
        """The offers of ``quotes``: those of machine types that the catalogue lists; ``refused`` names what has no capacity now."""
        gone = refused or {}
        return cls.of(
            Offer(quote.offer, catalog.machine(quote.offer.cloud, quote.offer.instance_type), quote, quote.offer not in gone)
            for quote in quotes
            if catalog.has_machine(quote.offer.cloud, quote.offer.instance_type)
        )

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Offer]:
        return (self.columns.offers[at] for at in self.index)

    def get(self, ref: OfferRef) -> Offer | None:
        """The offer of that id, if it is in this selection."""
        at = self.columns.positions.get(ref)
        return self.columns.offers[at] if at is not None and bool((self.index == at).any()) else None

    def where(self, mask: Mask) -> Offers:
        """Those for which ``mask`` (one entry per column row) holds."""
        return Offers(self.columns, self.index[mask[self.index]])

    def available(self) -> Offers:
        """Those thought to have capacity."""
        return self.where(self.columns.available)

    def within(self, boundary: RegionPredicate) -> Offers:
        """Those in regions that ``boundary`` doesn't refuse."""
        return self.where(self.columns.mask_of_places(lambda cloud, region: boundary(cloud, region) is None))

    def fitting(self, needs: Requirements) -> Offers:
        """Those whose machine serves."""
        return self.where(self.columns.mask_of_machines(needs.fits))

    def fresh(self, now: datetime, limit: timedelta) -> Offers:
        """Those whose quote is trusted and not older than ``limit``."""
        return self.where(self.columns.mask_of_fresh(now, limit))

    def cheapest(self) -> Offer | None:
        """The lowest known spot price; among equals the first id. None if no price is known."""
        spot = self.columns.spot[self.index]
        if len(spot) == 0 or np.isnan(spot).all():
            return None
        return self.columns.offers[int(self.index[int(np.nanargmin(spot))])]


def age_seconds(observed: float, now: datetime) -> float:
    """Age of a quote confirmed ``observed`` seconds after the epoch; never negative."""
    return max(now.astimezone(UTC).timestamp() - observed, 0.0)
