"""AWS resources (``aws:…``) as calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from domain.boundary.call import TraitName
from domain.boundary.names import arn_names, parse_arn
from domain.boundary.regions import of_zone
from policies.facts.reading import UNKNOWN, Inputs, equals, present, truth
from policies.facts.resource import Facts, Resource, known_text

GLOBAL_MODULES = frozenset({"organizations", "iam", "route53", "cloudfront", "account", "budgets", "costexplorer", "ssoadmin", "identitystore"})
"""Modules whose resources have no region (IAM, Organizations and the like are served from one place for the whole partition)."""
TAGGED_KINDS = frozenset(
    {"Instance", "LaunchTemplate", "SpotInstanceRequest", "Fleet", "Vpc", "Subnet", "SecurityGroup", "NatGateway", "Eip", "Account", "Volume"}
)
_ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})
WIDEST_PREFIX = 4
"""A block as wide as this is the whole internet for the rules' purpose."""


def facts(resource: Resource) -> Facts:
    """What the boundary's rules need to know of the resource."""
    found = Facts(scope="global" if resource.module in GLOBAL_MODULES else "regional", account=_account(resource.provider))
    inputs = resource.inputs
    if found.scope == "regional":
        if not found.place(inputs.get("region"), "region"):
            found.place(resource.provider.get("region"), "provider.region")
        found.place(inputs.get("availabilityZone"), "availabilityZone", lambda zone: of_zone("aws", zone))
    for path, text in inputs.strings():
        if text.startswith("arn:"):
            regions, accounts = arn_names(iter([(path, text)]))
            found.regions += regions
            found.accounts += accounts
    found.named(inputs.get("name"), inputs.get("bucket"))
    if resource.kind in TAGGED_KINDS:
        found.tagged(inputs, "tags", _default_tags(resource.provider))
    if judge := _BY_KIND.get(f"{resource.module}:{resource.kind}"):
        judge(inputs, found)
    return found


def _account(provider: Inputs) -> str | None:
    roles = list(provider.each("assumeRoles"))
    if not roles and isinstance(text := provider.get("assumeRoles"), str):
        roles = [Inputs(item) for item in json.loads(text) if isinstance(item, Mapping)]
    for role in roles:
        arn = parse_arn(known_text(role.get("roleArn")) or "")
        if arn:
            return arn.account
    return None


def _default_tags(provider: Inputs) -> frozenset[str]:
    value: Any = provider.get("defaultTags")
    if isinstance(value, str):
        value = json.loads(value)
    if value is UNKNOWN or not isinstance(value, Mapping):
        return frozenset()
    return Inputs(value).within("tags").keys()


def _instance(inputs: Inputs, found: Facts) -> None:
    templated = inputs.get("launchTemplate") is not None
    market = inputs.within("instanceMarketOptions")
    # What an instance leaves to its launch template was judged on the template.
    if market.unknown or market.keys() or not templated:
        found.trait("spot", equals(market.get("marketType"), "spot"), market.at("marketType"))
    _machine_of_its_own(inputs, found, templated=templated)


def _machine_of_its_own(inputs: Inputs, found: Facts, *, templated: bool = False) -> None:
    if inputs.get("associatePublicIpAddress") is not None:
        found.trait("public-address", truth(inputs.get("associatePublicIpAddress")), "associatePublicIpAddress")
    if inputs.get("metadataOptions") is not None or not templated:
        found.trait("instance-metadata-v2", equals(inputs.within("metadataOptions").get("httpTokens"), "required"), "metadataOptions.httpTokens")
    if inputs.get("rootBlockDevice") is not None or not templated:
        _disk(inputs.within("rootBlockDevice"), found)
    for disk in inputs.each("ebsBlockDevices"):
        _disk(disk, found)


def _spot_request(inputs: Inputs, found: Facts) -> None:
    _instance(inputs, found)
    found.traits = [trait for trait in found.traits if trait.name != "spot"]
    found.trait("spot", True, "")


