"""Physical names for resources whose program gives none, as the real providers make them. Pure: the randomness is the engine's ``random_seed``.

- AWS and GCP (bridged providers): ``<logical name>-<7 hex>``, cut to the type's limit (pulumi-terraform-bridge, ``tfbridge.AutoName``).
- azure-native: ``<logical name><8 hex>``; children of a resource take the logical name itself; role assignments and definitions take a UUID.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class NameRule:
    """``field`` is the input that names the object; ``limit`` its longest value in characters."""

    field: str
    limit: int = 255
    style: Literal["dash", "joined", "copy", "uuid"] = "dash"
    lower: bool = False


def _gcp(limit: int = 63) -> NameRule:
    return NameRule("name", limit, "dash", lower=True)


RULES: dict[str, NameRule] = {
    "aws:organizations/account:Account": NameRule("name", 50),
    "aws:organizations/policy:Policy": NameRule("name", 128),
    "aws:iam/policy:Policy": NameRule("name", 128),
    "aws:budgets/budget:Budget": NameRule("name", 100),
    "aws:cloudwatch/logGroup:LogGroup": NameRule("name", 512),
    "aws:iam/role:Role": NameRule("name", 64),
    "aws:iam/rolePolicy:RolePolicy": NameRule("name", 128),
    "aws:iam/instanceProfile:InstanceProfile": NameRule("name", 128),
    "aws:ec2/securityGroup:SecurityGroup": NameRule("name", 255),
    "aws:ec2/launchTemplate:LaunchTemplate": NameRule("name", 125),
    "gcp:organizations/project:Project": _gcp(30),
    "gcp:compute/network:Network": _gcp(),
    "gcp:compute/subnetwork:Subnetwork": _gcp(),
    "gcp:compute/firewall:Firewall": _gcp(),
    "gcp:compute/router:Router": _gcp(),
    "gcp:compute/routerNat:RouterNat": _gcp(),
    "gcp:compute/instance:Instance": _gcp(),
    "gcp:kms/keyRing:KeyRing": _gcp(),
    "gcp:kms/cryptoKey:CryptoKey": _gcp(),
    "azure-native:subscription:Alias": NameRule("aliasName", 63, "joined"),
    "azure-native:authorization:PolicyAssignment": NameRule("policyAssignmentName", 64, "joined"),
    "azure-native:authorization:PolicyDefinition": NameRule("policyDefinitionName", 64, "joined"),
    "azure-native:authorization:RoleDefinition": NameRule("roleDefinitionId", 36, "uuid"),
    "azure-native:authorization:RoleAssignment": NameRule("roleAssignmentName", 36, "uuid"),
    "azure-native:resources:ResourceGroup": NameRule("resourceGroupName", 90, "joined"),
    "azure-native:network:VirtualNetwork": NameRule("virtualNetworkName", 64, "joined"),
    "azure-native:network:Subnet": NameRule("subnetName", 80, "copy"),
    "azure-native:network:NetworkSecurityGroup": NameRule("networkSecurityGroupName", 80, "joined"),
    "azure-native:network:PublicIPAddress": NameRule("publicIpAddressName", 80, "joined"),
    "azure-native:network:NatGateway": NameRule("natGatewayName", 80, "joined"),
    "azure-native:network:NetworkInterface": NameRule("networkInterfaceName", 80, "joined"),
    "azure-native:managedidentity:UserAssignedIdentity": NameRule("resourceName", 128, "joined"),
    "azure-native:keyvault:Vault": NameRule("vaultName", 24, "joined"),
    "azure-native:compute:VirtualMachine": NameRule("vmName", 64, "joined"),
}


def with_name(token: str, logical: str, inputs: Mapping[str, Any], old_inputs: Mapping[str, Any], seed: bytes, proposed: str = "") -> dict[str, Any]:
    """``inputs`` with a physical name where the program gives none. The name made before (in ``old_inputs``) is kept; ``proposed`` is the engine's wish."""
    rule = RULES.get(token)
    if rule is None or inputs.get(rule.field) is not None or inputs.get("namePrefix") is not None:
        return dict(inputs)
    made_before = old_inputs.get(rule.field)
    return {**inputs, rule.field: made_before or proposed or fresh(rule, logical, seed)}


def fresh(rule: NameRule, logical: str, seed: bytes) -> str:
    """A new name under ``rule``; the same seed gives the same name."""
    digest = hashlib.sha256(seed + rule.field.encode() + logical.encode()).hexdigest()
    if rule.style == "uuid":
        return str(uuid.UUID(digest[:32]))
    base = re.sub(r"[^a-z0-9-]", "-", logical.lower()) if rule.lower else logical
    suffix = {"dash": "-" + digest[:7], "joined": digest[:8], "copy": ""}[rule.style]
    return base[: rule.limit - len(suffix)] + suffix
