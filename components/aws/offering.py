"""What EC2 sells and where, as far as it can be known before anything is declared. Pure.

Sources: EC2's instance type pages, "Spot Instances" (supported types), Canonical's and Amazon's public image parameters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from domain.catalog import CATALOG
from domain.errors import UnknownRegion

NO_SPOT_FAMILIES = frozenset({"mac1", "mac2", "mac-m4", "u-3tb1", "u-6tb1", "u-9tb1", "u-12tb1", "u-18tb1", "u-24tb1", "hpc6a", "hpc6id", "hpc7a", "hpc7g"})
"""Families that aren't sold as spot."""
GPU_FAMILIES = re.compile(r"(p[2-9]|g[3-9]|trn\d|inf\d|dl\d)[a-z]*")
_GRAVITON = re.compile(r"(a1|[a-z]+\d+g[a-z]*)")

UBUNTU = "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/{arch}/hvm/ebs-gp3/ami-id"
"""Canonical's public parameter for Ubuntu 24.04; EC2 resolves it at launch."""
UBUNTU_GPU = "resolve:ssm:/aws/service/deeplearning/ami/{arch}/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
"""Amazon's image of Ubuntu 24.04 that brings NVIDIA's driver along."""
DISK_GIB = 16
GPU_DISK_GIB = 75
"""Driver and CUDA libraries are part of the image."""


def family(instance_type: str) -> str:
    """``m7g`` of ``m7g.large``."""
    return instance_type.split(".", 1)[0]


def architecture(instance_type: str) -> str:
    """Graviton families carry a ``g`` after their generation (``m7g``, ``c6gn``); ``a1`` is the first."""
    return "arm64" if _GRAVITON.fullmatch(family(instance_type)) else "x86_64"


def has_gpu(instance_type: str) -> bool:
    """Whether the type brings GPUs (or other accelerators) along."""
    return GPU_FAMILIES.fullmatch(family(instance_type)) is not None


def image(arch: str, *, gpu: bool) -> str:
    """The image's public parameter."""
    if gpu:
        return UBUNTU_GPU.format(arch=arch)
    return UBUNTU.format(arch={"x86_64": "amd64", "arm64": "arm64"}[arch])


def disk_gib(*, gpu: bool) -> int:
    """Size of the root disk in GiB."""
    return GPU_DISK_GIB if gpu else DISK_GIB


def region_faults(region: str, zones: Sequence[str]) -> list[str]:
    """What is wrong with a region and its zones, as ``field: fault``; empty where nothing is."""
    try:
        known = CATALOG.region("aws", region)
    except UnknownRegion as error:
        return [f"region: {error}"]
    return [f"zones: {region} has no zone {zone!r}; it has {', '.join(known.zones)}" for zone in zones if zone not in known.zones]


def machine_faults(region: str, zone: str, instance_type: str, arch: str, capacity_type: str) -> list[str]:
    """What is wrong with a machine, as ``field: fault``; empty where nothing is."""
    found = [fault.replace("zones:", "zone:", 1) for fault in region_faults(region, [zone])]
    if (own := architecture(instance_type)) != arch:
        found.append(f"arch: {instance_type} is an {own} machine, the image asked for is {arch}'s")
    if capacity_type == "spot" and family(instance_type) in NO_SPOT_FAMILIES:
        found.append(f"instanceType: AWS sells no spot {instance_type}; take another type, or capacityType on-demand")
    if CATALOG.has_machine("aws", instance_type) and CATALOG.has_region("aws", region) and not CATALOG.sells("aws", region, instance_type):
        found.append(f"instanceType: {instance_type} isn't sold in {region}")
    return found
