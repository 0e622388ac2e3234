"""AWS resources (``aws:…``) as calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from domain.boundary.names import arn_names, parse_arn
from domain.boundary.regions import of_zone
from policies.facts.reading import UNKNOWN, Inputs, equals, present, truth
from policies.facts.resource import Facts, Resource, known_text

GLOBAL_MODULES = frozenset({"organizations", "iam", "route53", "cloudfront", "account", "budgets", "costexplorer", "ssoadmin", "identitystore"})
"""Modules whose resources have no region (IAM, Organizations and the like are served from one place for the whole partition)."""
TAGGED_KINDS = frozenset({"Instance", "LaunchTemplate", "SpotInstanceRequest", "Fleet", "Vpc", "Subnet", "SecurityGroup", "NatGateway", "Eip", "Account"})
_ANYWHERE = frozenset({"0.0.0.0/0", "::/0"})


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
    if resource.kind in TAGGED_KINDS:
        found.tagged(inputs, "tags", _default_tags(resource.provider))
    if judge := _BY_KIND.get(resource.kind):
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


def _security_group(inputs: Inputs, found: Facts) -> None:
    for rule in inputs.each("ingress"):
        for key in ("cidrBlocks", "ipv6CidrBlocks"):
            _sources(rule, key, found)


def _ingress_rule(inputs: Inputs, found: Facts) -> None:
    for key in ("cidrIpv4", "cidrIpv6"):
        value = inputs.get(key)
        if value is not None:
            found.trait("open-ingress", None if value is UNKNOWN else value in _ANYWHERE, key)


def _security_group_rule(inputs: Inputs, found: Facts) -> None:
    if equals(inputs.get("type"), "ingress") is not False:
        for key in ("cidrBlocks", "ipv6CidrBlocks"):
            _sources(inputs, key, found)


def _sources(inputs: Inputs, key: str, found: Facts) -> None:
    for path, value in inputs.texts(key):
        found.trait("open-ingress", None if value is UNKNOWN else value in _ANYWHERE, path)


_BY_KIND = {
    "Instance": _instance,
    "SpotInstanceRequest": _spot_request,
    "LaunchTemplate": _launch_template,
    "Fleet": _fleet,
    "Subnet": _subnet,
    "Eip": _address,
    "EipAssociation": _address,
    "SecurityGroup": _security_group,
    "SecurityGroupIngressRule": _ingress_rule,
    "SecurityGroupRule": _security_group_rule,
}
