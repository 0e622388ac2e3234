"""Copies of the data (replicas, backups, the clouds' own region pairs) stay where the boundary lets copies go."""

from __future__ import annotations

from domain.boundary.finding import Finding
from domain.boundary.model import Residency
from domain.boundary.regions import Region

RULE = "replication"


def refuse_copy(name: str, residency: Residency, origin: Region | None, copy: Region) -> Finding | None:
    """A finding when a copy in ``copy`` of what stands in ``origin`` (None: unknown) leaves what the boundary (or data class) ``name`` allows.

    That the region of the copy lies inside is the residency rule's; this one adds what ``residency.replication`` narrows.
    """
    if origin is not None and origin.key == copy.key:
        return None
    if residency.replication == "none":
        return _finding(name, copy, "gets a copy, and no other region may get one")
    if residency.replication == "domestic" and (origin is None or origin.country != copy.country):
        return _finding(name, copy, f"gets a copy of what stands in {origin.country if origin else 'an unknown country'}")
    return None


def _finding(name: str, region: Region, why: str) -> Finding:
    return Finding(
        RULE,
        "high",
        f"Region {region.key} ({region.country}) {why}: residency.replication of boundary {name!r}.",
        mend="Use locally or zone-redundant storage, or a region of the same country.",
    )
