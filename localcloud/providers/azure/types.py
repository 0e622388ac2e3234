"""The ARM types that the local cloud makes: where each stands, at which API version, and how its properties nest on the wire.

azure-native flattens a resource's ``properties`` into its inputs; here they are put back. API versions are those of azure-native 3.29's default modules
(https://learn.microsoft.com/rest/api/azure/).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.providers.values import Props

_TOP = frozenset({"location", "tags", "zones", "identity", "sku", "plan", "kind", "extendedLocation"})


@dataclass(frozen=True)
class ArmType:
    """``path`` is formatted with the inputs and ``subscription``; ``parents`` are inputs that stand in the path only."""

    path: str
    version: str
    parents: tuple[str, ...]
    children: frozenset[str] = frozenset()
    """Properties whose objects are resources themselves: ``{name, id, properties: {…}}``."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Inputs that are called otherwise on the wire."""
    whole: bool = False
    """The inputs are the body as they are (``properties`` is one of them)."""
    shaped: Callable[[dict[str, Any]], dict[str, Any]] = field(default=lambda body: body)


_GROUP = "/subscriptions/{subscription}/resourceGroups/{resourceGroupName}"
_NETWORK = f"{_GROUP}/providers/Microsoft.Network"


def _identities(body: dict[str, Any]) -> dict[str, Any]:
    """The list of identities as ARM's map of id to an empty object."""
    given = (body.get("identity") or {}).get("userAssignedIdentities")
    if isinstance(given, list):
        body["identity"] = {**body["identity"], "userAssignedIdentities": {one: {} for one in given}}
    return body


TYPES: dict[str, ArmType] = {
    "azure-native:subscription:Alias": ArmType("/providers/Microsoft.Subscription/aliases/{aliasName}", "2021-10-01", ("aliasName",), whole=True),
    "azure-native:authorization:PolicyAssignment": ArmType(
        "{scope}/providers/Microsoft.Authorization/policyAssignments/{policyAssignmentName}", "2025-01-01", ("scope", "policyAssignmentName")
    ),
    "azure-native:authorization:PolicyDefinition": ArmType(
        "/subscriptions/{subscription}/providers/Microsoft.Authorization/policyDefinitions/{policyDefinitionName}", "2025-01-01", ("policyDefinitionName",)
    ),
    "azure-native:authorization:RoleDefinition": ArmType(
        "{scope}/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionId}",
        "2022-05-01-preview",
        ("scope", "roleDefinitionId"),
        renamed={"roleType": "type"},
    ),
    "azure-native:authorization:RoleAssignment": ArmType(
        "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}", "2022-04-01", ("scope", "roleAssignmentName")
    ),
    "azure-native:resources:ResourceGroup": ArmType(_GROUP, "2024-11-01", ("resourceGroupName",)),
    "azure-native:network:VirtualNetwork": ArmType(
        f"{_NETWORK}/virtualNetworks/{{virtualNetworkName}}", "2024-05-01", ("resourceGroupName", "virtualNetworkName"), frozenset({"subnets"})
    ),
    "azure-native:network:Subnet": ArmType(
        f"{_NETWORK}/virtualNetworks/{{virtualNetworkName}}/subnets/{{subnetName}}",
        "2024-05-01",
        ("resourceGroupName", "virtualNetworkName", "subnetName"),
        frozenset({"networkSecurityGroup", "routeTable"}),
    ),
    "azure-native:network:NetworkSecurityGroup": ArmType(
        f"{_NETWORK}/networkSecurityGroups/{{networkSecurityGroupName}}",
        "2024-05-01",
        ("resourceGroupName", "networkSecurityGroupName"),
        frozenset({"securityRules"}),
    ),
    "azure-native:network:PublicIPAddress": ArmType(
        f"{_NETWORK}/publicIPAddresses/{{publicIpAddressName}}", "2024-05-01", ("resourceGroupName", "publicIpAddressName")
    ),
    "azure-native:network:NatGateway": ArmType(f"{_NETWORK}/natGateways/{{natGatewayName}}", "2024-05-01", ("resourceGroupName", "natGatewayName")),
    "azure-native:network:NetworkInterface": ArmType(
        f"{_NETWORK}/networkInterfaces/{{networkInterfaceName}}",
        "2024-05-01",
        ("resourceGroupName", "networkInterfaceName"),
        frozenset({"ipConfigurations", "subnet", "networkSecurityGroup", "publicIPAddress"}),
    ),
    "azure-native:managedidentity:UserAssignedIdentity": ArmType(
        f"{_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{{resourceName}}", "2023-01-31", ("resourceGroupName", "resourceName")
    ),
    "azure-native:compute:VirtualMachine": ArmType(
        f"{_GROUP}/providers/Microsoft.Compute/virtualMachines/{{vmName}}", "2024-11-01", ("resourceGroupName", "vmName"), shaped=_identities
    ),
}


def body_of(kind: ArmType, inputs: Props) -> dict[str, Any]:
    """The request's body: what ARM keeps at the top, the rest under ``properties``."""
    given = {name: value for name, value in inputs.items() if name not in kind.parents and not name.startswith("__") and value is not None}
    if kind.whole:
        return given
    body = _nested(given, kind, top=_TOP)
    return kind.shaped(body)


def _nested(values: Mapping[str, Any], kind: ArmType, top: frozenset[str]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for name, value in values.items():
        target = body if name in top else properties
        target[kind.renamed.get(name, name)] = _child(name, value, kind)
    if properties:
        body["properties"] = properties
    return body


def _child(name: str, value: Any, kind: ArmType) -> Any:
    if name in kind.children:
        if isinstance(value, list):
            return [_child(name, item, kind) for item in value]
        if isinstance(value, Mapping):
            return _nested(value, kind, top=frozenset({"id", "name", "tags", "location", "zones"}))
    if isinstance(value, Mapping):
        return {key: _child(key, item, kind) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_child("", item, kind) for item in value]
    return value


def outputs_of(kind: ArmType, answer: Mapping[str, Any]) -> Props:
    """A resource as azure-native shows it: ``properties`` flattened, in it and in the resources it holds."""
    if kind.whole:
        return dict(answer)
    back = {wire: name for name, wire in kind.renamed.items()}
    properties = answer.get("properties") or {}
    found = {name: value for name, value in answer.items() if name != "properties"}
    found |= {back.get(name, name): _flat(value) for name, value in properties.items()}
    return found


def _flat(value: Any) -> Any:
    if isinstance(value, list):
        return [_flat(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    inner = value.get("properties")
    if isinstance(inner, Mapping) and ("id" in value or "name" in value):
        return {**{key: item for key, item in value.items() if key != "properties"}, **{key: _flat(item) for key, item in inner.items()}}
    return {key: _flat(item) for key, item in value.items()}
