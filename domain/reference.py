"""What changes rarely beside prices: shapes of machine types and egress tariffs, as the clouds tell them, over those that are embedded.

What a cloud has told stands until it tells something else, with its source and the time of that; of what it hasn't told the embedded table holds. A
type that isn't embedded is a *new type*: it is used once its cloud has described it whole (``Shape``'s fields; the network's width where the cloud's list has
one, AWS's). Held back is what can't be: a shape more than four times off the one that is known (a type's shape never changes; such a figure is of another
unit), a new type's figures outside of what any machine has, a tariff of nothing or more than five times off the list price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from domain.catalog import CATALOG, Catalog, Machine, OfferRef
from domain.network import ListTariffs, Tariffs, tariff
from domain.ports import Quarantined
from domain.told import AREA, INTERNET, WORLD, Egress, Shape
from domain.unknown import Unknown

SHAPE_OFF = 4.0
TARIFF_OFF = 5.0
_NETWORK_LISTED = frozenset({"aws"})
"""Clouds whose lists of machine types tell the network's width."""
_POSSIBLE: tuple[tuple[str, Callable[[Shape], float], float, float], ...] = (
    # figure, its reader, least and most of any machine type of the three clouds, with room (2026: 1,920 vCPUs; 0.25 and 31 GiB a vCPU; 16 GPUs)
    ("vCPU", lambda shape: float(shape.vcpu), 1.0, 4096.0),
    ("GiB a vCPU", lambda shape: shape.memory_gib / max(shape.vcpu, 1), 0.2, 64.0),
    ("GPUs", lambda shape: float(shape.gpu), 0.0, 32.0),
    ("GB of local disk", lambda shape: shape.local_disk_gb or 0.0, 0.0, 1e6),
    ("Gbit/s", lambda shape: 1.0 if shape.network_gbps is None else shape.network_gbps, 0.01, 10_000.0),
)


@dataclass(frozen=True)
class Reference:
    """The catalogue and the tariffs in use. A value: :meth:`told` makes the next one."""

    base: Catalog = CATALOG
    shapes: Mapping[tuple[str, str], Shape] = field(default_factory=dict)
    """By cloud and machine type."""
    egress: Mapping[tuple[str, str, str], Egress] = field(default_factory=dict)
    """By cloud, region and where to."""

    def told(self, shapes: Iterable[Shape], egress: Iterable[Egress]) -> tuple[Reference, list[Quarantined]]:
        """With what feeds brought, but for what can't be: that is returned too."""
        kept_shapes, kept_egress = dict(self.shapes), dict(self.egress)
        held_back: list[Quarantined] = []
        for shape in shapes:
            if not self.base.has_machine(shape.cloud, shape.name) and not _is_whole(shape):
                continue
            if (why := self._shape_fault(shape)) is not None:
                held_back.append(Quarantined(OfferRef(shape.cloud, "*", "*", shape.name), "shape", why, shape.observed_at))
            elif (shape.cloud, shape.name) not in kept_shapes or kept_shapes[shape.cloud, shape.name].observed_at <= shape.observed_at:
                kept_shapes[shape.cloud, shape.name] = shape
        for one in egress:
            key = (one.cloud, one.region, one.to)
            if (why := self._egress_fault(one)) is not None:
                held_back.append(Quarantined(OfferRef(one.cloud, one.region, "*", "egress"), "egress", why, one.observed_at))
            elif key not in kept_egress or kept_egress[key].observed_at <= one.observed_at:
                kept_egress[key] = one
        if kept_shapes == self.shapes and kept_egress == self.egress:
            return self, held_back
        return Reference(self.base, kept_shapes, kept_egress), held_back

    @cached_property
    def catalog(self) -> Catalog:
        """The catalogue with the shapes that were told."""
        if not self.shapes:
            return self.base
        machines = []
        for machine in self.base.machine_list:
            shape = self.shapes.get((machine.cloud, machine.name))
            if shape is not None:
                machine = replace(machine, vcpu=shape.vcpu, memory_gib=shape.memory_gib, arch=shape.arch or machine.arch, gpu=shape.gpu)
            machines.append(machine)
        return Catalog((*machines, *self.new_machines), self.base.region_list)

    @cached_property
    def new_machines(self) -> tuple[Machine, ...]:
        """The machine types that aren't embedded, by cloud and name."""
        return tuple(_machine(shape) for (cloud, name), shape in sorted(self.shapes.items()) if not self.base.has_machine(cloud, name))

    @cached_property
    def tariffs(self) -> Tariffs:
        """What egress costs by what was told, by the list prices where nothing was."""
        return _Told(self.egress, self.base)

    def latest(self) -> dict[tuple[str, str], tuple[str, datetime, int]]:
        """By cloud and ``shapes``, ``types`` (new ones) or ``egress``: the source of what was told last, when that was, how many entries were told."""
        found: dict[tuple[str, str], tuple[str, datetime, int]] = {}
        shapes = (("shapes" if self.base.has_machine(one.cloud, one.name) else "types", one) for one in self.shapes.values())
        entries: list[tuple[str, Shape | Egress]] = [*shapes, *(("egress", one) for one in self.egress.values())]
        for what, one in sorted(entries, key=lambda entry: entry[1].observed_at):
            count = found[one.cloud, what][2] if (one.cloud, what) in found else 0
            found[one.cloud, what] = (one.source, one.observed_at, count + 1)
        return found

    def _shape_fault(self, shape: Shape) -> str | None:
        if not self.base.has_machine(shape.cloud, shape.name) and (why := _impossible(shape)) is not None:
            return why
        known: Machine | Shape | None = self.shapes.get((shape.cloud, shape.name))
        if self.base.has_machine(shape.cloud, shape.name):
            known = self.base.machine(shape.cloud, shape.name)
        if known is None:
            return None
        for what, told, listed in (("vCPU", shape.vcpu, known.vcpu), ("GiB", shape.memory_gib, known.memory_gib)):
            if not listed / SHAPE_OFF <= told <= listed * SHAPE_OFF:
                return f"{told:g} {what} where the catalogue has {listed:g}, more than {SHAPE_OFF:g} times off"
        if bool(shape.gpu) != bool(known.gpu):
            return f"{shape.gpu} GPUs where the catalogue has {known.gpu}"
        return None

    def _egress_fault(self, one: Egress) -> str | None:
        if not self.base.has_region(one.cloud, one.region):
            return f"{one.cloud} has no region {one.region!r} in the catalogue"
        listed = tariff(one.cloud, one.region, self.base)
        least, most = min(listed.area, listed.internet) / TARIFF_OFF, max(listed.internet, listed.world) * TARIFF_OFF
        if not least <= one.usd_per_gib <= most:
            return f"{one.usd_per_gib:g} USD/GiB to {one.to} lies outside {least:g} to {most:g}, {TARIFF_OFF:g} times off the list price"
        return None


