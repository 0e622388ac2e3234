"""A boundary worked out for every listed region, for enforcers that ask often.

Example::

    inside = compile(parse(text))
    if finding := inside.refusal("aws", "us-east-1"):
        print(finding.message)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.boundary.finding import Finding
from domain.boundary.model import CLOUDS, Boundary
from domain.boundary.regions import Region, normalise, regions
from domain.boundary.rules.cloud import refuse_cloud, refuse_partition
from domain.boundary.rules.residency import refuse_region, refuse_unlisted


@dataclass(frozen=True, slots=True)
class CompiledBoundary:
    """A boundary with its verdict on every region. Made by :func:`compile`."""

    boundary: Boundary
    digest: str
    data_class: str | None
    verdicts: Mapping[tuple[str, str], Finding | None] = field(repr=False)
    """By ``(cloud, region)``, every listed region of every cloud."""

    def refusal(self, cloud: str, region: str) -> Finding | None:
        """Why nothing may be placed in the region, or None when it may. A region that isn't listed is refused."""
        key = (cloud, region)
        if key not in self.verdicts:
            key = (cloud, normalise(cloud, region))
            if key not in self.verdicts:
                return refuse_cloud(self.boundary, cloud) or refuse_unlisted(cloud, region)
        return self.verdicts[key]

    def allows(self, cloud: str, region: str) -> bool:
        """Whether something may be placed in the region."""
        return self.refusal(cloud, region) is None

    def allowed(self, cloud: str) -> tuple[str, ...]:
        """The allowed regions of one cloud, sorted."""
        return tuple(sorted(name for (of, name), finding in self.verdicts.items() if of == cloud and finding is None))

    def count(self) -> int:
        """How many regions of all clouds are allowed: 0 means that no offer can exist."""
        return sum(len(self.allowed(cloud)) for cloud in CLOUDS)


def compile(boundary: Boundary, data_class: str | None = None) -> CompiledBoundary:
    """The boundary worked out for every listed region, narrowed by ``data_class``. A data class that the boundary doesn't name is refused everywhere."""
    return CompiledBoundary(
        boundary=boundary,
        digest=boundary.digest(),
        data_class=data_class,
        verdicts={key: _verdict(boundary, data_class, region) for key, region in regions().items()},
    )


def _verdict(boundary: Boundary, data_class: str | None, region: Region) -> Finding | None:
    finding = refuse_cloud(boundary, region.cloud) or refuse_partition(boundary, region) or refuse_region(boundary.name, boundary.residency, region)
    if finding or data_class is None:
        return finding
    if data_class not in boundary.data_classes:
        known = ", ".join(sorted(boundary.data_classes)) or "none"
        return Finding("residency", "critical", f"Boundary {boundary.name!r} has no data class {data_class!r}.", mend=f"Declared: {known}.")
    return refuse_region(f"{boundary.name}/{data_class}", boundary.data_classes[data_class], region)
