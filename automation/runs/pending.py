"""Creates that a dead engine left behind in a stack's state: what they would be called in their cloud, and the state with those that exist taken over. Pure.

The engine writes a create down as *pending* before it asks for it, without an id. Where the cloud lets the caller name things (Azure, Google, IAM) the id
follows from the inputs; where it draws ids itself (EC2, Cloudflare) the resource is looked for by its tags or name.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.orphans import CloudResource

Json = dict[str, Any]
TAGGED: Mapping[str, str] = {
    "aws:ec2/instance:Instance": "instance",
    "aws:ec2/launchTemplate:LaunchTemplate": "launch-template",
    "aws:ec2/vpc:Vpc": "vpc",
    "aws:ec2/subnet:Subnet": "subnet",
    "aws:ec2/internetGateway:InternetGateway": "internet-gateway",
    "aws:ec2/natGateway:NatGateway": "natgateway",
    "aws:ec2/eip:Eip": "elastic-ip",
    "aws:ec2/routeTable:RouteTable": "route-table",
    "aws:ec2/securityGroup:SecurityGroup": "security-group",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "vpc-endpoint",
    "aws:ec2/flowLog:FlowLog": "vpc-flow-log",
}
"""Types whose ids AWS draws, and EC2's word for them (DescribeTags, ``resourceType``)."""
_ARM_GROUP = "/subscriptions/{subscription}/resourceGroups/{resourceGroupName}"
NAMED: Mapping[str, str] = {
    "aws:iam/role:Role": "{name}",
    "aws:iam/instanceProfile:InstanceProfile": "{name}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:cloudwatch/logGroup:LogGroup": "{name}",
    "azure-native:resources:ResourceGroup": _ARM_GROUP,
    "azure-native:compute:VirtualMachine": _ARM_GROUP + "/providers/Microsoft.Compute/virtualMachines/{vmName}",
    "azure-native:compute:DiskEncryptionSet": _ARM_GROUP + "/providers/Microsoft.Compute/diskEncryptionSets/{diskEncryptionSetName}",
    "azure-native:network:NetworkInterface": _ARM_GROUP + "/providers/Microsoft.Network/networkInterfaces/{networkInterfaceName}",
    "azure-native:network:PublicIPAddress": _ARM_GROUP + "/providers/Microsoft.Network/publicIPAddresses/{publicIpAddressName}",
    "azure-native:network:NatGateway": _ARM_GROUP + "/providers/Microsoft.Network/natGateways/{natGatewayName}",
    "azure-native:network:VirtualNetwork": _ARM_GROUP + "/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}",
    "azure-native:network:Subnet": _ARM_GROUP + "/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}",
    "azure-native:network:NetworkSecurityGroup": _ARM_GROUP + "/providers/Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
    "azure-native:storage:StorageAccount": _ARM_GROUP + "/providers/Microsoft.Storage/storageAccounts/{accountName}",
    "azure-native:managedidentity:UserAssignedIdentity": _ARM_GROUP + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
    "gcp:compute/instance:Instance": "projects/{project}/zones/{zone}/instances/{name}",
    "gcp:compute/network:Network": "projects/{project}/global/networks/{name}",
    "gcp:compute/subnetwork:Subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "gcp:compute/firewall:Firewall": "projects/{project}/global/firewalls/{name}",
    "gcp:compute/router:Router": "projects/{project}/regions/{region}/routers/{name}",
    "gcp:compute/routerNat:RouterNat": "{project}/{region}/{router}/{name}",
    "gcp:compute/address:Address": "projects/{project}/regions/{region}/addresses/{name}",
    "gcp:serviceaccount/account:Account": "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com",
    "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig": "{tunnelId}",
}
"""Ids as each type's provider forms them (pulumi-aws, pulumi-azure-native, pulumi-gcp, pulumi-cloudflare, "Import" of each resource's page)."""
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class PendingCreate:
    """A create whose result the engine never learnt. ``resource`` is as the state has it, ``provider`` the inputs of the provider that was asked."""

    resource: Json
    provider: Json

    @property
    def urn(self) -> str:
        """The engine's name of it."""
        return str(self.resource["urn"])

    @property
    def type(self) -> str:
        """Its type token."""
        return str(self.resource["type"])

    @property
    def inputs(self) -> Json:
        """What was asked for; secrets encrypted."""
        return dict(self.resource.get("inputs") or {})

    def named_id(self) -> str | None:
        """Its id, where the caller names it; None where the cloud draws it, or what it follows from is missing or secret."""
        form = NAMED.get(self.type)
        if form is None:
            return None
        known = {"subscription": self.provider.get("subscriptionId"), "project": self.provider.get("project")} | self.inputs
        values = {name: known.get(name) for name in _FIELD.findall(form)}
        if not all(isinstance(value, str) and value for value in values.values()):
            return None
        return form.format(**values)


def creates(state: Mapping[str, Any]) -> list[PendingCreate]:
    """The pending creates of ``pulumi stack export``'s document, in its order; providers and components aren't anything in a cloud."""
    deployment = state.get("deployment") or {}
    resources = deployment.get("resources") or []
    providers = {
        f"{one['urn']}::{one.get('id')}": dict(one.get("inputs") or {}) for one in resources if str(one.get("type", "")).startswith("pulumi:providers:")
    }
    held = {one["urn"] for one in resources if not one.get("delete")}
    found = []
    for operation in deployment.get("pending_operations") or []:
        resource = operation.get("resource") or {}
        asked = resource.get("custom") and not str(resource.get("type", "")).startswith("pulumi:")
        if operation.get("type") == "creating" and asked and resource["urn"] not in held:
            found.append(PendingCreate(dict(resource), providers.get(str(resource.get("provider")), {})))
    return found


def bearing(create: PendingCreate, lying: Iterable[CloudResource], held: frozenset[str]) -> list[CloudResource]:
    """Those of ``lying`` that ``create`` may have made: of its kind, with all of its tags, and not held by the state (``held``: ids in lower case)."""
    kind, tags = TAGGED.get(create.type), create.inputs.get("tags")
    if kind is None or not isinstance(tags, Mapping) or not tags:
        return []
    return [one for one in lying if one.kind == kind and one.id.lower() not in held and all(one.tags.get(key) == value for key, value in tags.items())]


def adopted(state: Mapping[str, Any], ids: Mapping[str, str]) -> Json:
    """``state`` with the pending creates of which ``ids`` has an id (by URN) as resources, and nothing pending any more.

    They have the outputs that they were asked for with, until a refresh brings the cloud's, or drops those that aren't there.
    """
    document: Json = copy.deepcopy(dict(state))
    deployment = document["deployment"]
    taken = [
        {**one.resource, "id": ids[one.urn], "outputs": {**one.inputs, "id": ids[one.urn]}}
        for one in creates(state)
        if one.urn in ids
    ]  # fmt: skip
    deployment["resources"] = [*(deployment.get("resources") or []), *taken]
    deployment.pop("pending_operations", None)
    return document