def _launch_template(inputs: Inputs, found: Facts) -> None:
    market = inputs.within("instanceMarketOptions")
    found.trait("spot", equals(market.get("marketType"), "spot"), market.at("marketType"))
    found.trait("instance-metadata-v2", equals(inputs.within("metadataOptions").get("httpTokens"), "required"), "metadataOptions.httpTokens")
    for interface in inputs.each("networkInterfaces"):
        found.trait("public-address", truth(interface.get("associatePublicIpAddress")), interface.at("associatePublicIpAddress"))
    disks = [mapping.within("ebs") for mapping in inputs.each("blockDeviceMappings")]
    for disk in disks:
        _disk(disk, found)
    if not disks:
        found.trait("disk-encrypted", False, "blockDeviceMappings")
        found.trait("customer-key", False, "blockDeviceMappings")
    for specification in inputs.each("tagSpecifications"):
        if equals(specification.get("resourceType"), "instance"):
            found.tags = (found.tags or frozenset()) | specification.within("tags").keys()
            found.classified(specification.within("tags"))


def _fleet(inputs: Inputs, found: Facts) -> None:
    capacity = inputs.within("targetCapacitySpecification")
    found.trait("spot", equals(capacity.get("defaultTargetCapacityType"), "spot"), capacity.at("defaultTargetCapacityType"))
    if present(capacity.get("onDemandTargetCapacity")):
        found.trait("spot", False, capacity.at("onDemandTargetCapacity"))


def _disk(disk: Inputs, found: Facts) -> None:
    found.trait("disk-encrypted", truth(disk.get("encrypted")), disk.at("encrypted"))
    found.trait("customer-key", present(disk.get("kmsKeyId")), disk.at("kmsKeyId"))


def _subnet(inputs: Inputs, found: Facts) -> None:
    found.trait("public-address", truth(inputs.get("mapPublicIpOnLaunch")), "mapPublicIpOnLaunch")


def _address(inputs: Inputs, found: Facts) -> None:
    # An address of a NAT gateway exposes no machine; one bound to a machine does.
    for key in ("instance", "instanceId", "networkInterface", "networkInterfaceId"):
        if inputs.get(key) is not None:
            found.trait("public-address", True, key)


_DIRECTIONS: tuple[tuple[str, TraitName], ...] = (("ingress", "open-ingress"), ("egress", "open-egress"))


def anywhere(value: object) -> bool | None:
    """Whether a CIDR block is (half of) the internet; None where it is unknown. 0.0.0.0/1 with 128.0.0.0/1 opens as much as 0.0.0.0/0 does."""
    if value is None or value == "":
        return False
    if not isinstance(value, str):
        # Unknown until apply, or of a shape that nobody reads here.
        return None
    length = value.strip().rpartition("/")[2] if "/" in value else ""
    return value in _ANYWHERE or (length.isdigit() and int(length) <= WIDEST_PREFIX)


def _security_group(inputs: Inputs, found: Facts) -> None:
    for field, trait in _DIRECTIONS:
        for rule in inputs.each(field):
            for key in ("cidrBlocks", "ipv6CidrBlocks"):
                _sources(rule, key, trait, found)


def _directed_rule(trait: TraitName) -> Callable[[Inputs, Facts], None]:
    def judge(inputs: Inputs, found: Facts) -> None:
        for key in ("cidrIpv4", "cidrIpv6"):
            if inputs.get(key) is not None:
                found.trait(trait, anywhere(inputs.get(key)), key)

    return judge


def _security_group_rule(inputs: Inputs, found: Facts) -> None:
    for direction, trait in _DIRECTIONS:
        if equals(inputs.get("type"), direction) is not False:
            for key in ("cidrBlocks", "ipv6CidrBlocks"):
                _sources(inputs, key, trait, found)


def _sources(inputs: Inputs, key: str, trait: TraitName, found: Facts) -> None:
    for path, value in inputs.texts(key):
        found.trait(trait, anywhere(value), path)


def _volume(inputs: Inputs, found: Facts) -> None:
    _disk(inputs, found)


