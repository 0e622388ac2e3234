"""Virtual machines: what the Compute resource provider checks, adds and runs."""

from __future__ import annotations

from typing import Any

from domain.catalog import CATALOG
from localcloud.clouds.azure import networks
from localcloud.clouds.azure.errors import ArmError
from localcloud.clouds.capacity import SpotMarket, ask
from localcloud.clouds.documents import Document, Documents, Json, made_up_uuid
from localcloud.hosts.cloudinit import decoded
from localcloud.hosts.room import Machine, MachineRoom, MachineSpec

VM = "Microsoft.Compute/virtualMachines"
DISK = "Microsoft.Compute/disks"

SPOT_VCPUS = 100
"""Of a subscription in a location. Azure's own default is 3 to 100, by the kind of its offer."""

_FIXED = (
    ("priority",),
    ("osProfile", "computerName"),
    ("osProfile", "adminUsername"),
    ("storageProfile", "imageReference"),
    ("storageProfile", "osDisk", "name"),
)
"""Properties that a virtual machine keeps for life."""


class VirtualMachines:
    """The virtual machines of all subscriptions in ``documents``."""

    def __init__(self, documents: Documents, room: MachineRoom, market: SpotMarket) -> None:
        self._documents = documents
        self._room = room
        self._market = market

    def create(self, resource_id: str, subscription: str, body: Json) -> tuple[Json, Json, ArmError | None]:
        """Checks a new machine and starts it: its body, what isn't shown of it, and why allocation failed, if it did (the resource then stays, as in
        Azure, with provisioningState Failed). Raises :class:`ArmError` for what ARM refuses at once."""
        properties = body["properties"]
        size = properties.get("hardwareProfile", {}).get("vmSize")
        if not size:
            raise ArmError(400, "InvalidParameter", "Required parameter 'hardwareProfile.vmSize' is missing (null).")
        if not CATALOG.has_machine("azure", size):
            raise ArmError(
                400,
                "InvalidParameter",
                f"The value {size} provided for the VM size is not valid. The valid sizes in the current region are those of `az vm list-sizes`.",
            )
        interfaces = properties.get("networkProfile", {}).get("networkInterfaces") or []
        if not interfaces:
            raise ArmError(400, "InvalidParameter", "Required parameter 'networkProfile.networkInterfaces' is missing (null).")
        for interface in interfaces:
            self._check_interface(resource_id, interface["id"])
        spot = properties.get("priority") == "Spot"
        failure = self._allocate(body["location"], size, properties, bool(body.get("zones"))) if spot else None
        name = resource_id.rpartition("/")[2]
        properties["vmId"] = made_up_uuid(resource_id, self._documents.next_number())
        hidden = {"customData": properties.get("osProfile", {}).pop("customData", ""), "userData": properties.pop("userData", "")}
        self._fill(resource_id, name, body)
        for interface in interfaces:
            self._attach(interface["id"], resource_id)
        self._make_disk(resource_id, subscription, body)
        if failure is None:
            self._start(resource_id, subscription, body, hidden, spot)
        return body, hidden, failure

    def usages(self, subscription: str, location: str) -> list[Json]:
        """What the subscription uses of its spot quota in a location (Compute, "Usage - List"), in vCPUs."""
        spot = [one for one in self._documents.of(VM, subscription) if one.body["location"] == location and one.body["properties"].get("priority") == "Spot"]
        used = sum(CATALOG.machine("azure", one.body["properties"]["hardwareProfile"]["vmSize"]).vcpu for one in spot)
        name = {"value": "lowPriorityCores", "localizedValue": "Total Regional Spot vCPUs"}
        return [{"unit": "Count", "currentValue": used, "limit": SPOT_VCPUS, "name": name}]

    def update(self, document: Document, body: Json) -> Json:
        """The body of a machine that a PUT changes; what it can't change is refused. Raises :class:`ArmError`."""
        old, new = document.body["properties"], body["properties"]
        for path in _FIXED:
            was, wanted = _at(old, path), _at(new, path)
            if wanted is not None and was is not None and not _covers(was, wanted):
                raise ArmError(409, "PropertyChangeNotAllowed", f"Changing property '{'.'.join(path)}' is not allowed.")
        size = new.get("hardwareProfile", {}).get("vmSize")
        if size and size != old["hardwareProfile"]["vmSize"]:
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Unable to resize the VM to {size}: the hardware cluster of the allocated VM does not support it. Deallocate the VM first.",
            )
        sent = new.get("osProfile", {}).get("customData")
        if sent and sent != document.hidden.get("customData"):
            raise ArmError(409, "PropertyChangeNotAllowed", "Changing property 'osProfile.customData' is not allowed.")
        merged = {**document.body, **{key: value for key, value in body.items() if key != "properties"}}
        merged["properties"] = {**old, **{key: new[key] for key in ("billingProfile", "diagnosticsProfile", "extensionsTimeBudget") if key in new}}
        self._fill(document.key, document.key.rpartition("/")[2], merged)
        return merged

    def instance_view(self, document: Document) -> Json:
        """The machine's run-time state."""
        machine = self._room.get(document.body["properties"]["vmId"])
        power = "running" if machine is not None and machine.living else "deallocated"
        return {
            "statuses": [
                {"code": "ProvisioningState/succeeded", "level": "Info", "displayStatus": "Provisioning succeeded"},
                {"code": f"PowerState/{power}", "level": "Info", "displayStatus": f"VM {power}"},
            ]
        }

    def delete(self, document: Document) -> None:
        """Stops the machine; its disks and interfaces go with it where their deleteOption says so."""
        self._room.stop(document.body["properties"]["vmId"])
        properties = document.body["properties"]
        for interface in properties.get("networkProfile", {}).get("networkInterfaces") or []:
            found = self._documents.get(interface["id"])
            if found is None:
                continue
            if interface.get("properties", {}).get("deleteOption") == "Delete":
                self._documents.delete(found.key)
            else:
                found.body["properties"].pop("virtualMachine", None)
                self._documents.put(found.key, found.kind, found.account, found.body)
        disk = properties["storageProfile"]["osDisk"]
        found = self._documents.get(disk["managedDisk"]["id"])
        if found is not None and disk.get("deleteOption") == "Delete":
            self._documents.delete(found.key)
        elif found is not None:
            found.body.pop("managedBy", None)
            found.body["properties"]["diskState"] = "Unattached"
            self._documents.put(found.key, found.kind, found.account, found.body)
        self._documents.delete(document.key)

    def machine_gone(self, machine: Machine) -> None:
        """An evicted machine is deleted or deallocated, as its evictionPolicy says; one that ended by itself is deallocated."""
        with self._documents.lock:
            document = self._documents.get(machine.resource)
            if document is not None and machine.state == "interrupted" and document.body["properties"].get("evictionPolicy") == "Delete":
                self.delete(document)

    def deallocate(self, document: Document) -> None:
        """Powers the machine off and gives its capacity back."""
        self._room.stop(document.body["properties"]["vmId"])

    def restart(self, document: Document) -> ArmError | None:
        """Starts a deallocated machine again, if there is capacity."""
        properties = document.body["properties"]
        spot = properties.get("priority") == "Spot"
        failure = (
            self._allocate(document.body["location"], properties["hardwareProfile"]["vmSize"], properties, bool(document.body.get("zones"))) if spot else None
        )
        if failure is None:
            self._start(document.key, document.account, document.body, document.hidden, spot)
        return failure

    def _allocate(self, location: str, size: str, properties: Json, zonal: bool) -> ArmError | None:
        bid = properties.get("billingProfile", {}).get("maxPrice")
        answer = ask(self._market, "azure", location, "-", size, bid)
        if answer.verdict == "not_offered":
            message = f"The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {size}' is"
            message += f" currently not available in location '{location}'."
            raise ArmError(
                409,
                "SkuNotAvailable",
                f"{message} Please try another size or deploy to a different location or different zone. See https://aka.ms/azureskunotavailable for details.",
            )
        if answer.verdict == "price_too_low":
            message = f"Unable to perform operation 'Create VM' since the provided max price '{bid} USD' is"
            message += f" lower than the current spot price '{answer.price} USD' for Azure Spot VM size '{size}'."
            raise ArmError(409, "OperationNotAllowed", message + " For more information, see http://aka.ms/AzureSpot/errormessages")
        if answer.verdict == "no_capacity" and zonal:
            message = "Allocation failed. VM(s) with the following constraints cannot be allocated,"
            message += f" because the condition is too restrictive: Low Priority VMs, VM size {size}, Availability Zone."
            return ArmError(409, "OverconstrainedAllocationRequest", message)
        if answer.verdict == "no_capacity":
            message = "Allocation failed. We do not have sufficient capacity for the requested VM size in this region."
            message += " Read more about improving likelihood of allocation success"
            return ArmError(409, "AllocationFailed", message + " at http://aka.ms/allocation-guidance")
        return None

    def _check_interface(self, resource_id: str, interface_id: str) -> None:
        found = self._documents.get(interface_id)
        if found is None:
            raise ArmError(404, "NotFound", f"Network Interface {interface_id} was not found.")
        owner = found.body["properties"].get("virtualMachine", {}).get("id")
        if owner and owner.lower() != resource_id.lower():
            raise ArmError(400, "NetworkInterfaceInUse", f"Network Interface {interface_id} is already attached to VM {owner}.")

    def _attach(self, interface_id: str, resource_id: str) -> None:
        found = self._documents.get(interface_id)
        if found is not None:
            found.body["properties"]["virtualMachine"] = {"id": resource_id}
            self._documents.put(found.key, found.kind, found.account, found.body)

    def _fill(self, resource_id: str, name: str, body: Json) -> None:
        properties = body["properties"]
        properties["provisioningState"] = "Succeeded"
        storage = properties.setdefault("storageProfile", {})
        disk = storage.setdefault("osDisk", {})
        disk.setdefault("createOption", "FromImage")
        disk.setdefault("osType", "Linux")
        disk.setdefault("caching", "ReadWrite")
        disk.setdefault("diskSizeGB", 30)
        disk.setdefault("deleteOption", "Detach")
        disk.setdefault("name", f"{name}_OsDisk_1_{properties['vmId'].replace('-', '')}")
        scope = resource_id.rpartition("/providers/")[0]
        disk.setdefault("managedDisk", {"storageAccountType": "Premium_LRS"})["id"] = f"{scope}/providers/{DISK}/{disk['name']}"
        storage.setdefault("dataDisks", [])
        properties.get("osProfile", {}).pop("adminPassword", None)
        if "osProfile" in properties:
            properties["osProfile"].setdefault("secrets", [])
            properties["osProfile"].setdefault("allowExtensionOperations", True)
        for identity_id, identity in (body.get("identity", {}).get("userAssignedIdentities") or {}).items():
            found = self._documents.get(identity_id)
            if found is None:
                raise ArmError(
                    400, "FailedIdentityOperation", f"Identity operation for resource '{resource_id}' failed: the resource '{identity_id}' was not found."
                )
            identity |= {key: found.body["properties"][key] for key in ("principalId", "clientId")}

    def _make_disk(self, resource_id: str, subscription: str, body: Json) -> None:
        disk = body["properties"]["storageProfile"]["osDisk"]
        document = {
            "location": body["location"],
            "managedBy": resource_id,
            "sku": {"name": disk["managedDisk"].get("storageAccountType", "Premium_LRS")},
            "properties": {"osType": "Linux", "creationData": {"createOption": "FromImage"}, "diskSizeGB": disk["diskSizeGB"], "diskState": "Attached"}
            | {"provisioningState": "Succeeded", "uniqueId": body["properties"]["vmId"]},
        }
        self._documents.put(disk["managedDisk"]["id"], DISK, subscription, document)

    def _start(self, resource_id: str, subscription: str, body: Json, hidden: Json, spot: bool) -> None:
        properties: dict[str, Any] = body["properties"]
        user_data = decoded(hidden.get("customData") or hidden.get("userData") or "")
        zone = (body.get("zones") or ["-"])[0]
        image = properties["storageProfile"].get("imageReference", {})
        # A public address is the machine's own on this computer: it leads to what listens there.
        public = [address for one in properties["networkProfile"]["networkInterfaces"] if (address := networks.public_of(self._documents, one["id"]))]
        self._room.start(
            MachineSpec(
                properties["vmId"],
                "azure",
                subscription,
                body["location"],
                zone,
                properties["hardwareProfile"]["vmSize"],
                resource_id.rpartition("/")[2],
                user_data,
                spot,
                ":".join(str(image.get(key, "")) for key in ("publisher", "offer", "sku", "version")),
                resource=resource_id,
                address=public[0] if public else "",
            )
        )


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _covers(was: Any, wanted: Any) -> bool:
    """Whether ``wanted`` asks for nothing that ``was`` isn't already."""
    if isinstance(was, dict) and isinstance(wanted, dict):
        return all(_covers(was.get(key), value) for key, value in wanted.items())
    return bool(was == wanted)
