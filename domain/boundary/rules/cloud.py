"""The cloud and its partition are among those that the boundary names."""

from __future__ import annotations

from domain.boundary.finding import Finding
from domain.boundary.model import Boundary
from domain.boundary.regions import Region

RULE = "cloud"


def refuse_cloud(boundary: Boundary, cloud: str) -> Finding | None:
    """A finding when the boundary doesn't name ``cloud``."""
    if cloud in boundary.clouds:
        return None
    return Finding(RULE, "critical", f"Boundary {boundary.name!r} has no cloud {cloud!r}.", mend=f"Use one of: {', '.join(boundary.clouds)}.")


def refuse_partition(boundary: Boundary, region: Region) -> Finding | None:
    """A finding when the region stands in a partition that the boundary doesn't name."""
    if region.partition in boundary.partitions:
        return None
    return Finding(
        RULE,
        "critical",
        f"Region {region.key} is in partition {region.partition!r}, outside boundary {boundary.name!r}.",
        mend=f"Use a region of {', '.join(boundary.partitions)}.",
    )
