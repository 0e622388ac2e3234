"""What Azure sells and where, as far as it can be known before anything is declared. Pure.

Sources: Azure's pages "Virtual machine sizes" and "Azure Spot Virtual Machines" (limitations); Canonical's and Microsoft's image offers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain.catalog import CATALOG
from domain.errors import UnknownRegion

_SIZE = re.compile(r"Standard_(?P<family>[A-Z]+)\d+(?:-\d+)?(?P<features>[a-z]*)(?:_[A-Z][A-Za-z0-9]*)?(?:_v\d+)?(?P<promo>_Promo)?")
DISK_GIB = 30
"""Size of Canonical's image, the least that its disk may have."""
GPU_DISK_GIB = 64


@dataclass(frozen=True)
class Image:
    """A marketplace image, always its latest version."""

    publisher: str
    offer: str
    sku: str


def architecture(vm_size: str) -> str:
    """Sizes with a ``p`` among their features (``Standard_D2ps_v5``) are Arm machines."""
    match = _SIZE.fullmatch(vm_size)
    return "arm64" if match is not None and "p" in match["features"] else "x86_64"


def has_gpu(vm_size: str) -> bool:
    """Whether the size brings GPUs along: the N families."""
    match = _SIZE.fullmatch(vm_size)
    return match is not None and match["family"].startswith("N")


def image(arch: str, *, gpu: bool) -> Image:
    """Ubuntu for the architecture; with GPUs Microsoft's build of it that brings NVIDIA's driver along."""
    if gpu:
        return Image("microsoft-dsvm", "ubuntu-hpc", "2204")
    return Image("Canonical", "ubuntu-24_04-lts", "server-arm64" if arch == "arm64" else "server")


def disk_gib(*, gpu: bool) -> int:
    """Size of the system disk in GiB."""
    return GPU_DISK_GIB if gpu else DISK_GIB


def region_faults(region: str, zones: Sequence[str]) -> list[str]:
    """What is wrong with a region and its zones, as ``field: fault``; empty where nothing is. ``-`` leaves the zone to Azure."""
    try:
        known = CATALOG.region("azure", region)
    except UnknownRegion as error:
        return [f"region: {error}"]
    return [f"zones: {region} has no zone {zone!r}; it has {', '.join(known.zones)}" for zone in zones if zone not in (*known.zones, "-")]


def machine_faults(region: str, zone: str, vm_size: str, arch: str, capacity_type: str) -> list[str]:
    """What is wrong with a machine, as ``field: fault``; empty where nothing is."""
    found = [fault.replace("zones:", "zone:", 1) for fault in region_faults(region, [zone])]
    match = _SIZE.fullmatch(vm_size)
    if match is None:
        return [*found, f"instanceType: {vm_size!r} is no size of Azure; write it as in Standard_D2as_v5"]
    if (own := architecture(vm_size)) != arch:
        found.append(f"arch: {vm_size} is an {own} machine, the image asked for is {arch}'s")
    if capacity_type == "spot" and (match["family"] == "B" or match["promo"]):
        found.append(f"instanceType: Azure sells no spot {vm_size} (B series and promotions aren't); take another size, or capacityType on-demand")
    if CATALOG.has_machine("azure", vm_size) and CATALOG.has_region("azure", region) and not CATALOG.sells("azure", region, vm_size):
        found.append(f"instanceType: {vm_size} isn't sold in {region}")
    return found
