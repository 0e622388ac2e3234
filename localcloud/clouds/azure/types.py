"""The ARM types that this product uses: how each behaves, and what the platform adds to a resource of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from localcloud.clouds.azure.errors import ArmError
from localcloud.clouds.documents import Json, made_up_uuid

TENANT = "72f988bf-0000-4000-8000-2d7cd011db47"
"""The directory that all subscriptions of the local cloud trust."""

Fill = Callable[[str, Json], None]
"""``(id, body)``: adds the platform's own properties to a new or changed resource."""


@dataclass(frozen=True)
class ArmType:
    """A resource type. ``asynchronous``: creation and deletion are long-running operations. ``embedded``: (property of the parent, child type)."""

    name: str
    located: bool = True
    asynchronous: bool = False
    fill: Fill = field(default=lambda resource_id, body: None)
    embedded: tuple[str, str] | None = None
    in_use_code: str = ""


def _subnets(resource_id: str, body: Json) -> None:
    properties = body["properties"]
    space = [_network(prefix) for prefix in properties.get("addressSpace", {}).get("addressPrefixes", [])]
    if not space:
        raise ArmError(400, "InvalidRequestFormat", "Virtual network's addressSpace.addressPrefixes must not be empty.")
    subnets = properties.setdefault("subnets", [])
    for subnet in subnets:
        subnet["id"] = f"{resource_id}/subnets/{subnet['name']}"
        check_subnet(subnet, space, [other for other in subnets if other is not subnet])
        subnet["type"] = "Microsoft.Network/virtualNetworks/subnets"
        subnet["properties"] = {"privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled"} | subnet["properties"]
        subnet["properties"]["provisioningState"] = "Succeeded"
    properties.setdefault("enableDdosProtection", False)
    properties["resourceGuid"] = made_up_uuid(resource_id, "guid")


def check_subnet(subnet: Json, space: list[ipaddress.IPv4Network | ipaddress.IPv6Network], others: list[Json]) -> None:
    """Refuses a subnet outside its network's address space, or one that overlaps another. Raises :class:`ArmError`."""
    for network in _prefixes(subnet):
        if not any(network.version == whole.version and network.subnet_of(whole) for whole in space):  # type: ignore[arg-type]  # of the same version
            raise ArmError(
                400,
                "NetcfgInvalidSubnet",
                f"Subnet '{subnet['name']}' is not valid because its IP address range is outside the IP address range of virtual network.",
            )
        for other in others:
            if any(network.overlaps(taken) for taken in _prefixes(other)):
                raise ArmError(
                    400,
                    "NetcfgSubnetRangesOverlap",
                    f"Subnet '{subnet['name']}' is not valid because its IP address range overlaps with that of an existing subnet in virtual network.",
                )


def _prefixes(subnet: Json) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    properties = subnet.setdefault("properties", {})
    for prefix in [properties.get("addressPrefix"), *properties.get("addressPrefixes", [])]:
        if prefix:
            yield _network(prefix)