def _is_whole(shape: Shape) -> bool:
    network = shape.network_gbps is not None or shape.cloud not in _NETWORK_LISTED
    return bool(shape.family) and shape.arch is not None and shape.local_disk_gb is not None and network and (shape.gpu == 0 or bool(shape.gpu_type))


def _impossible(shape: Shape) -> str | None:
    for what, figure, least, most in _POSSIBLE:
        if not least <= figure(shape) <= most:
            return f"{figure(shape):g} {what}, where machine types have {least:g} to {most:g}"
    return None


def _machine(shape: Shape) -> Machine:
    """Of a shape that is whole."""
    assert shape.family is not None and shape.arch is not None and shape.local_disk_gb is not None
    network = Unknown("not listed") if shape.network_gbps is None else shape.network_gbps
    return Machine(
        shape.cloud, shape.name, shape.family, shape.vcpu, shape.memory_gib, shape.arch, shape.gpu, shape.gpu_type, shape.only, shape.local_disk_gb, network
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """Keeps :class:`domain.network.Tariffs`."""

    egress: Mapping[tuple[str, str, str], Egress]
    catalog: Catalog

    def internet(self, cloud: str, region: str) -> float:
        found = self.egress.get((cloud, region, INTERNET))
        return ListTariffs(self.catalog).internet(cloud, region) if found is None else found.usd_per_gib

    def transfer(self, origin: tuple[str, str, str], target: tuple[str, str, str]) -> float:
        if origin[:2] == target[:2]:
            return ListTariffs(self.catalog).transfer(origin, target)
        if origin[0] != target[0]:
            return self.internet(origin[0], origin[1])
        listed = all(self.catalog.has_region(cloud, region) for cloud, region, _ in (origin, target))
        near = listed and self.catalog.region(*origin[:2]).area == self.catalog.region(*target[:2]).area
        found = self.egress.get((origin[0], origin[1], target[1])) or self.egress.get((origin[0], origin[1], AREA if near else WORLD))
        return ListTariffs(self.catalog).transfer(origin, target) if found is None else found.usd_per_gib
