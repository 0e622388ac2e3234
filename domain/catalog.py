"""Machine types, regions and zones of the three clouds: shapes and places, no prices.

What a market sells is told by its price feed; the catalogue says how large a machine is and which zones a region has. Where a family is sold in
few regions only, ``only`` names them (GCP prices cores and memory by region, not machine types, so that its feed can't tell).

Sources: the clouds' machine-type pages (vCPU, memory in GiB, GPU, local disk), EC2 DescribeInstanceTypes (network), the zones of EC2
DescribeAvailabilityZones and Compute Engine zones.list. Tests compare AWS's shapes, regions and zones with the metadata in installed packages, and every
region with the boundary's table. Regions which need a request to the provider before use (Azure's access-restricted pairs, sovereign clouds) are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Literal, NamedTuple, cast, get_args

from domain.errors import MalformedOffer, UnknownCloud, UnknownMachine, UnknownRegion
from domain.unknown import Unknown

CloudName = Literal["aws", "azure", "gcp"]
CLOUDS: tuple[CloudName, ...] = get_args(CloudName)
Area = Literal["na", "sa", "eu", "me", "af", "ap", "oc"]
"""Part of the world, for the clouds' egress tariffs: North and South America, Europe, Middle East, Africa, Asia, Oceania."""


class OfferRef(NamedTuple):
    """One machine type in one zone; orders by its parts. ``zone`` is "-" where a cloud sells by region."""

    cloud: str
    region: str
    zone: str
    instance_type: str

    @property
    def id(self) -> str:
        """``<cloud>/<region>/<zone>/<instance type>``."""
        return "/".join(self)

    @classmethod
    def parse(cls, text: str) -> OfferRef:
        """The offer that ``text`` names. Raises :class:`MalformedOffer`."""
        parts = text.split("/")
        if len(parts) != 4 or not all(parts) or parts[0] not in CLOUDS:
            raise MalformedOffer(text)
        return cls(*parts)


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type's shape. ``family`` is the unit in which a cloud prices and sells (m5, Dsv5, n2).

    ``local_disk_gb`` is the disk that comes with the machine and goes with it (0: none), ``network_gbps`` what its network carries at most.
    """

    cloud: CloudName
    name: str
    family: str
    vcpu: int
    memory_gib: float
    arch: Literal["x86_64", "arm64"] = "x86_64"
    gpu: int = 0
    gpu_type: str | None = None
    only: frozenset[str] | None = None
    local_disk_gb: float | Unknown = 0.0
    network_gbps: float | Unknown = Unknown("not listed")


@dataclass(frozen=True, slots=True)
class Region:
    """A region with its zones in the cloud's own names; ``("-",)`` where machines aren't sold by zone."""

    cloud: CloudName
    name: str
    area: Area
    zones: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """Machine types and regions, looked up by name."""

    machine_list: tuple[Machine, ...]
    region_list: tuple[Region, ...]
    _close: float = field(default=0.6, repr=False)

    @cached_property
    def _machines(self) -> dict[tuple[str, str], Machine]:
        return {(machine.cloud, machine.name): machine for machine in self.machine_list}

    @cached_property
    def _regions(self) -> dict[tuple[str, str], Region]:
        return {(region.cloud, region.name): region for region in self.region_list}

    def machine(self, cloud: str, name: str) -> Machine:
        """The machine type. Raises :class:`UnknownMachine` with the nearest names, or :class:`UnknownCloud`."""
        if found := self._machines.get((cloud, name)):
            return found
        raise UnknownMachine(cloud, name, self._nearest(name, (machine.name for machine in self.machines(cloud))))

    def region(self, cloud: str, name: str) -> Region:
        """The region. Raises :class:`UnknownRegion` with the nearest names, or :class:`UnknownCloud`."""
        if found := self._regions.get((cloud, name)):
            return found
        raise UnknownRegion(cloud, name, self._nearest(name, (region.name for region in self.regions(cloud))))

    def has_machine(self, cloud: str, name: str) -> bool:
        """Whether the catalogue lists the machine type."""
        return (cloud, name) in self._machines

    def has_region(self, cloud: str, name: str) -> bool:
        """Whether the catalogue lists the region."""
        return (cloud, name) in self._regions

    def machines(self, cloud: str) -> tuple[Machine, ...]:
        """The machine types of ``cloud``, in the catalogue's order. Raises :class:`UnknownCloud`."""
        return tuple(machine for machine in self.machine_list if machine.cloud == _checked(cloud))

    def regions(self, cloud: str) -> tuple[Region, ...]:
        """The regions of ``cloud``, in the catalogue's order. Raises :class:`UnknownCloud`."""
        return tuple(region for region in self.region_list if region.cloud == _checked(cloud))

    def sells(self, cloud: str, region: str, instance_type: str) -> bool:
        """Whether the machine type is sold in the region, as far as the catalogue knows."""
        machine = self._machines.get((cloud, instance_type))
        return machine is not None and (cloud, region) in self._regions and (machine.only is None or region in machine.only)

    def offers(self, clouds: Iterable[str] = CLOUDS) -> Iterator[OfferRef]:
        """Every machine type in every zone that sells it."""
        for cloud in clouds:
            machines = self.machines(cloud)
            for region in self.regions(cloud):
                for machine in machines:
                    if machine.only is None or region.name in machine.only:
                        for zone in region.zones:
                            yield OfferRef(cloud, region.name, zone, machine.name)

    def _nearest(self, name: str, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(get_close_matches(name, list(names), n=2, cutoff=self._close))


def _checked(cloud: str) -> str:
    if cloud not in CLOUDS:
        raise UnknownCloud(cloud)
    return cloud


_AWS_SIZES = {"medium": 1, "large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16}
_AWS_FAMILIES: tuple[tuple[str, float, Literal["x86_64", "arm64"], str, float], ...] = (
    # family, GiB per vCPU, architecture, sizes, Gbit/s at most
    ("m5", 4, "x86_64", "large xlarge 2xlarge 4xlarge", 10),
    ("m6i", 4, "x86_64", "large xlarge 2xlarge 4xlarge", 12.5),
    ("m6g", 4, "arm64", "medium large xlarge 2xlarge", 10),
    ("m7g", 4, "arm64", "medium large xlarge 2xlarge", 12.5),
    ("c5", 2, "x86_64", "large xlarge 2xlarge 4xlarge", 10),
    ("c6i", 2, "x86_64", "large xlarge 2xlarge 4xlarge", 12.5),
    ("r5", 8, "x86_64", "large xlarge 2xlarge", 10),
    ("r6i", 8, "x86_64", "large xlarge 2xlarge", 12.5),
)
_AWS_FASTER = {"m7g.2xlarge": 15.0}
"""Sizes whose network is faster than their smaller sisters'."""
_AWS_ODD = (
    # burstable: two vCPUs from medium on; GPU machines
    Machine("aws", "t3.medium", "t3", 2, 4, network_gbps=5),
    Machine("aws", "t3.large", "t3", 2, 8, network_gbps=5),
    Machine("aws", "t3.xlarge", "t3", 4, 16, network_gbps=5),
    Machine("aws", "t3.2xlarge", "t3", 8, 32, network_gbps=5),
    Machine("aws", "g4dn.xlarge", "g4dn", 4, 16, "x86_64", 1, "T4", local_disk_gb=125, network_gbps=25),
    Machine("aws", "g4dn.2xlarge", "g4dn", 8, 32, "x86_64", 1, "T4", local_disk_gb=225, network_gbps=25),
)
_AZURE_FAMILIES: tuple[tuple[str, str, float, Literal["x86_64", "arm64"], tuple[int, ...]], ...] = (
    # family, name pattern, GiB per vCPU, architecture, vCPUs
    ("Dsv5", "Standard_D{}s_v5", 4, "x86_64", (2, 4, 8, 16)),
    ("Dasv5", "Standard_D{}as_v5", 4, "x86_64", (2, 4, 8, 16)),
    ("Dpsv5", "Standard_D{}ps_v5", 4, "arm64", (2, 4, 8)),
    ("Esv5", "Standard_E{}s_v5", 8, "x86_64", (2, 4, 8)),
    ("FSv2", "Standard_F{}s_v2", 2, "x86_64", (2, 4, 8, 16)),
)
_GB_PER_GIB = 2**30 / 10**9
_AZURE_LOCAL_GIB_PER_VCPU = {"FSv2": 8}
"""Temporary disks; a size without a "d" in its name has had none since version 4, and the F series is older."""
_AZURE_ODD = (Machine("azure", "Standard_NC4as_T4_v3", "NCasT4_v3", 4, 28, "x86_64", 1, "T4", local_disk_gb=180 * _GB_PER_GIB),)
_T2A_REGIONS = frozenset({"us-central1", "europe-west4", "asia-southeast1"})
_C3_REGIONS = frozenset({"us-central1", "us-east1", "us-east4", "us-east5", "us-west1", "europe-west1", "europe-west4", "asia-southeast1"})
_GCP_FAMILIES: tuple[tuple[str, str, float, Literal["x86_64", "arm64"], tuple[int, ...], frozenset[str] | None], ...] = (
    # family, class, GiB per vCPU, architecture, vCPUs, the few regions that sell it
    ("n2", "standard", 4, "x86_64", (2, 4, 8, 16), None),
    ("n2", "highmem", 8, "x86_64", (2, 4, 8), None),
    ("n2", "highcpu", 1, "x86_64", (4, 8, 16), None),
    ("n2d", "standard", 4, "x86_64", (2, 4, 8, 16), None),
    ("e2", "standard", 4, "x86_64", (2, 4, 8, 16), None),
    ("c3", "standard", 4, "x86_64", (4, 8), _C3_REGIONS),
    ("t2a", "standard", 4, "arm64", (1, 2, 4, 8), _T2A_REGIONS),
)

_AWS_REGIONS = """
us-east-1 na abcdef; us-east-2 na abc; us-west-1 na ab; us-west-2 na abcd; ca-central-1 na abd; ca-west-1 na abc; mx-central-1 na abc; sa-east-1 sa abc;
eu-west-1 eu abc; eu-west-2 eu abcd; eu-west-3 eu abc; eu-central-1 eu abc; eu-central-2 eu abc; eu-north-1 eu abc; eu-south-1 eu abc; eu-south-2 eu abc;
ap-northeast-1 ap acd; ap-northeast-2 ap abcd; ap-northeast-3 ap abc; ap-south-1 ap abc; ap-south-2 ap abc; ap-southeast-1 ap abc; ap-southeast-2 oc abc;
ap-southeast-3 ap abc; ap-southeast-4 oc abc; ap-southeast-5 ap abc; ap-southeast-6 oc abc; ap-southeast-7 ap abc; ap-east-1 ap abc; ap-east-2 ap abc;
af-south-1 af abc; il-central-1 me abc; me-central-1 me abc; me-south-1 me abc
"""
_AZURE_REGIONS = """
eastus na; eastus2 na; centralus na; northcentralus na; southcentralus na; westcentralus na; westus na; westus2 na; westus3 na; canadacentral na;
canadaeast na; mexicocentral na; brazilsouth sa; chilecentral sa; northeurope eu; westeurope eu; uksouth eu; ukwest eu; francecentral eu;
germanywestcentral eu; italynorth eu; spaincentral eu; polandcentral eu; swedencentral eu; switzerlandnorth eu; norwayeast eu; austriaeast eu;
belgiumcentral eu; denmarkeast eu; australiaeast oc; australiasoutheast oc; newzealandnorth oc; japaneast ap; japanwest ap; koreacentral ap; koreasouth ap;
eastasia ap; southeastasia ap; malaysiawest ap; indonesiacentral ap; centralindia ap; southindia ap; westindia ap; southafricanorth af; uaenorth me;
qatarcentral me; israelcentral me
"""
_GCP_REGIONS = """
us-central1 na abcf; us-east1 na bcd; us-east4 na abc; us-east5 na abc; us-south1 na abc; us-west1 na abc; us-west2 na abc; us-west3 na abc;
us-west4 na abc; northamerica-northeast1 na abc; northamerica-northeast2 na abc; northamerica-south1 na abc; southamerica-east1 sa abc;
southamerica-west1 sa abc; europe-central2 eu abc; europe-north1 eu abc; europe-north2 eu abc; europe-southwest1 eu abc; europe-west1 eu bcd;
europe-west2 eu abc; europe-west3 eu abc; europe-west4 eu abc; europe-west6 eu abc; europe-west8 eu abc; europe-west9 eu abc; europe-west10 eu abc;
europe-west12 eu abc; asia-east1 ap abc; asia-east2 ap abc; asia-northeast1 ap abc; asia-northeast2 ap abc; asia-northeast3 ap abc; asia-south1 ap abc;
asia-south2 ap abc; asia-southeast1 ap abc; asia-southeast2 ap abc; australia-southeast1 oc abc; australia-southeast2 oc abc; me-central1 me abc;
me-central2 me abc; me-west1 me abc; africa-south1 af abc
"""


def _machine_list() -> Iterator[Machine]:
    for family, ratio, arch, sizes, network in _AWS_FAMILIES:
        for size in sizes.split():
            vcpu = _AWS_SIZES[size]
            name = f"{family}.{size}"
            yield Machine("aws", name, family, vcpu, ratio * vcpu, arch, network_gbps=_AWS_FASTER.get(name, network))
    yield from _AWS_ODD
    for family, pattern, ratio, arch, vcpus in _AZURE_FAMILIES:
        for vcpu in vcpus:
            disk = _AZURE_LOCAL_GIB_PER_VCPU.get(family, 0) * vcpu * _GB_PER_GIB
            yield Machine("azure", pattern.format(vcpu), family, vcpu, ratio * vcpu, arch, local_disk_gb=disk)
    yield from _AZURE_ODD
    for family, kind, ratio, arch, vcpus, only in _GCP_FAMILIES:
        for vcpu in vcpus:
            yield Machine("gcp", f"{family}-{kind}-{vcpu}", family, vcpu, ratio * vcpu, arch, only=only)


def _region_list() -> Iterator[Region]:
    for cloud, table, zone_format in (("aws", _AWS_REGIONS, "{region}{letter}"), ("azure", _AZURE_REGIONS, "-"), ("gcp", _GCP_REGIONS, "{region}-{letter}")):
        for row in table.split(";"):
            name, area, *letters = row.split()
            zones = tuple(zone_format.format(region=name, letter=letter) for letter in letters[0]) if letters else ("-",)
            yield Region(cast(CloudName, cloud), name, cast(Area, area), zones)


CATALOG = Catalog(tuple(_machine_list()), tuple(_region_list()))
"""The catalogue in use."""
