"""What clouds tell beside prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from domain.catalog import CloudName, OfferRef

INTERNET, AREA, WORLD = "internet", "area", "world"
"""Where data goes to, other than a region by its name: to users and other clouds, to another region of the same area, to another area."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A machine type as its cloud describes it. GiB; ``arch`` is None where the source doesn't say.

    What follows ``observed_at`` is told of types that the catalogue doesn't list: the family by which the cloud prices it, the GPUs' model, local disk in GB,
    the network's peak in Gbit/s, and the regions that sell it (None: its price tells). None is what the source doesn't say.
    """

    cloud: CloudName
    name: str
    vcpu: int
    memory_gib: float
    arch: Literal["x86_64", "arm64"] | None
    gpu: int
    source: str
    observed_at: datetime
    family: str | None = None
    gpu_type: str | None = None
    local_disk_gb: float | None = None
    network_gbps: float | None = None
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Egress:
    """What data costs that leaves a region, USD per GiB; ``to`` is a region of the same cloud, :data:`INTERNET`, :data:`AREA` or :data:`WORLD`."""

    cloud: CloudName
    region: str
    to: str
    usd_per_gib: float
    source: str
    observed_at: datetime


class Grade(StrEnum):
    """How likely a request for a spot machine is met."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Score:
    """What a cloud says of an offer; zone "-" means every zone of the region. ``says`` is its own word, such as ``7 of 10``."""

    offer: OfferRef
    grade: Grade
    says: str
    source: str
    observed_at: datetime