def _copies(key: str, region: str) -> Callable[[Inputs, Facts], None]:
    """Replicas listed at ``key``, each with its region."""

    def judge(inputs: Inputs, found: Facts) -> None:
        for replica in inputs.each(key):
            found.copied(replica.get(region), replica.at(region))

    return judge


def _copied_from(inputs: Inputs, found: Facts) -> None:
    # The copy stands in the call's own region; where it came from must lie inside as well, or data of elsewhere enters under another law.
    found.copied(inputs.get("sourceRegion") or inputs.get("sourceAmiRegion"), "sourceRegion" if inputs.get("sourceRegion") else "sourceAmiRegion")


def _launch_configuration(inputs: Inputs, found: Facts) -> None:
    found.trait("spot", present(inputs.get("spotPrice")), "spotPrice")
    _machine_of_its_own(inputs, found)


def _spot_fleet(inputs: Inputs, found: Facts) -> None:
    found.trait("spot", True, "")
    for specification in inputs.each("launchSpecifications"):
        found.trait("public-address", truth(specification.get("associatePublicIpAddress")), specification.at("associatePublicIpAddress"))
        for disk in [*(list(specification.each("rootBlockDevices")) or [specification.within("rootBlockDevices")]), *specification.each("ebsBlockDevices")]:
            _disk(disk, found)


def _group(inputs: Inputs, found: Facts) -> None:
    # What a group leaves to its launch template or configuration was judged there; a policy of mixed instances buys on demand unless it says otherwise.
    if inputs.get("mixedInstancesPolicy") is None:
        return
    distribution = inputs.within("mixedInstancesPolicy").within("instancesDistribution")
    for key, otherwise in (("onDemandBaseCapacity", 0), ("onDemandPercentageAboveBaseCapacity", 100)):
        value = distribution.get(key)
        share = otherwise if value is None else value
        found.trait("spot", None if share is UNKNOWN else share in (0, "0"), distribution.at(key))


def _database(inputs: Inputs, found: Facts) -> None:
    if inputs.get("publiclyAccessible") is not None:
        found.trait("public-address", truth(inputs.get("publiclyAccessible")), "publiclyAccessible")
    if inputs.get("replicateSourceDb") is None:
        # A replica is encrypted as its source is.
        found.trait("disk-encrypted", truth(inputs.get("storageEncrypted")), "storageEncrypted")
        found.trait("customer-key", present(inputs.get("kmsKeyId")), "kmsKeyId")


def _load_balancer(inputs: Inputs, found: Facts) -> None:
    if not equals(inputs.get("loadBalancerType"), "gateway"):
        internal = truth(inputs.get("internal"))
        found.trait("public-address", None if internal is None else not internal, "internal")


_BY_KIND = {
    "ec2:Instance": _instance,
    "ec2:SpotInstanceRequest": _spot_request,
    "ec2:SpotFleetRequest": _spot_fleet,
    "ec2:LaunchTemplate": _launch_template,
    "ec2:LaunchConfiguration": _launch_configuration,
    "ec2:Fleet": _fleet,
    "autoscaling:Group": _group,
    "ec2:Subnet": _subnet,
    "ec2:DefaultSubnet": _subnet,
    "ec2:Eip": _address,
    "ec2:EipAssociation": _address,
    "ec2:SecurityGroup": _security_group,
    "ec2:DefaultSecurityGroup": _security_group,
    "ec2:SecurityGroupRule": _security_group_rule,
    "vpc:SecurityGroupIngressRule": _directed_rule("open-ingress"),
    "vpc:SecurityGroupEgressRule": _directed_rule("open-egress"),
    "lb:LoadBalancer": _load_balancer,
    "alb:LoadBalancer": _load_balancer,
    "elb:LoadBalancer": _load_balancer,
    "ebs:Volume": _volume,
    "ec2:AmiCopy": _copied_from,
    "ebs:SnapshotCopy": _copied_from,
    "rds:Instance": _database,
    "rds:Cluster": _database,
    "secretsmanager:Secret": _copies("replicas", "region"),
    "dynamodb:Table": _copies("replicas", "regionName"),
}
"""By module and kind: a database is an ``Instance``, too."""
