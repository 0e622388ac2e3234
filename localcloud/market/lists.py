"""What the price and metadata APIs tell beside prices of machines: egress tariffs and shapes, out of the catalogue, in each cloud's own form.

AWS: products of ``AWSDataTransfer``, and EC2's DescribeInstanceTypes. Azure: items of the service "Bandwidth", and Resource Manager's
``Microsoft.Compute/skus``. Google: SKUs of the family "Network", and ``machineTypes.aggregatedList``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from domain.catalog import CATALOG, Machine
from domain.network import TARIFFS, Tariff, transfer

_AZURE_METERS = (
    # product, meter, the tariff's part, the first units that are free
    ("Rtn Preference: MGN", "Standard Data Transfer Out", "internet", 100.0),
    ("Bandwidth - Routing Preference: Internet", "Standard Data Transfer Out", "internet", 100.0),
    ("Bandwidth Inter-Region", "Intra Continent Data Transfer Out", "area", 0.0),
    ("Bandwidth Inter-Region", "Inter Continent Data Transfer Out - NAM or EU To Any", "world", 0.0),
)
_ROUTED_BY_INTERNET = 0.92
"""Share of the price of what is routed over the public internet, which a reader has to leave out."""
_CONTINENTS = {"na": "Americas", "sa": "South America", "eu": "EMEA", "me": "Middle East", "af": "Africa", "ap": "APAC", "oc": "Australia"}


def aws_transfers(region: str) -> Iterator[tuple[dict[str, str], float, str]]:
    """Attributes, USD per GB and a text of each product of data leaving a region: to the internet (its first 100 GB are free elsewhere) and to each other."""
    place = CATALOG.region("aws", region)
    base = {"servicecode": "AWSDataTransfer", "servicename": "AWS Data Transfer", "fromRegionCode": region, "fromLocationType": "AWS Region"}
    yield {**base, "transferType": "AWS Outbound", "toLocation": "External", "toLocationType": "Other"}, TARIFFS["aws", place.area].internet, "External"
    for other in CATALOG.regions("aws"):
        if other.name != region:
            price = transfer(("aws", region, ""), ("aws", other.name, ""))
            yield {**base, "transferType": "InterRegion Outbound", "toRegionCode": other.name, "toLocationType": "AWS Region"}, price, other.name


def aws_instance_types() -> bytes:
    """EC2's answer to DescribeInstanceTypes, on one page: what this AWS sells, all of it as spot."""
    items = "".join(_aws_instance_type(machine) for machine in CATALOG.machines("aws"))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<DescribeInstanceTypesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>{uuid.uuid4()}</requestId><instanceTypeSet>{items}</instanceTypeSet></DescribeInstanceTypesResponse>"
    ).encode()


def _aws_instance_type(machine: Machine) -> str:
    disk = "<instanceStorageSupported>false</instanceStorageSupported>"
    if machine.local_disk_gb:
        disk = "<instanceStorageSupported>true</instanceStorageSupported>"
        disk += f"<instanceStorageInfo><totalSizeInGB>{machine.local_disk_gb:g}</totalSizeInGB></instanceStorageInfo>"
    gpus = f"<gpuInfo><gpus><item><name>{machine.gpu_type}</name><count>{machine.gpu}</count></item></gpus></gpuInfo>" if machine.gpu else ""
    card = f"<item><networkCardIndex>0</networkCardIndex><peakBandwidthInGbps>{machine.network_gbps}</peakBandwidthInGbps></item>"
    return (
        f"<item><instanceType>{machine.name}</instanceType><currentGeneration>true</currentGeneration><bareMetal>false</bareMetal><hypervisor>nitro</hypervisor>"
        "<supportedUsageClasses><item>on-demand</item><item>spot</item></supportedUsageClasses>"
        f"<processorInfo><supportedArchitectures><item>{machine.arch}</item></supportedArchitectures></processorInfo>"
        f"<vCpuInfo><defaultVCpus>{machine.vcpu}</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>{round(machine.memory_gib * 1024)}</sizeInMiB></memoryInfo>"
        f"{disk}{gpus}<networkInfo><networkCards>{card}</networkCards></networkInfo></item>"
    )


