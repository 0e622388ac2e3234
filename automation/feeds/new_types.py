"""Which machine types that the clouds have told of are asked for prices: those that a stack can declare, the nearest to what is needed.

A cloud sells hundreds of types, each in dozens of regions. The cheapest machine that serves is seldom much larger than what is asked for, so that a new
type counts up to four times the size of some need, and :data:`AT_MOST` of them a cloud: with the embedded ones fewer than 50,000 offers, what a cycle is
planned for. The size of a machine is its vCPUs, or its memory at 4 GiB a vCPU, whichever is more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from components.aws import offering as aws
from components.azure import offering as azure
from components.gcp import offering as gcp
from domain.catalog import CATALOG, CLOUDS, Machine
from domain.told import Shape
from domain.workload import Requirements

AT_MOST = 100
TIMES = 4.0
_GIB_PER_VCPU = 4.0
_FAULTS = {"aws": aws.machine_faults, "azure": azure.machine_faults, "gcp": gcp.machine_faults}


def placeable(shape: Shape) -> bool:
    """Whether our stacks would declare a spot machine of this type: its name says the architecture that its cloud says, its family is sold as spot."""
    region = CATALOG.regions(shape.cloud)[0]
    return shape.arch is not None and not _FAULTS[shape.cloud](region.name, region.zones[0], shape.name, shape.arch, "spot")


def nearest(machines: Iterable[Machine], needs: Collection[Requirements], used: Collection[tuple[str, ...]]) -> tuple[Machine, ...]:
    """Those of ``machines`` to ask for: what runs (cloud and name in ``used``), and of each cloud the nearest that serve any of ``needs``; ties by name."""
    ranked = sorted((rank, one.name, one) for one in machines if (rank := _rank(one, needs)) is not None)
    found: list[Machine] = [one for one in machines if (one.cloud, one.name) in used]
    for cloud in CLOUDS:
        found += [one for _, _, one in ranked if one.cloud == cloud and one not in found][:AT_MOST]
    return tuple(found)


def _rank(machine: Machine, needs: Collection[Requirements]) -> float | None:
    """How many times as large as the nearest need; None where it serves none, or is too large for all that it serves."""
    sizes = (_size(machine.vcpu, machine.memory_gib) / _size(one.vcpu, one.memory_gib) for one in needs if one.fits(machine) and (one.gpu or not machine.gpu))
    return min((size for size in sizes if size <= TIMES), default=None)


def _size(vcpu: int, memory_gib: float) -> float:
    return max(float(vcpu), memory_gib / _GIB_PER_VCPU)
