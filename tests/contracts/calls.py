"""One thing that someone wants, as Pulumi declares it and as the cloud's API is asked for it; each change says which rule it breaks."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from policies.proxy.request import ApiRequest

SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
ACCOUNTS = {"aws": ["123456789012"], "azure": [SUBSCRIPTION], "gcp": ["acme-1"]}

STRICT: dict[str, Any] = {
    "name": "strict-eu",
    "residency": {"regimes": ["gdpr"], "replication": "domestic"},
    "dataClasses": {"health": {"countries": ["DE"]}, "open": {}},
    "spotOnly": True,
    "encryption": {"disks": True, "customerKeys": True},
    "network": {"publicAddresses": "none", "openIngress": False, "openEgress": False, "instanceMetadataV2": True},
    "requiredTags": ["tenant"],
}


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Sets a dotted path; None takes it away."""
    *parents, last = path.split(".")
    here: Any = document
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    if value is None:
        del here[int(last) if isinstance(here, list) else last]
    elif isinstance(here, list):
        here[int(last)] = value
    else:
        here[last] = value


@dataclass(frozen=True)
class Change:
    """One change of a passing thing: Pulumi's inputs, the API's document, and the rule that it breaks ("" for none)."""

    name: str
    rule: str
    inputs: dict[str, Any]
    document: dict[str, Any]
    always: bool = False
    """Whether every boundary refuses it, even one that asks nothing."""


@dataclass(frozen=True)
class Thing:
    """A passing resource in both forms."""

    name: str
    cloud: str
    type: str
    inputs: dict[str, Any]
    document: dict[str, Any]
    request: Callable[[dict[str, Any]], ApiRequest]
    changes: tuple[Change, ...]

    def changed(self, *changes: Change) -> tuple[dict[str, Any], ApiRequest]:
        """Pulumi's inputs and the request with the changes made."""
        inputs, document = copy.deepcopy(self.inputs), copy.deepcopy(self.document)
        for change in changes:
            for path, value in change.inputs.items():
                put(inputs, path, value)
            for path, value in change.document.items():
                # A form's names have dots of their own.
                if self.cloud == "aws":
                    document.pop(path, None) if value is None else document.update({path: value})
                else:
                    put(document, path, value)
        return inputs, self.request(document)


@dataclass(frozen=True)
class Case:
    """A thing with changes, and what every enforcer must say under the boundary."""

    id: str
    thing: Thing
    changes: tuple[Change, ...]
    boundary: dict[str, Any]
    refused: frozenset[str]
    exempted: frozenset[str] = field(default_factory=frozenset)


