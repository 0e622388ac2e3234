"""What a workload needs and what its owner asks of placement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from domain.catalog import Machine

Arch = Literal["x86_64", "arm64"]


@dataclass(frozen=True, slots=True)
class Requirements:
    """The least machine that serves: vCPUs, memory in GiB, architecture, GPUs."""

    vcpu: int = 2
    memory_gib: float = 4.0
    arch: Arch = "x86_64"
    gpu: int = 0
    gpu_type: str | None = None

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

    def asks_for(self, cloud: str, region: str) -> bool:
        """Whether the owner allows ``region`` of ``cloud``."""
        return (self.clouds is None or cloud in self.clouds) and (self.regions is None or region in self.regions)
