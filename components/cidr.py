"""How a region's address range is divided: pure, and stable when zones are added at the end."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BLOCKS = 16
"""Equal parts of a region's range: the first for what has a public address (the NAT gateway), one for each zone."""
WIDEST, NARROWEST = 16, 24
"""Prefix lengths of a region's range: AWS takes VPCs from /16 and subnets to /28."""


class CidrError(ValueError):
    """A range that can't hold a region's network. ``cidr`` is the range, ``fault`` says why."""

    def __init__(self, cidr: str, fault: str) -> None:
        self.cidr, self.fault = cidr, fault
        super().__init__(f"{cidr!r}: {fault}")


@dataclass(frozen=True)
class SubnetPlan:
    """Ranges in CIDR form; ``zones`` by zone name, in the order given."""

    whole: str
    public: str
    zones: Mapping[str, str]


REGIONS_BITS = 8
"""A pool is divided into 256 ranges, one a region."""


def of_region(pool: str, number: int) -> str:
    """The range of the region with this number (``domain.region_numbers``): always the same, disjoint from every other number's. Raises :class:`CidrError`."""
    try:
        whole = ipaddress.IPv4Network(pool)
    except ValueError as error:
        raise CidrError(pool, f"not an IPv4 range ({error}); use a form such as 10.0.0.0/8") from error
    if not whole.is_private or whole.prefixlen + REGIONS_BITS > NARROWEST or whole.prefixlen + REGIONS_BITS < WIDEST:
        raise CidrError(pool, f"can't be divided into {1 << REGIONS_BITS} ranges of /{WIDEST} to /{NARROWEST}; use a private one of /8 to /16")
    if not 0 <= number < 1 << REGIONS_BITS:
        raise CidrError(pool, f"is exhausted: it holds {1 << REGIONS_BITS} regions, this is number {number}")
    first = int(whole.network_address) + (number << (32 - whole.prefixlen - REGIONS_BITS))
    return str(ipaddress.IPv4Network((first, whole.prefixlen + REGIONS_BITS)))


def clash(cidr: str, others: Mapping[str, str]) -> str | None:
    """The name of a range of ``others`` that overlaps ``cidr``; None where none does."""
    network = ipaddress.IPv4Network(cidr)
    return next((name for name, other in sorted(others.items()) if network.overlaps(ipaddress.IPv4Network(other))), None)


def plan(cidr: str, zones: Sequence[str]) -> SubnetPlan:
    """The subnets of ``cidr``. Raises :class:`CidrError`."""
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise CidrError(cidr, f"not an IPv4 range ({error}); use a form such as 10.16.0.0/16") from error
    if not network.is_private:
        raise CidrError(cidr, "not a private range; use one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    if not WIDEST <= network.prefixlen <= NARROWEST:
        raise CidrError(cidr, f"has prefix /{network.prefixlen}; use /{WIDEST} to /{NARROWEST}")
    if len(set(zones)) != len(zones):
        raise CidrError(cidr, "a zone is named twice")
    if len(zones) >= BLOCKS:
        raise CidrError(cidr, f"holds {BLOCKS - 1} zones, {len(zones)} are named")
    blocks = [str(block) for block in network.subnets(new_prefix=network.prefixlen + 4)]
    return SubnetPlan(str(network), blocks[0], dict(zip(zones, blocks[1:], strict=False)))