def _ec2(form: dict[str, Any]) -> ApiRequest:
    region = form.pop("@region")
    headers = {
        "authorization": f"AWS4-HMAC-SHA256 Credential=ASIATENANT/20261124/{region}/ec2/aws4_request, SignedHeaders=host, Signature=0",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    return ApiRequest("POST", f"ec2.{region}.amazonaws.com", "/", "", headers, urlencode({"Version": "2016-11-15", **form}).encode())


def _arm(path: str) -> Callable[[dict[str, Any]], ApiRequest]:
    whole = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/web/providers/{path}"
    return lambda body: ApiRequest("PUT", "management.azure.com", whole, "api-version=2024-11-01", {}, json.dumps(body).encode())


def _compute(body: dict[str, Any]) -> ApiRequest:
    path = f"/compute/v1/projects/acme-1/{body.pop('@path')}"
    return ApiRequest("POST", "compute.googleapis.com", path, "", {}, json.dumps(body).encode())


_OWN_ROLE = "arn:aws:iam::123456789012:instance-profile/web"
_OTHER_ROLE = "arn:aws:iam::210987654321:instance-profile/web"
AWS_MACHINE = Thing(
    "aws machine",
    "aws",
    "aws:ec2/instance:Instance",
    {
        "region": "eu-west-1",
        "instanceMarketOptions": {"marketType": "spot"},
        "associatePublicIpAddress": False,
        "metadataOptions": {"httpTokens": "required"},
        "rootBlockDevice": {"encrypted": True, "kmsKeyId": "key-1"},
        "tags": {"tenant": "acme", "Name": "web"},
    },
    {
        "@region": "eu-west-1",
        "Action": "RunInstances",
        "ImageId": "ami-1",
        "MinCount": "1",
        "MaxCount": "1",
        "InstanceMarketOptions.MarketType": "spot",
        "NetworkInterface.1.DeviceIndex": "0",
        "NetworkInterface.1.AssociatePublicIpAddress": "false",
        "MetadataOptions.HttpTokens": "required",
        "BlockDeviceMapping.1.DeviceName": "/dev/sda1",
        "BlockDeviceMapping.1.Ebs.Encrypted": "true",
        "BlockDeviceMapping.1.Ebs.KmsKeyId": "key-1",
        "TagSpecification.1.ResourceType": "instance",
        "TagSpecification.1.Tag.1.Key": "tenant",
        "TagSpecification.1.Tag.1.Value": "acme",
        "TagSpecification.1.Tag.2.Key": "Name",
        "TagSpecification.1.Tag.2.Value": "web",
    },
    _ec2,
    (
        Change("another region inside", "", {"region": "eu-central-1"}, {"@region": "eu-central-1"}),
        Change("a region outside", "residency", {"region": "us-east-1"}, {"@region": "us-east-1"}),
        Change("a region that isn't listed", "residency", {"region": "us-iso-east-1"}, {"@region": "us-iso-east-1"}, always=True),
        Change("a government region", "cloud", {"region": "us-gov-west-1"}, {"@region": "us-gov-west-1"}, always=True),
        Change("a zone outside", "residency", {"availabilityZone": "us-west-2b"}, {"Placement.AvailabilityZone": "us-west-2b"}),
        Change("on demand", "spot", {"instanceMarketOptions": None}, {"InstanceMarketOptions.MarketType": None}),
        Change("a public address", "network", {"associatePublicIpAddress": True}, {"NetworkInterface.1.AssociatePublicIpAddress": "true"}),
        Change("metadata version 1", "instance-metadata", {"metadataOptions.httpTokens": "optional"}, {"MetadataOptions.HttpTokens": "optional"}),
        Change("a disk in clear", "encryption", {"rootBlockDevice.encrypted": False}, {"BlockDeviceMapping.1.Ebs.Encrypted": "false"}),
        Change("the cloud's own key", "encryption", {"rootBlockDevice.kmsKeyId": None}, {"BlockDeviceMapping.1.Ebs.KmsKeyId": None}),
        Change("a missing tag", "tags", {"tags.tenant": None}, {"TagSpecification.1.Tag.1.Key": "owner"}),
        Change(
            "a role of its own account",
            "",
            {"iamInstanceProfile": _OWN_ROLE},
            {"IamInstanceProfile.Arn": _OWN_ROLE},
        ),
        Change("a role of another account", "account", {"iamInstanceProfile": _OTHER_ROLE}, {"IamInstanceProfile.Arn": _OTHER_ROLE}, always=True),
        Change(
            "a class kept elsewhere",
            "residency",
            {"tags.data-class": "health"},
            {"TagSpecification.1.Tag.3.Key": "data-class", "TagSpecification.1.Tag.3.Value": "health"},
        ),
        Change(
            "a class that isn't declared",
            "data-class",
            {"tags.data-class": "cards"},
            {"TagSpecification.1.Tag.3.Key": "data-class", "TagSpecification.1.Tag.3.Value": "cards"},
        ),
    ),
)
_DES = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/web/providers/Microsoft.Compute/diskEncryptionSets/k"
_INTERFACE = "/subscriptions/{}/resourceGroups/web/providers/Microsoft.Network/networkInterfaces/web"
_OTHER = "ffffffff-0000-0000-0000-000000000000"
AZURE_MACHINE = Thing(
    "azure machine",
    "azure",
    "azure-native:compute:VirtualMachine",
    {
        "vmName": "web",
        "location": "westeurope",
        "priority": "Spot",
        "storageProfile": {"osDisk": {"createOption": "FromImage", "managedDisk": {"diskEncryptionSet": {"id": _DES}}}},
        "networkProfile": {"networkInterfaces": [{"id": _INTERFACE.format(SUBSCRIPTION)}]},
        "tags": {"tenant": "acme"},
    },
    {
        "location": "westeurope",
        "tags": {"tenant": "acme"},
        "properties": {
            "priority": "Spot",
            "storageProfile": {"osDisk": {"createOption": "FromImage", "managedDisk": {"diskEncryptionSet": {"id": _DES}}}},
            "networkProfile": {"networkInterfaces": [{"id": _INTERFACE.format(SUBSCRIPTION)}]},
        },
    },
    _arm("Microsoft.Compute/virtualMachines/web"),
    (
        Change("another region inside", "", {"location": "Germany West Central"}, {"location": "germanywestcentral"}),
        Change("a region outside", "residency", {"location": "eastus"}, {"location": "East US"}),
        Change("a region that isn't listed", "residency", {"location": "eastus2euap"}, {"location": "eastus2euap"}, always=True),
        Change("a government region", "cloud", {"location": "usgovvirginia"}, {"location": "usgovvirginia"}, always=True),
        Change("on demand", "spot", {"priority": "Regular"}, {"properties.priority": "Regular"}),
        Change(
            "the cloud's own key",
            "encryption",
            {"storageProfile.osDisk.managedDisk.diskEncryptionSet": None},
            {"properties.storageProfile.osDisk.managedDisk.diskEncryptionSet": None},
        ),
        Change("a missing tag", "tags", {"tags.tenant": None}, {"tags.tenant": None}),
        Change(
            "an interface of another subscription",
            "account",
            {"networkProfile.networkInterfaces.0.id": _INTERFACE.format(_OTHER)},
            {"properties.networkProfile.networkInterfaces.0.id": _INTERFACE.format(_OTHER)},
            always=True,
        ),
        Change(
            "a public address",
            "network",
            {"networkProfile.networkInterfaceConfigurations": [{"ipConfigurations": [{"publicIPAddressConfiguration": {"name": "p"}}]}]},
            {
                "properties.networkProfile.networkInterfaceConfigurations": [
                    {"properties": {"ipConfigurations": [{"properties": {"publicIPAddressConfiguration": {"name": "p"}}}]}}
                ]
            },
        ),
        Change("a class kept elsewhere", "residency", {"tags.data-class": "health"}, {"tags.data-class": "health"}),
        Change("a class that isn't declared", "data-class", {"tags.data-class": "cards"}, {"tags.data-class": "cards"}),
    ),
)
_KEY = "projects/acme-1/locations/europe-west1/keyRings/r/cryptoKeys/k"
GCP_MACHINE = Thing(
    "gcp machine",
    "gcp",
    "gcp:compute/instance:Instance",
    {
        "name": "web",
        "zone": "europe-west1-b",
        "scheduling": {"provisioningModel": "SPOT"},
        "bootDisk": {"kmsKeySelfLink": _KEY},
        "networkInterfaces": [{"network": "projects/acme-1/global/networks/web"}],
        "labels": {"tenant": "acme"},
    },
    {
        "@path": "zones/europe-west1-b/instances",
        "name": "web",
        "scheduling": {"provisioningModel": "SPOT"},
        "disks": [{"boot": True, "diskEncryptionKey": {"kmsKeyName": _KEY}}],
        "networkInterfaces": [{"network": "projects/acme-1/global/networks/web"}],
        "labels": {"tenant": "acme"},
    },
    _compute,
    (
        Change("another region inside", "", {"zone": "europe-west3-a"}, {"@path": "zones/europe-west3-a/instances"}),
        Change("a region outside", "residency", {"zone": "us-central1-a"}, {"@path": "zones/us-central1-a/instances"}),
        Change("a region that isn't listed", "residency", {"zone": "us-east7-b"}, {"@path": "zones/us-east7-b/instances"}, always=True),
        Change("on demand", "spot", {"scheduling": None}, {"scheduling": None}),
        Change("a public address", "network", {"networkInterfaces.0.accessConfigs": [{}]}, {"networkInterfaces.0.accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}),
        Change("the cloud's own key", "encryption", {"bootDisk": {"source": "d"}}, {"disks.0": {"boot": True}}),
        Change("a missing tag", "tags", {"labels.tenant": None}, {"labels.tenant": None}),
        Change(
            "a network of another project",
            "account",
            {"networkInterfaces.0.network": "projects/globex-1/global/networks/web"},
            {"networkInterfaces.0.network": "projects/globex-1/global/networks/web"},
            always=True,
        ),
        Change("a class kept elsewhere", "residency", {"labels.data-class": "health"}, {"labels.data-class": "health"}),
        Change("a class that isn't declared", "data-class", {"labels.data-class": "cards"}, {"labels.data-class": "cards"}),
    ),
)


def _aws_rule(direction: str) -> Thing:
    action = "AuthorizeSecurityGroup" + direction
    kind = f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule"
    wide = [
        Change(f"{cidr} {direction.lower()}", "network" if rule else "", {"cidrIpv4": cidr}, {"IpPermissions.1.IpRanges.1.CidrIp": cidr})
        for cidr, rule in (("0.0.0.0/0", True), ("0.0.0.0/1", True), ("128.0.0.0/1", True), ("192.0.2.0/24", False), ("10.0.0.0/8", False))
    ]
    six = Change(f"::/0 {direction.lower()}", "network", {"cidrIpv4": None, "cidrIpv6": "::/0"}, {"IpPermissions.1.Ipv6Ranges.1.CidrIpv6": "::/0"})
    return Thing(
        f"aws {direction.lower()} rule",
        "aws",
        kind,
        {"region": "eu-west-1", "securityGroupId": "sg-1", "cidrIpv4": "10.1.0.0/16"},
        {"@region": "eu-west-1", "Action": action, "GroupId": "sg-1", "IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.IpRanges.1.CidrIp": "10.1.0.0/16"},
        _ec2,
        (*wide, six),
    )


def _azure_rule(direction: str, end: str) -> Thing:
    body = {"direction": direction, "access": "Allow", "sourceAddressPrefix": "10.0.0.0/8", "destinationAddressPrefix": "10.0.0.0/8"}
    changes = [
        Change(f"{prefix} {direction}", "network" if wide else "", {f"{end}AddressPrefix": prefix}, {f"properties.{end}AddressPrefix": prefix})
        for prefix, wide in (("*", True), ("Internet", True), ("0.0.0.0/0", True), ("0.0.0.0/2", True), ("VirtualNetwork", False), ("192.0.2.1", False))
    ]
    changes.append(Change(f"listed {direction}", "network", {f"{end}AddressPrefixes": ["::/0"]}, {f"properties.{end}AddressPrefixes": ["::/0"]}))
    changes.append(
        Change(
            f"denied {direction}",
            "",
            {"access": "Deny", f"{end}AddressPrefix": "*"},
            {"properties.access": "Deny", f"properties.{end}AddressPrefix": "*"},
        )
    )
    return Thing(
        f"azure {direction.lower()} rule",
        "azure",
        "azure-native:network:SecurityRule",
        {"securityRuleName": "r", **body},
        {"properties": body},
        _arm("Microsoft.Network/networkSecurityGroups/web/securityRules/r"),
        tuple(changes),
    )


def _gcp_rule(direction: str, key: str) -> Thing:
    changes = [
        Change(f"{cidr} {direction}", "network" if wide else "", {f"{key}.0": cidr}, {f"{key}.0": cidr})
        for cidr, wide in (("0.0.0.0/0", True), ("::/0", True), ("0.0.0.0/3", True), ("192.0.2.0/24", False))
    ]
    changes.append(Change(f"no range {direction}", "network", {key: None}, {key: None}))
    return Thing(
        f"gcp {direction.lower()} rule",
        "gcp",
        "gcp:compute/firewall:Firewall",
        {"name": "r", "direction": direction, "allows": [{"protocol": "tcp"}], key: ["10.0.0.0/8"]},
        {"@path": "global/firewalls", "name": "r", "direction": direction, "allowed": [{"IPProtocol": "tcp"}], key: ["10.0.0.0/8"]},
        _compute,
        tuple(changes),
    )


AZURE_STORE = Thing(
    "azure store",
    "azure",
    "azure-native:storage:StorageAccount",
    {"accountName": "web", "location": "francecentral", "sku": {"name": "Standard_LRS"}},
    {"location": "francecentral", "sku": {"name": "Standard_LRS"}},
    _arm("Microsoft.Storage/storageAccounts/web"),
    (
        Change("paired at home", "", {"sku.name": "Standard_GRS"}, {"sku.name": "Standard_GRS"}),
        Change(
            "paired abroad", "replication", {"location": "northeurope", "sku.name": "Standard_RAGRS"}, {"location": "northeurope", "sku.name": "Standard_RAGRS"}
        ),
        Change(
            "paired with nothing listed",
            "residency",
            {"location": "swedencentral", "sku.name": "Standard_GZRS"},
            {"location": "swedencentral", "sku.name": "Standard_GZRS"},
            always=True,
        ),
        Change(
            "paired with nothing known",
            "residency",
            {"location": "italynorth", "sku.name": "Standard_GRS"},
            {"location": "italynorth", "sku.name": "Standard_GRS"},
            always=True,
        ),
        Change("abroad without a pair", "", {"location": "northeurope"}, {"location": "northeurope"}),
    ),
)

THINGS: tuple[Thing, ...] = (
    AWS_MACHINE,
    AZURE_MACHINE,
    GCP_MACHINE,
    _aws_rule("Ingress"),
    _aws_rule("Egress"),
    _azure_rule("Inbound", "source"),
    _azure_rule("Outbound", "destination"),
    _gcp_rule("INGRESS", "sourceRanges"),
    _gcp_rule("EGRESS", "destinationRanges"),
    AZURE_STORE,
)

NOTHING_ASKED: dict[str, Any] = {"name": "any", "dataClasses": {"health": {}, "cards": {}}}
_BY_NAME = frozenset({"encryption", "network", "spot", "tags", "instance-metadata"})
_MACHINES = {AWS_MACHINE.name, AZURE_MACHINE.name, GCP_MACHINE.name}


def _exempting(rule: str, resource: str, expires: str) -> dict[str, Any]:
    return {**STRICT, "exemptions": [{"rule": rule, "resource": resource, "owner": "o", "reason": "r", "expires": expires}]}


def _opening(regions: list[str], expires: str) -> dict[str, Any]:
    return {**STRICT, "exemptions": [{"rule": "residency", "regions": regions, "owner": "o", "reason": "r", "expires": expires}]}


_OUTSIDE = {"aws": "aws/us-east-1", "azure": "azure/eastus", "gcp": "gcp/us-central1"}


def cases() -> Iterator[Case]:
    """Every thing as it passes, with each change, with every two changes that don't touch the same field, and with each change under exemptions."""
    for thing in THINGS:
        yield Case(f"{thing.name}", thing, (), STRICT, frozenset())
        for change in thing.changes:
            broken = frozenset({change.rule} - {""})
            yield Case(f"{thing.name}: {change.name}", thing, (change,), STRICT, broken)
            yield Case(f"{thing.name}: {change.name}, nothing asked", thing, (change,), NOTHING_ASKED, broken if change.always else frozenset())
            if thing.name in _MACHINES and change.rule in _BY_NAME:
                yield Case(f"{thing.name}: {change.name}, exempted", thing, (change,), _exempting(change.rule, "we*", "2027-01-31"), frozenset(), broken)
                yield Case(f"{thing.name}: {change.name}, exemption ended", thing, (change,), _exempting(change.rule, "web", "2026-01-31"), broken)
                yield Case(f"{thing.name}: {change.name}, another exempted", thing, (change,), _exempting(change.rule, "db-*", "2027-01-31"), broken)
            if change.name == "a region outside":
                opened = [_OUTSIDE[thing.cloud]]
                yield Case(f"{thing.name}: {change.name}, opened", thing, (change,), _opening(opened, "2027-01-31"), frozenset(), broken)
                yield Case(f"{thing.name}: {change.name}, closed again", thing, (change,), _opening(opened, "2026-01-31"), broken)
                yield Case(f"{thing.name}: {change.name}, another opened", thing, (change,), _opening(["CA"], "2027-01-31"), broken)
        if thing.name in _MACHINES:
            for one, other in itertools.combinations(thing.changes, 2):
                # A class is refused by the region that it stands in: region and class together are one fault.
                names = f"{one.name} {other.name}"
                classed = "class" in names and ("region" in names or "zone" in names)
                if not (one.inputs.keys() & other.inputs.keys() or classed):
                    yield Case(f"{thing.name}: {one.name} and {other.name}", thing, (one, other), STRICT, frozenset({one.rule, other.rule} - {""}))
