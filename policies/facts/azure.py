"""Azure resources (``azure-native:…``) as calls. Resource Manager's resources carry their location; children and subscription-wide ones have none."""

from __future__ import annotations

from collections.abc import Iterable

from domain.boundary.call import Named, TraitName
from domain.boundary.names import azure_subscription
from domain.boundary.regions import paired
from policies.facts.aws import anywhere
from policies.facts.reading import Inputs, equals, present, truth
from policies.facts.resource import Facts, Resource, known_text

GLOBAL_MODULES = frozenset({"consumption", "subscription", "authorization", "management", "billing", "policyinsights"})
LOCATIONLESS_KINDS = frozenset(
    {
        "Subnet",
        "Key",
        "SecurityRule",
        "Route",
        "VirtualNetworkPeering",
        "FederatedIdentityCredential",
        "RoleAssignment",
        "RoleDefinition",
        "PolicyAssignment",
        "Alias",
    }
)
"""Children live where their parent lives."""
TAGGED_KINDS = frozenset(
    {
        "VirtualMachine",
        "VirtualNetwork",
        "NetworkInterface",
        "NetworkSecurityGroup",
        "PublicIPAddress",
        "NatGateway",
        "Disk",
        "UserAssignedIdentity",
        "ResourceGroup",
    }
)
# Where the name of a kind stands when it isn't <kind>Name.
_NAME_INPUTS = {"VirtualMachine": ("vmName",), "VirtualMachineScaleSet": ("vmScaleSetName",), "StorageAccount": ("accountName",)}
_ANYWHERE = frozenset({"*", "internet", "0.0.0.0/0", "::/0", "any"})


def facts(resource: Resource) -> Facts:
    """What the boundary's rules need to know of the resource."""
    inputs = resource.inputs
    whole = resource.module in GLOBAL_MODULES or resource.kind in LOCATIONLESS_KINDS
    found = Facts(scope="global" if whole else "regional", account=_account(inputs, resource.provider))
    if not whole and not found.place(inputs.get("location"), "location"):
        found.place(resource.provider.get("location"), "provider.location")
    for path, text in inputs.strings():
        if subscription := azure_subscription(text):
            found.accounts.append(Named(subscription, path))
    found.named(*(inputs.get(key) for key in (resource.kind[:1].lower() + resource.kind[1:] + "Name", *_NAME_INPUTS.get(resource.kind, ()))))
    _pair(inputs, found)
    if resource.kind in TAGGED_KINDS:
        found.tagged(inputs, "tags")
    if judge := _BY_KIND.get(f"{resource.module}:{resource.kind}"):
        judge(inputs, found)
    return found


def _account(inputs: Inputs, provider: Inputs) -> str | None:
    subscription = known_text(provider.get("subscriptionId"))
    return subscription.lower() if subscription else None


def _virtual_machine(inputs: Inputs, found: Facts) -> None:
    found.trait("spot", equals(inputs.get("priority"), "Spot"), inputs.at("priority"))
    storage = inputs.within("storageProfile")
    for disk in [storage.within("osDisk"), *storage.each("dataDisks")]:
        # Azure encrypts every managed disk with its own key unless a disk encryption set names another.
        managed = disk.within("managedDisk")
        found.trait("disk-encrypted", True, managed.path)
        found.trait("customer-key", present(managed.within("diskEncryptionSet").get("id")), managed.at("diskEncryptionSet.id"))
    for interface in inputs.within("networkProfile").each("networkInterfaceConfigurations"):
        _interface(interface, found)


def _scale_set(inputs: Inputs, found: Facts) -> None:
    _virtual_machine(inputs.within("virtualMachineProfile"), found)


def _load_balancer(inputs: Inputs, found: Facts) -> None:
    _exposed(inputs.each("frontendIPConfigurations"), ("publicIPAddress", "publicIPPrefix"), found)


def _agent_pool(inputs: Inputs, found: Facts) -> None:
    found.trait("spot", equals(inputs.get("scaleSetPriority"), "Spot"), "scaleSetPriority")
    found.trait("public-address", truth(inputs.get("enableNodePublicIP")), "enableNodePublicIP")


def _interface(inputs: Inputs, found: Facts) -> None:
    _exposed(inputs.each("ipConfigurations"), ("publicIPAddress", "publicIPAddressConfiguration"), found)


def _exposed(configurations: Iterable[Inputs], keys: tuple[str, str], found: Facts) -> None:
    for configuration in configurations:
        for key in keys:
            value = configuration.get(key)
            if value is not None:
                found.trait("public-address", present(value), configuration.at(key))


def _security_group(inputs: Inputs, found: Facts) -> None:
    for rule in inputs.each("securityRules"):
        _security_rule(rule, found)


def _security_rule(rule: Inputs, found: Facts) -> None:
    if equals(rule.get("access"), "Deny"):
        return
    ends: tuple[tuple[str, str, TraitName], ...] = (("Outbound", "source", "open-ingress"), ("Inbound", "destination", "open-egress"))
    for other, end, trait in ends:
        # A direction that is neither word counts as both.
        if equals(rule.get("direction"), other):
            continue
        value = rule.get(f"{end}AddressPrefix")
        if value is not None:
            found.trait(trait, _open(value), rule.at(f"{end}AddressPrefix"))
        for path, item in rule.texts(f"{end}AddressPrefixes"):
            found.trait(trait, _open(item), path)


def _open(value: object) -> bool | None:
    return True if isinstance(value, str) and value.lower() in _ANYWHERE else anywhere(value)


def _disk(inputs: Inputs, found: Facts) -> None:
    found.trait("disk-encrypted", True, "encryption")
    found.trait("customer-key", present(inputs.within("encryption").get("diskEncryptionSetId")), "encryption.diskEncryptionSetId")


def _pair(inputs: Inputs, found: Facts) -> None:
    """Geo-redundant storage and backups are copied to the region's pair."""
    place = next((named.value for named in found.regions), None)
    sku = inputs.within("sku").get("name")
    redundant = isinstance(sku, str) and any(word in sku.upper() for word in ("GRS", "GZRS"))
    backup = equals(inputs.within("backup").get("geoRedundantBackup"), "Enabled") or equals(inputs.get("geoRedundantBackup"), "Enabled")
    if not place or not (redundant or backup):
        return
    path = "sku.name" if redundant else "backup.geoRedundantBackup"
    # Without a known pair nothing can say where the copy goes: the region is named by a word that no table lists.
    found.copied(paired("azure", place) or f"pair-of-{place}", path)


_BY_KIND = {
    "compute:VirtualMachine": _virtual_machine,
    "compute:VirtualMachineScaleSet": _scale_set,
    "network:NetworkInterface": _interface,
    "network:LoadBalancer": _load_balancer,
    "network:ApplicationGateway": _load_balancer,
    "containerservice:AgentPool": _agent_pool,
    "compute:Disk": _disk,
    "network:NetworkSecurityGroup": _security_group,
    "network:SecurityRule": _security_rule,
}
