"""AWS requests as calls: the query protocol (EC2, IAM, STS), JSON 1.x (Organizations and others), S3's REST form.

The region is the host's, and every region or account that a parameter or a whole-string ARN names. Sources: the botocore service models of EC2, IAM, STS and
Organizations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from domain.boundary.call import Access, Named
from domain.boundary.names import arn_names, strings
from domain.boundary.regions import of_zone
from policies.facts import aws
from policies.facts.reading import Inputs
from policies.facts.resource import Facts, Resource
from policies.proxy.hosts import KnownHost
from policies.proxy.request import ApiRequest, Refused

GLOBAL_SERVICES = frozenset({"organizations", "iam", "sts", "account", "budgets", "ce"})
METADATA_ACTIONS = frozenset(
    {
        "DescribeSpotPriceHistory", "DescribeRegions", "DescribeAvailabilityZones", "DescribeInstanceTypes", "DescribeInstanceTypeOfferings",
        "GetSpotPlacementScores", "DescribeImages", "GetCallerIdentity",
    }
)  # fmt: skip
_READ = ("Describe", "List", "Get", "Search", "Lookup")
_DELETE = ("Delete", "Terminate", "Release", "Detach", "Disassociate", "Revoke", "Remove", "Cancel", "Deregister", "Close", "Deactivate", "Leave", "Unassign")
_CREDENTIAL = re.compile(r"Credential=([A-Z0-9]+)/\d{8}/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_REGION_KEYS = re.compile(r"(?:^|\.)(?:Source|Destination|Target|Replica)?Region(?:Name)?(?:\.\d+)?$|(?:^|\.)LocationConstraint$")
_PLURALS = {
    "blockDeviceMapping": "blockDeviceMappings",
    "networkInterface": "networkInterfaces",
    "tagSpecification": "tagSpecifications",
    "ipPermissions": "ipPermissions",
}  # fmt: skip


def access_key(request: ApiRequest) -> tuple[str, str, str] | None:
    """Key id, region and service of the request's signature (SigV4), or None when it isn't signed."""
    match = _CREDENTIAL.search(request.headers.get("authorization", ""))
    return (match[1], match[2], match[3]) if match else None


def decode(request: ApiRequest, host: KnownHost) -> tuple[str, Access, Facts, str]:
    """Action, access, facts and resource of the request. Raises :class:`Refused` where it can't be read."""
    signed = access_key(request)
    if signed and host.region and signed[1] != host.region:
        raise Refused("request", f"signed for region {signed[1]}, sent to {host.region}", 400)
    if signed and signed[2] != host.service:
        raise Refused("request", f"signed for service {signed[2]}, sent to {host.service}", 400)
    action, parameters = _action(request, host)
    facts = Facts(scope="global" if host.service in GLOBAL_SERVICES else "regional")
    if host.region and facts.scope == "regional":
        facts.regions.append(Named(host.region, "host"))
    for path, text in strings(parameters):
        if _REGION_KEYS.search(path):
            facts.regions.append(Named(text, path))
        elif path.endswith("AvailabilityZone"):
            facts.regions.append(Named(of_zone("aws", text), path))
    regions, accounts = arn_names(strings(parameters))
    facts.regions += regions
    facts.accounts += accounts
    if host.service == "ec2":
        _machines(action, parameters, facts)
    return action, _access(action), facts, _resource(parameters)


def _action(request: ApiRequest, host: KnownHost) -> tuple[str, dict[str, Any]]:
    if target := request.headers.get("x-amz-target"):
        return target.rpartition(".")[2], request.json()
    if host.service == "s3":
        verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}.get(request.method, "Put")
        found = re.search(rb"<LocationConstraint>([^<]+)</LocationConstraint>", request.body)
        return f"{verb}Object", {"LocationConstraint": found[1].decode()} if found else {}
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    parameters = request.parameters()
    if request.method == "POST" and form:
        body = request.parameters(request.body.decode("utf-8", "strict"))
        if parameters.keys() & body.keys():
            raise Refused("request", "a parameter stands in the query and in the body", 400)
        parameters |= body
    action = parameters.get("Action")
    if not action or not action.isalnum():
        raise Refused("request", f"{host.service} request without an action that can be read", 400)
    return action, dict(parameters)


