"""A boundary worked out for every listed region, for enforcers that ask often.

Example::

    inside = compile(parse(text))
    if finding := inside.refusal("aws", "us-east-1", now):
        print(finding.message)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.boundary.finding import Finding
from domain.boundary.model import CLOUDS, Boundary, Exemption
from domain.boundary.regions import Region, normalise, regions
from domain.boundary.rules.cloud import refuse_cloud, refuse_partition
from domain.boundary.rules.residency import RULE as RESIDENCY
from domain.boundary.rules.residency import refuse_region, refuse_unlisted

Verdicts = Mapping[tuple[str, str], Finding | None]
"""Why nothing may stand in a region, by ``(cloud, region)``; None where it may."""


@dataclass(frozen=True, slots=True)
class CompiledBoundary:
    """A boundary with its verdict on every region. Made by :func:`compile`."""

    boundary: Boundary
    digest: str
    data_class: str | None
    verdicts: Verdicts = field(repr=False)
    """By ``(cloud, region)``, every listed region of every cloud, exemptions left out."""
    classes: Mapping[str, Verdicts] = field(repr=False, default_factory=dict)
    """The same, narrowed by each data class that the boundary declares."""
    exemptions: Mapping[tuple[str, str], tuple[Exemption, ...]] = field(repr=False, default_factory=dict)
    """Exemptions from residency by the regions that they open."""

    def refusal(self, cloud: str, region: str, now: datetime | None = None, data_class: str | None = None) -> Finding | None:
        """Why nothing may be placed in the region, or None when it may. A region that isn't listed is refused.

        An exemption from residency holds until its end by ``now`` (aware); without ``now`` none holds. ``data_class`` narrows by a class that the boundary
        declares; one that it doesn't declare is refused everywhere.
        """
        finding = self._strict(cloud, region, data_class)
        if finding is not None and now is not None and self.exemption(finding, cloud, region, now):
            return None
        return finding

    def exemption(self, finding: Finding, cloud: str, region: str, now: datetime) -> Exemption | None:
        """The exemption from residency that covers the region now, or None."""
        if finding.rule != RESIDENCY:
            return None
        return next((one for one in self.exemptions.get((cloud, normalise(cloud, region)), ()) if now <= one.expires), None)

    def _strict(self, cloud: str, region: str, data_class: str | None) -> Finding | None:
        key = (cloud, region)
        if key not in self.verdicts:
            key = (cloud, normalise(cloud, region))
            if key not in self.verdicts:
                return refuse_cloud(self.boundary, cloud) or refuse_unlisted(cloud, region)
        if data_class is None:
            return self.verdicts[key]
        if data_class not in self.classes:
            return self.verdicts[key] or _undeclared(self.boundary, data_class)
        return self.verdicts[key] or self.classes[data_class][key]

    def allows(self, cloud: str, region: str, now: datetime | None = None) -> bool:
        """Whether something may be placed in the region."""
        return self.refusal(cloud, region, now) is None

    def allowed(self, cloud: str, now: datetime | None = None) -> tuple[str, ...]:
        """The allowed regions of one cloud, sorted."""
        return tuple(sorted(name for of, name in self.verdicts if of == cloud and self.allows(of, name, now)))

    def count(self) -> int:
        """How many regions of all clouds are allowed: 0 means that no offer can exist."""
        return sum(len(self.allowed(cloud)) for cloud in CLOUDS)


def compile(boundary: Boundary, data_class: str | None = None) -> CompiledBoundary:
    """The boundary worked out for every listed region, narrowed by ``data_class``. A data class that the boundary doesn't name is refused everywhere."""
    classes = {name: {key: _class_verdict(boundary, name, region) for key, region in regions().items()} for name in boundary.data_classes}
    exemptions: dict[tuple[str, str], tuple[Exemption, ...]] = {}
    for exemption in boundary.exemptions:
        if exemption.rule == RESIDENCY:
            for key, region in regions().items():
                if exemption.covers_region(region):
                    exemptions[key] = (*exemptions.get(key, ()), exemption)
    return CompiledBoundary(
        boundary=boundary,
        digest=boundary.digest(),
        data_class=data_class,
        verdicts={key: _verdict(boundary, data_class, region) for key, region in regions().items()},
        classes=classes,
        exemptions=exemptions,
    )


def _verdict(boundary: Boundary, data_class: str | None, region: Region) -> Finding | None:
    finding = refuse_cloud(boundary, region.cloud) or refuse_partition(boundary, region) or refuse_region(boundary.name, boundary.residency, region)
    if finding or data_class is None:
        return finding
    if data_class not in boundary.data_classes:
        return _undeclared(boundary, data_class)
    return _class_verdict(boundary, data_class, region)


def _class_verdict(boundary: Boundary, data_class: str, region: Region) -> Finding | None:
    return refuse_region(f"{boundary.name}/{data_class}", boundary.data_classes[data_class], region)


def _undeclared(boundary: Boundary, data_class: str) -> Finding:
    known = ", ".join(sorted(boundary.data_classes)) or "none"
    return Finding("data-class", "critical", f"Boundary {boundary.name!r} has no data class {data_class!r}.", mend=f"Declared: {known}.")
