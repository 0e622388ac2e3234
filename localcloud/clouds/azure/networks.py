"""What Azure does around a virtual network by itself: addresses of interfaces, and the watcher of a region."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from localcloud.clouds.azure.errors import ArmError
from localcloud.clouds.documents import Documents, Json

INTERFACE = "Microsoft.Network/networkInterfaces"
NETWORK = "Microsoft.Network/virtualNetworks"
PUBLIC_ADDRESS = "Microsoft.Network/publicIPAddresses"
_GROUP = "Microsoft.Resources/resourceGroups"
_WATCHER = "Microsoft.Network/networkWatchers"
WATCHERS = "NetworkWatcherRG"
_KEPT_BY_AZURE = 4
"""The first addresses of a subnet: network, gateway and two of DNS (Virtual Network FAQ); the last one, too."""


def addressed(documents: Documents, resource_id: str, body: Json) -> None:
    """Gives each dynamic configuration of an interface an address of its subnet, the one that it had before where it had one. Raises :class:`ArmError`."""
    before = documents.get(resource_id)
    had = {one["name"]: one["properties"].get("privateIPAddress") for one in (before.body["properties"]["ipConfigurations"] if before else [])}
    for configuration in body["properties"]["ipConfigurations"]:
        inner = configuration["properties"]
        subnet = (inner.get("subnet") or {}).get("id")
        if subnet is None or inner.get("privateIPAddress"):
            continue
        inner["privateIPAddress"] = had.get(configuration["name"]) or _free(documents, subnet, resource_id)


def _free(documents: Documents, subnet: str, resource_id: str) -> str:
    parent, _, name = subnet.rpartition("/subnets/")
    network = documents.get(parent)
    found = next((one for one in network.body["properties"].get("subnets", []) if one["name"].lower() == name.lower()), None) if network else None
    if found is None:
        raise ArmError(400, "InvalidResourceReference", f"Resource {subnet} referenced by resource {resource_id} was not found.")
    properties = found["properties"]
    block = ipaddress.ip_network(properties.get("addressPrefix") or properties["addressPrefixes"][0])
    taken = set(_taken(documents, subnet))
    for number, host in enumerate(block):
        if number >= _KEPT_BY_AZURE and host != block.broadcast_address and str(host) not in taken:
            return str(host)
    raise ArmError(400, "SubnetIsFull", f"Subnet {name} with address prefix {block} does not have enough capacity for 1 IP addresses.")


def public(documents: Documents, resource_id: str, body: Json, reserve: Callable[[], str]) -> None:
    """Gives a public address its address, the one that it had before where it had one."""
    before = documents.get(resource_id)
    body["properties"]["ipAddress"] = before.body["properties"]["ipAddress"] if before else reserve()


def public_of(documents: Documents, interface_id: str) -> str:
    """The public address of an interface; empty where it has none."""
    found = documents.get(interface_id)
    for configuration in found.body["properties"].get("ipConfigurations", []) if found else []:
        address = documents.get(str((configuration["properties"].get("publicIPAddress") or {}).get("id", "")))
        if address is not None:
            return str(address.body["properties"]["ipAddress"])
    return ""


def _taken(documents: Documents, subnet: str) -> Iterator[str]:
    for document in documents.of(INTERFACE):
        for configuration in document.body["properties"].get("ipConfigurations", []):
            inner = configuration["properties"]
            if str((inner.get("subnet") or {}).get("id", "")).lower() == subnet.lower() and inner.get("privateIPAddress"):
                yield inner["privateIPAddress"]


def watched(documents: Documents, subscription: str, location: str) -> None:
    """Makes the region's watcher, as Azure does with the first network that a subscription has there."""
    group = f"/subscriptions/{subscription}/resourceGroups/{WATCHERS}"
    watcher = f"{group}/providers/{_WATCHER}/NetworkWatcher_{location}"
    done: Json = {"provisioningState": "Succeeded"}
    if documents.get(group) is None:
        documents.put(group, _GROUP, subscription, {"location": location, "tags": {}, "properties": done})
    if documents.get(watcher) is None:
        documents.put(watcher, _WATCHER, subscription, {"location": location, "tags": {}, "properties": done})


def azures_own(kind: str, key: str) -> bool:
    """Whether a resource is of those that Azure makes by itself and keeps."""
    return kind == _WATCHER or (kind == _GROUP and key.lower().endswith(f"/{WATCHERS.lower()}"))
