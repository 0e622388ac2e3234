"""What EC2's writes make: how their flat parameters become the inputs that the rules read. Which of them are judged stands in ``aws_writes``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.boundary.call import Named, TraitName
from policies.facts import aws
from policies.facts.reading import Inputs
from policies.facts.resource import Facts, Resource
from policies.proxy.request import Refused

_PLURALS = {
    "blockDeviceMapping": "blockDeviceMappings",
    "networkInterface": "networkInterfaces",
    "tagSpecification": "tagSpecifications",
    "ipPermissions": "ipPermissions",
}  # fmt: skip
_OPENING: dict[str, TraitName] = {"AuthorizeSecurityGroupIngress": "open-ingress", "AuthorizeSecurityGroupEgress": "open-egress"}


def judge_write(action: str, parameters: Mapping[str, str], facts: Facts) -> None:
    """Notes what a write that is judged makes. Raises :class:`Refused` for parameters that can be read in more than one way."""
    inputs = nested(parameters)
    for specification in Inputs(inputs).each("tagSpecifications"):
        facts.classified(specification.within("tags"))
    if action in {"CreateLaunchTemplate", "CreateLaunchTemplateVersion"}:
        facts.named(inputs.get("launchTemplateName"))
        _judge("aws:ec2/launchTemplate:LaunchTemplate", inputs.get("launchTemplateData") or {}, facts)
    elif action == "RunInstances":
        _run(inputs, facts)
    elif action == "RequestSpotInstances":
        _judge("aws:ec2/spotInstanceRequest:SpotInstanceRequest", inputs.get("launchSpecification") or {}, facts)
    elif action == "CreateFleet":
        _judge("aws:ec2/fleet:Fleet", inputs, facts)
    elif action in {"CreateVolume", "CopySnapshot", "CopyImage"}:
        _judge("aws:ebs/volume:Volume", inputs, facts)
    elif action == "DisableEbsEncryptionByDefault":
        facts.trait("disk-encrypted", False, "")
    elif action in {"ModifyInstanceMetadataOptions", "ModifyInstanceMetadataDefaults"}:
        tokens = parameters.get("HttpTokens")
        if tokens is not None:
            facts.trait("instance-metadata-v2", tokens == "required", "HttpTokens")
    elif action == "ModifySubnetAttribute":
        value = parameters.get("MapPublicIpOnLaunch.Value")
        if value is not None:
            facts.trait("public-address", value.lower() == "true", "MapPublicIpOnLaunch.Value")
    elif action == "ModifyNetworkInterfaceAttribute":
        value = parameters.get("AssociatePublicIpAddress")
        if value is not None:
            facts.trait("public-address", value.lower() == "true", "AssociatePublicIpAddress")
    elif action == "AssociateAddress":
        facts.trait("public-address", True, "InstanceId")
    elif action in _OPENING:
        _addresses(parameters, (_OPENING[action],), facts)
    elif action == "ModifySecurityGroupRules":
        # Nothing in the call says whether the rule admits or lets out: it may be either.
        _addresses(parameters, ("open-ingress", "open-egress"), facts)


def _addresses(parameters: Mapping[str, str], traits: tuple[TraitName, ...], facts: Facts) -> None:
    for key, value in parameters.items():
        if key.rsplit(".", 1)[-1] in {"CidrIp", "CidrIpv6", "CidrIpv4"}:
            for trait in traits:
                facts.trait(trait, aws.anywhere(value), key)


def _run(inputs: dict[str, Any], facts: Facts) -> None:
    if "launchTemplate" not in inputs:
        _judge("aws:ec2/launchTemplate:LaunchTemplate", inputs, facts)
        return
    disks = [disk.get("ebs") or {} for disk in inputs.get("blockDeviceMappings") or [] if isinstance(disk, dict)]
    _judge("aws:ec2/instance:Instance", {**inputs, "ebsBlockDevices": disks}, facts)
    for index, interface in enumerate(inputs.get("networkInterfaces") or []):
        value = interface.get("associatePublicIpAddress") if isinstance(interface, dict) else None
        if value is not None:
            facts.trait("public-address", value.lower() == "true", f"NetworkInterface.{index + 1}.AssociatePublicIpAddress")
    specifications = list(Inputs(inputs).each("tagSpecifications"))
    facts.tags = frozenset().union(*(one.within("tags").keys() for one in specifications)) if specifications else None


def _judge(kind: str, inputs: dict[str, Any], facts: Facts) -> None:
    own = aws.facts(Resource(kind, "", Inputs(inputs)))
    facts.traits += own.traits
    facts.tags, facts.tags_path = own.tags, "TagSpecification"
    facts.named(*own.names)
    facts.data_class = facts.data_class or own.data_class
    specifications = [one.within("tags").keys() for one in Inputs(inputs).each("tagSpecifications")]
    if specifications and facts.tags is not None:
        facts.tags = facts.tags.union(*specifications)


def nested(parameters: Mapping[str, str]) -> dict[str, Any]:
    """EC2's flat names as documents in the shape of Pulumi's inputs: ``NetworkInterface.1.SubnetId`` → ``networkInterfaces[0].subnetId``."""
    root: dict[str, Any] = {}
    for name, value in parameters.items():
        here = root
        parts = name.split(".")
        for part in parts[:-1]:
            child = here.setdefault(part, {})
            if not isinstance(child, dict):
                raise Refused("request", f"parameter {name!r} is a value and a structure", 400)
            here = child
        if isinstance(here.get(parts[-1]), dict):
            raise Refused("request", f"parameter {name!r} is a value and a structure", 400)
        here[parts[-1]] = value
    shaped = _shape(root)
    return shaped if isinstance(shaped, dict) else {}


def _shape(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() for key in value):
        if len({int(key) for key in value}) != len(value):
            raise Refused("request", "an item of a list occurs twice", 400)
        return [_shape(value[key]) for key in sorted(value, key=int)]
    shaped: dict[str, Any] = {}
    for key, item in value.items():
        name = key[:1].lower() + key[1:]
        inner = _shape(item)
        if name == "tag" and isinstance(inner, list):
            shaped["tags"] = {str(one.get("key")): one.get("value", "") for one in inner if isinstance(one, dict)}
        else:
            shaped[_PLURALS.get(name, name)] = inner
    return shaped


def copies(parameters: Mapping[str, str], host_region: str | None) -> list[Named]:
    """The regions between which a copy goes: the call's own gets one of what stands in the source."""
    return [Named(value, key, copy=True) for key, value in parameters.items() if key == "SourceRegion" and value != host_region]
