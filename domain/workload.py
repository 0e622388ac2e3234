"""What a workload needs and what its owner asks of placement."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from domain.catalog import Catalog, Machine
from domain.errors import MalformedDemand

Arch = Literal["x86_64", "arm64"]


@dataclass(frozen=True, slots=True)
class Requirements:
    """The least machine that serves: vCPUs, memory in GiB, architecture, GPUs."""

    vcpu: int = 2
    memory_gib: float = 4.0
    arch: Arch = "x86_64"
    gpu: int = 0
    gpu_type: str | None = None

    def __post_init__(self) -> None:
        """Raises :class:`MalformedDemand`."""
        _checked(
            ("vcpu", self.vcpu, 1.0, math.inf),
            ("memory_gib", self.memory_gib, _LEAST, math.inf),
            ("gpu", self.gpu, 0.0, math.inf),
        )

    def fits(self, machine: Machine) -> bool:
        """Whether ``machine`` is large enough, of the right architecture, with the GPUs asked for. A GPU machine also serves who asks for none."""
        return (
            machine.vcpu >= self.vcpu
            and machine.memory_gib >= self.memory_gib
            and machine.arch == self.arch
            and machine.gpu >= self.gpu
            and (self.gpu == 0 or self.gpu_type is None or machine.gpu_type == self.gpu_type)
        )


@dataclass(frozen=True, slots=True)
class PlacementRules:
    """The owner's wishes. ``None`` asks for nothing.

    ``threshold`` is the least net saving as a share of what staying costs over the horizon, ``dwell_hours`` the least stay on the market's clock; None
    leaves each to the derived rule (:mod:`domain.placement.switching`);
    ``max_usd_per_hour`` caps the spot price; egress is what the service sends to its users, ``state_gib`` what a move must carry along.
    """

    clouds: frozenset[str] | None = None
    regions: frozenset[str] | None = None
    max_usd_per_hour: float | None = None
    threshold: float | None = None
    dwell_hours: float | None = None
    moves_per_30_days: int = 12
    egress_gib_per_hour: float = 0.0
    state_gib: float = 0.0

    def __post_init__(self) -> None:
        """Raises :class:`MalformedDemand`."""
        _checked(
            ("max_usd_per_hour", self.max_usd_per_hour, _LEAST, math.inf),
            ("threshold", self.threshold, 0.0, 1.0),
            ("dwell_hours", self.dwell_hours, 0.0, math.inf),
            ("moves_per_30_days", self.moves_per_30_days, 0.0, math.inf),
            ("egress_gib_per_hour", self.egress_gib_per_hour, 0.0, math.inf),
            ("state_gib", self.state_gib, 0.0, math.inf),
        )

    def asks_for(self, cloud: str, region: str) -> bool:
        """Whether the owner allows ``region`` of ``cloud``."""
        return (self.clouds is None or cloud in self.clouds) and (self.regions is None or region in self.regions)


_LEAST = 1e-9
"""What is above 0."""


def _checked(*figures: tuple[str, float | None, float, float]) -> None:
    """Refuses figures (name, value, least, below) that are no number, endless or out of range; None asks for nothing."""
    faults = []
    for name, value, least, below in figures:
        if value is None:
            continue
        if math.isnan(value) or math.isinf(value):
            faults.append(f"{name}: {value} is no number")
        elif not least <= value < below:
            kind = "above 0" if least == _LEAST else f"{least:g} or more" + ("" if math.isinf(below) else f" and below {below:g}")
            faults.append(f"{name}: {value:g} is not {kind}")
    if faults:
        raise MalformedDemand(tuple(faults))


def unmet(needs: Requirements, rules: PlacementRules, catalog: Catalog) -> tuple[str, ...]:
    """Why no offer can ever meet what is asked for, whatever the prices: regions that no cloud has, shapes that no machine type has. Empty where some may."""
    return (*_unknown_regions(rules, catalog), *_unmet_shape(needs, rules, catalog))


def _unknown_regions(rules: PlacementRules, catalog: Catalog) -> Iterator[str]:
    every = {region.name: region.cloud for region in catalog.region_list}
    for name in sorted(rules.regions or ()):
        if name not in every:
            nearest = get_close_matches(name, sorted(every), n=2)
            yield f"placement.regions: no cloud has a region {name!r}" + (f"; did you mean {' or '.join(nearest)}?" if nearest else "")
        elif rules.clouds is not None and every[name] not in rules.clouds:
            yield f"placement.regions: {name} is {every[name]}'s, and placement.clouds names only {', '.join(sorted(rules.clouds))}"
    if rules.clouds is not None and not rules.clouds:
        yield "placement.clouds: names no cloud; leave it out to allow all"


def _unmet_shape(needs: Requirements, rules: PlacementRules, catalog: Catalog) -> Iterator[str]:
    machines = [one for one in catalog.machine_list if rules.clouds is None or one.cloud in rules.clouds]
    if not machines or any(needs.fits(one) for one in machines):
        return
    alike = [one for one in machines if one.arch == needs.arch]
    if needs.gpu:
        alike = [one for one in alike if one.gpu and (needs.gpu_type is None or one.gpu_type == needs.gpu_type)]
        if not alike:
            kinds = sorted({one.gpu_type for one in machines if one.gpu_type})
            yield f"resources.gpuType: no {needs.arch} machine type has {needs.gpu_type or 'a GPU'}; there are {', '.join(kinds) or 'none'}"
            return
    said = False
    for what, asked, largest in (
        ("resources.vcpu", float(needs.vcpu), max((one.vcpu for one in alike), default=0)),
        ("resources.memoryGib", needs.memory_gib, max((one.memory_gib for one in alike), default=0)),
        ("resources.gpu", float(needs.gpu), max((one.gpu for one in alike), default=0)),
    ):
        if asked > largest:
            said = True
            yield f"{what}: {asked:g} is more than any {needs.arch} machine type of the catalogue has; the largest has {largest:g}"
    if not said:
        yield f"resources: no {needs.arch} machine type has {needs.vcpu} vCPUs and {needs.memory_gib:g} GiB and {needs.gpu} GPUs together"