def azure_bandwidth(region: str) -> list[dict[str, Any]]:
    """Items of the Retail Prices API; a meter with free units has a tier at 0 that costs nothing."""
    tariff = TARIFFS["azure", CATALOG.region("azure", region).area]
    items = []
    for product, meter, part, free in _AZURE_METERS:
        price = float(getattr(tariff, part)) * (_ROUTED_BY_INTERNET if "Internet" in product else 1.0)
        for begin, usd in ([(0.0, 0.0)] if free else []) + [(free, price), (10_000.0 + free, price * 0.9)]:
            items.append(
                {
                    "currencyCode": "USD",
                    "tierMinimumUnits": begin,
                    "retailPrice": round(usd, 6),
                    "unitPrice": round(usd, 6),
                    "armRegionName": region,
                    "location": region,
                    "effectiveStartDate": "2023-01-01T00:00:00Z",
                    "meterId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{region}|{product}|{meter}|{begin}")),
                    "meterName": meter,
                    "productName": product,
                    "skuName": "Standard",
                    "serviceName": "Bandwidth",
                    "serviceFamily": "Networking",
                    "unitOfMeasure": "1 GB",
                    "type": "Consumption",
                    "isPrimaryMeterRegion": True,
                    "armSkuName": "",
                }
            )
    return items


def azure_skus(region: str) -> dict[str, Any]:
    """One page of ``Microsoft.Compute/skus`` of a region."""
    disk = {"resourceType": "disks", "name": "Premium_LRS", "locations": [region], "capabilities": [], "restrictions": []}
    return {"value": [disk, *(_azure_sku(machine, region) for machine in CATALOG.machines("azure"))]}


def _azure_sku(machine: Machine, region: str) -> dict[str, Any]:
    told = {
        "vCPUs": str(machine.vcpu),
        "MemoryGB": f"{machine.memory_gib:g}",
        "CpuArchitectureType": "Arm64" if machine.arch == "arm64" else "x64",
        **({"GPUs": str(machine.gpu)} if machine.gpu else {}),
    }
    return {
        "resourceType": "virtualMachines",
        "name": machine.name,
        "tier": "Standard",
        "size": machine.name.removeprefix("Standard_"),
        "family": f"standard{machine.family}Family",
        "locations": [region],
        "capabilities": [{"name": name, "value": value} for name, value in told.items()],
        "restrictions": [],
    }


def gcp_transfers(region: str) -> Iterator[tuple[str, str, float]]:
    """Description, resource group and USD per GiB of each SKU of data leaving a region."""
    tariff: Tariff = TARIFFS["gcp", CATALOG.region("gcp", region).area]
    here = _CONTINENTS[CATALOG.region("gcp", region).area]
    yield f"Network Internet Data Transfer Out from {here} to Americas", "PremiumInternetEgress", tariff.internet
    yield f"Network Internet Data Transfer Out from {here} to China", "PremiumInternetEgress", 0.23
    yield f"Network Inter Region Data Transfer Out from {here} to {here}", "InterregionEgress", tariff.area
    yield f"Network Inter Region Data Transfer Out from {here} to other continents", "InterregionEgress", tariff.world


def gcp_machine_types(project: str) -> dict[str, Any]:
    """One page of ``machineTypes.aggregatedList``."""
    items: dict[str, Any] = {}
    for region in CATALOG.regions("gcp"):
        for zone in region.zones:
            types = [
                {
                    "kind": "compute#machineType",
                    "name": machine.name,
                    "guestCpus": machine.vcpu,
                    "memoryMb": round(machine.memory_gib * 1024),
                    "architecture": "ARM64" if machine.arch == "arm64" else "X86_64",
                    "zone": zone,
                }
                for machine in CATALOG.machines("gcp")
                if machine.only is None or region.name in machine.only
            ]
            items[f"zones/{zone}"] = {"machineTypes": types}
    return {"kind": "compute#machineTypeAggregatedList", "id": f"projects/{project}/aggregated/machineTypes", "items": items}
