"""What Compute Engine sells and where, as far as it can be known before anything is declared. Pure.

Sources: Compute Engine's pages "Machine series and supported disk types", "Spot VMs" (limitations), "GPU machine types", "Regions and zones".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from domain.catalog import CATALOG
from domain.errors import UnknownRegion

HYPERDISK_FAMILIES = frozenset({"c4", "c4a", "c4d", "n4", "n4a", "n4d", "x4", "m4"})
"""Families that take no Persistent Disk."""
ARM_FAMILIES = frozenset({"t2a", "c4a", "n4a", "a4x"})
GPU_FAMILIES = frozenset({"a2", "a3", "a4", "g2", "g4"})
"""Families whose types bring their GPUs along; N1 takes them beside the type."""
NO_SPOT_FAMILIES = frozenset({"m2", "x4"})
"""Families that aren't sold as spot; bare metal isn't either."""

DISK_GIB = 10
GPU_DISK_GIB = 50
"""The accelerator image with its driver needs more than Ubuntu's own."""

Arch = Literal["x86_64", "arm64"]
CapacityType = Literal["spot", "on-demand"]


@dataclass(frozen=True)
class Gpu:
    """GPUs beside an N1 type: ``kind`` as Compute Engine names them, such as ``nvidia-tesla-t4``."""

    kind: str
    count: int = 1


def family(machine_type: str) -> str:
    """``n2`` of ``n2-standard-2``."""
    return machine_type.split("-", 1)[0]


def disk_type(machine_type: str) -> str:
    """The boot disk's type: the balanced one that the machine's family takes."""
    return "hyperdisk-balanced" if family(machine_type) in HYPERDISK_FAMILIES else "pd-balanced"


def image(arch: str, *, gpu: bool) -> str:
    """Ubuntu 24.04 for the architecture; with GPUs Canonical's build of it that brings NVIDIA's signed driver along, so that Secure Boot stays on."""
    if gpu:
        return "projects/ubuntu-os-accelerator-images/global/images/family/ubuntu-accelerator-2404-amd64-with-nvidia-580"
    return "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-" + {"x86_64": "amd64", "arm64": "arm64"}[arch]


def has_gpu(machine_type: str, beside: Gpu | None) -> bool:
    """Whether the machine has GPUs, of its type or beside it."""
    return beside is not None or family(machine_type) in GPU_FAMILIES


def region_faults(region: str, zones: Sequence[str]) -> list[str]:
    """What is wrong with a region and its zones, as ``field: fault``; empty where nothing is."""
    try:
        known = CATALOG.region("gcp", region)
    except UnknownRegion as error:
        return [f"region: {error}"]
    return [
        f"zones: {region} has no zone {zone!r}; it has {', '.join(known.zones)}. A subnetwork spans them all, so that the list may hold any of them"
        for zone in zones
        if zone not in known.zones
    ]


def machine_faults(region: str, zone: str, machine_type: str, arch: str, capacity_type: str, gpu: Gpu | None = None) -> list[str]:
    """What is wrong with a machine, as ``field: fault``; empty where nothing is."""
    found = [fault.replace("zones:", "zone:", 1) for fault in region_faults(region, [zone])]
    of = family(machine_type)
    own = "arm64" if of in ARM_FAMILIES else "x86_64"
    if arch != own:
        found.append(f"arch: {machine_type} is an {own} machine, the image asked for is {arch}'s")
    if capacity_type == "spot" and (of in NO_SPOT_FAMILIES or machine_type.endswith("-metal")):
        found.append(f"instanceType: Google sells no spot {machine_type}; take another type, or capacityType on-demand")
    if CATALOG.has_machine("gcp", machine_type) and CATALOG.has_region("gcp", region) and not CATALOG.sells("gcp", region, machine_type):
        found.append(f"instanceType: {machine_type} isn't sold in {region}; it is in {', '.join(sorted(CATALOG.machine('gcp', machine_type).only or ()))}")
    if gpu is not None and of != "n1":
        found.append(f"gpu: only n1 types take GPUs beside them; {machine_type} {'brings its own' if of in GPU_FAMILIES else 'takes none'}")
    return found