def _network(prefix: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(prefix)
    except ValueError as error:
        raise ArmError(
            400, "InvalidAddressPrefixFormat", f"Address prefix {prefix} is not formatted correctly. It should follow CIDR notation, for example 10.0.0.0/24."
        ) from error


_DEFAULT_RULES = (
    ("AllowVnetInBound", "Inbound", "Allow", 65000, "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", "Inbound", "Allow", 65001, "AzureLoadBalancer", "*"),
    ("DenyAllInBound", "Inbound", "Deny", 65500, "*", "*"),
    ("AllowVnetOutBound", "Outbound", "Allow", 65000, "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", "Outbound", "Allow", 65001, "*", "Internet"),
    ("DenyAllOutBound", "Outbound", "Deny", 65500, "*", "*"),
)


def _security_group(resource_id: str, body: Json) -> None:
    properties = body["properties"]
    taken: dict[tuple[Any, Any], str] = {}
    for rule in properties.setdefault("securityRules", []):
        rule["id"] = f"{resource_id}/securityRules/{rule['name']}"
        rule["type"] = "Microsoft.Network/networkSecurityGroups/securityRules"
        rule["properties"]["provisioningState"] = "Succeeded"
        place = (rule["properties"].get("direction"), rule["properties"].get("priority"))
        if place in taken:
            raise ArmError(
                400,
                "SecurityRuleConflict",
                f"Security rule {rule['name']} conflicts with rule {taken[place]}. Rules cannot have the same Priority and Direction.",
            )
        taken[place] = rule["name"]
    properties["defaultSecurityRules"] = [
        {
            "name": name,
            "id": f"{resource_id}/defaultSecurityRules/{name}",
            "properties": {"provisioningState": "Succeeded", "direction": direction, "access": access, "priority": priority, "protocol": "*"}
            | {"sourcePortRange": "*", "destinationPortRange": "*", "sourceAddressPrefix": source, "destinationAddressPrefix": target},
        }
        for name, direction, access, priority, source, target in _DEFAULT_RULES
    ]
    properties["resourceGuid"] = made_up_uuid(resource_id, "guid")


def _public_address(resource_id: str, body: Json) -> None:
    properties = body["properties"]
    body.setdefault("sku", {"name": "Standard", "tier": "Regional"}).setdefault("tier", "Regional")
    properties.setdefault("publicIPAddressVersion", "IPv4")
    properties.setdefault("publicIPAllocationMethod", "Static" if body["sku"].get("name") == "Standard" else "Dynamic")
    properties.setdefault("idleTimeoutInMinutes", 4)
    if body["sku"].get("name") == "Standard" and properties["publicIPAllocationMethod"] != "Static":
        raise ArmError(400, "StandardSkuPublicIPAddressesMustBeStatic", f"Standard sku publicIp {resource_id} must have AllocationMethod set to Static.")
    properties["resourceGuid"] = made_up_uuid(resource_id, "guid")


def _gateway(resource_id: str, body: Json) -> None:
    body.setdefault("sku", {"name": "Standard"})
    body["properties"].setdefault("idleTimeoutInMinutes", 4)
    body["properties"]["resourceGuid"] = made_up_uuid(resource_id, "guid")


def _interface(resource_id: str, body: Json) -> None:
    properties = body["properties"]
    configurations = properties.get("ipConfigurations") or []
    if not configurations:
        raise ArmError(400, "NetworkInterfaceMustHaveIpConfiguration", f"Network interface {resource_id} must have one or more IP configurations.")
    number = int(made_up_uuid(resource_id)[:8], 16)
    for index, configuration in enumerate(configurations):
        inner = configuration.setdefault("properties", {})
        configuration["id"] = f"{resource_id}/ipConfigurations/{configuration['name']}"
        inner.setdefault("privateIPAllocationMethod", "Dynamic")
        inner.setdefault("privateIPAddressVersion", "IPv4")
        inner.setdefault("primary", index == 0)
        inner["provisioningState"] = "Succeeded"
    properties.setdefault("enableAcceleratedNetworking", False)
    properties.setdefault("enableIPForwarding", False)
    properties["macAddress"] = "00-0D-3A-" + "-".join(f"{number >> shift & 255:02X}" for shift in (16, 8, 0))
    properties["resourceGuid"] = made_up_uuid(resource_id, "guid")


def _identity(resource_id: str, body: Json) -> None:
    body["properties"] |= {"tenantId": TENANT, "principalId": made_up_uuid(resource_id, "principal"), "clientId": made_up_uuid(resource_id, "client")}


def _role_definition(resource_id: str, body: Json) -> None:
    body["properties"].setdefault("type", "CustomRole")


def _role_assignment(resource_id: str, body: Json) -> None:
    body["properties"].setdefault("scope", resource_id.rpartition("/providers/")[0] or "/")


def _policy_definition(resource_id: str, body: Json) -> None:
    body["properties"].setdefault("policyType", "Custom")
    body["properties"].setdefault("mode", "Indexed")


def _policy_assignment(resource_id: str, body: Json) -> None:
    body["properties"].setdefault("scope", resource_id.rpartition("/providers/")[0])
    body["properties"].setdefault("enforcementMode", "Default")
    identity = body.get("identity")
    if identity and identity.get("type") == "SystemAssigned":
        identity |= {"principalId": made_up_uuid(resource_id, "principal"), "tenantId": TENANT}


def _budget(resource_id: str, body: Json) -> None:
    properties = body["properties"]
    missing = [name for name in ("amount", "category", "timeGrain", "timePeriod") if properties.get(name) is None]
    if missing:
        raise ArmError(400, "400", f"Budget needs {', '.join(missing)}.")
    if not str(properties["timePeriod"].get("startDate", ""))[:10].endswith("-01"):
        raise ArmError(400, "400", "The start date must be the first of a month.")
    properties.setdefault("currentSpend", {"amount": 0, "unit": "USD"})


def _vault(resource_id: str, body: Json) -> None:
    properties = body["properties"]
    properties.setdefault("vaultUri", f"https://{resource_id.rpartition('/')[2]}.vault.azure.net/")
    properties["provisioningState"] = "Succeeded"


def _key(resource_id: str, body: Json) -> None:
    """A key has versions; this one has had one since it was made."""
    parts = resource_id.split("/")
    uri = f"https://{parts[-3]}.vault.azure.net/keys/{parts[-1]}"
    body["properties"] |= {"keyUri": uri, "keyUriWithVersion": f"{uri}/{made_up_uuid(resource_id, 'version').replace('-', '')}"}


def _encryption_set(resource_id: str, body: Json) -> None:
    properties = body["properties"]
    if not (properties.get("activeKey") or {}).get("keyUrl"):
        raise ArmError(400, "InvalidParameter", "Required parameter 'activeKey.keyUrl' is missing (null).")
    properties.setdefault("previousKeys", [])


def _storage_account(resource_id: str, body: Json) -> None:
    name = resource_id.rpartition("/")[2]
    if not (3 <= len(name) <= 24 and name.isalnum() and name == name.lower()):
        message = f"{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use"
        raise ArmError(400, "AccountNameInvalid", message + " numbers and lower-case letters only.")
    properties = body["properties"]
    properties.setdefault("allowSharedKeyAccess", True)
    properties["primaryEndpoints"] = {"blob": f"https://{name}.blob.core.windows.net/"}
    properties["primaryLocation"] = body["location"]
    properties["provisioningState"] = "Succeeded"


def _plain(resource_id: str, body: Json) -> None:
    """Nothing to add."""


TYPES = {
    kind.name.lower(): kind
    for kind in (
        ArmType(
            "Microsoft.Network/virtualNetworks", True, True, _subnets, ("subnets", "Microsoft.Network/virtualNetworks/subnets"), "InUseSubnetCannotBeDeleted"
        ),
        ArmType("Microsoft.Network/virtualNetworks/subnets", False, True, _plain, None, "InUseSubnetCannotBeDeleted"),
        ArmType(
            "Microsoft.Network/networkSecurityGroups",
            True,
            True,
            _security_group,
            ("securityRules", "Microsoft.Network/networkSecurityGroups/securityRules"),
            "InUseNetworkSecurityGroupCannotBeDeleted",
        ),
        ArmType("Microsoft.Network/networkSecurityGroups/securityRules", False, True),
        ArmType("Microsoft.Network/publicIPAddresses", True, True, _public_address, None, "PublicIPAddressCannotBeDeleted"),
        ArmType("Microsoft.Network/natGateways", True, True, _gateway, None, "InUseNatGatewayCannotBeDeleted"),
        ArmType("Microsoft.Network/networkInterfaces", True, True, _interface, None, "NicInUse"),
        ArmType("Microsoft.Network/routeTables", True, True, _plain, None, "InUseRouteTableCannotBeDeleted"),
        ArmType("Microsoft.ManagedIdentity/userAssignedIdentities", True, False, _identity),
        ArmType("Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials", False, False),
        ArmType("Microsoft.Compute/virtualMachines", True, True),
        ArmType("Microsoft.Network/networkWatchers", True, False),
        ArmType("Microsoft.Network/networkWatchers/flowLogs", True, True),
        ArmType("Microsoft.Consumption/budgets", False, False, _budget),
        ArmType("Microsoft.KeyVault/vaults", True, False, _vault),
        ArmType("Microsoft.KeyVault/vaults/keys", False, False, _key),
        ArmType("Microsoft.Compute/diskEncryptionSets", True, True, _encryption_set, None, "OperationNotAllowed"),
        ArmType("Microsoft.Storage/storageAccounts", True, False, _storage_account),
        ArmType("Microsoft.Compute/disks", True, True, _plain, None, "OperationNotAllowed"),
        ArmType("Microsoft.Authorization/policyAssignments", False, False, _policy_assignment),
        ArmType("Microsoft.Authorization/policyDefinitions", False, False, _policy_definition, None, "PolicyDefinitionAssigned"),
        ArmType("Microsoft.Authorization/policySetDefinitions", False, False, _policy_definition),
        ArmType("Microsoft.Authorization/roleDefinitions", False, False, _role_definition, None, "RoleDefinitionHasAssignments"),
        ArmType("Microsoft.Authorization/roleAssignments", False, False, _role_assignment),
        ArmType("Microsoft.Authorization/locks", False, False),
    )
}


def references(body: Any) -> Iterator[str]:
    """Every resource that ``body`` names: ``{"id": "/subscriptions/…"}`` anywhere, and the policy or role definition of an assignment."""
    if isinstance(body, dict):
        for key, value in body.items():
            if isinstance(value, str) and value.startswith("/") and (key in ("id", "policyDefinitionId", "roleDefinitionId")):
                yield value
            elif key == "userAssignedIdentities" and isinstance(value, dict):
                yield from value
            else:
                yield from references(value)
    elif isinstance(body, list):
        for value in body:
            yield from references(value)
