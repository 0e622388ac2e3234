"""Where base prices come from: a port with two keepers, the seeded model and the replay of recorded series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CATALOG, OfferRef

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """A pool's price in USD/h from ``at`` (seconds since the epoch) on."""

    pool: OfferRef
    at: float
    usd_per_hour: float


class PriceSource(Protocol):
    """Prices of pools at any moment; a pure function of the moment.

    A pool is what a cloud prices: type and zone on AWS, type and region (zone "-") on Azure and GCP. Arrays follow :meth:`pools`; NaN is not sold.
    """

    @property
    def name(self) -> str:
        """``model`` or the file's name."""
        ...

    @property
    def starts_at(self) -> datetime:
        """The first moment with prices of every cloud that it holds."""
        ...

    @property
    def ends_at(self) -> datetime | None:
        """The last moment with news; None where there is no end."""
        ...

    def pools(self, cloud: str, region: str) -> tuple[OfferRef, ...]:
        """The pools of a region, in a fixed order."""
        ...

    def spot(self, cloud: str, region: str, at: float) -> Floats:
        """USD/h of each pool, before events."""
        ...

    def since(self, cloud: str, region: str, at: float) -> Floats:
        """When each pool's price in force took effect, seconds since the epoch."""
        ...

    def on_demand(self, cloud: str, region: str, at: float) -> Floats:
        """USD/h of each pool's machine type on demand."""
        ...

    def changes(self, cloud: str, region: str, start: float, end: float) -> list[Change]:
        """Every change in (start, end], oldest first."""
        ...


def pool_of(ref: OfferRef) -> OfferRef:
    """The pool that an offer is priced by."""
    return ref if ref.cloud == "aws" else OfferRef(ref.cloud, ref.region, "-", ref.instance_type)


def catalog_pools(cloud: str, region: str) -> tuple[OfferRef, ...]:
    """The pools of a region as the catalogue sells them."""
    if not CATALOG.has_region(cloud, region):
        return ()
    zones = CATALOG.region(cloud, region).zones if cloud == "aws" else ("-",)
    return tuple(
        OfferRef(cloud, region, zone, machine.name) for machine in CATALOG.machines(cloud) if machine.only is None or region in machine.only for zone in zones
    )


def month_of(at: float) -> int:
    """Months since January 1970, in UTC."""
    return int(np.datetime64(int(at), "s").astype("datetime64[M]").astype(int))


def month_start(month: int) -> float:
    """The first second of a month, since the epoch."""
    return float(np.datetime64(month, "M").astype("datetime64[s]").astype(int))
