"""The ARM types in use: where each lives, its API version (that of pulumi-azure-native 3), and which inputs stand beside ``properties``.

Versions and paths: the docstrings of the installed SDK ("Uses Azure REST API version …", "Import").
"""

from __future__ import annotations

from dataclasses import dataclass, field

_TOP = frozenset({"location", "tags", "zones", "sku", "identity", "plan", "extendedLocation", "managedBy", "kind", "placement"})
"""Fields of a resource that stand beside ``properties`` (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types)."""

_GROUP = "/subscriptions/{subscription}/resourceGroups/{resourceGroupName}"


@dataclass(frozen=True)
class ArmType:
    """``path`` with its inputs in braces; ``whole`` takes ``properties`` as one input; ``renamed`` maps an input to its name under ``properties``.

    Outputs of a ``shown_flat`` type stand flat though its inputs are one. ``embedded`` are children that a PUT without them
    would remove, though they may be resources of their own.
    """

    path: str
    version: str
    whole: bool = False
    renamed: dict[str, str] = field(default_factory=dict)
    embedded: tuple[str, ...] = ()
    located: bool = False
    shown_flat: bool = False
    top: frozenset[str] = _TOP

    @property
    def parameters(self) -> tuple[str, ...]:
        """The inputs that the path is made of."""
        return tuple(part.split("}")[0] for part in self.path.split("{")[1:] if not part.startswith("subscription}"))


def _network(collection: str, name: str, *embedded: str) -> ArmType:
    return ArmType(f"{_GROUP}/providers/Microsoft.Network/{collection}/{{{name}}}", "2024-05-01", embedded=embedded, located=True)


_STORAGE = {"enableHttpsTrafficOnly": "supportsHttpsTrafficOnly", "networkRuleSet": "networkAcls"}

TYPES: dict[str, ArmType] = {
    "azure-native:subscription:Alias": ArmType("/providers/Microsoft.Subscription/aliases/{aliasName}", "2024-08-01-preview", whole=True),
    "azure-native:authorization:PolicyAssignment": ArmType(
        "/{scope}/providers/Microsoft.Authorization/policyAssignments/{policyAssignmentName}", "2025-01-01", top=frozenset({"location", "identity"})
    ),
    "azure-native:authorization:PolicyDefinition": ArmType(
        "/subscriptions/{subscription}/providers/Microsoft.Authorization/policyDefinitions/{policyDefinitionName}", "2025-01-01", top=frozenset()
    ),
    "azure-native:authorization:RoleDefinition": ArmType(
        "/{scope}/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionId}", "2022-05-01-preview", renamed={"roleType": "type"}, top=frozenset()
    ),
    "azure-native:authorization:RoleAssignment": ArmType(
        "/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}", "2022-04-01", top=frozenset()
    ),
    "azure-native:consumption:Budget": ArmType(
        "/{scope}/providers/Microsoft.Consumption/budgets/{budgetName}", "2024-08-01", renamed={}, top=frozenset({"eTag"})
    ),
    "azure-native:keyvault:Vault": ArmType(f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}", "2024-11-01", whole=True, located=True),
    "azure-native:keyvault:Key": ArmType(
        f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}/keys/{{keyName}}", "2024-11-01", whole=True, shown_flat=True
    ),
    "azure-native:compute:DiskEncryptionSet": ArmType(
        f"{_GROUP}/providers/Microsoft.Compute/diskEncryptionSets/{{diskEncryptionSetName}}", "2024-03-02", located=True
    ),
    "azure-native:storage:StorageAccount": ArmType(
        f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/{{accountName}}",
        "2024-01-01",
        renamed=_STORAGE,
        located=True,
    ),
    "azure-native:network:FlowLog": ArmType(
        f"{_GROUP}/providers/Microsoft.Network/networkWatchers/{{networkWatcherName}}/flowLogs/{{flowLogName}}", "2024-05-01", located=True
    ),
    "azure-native:resources:ResourceGroup": ArmType("/subscriptions/{subscription}/resourceGroups/{resourceGroupName}", "2024-03-01", located=True),
    "azure-native:network:VirtualNetwork": _network("virtualNetworks", "virtualNetworkName", "subnets", "virtualNetworkPeerings"),
    "azure-native:network:Subnet": ArmType(
        f"{_GROUP}/providers/Microsoft.Network/virtualNetworks/{{virtualNetworkName}}/subnets/{{subnetName}}",
        "2024-05-01",
        top=frozenset({"name", "type", "id"}),
    ),
    "azure-native:network:NetworkSecurityGroup": _network("networkSecurityGroups", "networkSecurityGroupName", "securityRules"),
    "azure-native:network:PublicIPAddress": _network("publicIPAddresses", "publicIpAddressName"),
    "azure-native:network:NatGateway": _network("natGateways", "natGatewayName"),
    "azure-native:network:NetworkInterface": _network("networkInterfaces", "networkInterfaceName"),
    "azure-native:managedidentity:UserAssignedIdentity": ArmType(
        f"{_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{{resourceName}}", "2023-01-31", located=True
    ),
    "azure-native:compute:VirtualMachine": ArmType(f"{_GROUP}/providers/Microsoft.Compute/virtualMachines/{{vmName}}", "2024-11-01", located=True),
}

NESTED: dict[str, frozenset[str]] = {
    name: frozenset(top.split())
    for name, top in {
        "SecurityRule": "id name type",
        "Subnet": "id name type",
        "Route": "id name type",
        "RouteTable": "id location tags",
        "NetworkSecurityGroup": "id location tags",
        "NatGateway": "id location tags sku zones",
        "PublicIPAddress": "id location tags sku zones extendedLocation",
        "ApplicationSecurityGroup": "id location tags",
        "Delegation": "id name type",
        "VirtualNetworkPeering": "id name type",
        "NetworkInterfaceIPConfiguration": "id name type",
        "NetworkInterfaceReference": "id",
        "VirtualMachineNetworkInterfaceConfiguration": "name tags",
        "VirtualMachineNetworkInterfaceIPConfiguration": "name",
        "VirtualMachinePublicIPAddressConfiguration": "name sku tags",
    }.items()
}
"""Nested types whose properties azure-native shows flat though ARM keeps them under ``properties`` (``x-ms-client-flatten``); what stays beside it."""