def _access(action: str) -> Access:
    if action in METADATA_ACTIONS:
        return "metadata"
    if action.startswith(_READ):
        return "read"
    return "delete" if action.startswith(_DELETE) else "write"


def _resource(parameters: Mapping[str, Any]) -> str:
    for key, value in parameters.items():
        if isinstance(value, str) and re.search(r"(?:Id|Name|Arn)(?:\.\d+)?$", key) and not key.startswith(("ImageId", "Filter")):
            return value
    return ""


def _machines(action: str, parameters: dict[str, Any], facts: Facts) -> None:
    if action in {"CreateLaunchTemplate", "CreateLaunchTemplateVersion"}:
        _judge("aws:ec2/launchTemplate:LaunchTemplate", _nested(parameters).get("launchTemplateData") or {}, facts)
    elif action == "RunInstances":
        inputs = _nested(parameters)
        if "launchTemplate" not in inputs:
            _judge("aws:ec2/launchTemplate:LaunchTemplate", inputs, facts)
            return
        disks = [disk.get("ebs") or {} for disk in inputs.get("blockDeviceMappings") or []]
        interfaces = inputs.get("networkInterfaces") or [{}]
        _judge(
            "aws:ec2/instance:Instance", {**inputs, "ebsBlockDevices": disks, "associatePublicIpAddress": interfaces[0].get("associatePublicIpAddress")}, facts
        )
    elif action == "RequestSpotInstances":
        _judge("aws:ec2/spotInstanceRequest:SpotInstanceRequest", _nested(parameters).get("launchSpecification") or {}, facts)
    elif action == "CreateFleet":
        _judge("aws:ec2/fleet:Fleet", _nested(parameters), facts)
    elif action == "ModifySubnetAttribute":
        value = parameters.get("MapPublicIpOnLaunch.Value")
        if value is not None:
            facts.trait("public-address", value.lower() == "true", "MapPublicIpOnLaunch.Value")
    elif action == "AssociateAddress":
        facts.trait("public-address", True, "InstanceId")
    elif action == "AuthorizeSecurityGroupIngress":
        for key, value in parameters.items():
            if key.endswith(("CidrIp", "CidrIpv6")):
                facts.trait("open-ingress", value in {"0.0.0.0/0", "::/0"}, key)


def _judge(kind: str, inputs: dict[str, Any], facts: Facts) -> None:
    own = aws.facts(Resource(kind, "", Inputs(inputs)))
    facts.traits += own.traits
    facts.tags, facts.tags_path = own.tags, "TagSpecification"


def _nested(parameters: Mapping[str, Any]) -> dict[str, Any]:
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
        here[parts[-1]] = value
    shaped = _shape(root)
    return shaped if isinstance(shaped, dict) else {}


def _shape(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_shape(value[key]) for key in sorted(value, key=int)]
    shaped: dict[str, Any] = {}
    for key, item in value.items():
        name = key[:1].lower() + key[1:]
        inner = _shape(item)
        if name == "tag" and isinstance(inner, list):
            shaped["tags"] = {str(one.get("key")): "" for one in inner if isinstance(one, dict)}
        else:
            shaped[_PLURALS.get(name, name)] = inner
    return shaped


def assumed_role(request: ApiRequest, action: str, answer: bytes) -> tuple[str, str] | None:
    """Access key id and account that an answer of AssumeRole (or its web identity form) hands out, or None."""
    if not action.startswith("AssumeRole"):
        return None
    role = dict(parse_qsl(request.body.decode("utf-8", "replace"))).get("RoleArn", "")
    key = re.search(rb"<AccessKeyId>([A-Z0-9]+)</AccessKeyId>", answer)
    parts = role.split(":")
    return (key[1].decode(), parts[4]) if key and len(parts) == 6 else None
