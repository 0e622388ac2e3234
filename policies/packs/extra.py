"""What the packs ask beyond the boundary's own rules. Pure: a resource, its stack, its boundary in; findings out, never a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from domain.boundary.finding import Finding
from domain.boundary.model import Boundary
from domain.spend import Month
from policies.facts import aws as aws_facts
from policies.facts.reading import UNKNOWN, equals, truth
from policies.facts.resource import Resource
from policies.packs.catalogue import BY_NAME
from policies.packs.configuration import JUDGES
from policies.packs.subject import StackSubject

ADMIN_PORTS = (22, 23, 445, 1433, 3306, 3389, 5432, 5985, 5986, 6379, 9200, 27017)
_ADMIN_POLICIES = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
_AZURE_OWNERS = ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9")
"""Role definitions Owner and User Access Administrator (Azure built-in roles)."""
_GCP_BROAD = frozenset({"roles/owner", "roles/editor"})
_EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_TAGGED = ("tags", "labels")


def findings(resource: Resource, of: StackSubject, boundary: Boundary | None, rules: frozenset[str], now: datetime | None = None) -> Iterator[Finding]:
    """Everything that the rules say of one resource. ``now`` is needed where the boundary caps a month."""
    if "tenant-tag" in rules:
        yield from _tenant_tag(resource, of)
    if "identity-wildcard" in rules:
        yield from _identity(resource)
    if "price-cap" in rules and boundary is not None and boundary.spend.usd_per_hour is not None:
        yield from _price_cap(resource, boundary.spend.usd_per_hour)
    if "month-cap" in rules and boundary is not None and boundary.spend.usd_per_month is not None and now is not None:
        yield from _month_cap(resource, boundary.spend.usd_per_month, Month.of(now).hours_left(now))
    for rule, judge in _HYGIENE:
        if rule in rules:
            yield from judge(resource)
    for rule, setting in JUDGES.items():
        if rule in rules:
            for fault in setting(resource):
                yield _finding(rule, resource, fault.what, fault.path, unknown=fault.unknown)


def stack_findings(resources: Iterable[Resource], of: StackSubject) -> Iterator[tuple[Resource, Finding]]:
    """What only the whole stack shows: a machine without its tenant's network."""
    known = list(resources)
    if of.kind != "placement":
        return
    templated = any(_names_a_subnet(one) for one in known if one.package == "aws" and one.kind == "LaunchTemplate")
    for one in known:
        if _machine(one) and not _names_a_subnet(one) and not (one.package == "aws" and templated):
            yield one, _finding("placement-network", one, "names no subnet, so that it falls into the account's default network")


def _finding(rule: str, resource: Resource, fault: str, path: str = "", *, unknown: bool = False) -> Finding:
    known = BY_NAME[rule]
    return Finding(rule, known.severity, f"{resource.type} {resource.name!r} {fault}.", path, known.mend, unknown)


def _machine(resource: Resource) -> bool:
    kinds = {"aws": ("Instance", "SpotInstanceRequest"), "azure-native": ("VirtualMachine",), "gcp": ("Instance",)}
    module = "ec2" if resource.package == "aws" else "compute"
    return resource.kind in kinds.get(resource.package, ()) and resource.module == module


def _names_a_subnet(resource: Resource) -> bool:
    inputs = resource.inputs
    if resource.package == "aws":
        return inputs.get("subnetId") is not None or any(
            one.unknown or one.get("subnetId") is not None or one.get("networkInterfaceId") is not None for one in inputs.each("networkInterfaces")
        )
    if resource.package == "azure-native":
        profile = inputs.within("networkProfile")
        return profile.unknown or any(True for key in ("networkInterfaces", "networkInterfaceConfigurations") for _ in profile.each(key))
    interfaces = list(inputs.each("networkInterfaces"))
    return bool(interfaces) and all(one.unknown or one.get("subnetwork") is not None for one in interfaces)


def _tenant_tag(resource: Resource, of: StackSubject) -> Iterator[Finding]:
    if not of.tenant:
        return
    for key in _TAGGED:
        value = resource.inputs.within(key).get("tenant")
        if isinstance(value, str) and value != of.tenant:
            yield _finding("tenant-tag", resource, f"carries another tenant's name than its stack's, {of.tenant!r}", f"{key}.tenant")


def _identity(resource: Resource) -> Iterator[Finding]:
    inputs = resource.inputs
    if resource.package == "aws" and resource.module == "iam":
        for key in ("policy", "assumeRolePolicy"):
            yield from _policy(resource, inputs.get(key), key)
        for inline in inputs.each("inlinePolicies"):
            yield from _policy(resource, inline.get("policy"), inline.at("policy"))
        for path, arn in [("policyArn", inputs.get("policyArn")), *inputs.texts("managedPolicyArns")]:
            if isinstance(arn, str) and arn.rpartition("/")[2] in _ADMIN_POLICIES:
                yield _finding("identity-wildcard", resource, "gets a policy that may do everything", path)
    elif resource.package == "azure-native" and resource.module == "authorization":
        for permission in inputs.each("permissions"):
            for path, action in permission.texts("actions"):
                if action == "*":
                    yield _finding("identity-wildcard", resource, "may do everything", path)
        role = inputs.get("roleDefinitionId")
        if resource.kind == "RoleAssignment" and isinstance(role, str) and role.lower().endswith(_AZURE_OWNERS):
            yield _finding("identity-wildcard", resource, "makes somebody owner", "roleDefinitionId")
    elif resource.package == "gcp":
        if inputs.get("role") in _GCP_BROAD:
            yield _finding("identity-wildcard", resource, "gives a role that may do nearly everything", "role")
        for path, member in [("member", inputs.get("member")), *inputs.texts("members")]:
            if member in _EVERYBODY:
                yield _finding("identity-wildcard", resource, "is open to everybody", path)


def _policy(resource: Resource, value: Any, path: str) -> Iterator[Finding]:
    if value is None or value is UNKNOWN:
        return
    try:
        document = json.loads(value) if isinstance(value, str) else value
        statements = document["Statement"]
        for statement in [statements] if isinstance(statements, dict) else statements:
            if statement.get("Effect") != "Allow":
                continue
            if "NotAction" in statement or {"*", "*:*"} & set(_many(statement.get("Action"))):
                yield _finding("identity-wildcard", resource, "may do everything", path)
            principal = statement.get("Principal")
            everybody = "*" in (_many(principal) if not isinstance(principal, dict) else [each for one in principal.values() for each in _many(one)])
            if everybody and not statement.get("Condition"):
                yield _finding("identity-wildcard", resource, "can be assumed by everybody", path)
    except (ValueError, KeyError, TypeError, AttributeError):
        yield _finding("identity-wildcard", resource, "has a policy that can't be read", path)


def _of_ec2(resource: Resource, *kinds: str) -> bool:
    """Whether it is one of EC2's ``kinds``: a database is an ``Instance``, too."""
    return resource.package == "aws" and resource.module == "ec2" and resource.kind in kinds


def _many(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _bids(resource: Resource) -> Iterator[tuple[Any, str]]:
    """The bid of a spot machine, with its path."""
    inputs = resource.inputs
    if _of_ec2(resource, "Instance", "LaunchTemplate") and (market := inputs.within("instanceMarketOptions")).keys():
        options = market.within("spotOptions")
        yield options.get("maxPrice"), options.at("maxPrice")
    elif resource.package == "azure-native" and resource.kind == "VirtualMachine" and equals(inputs.get("priority"), "Spot"):
        billing = inputs.within("billingProfile")
        yield billing.get("maxPrice"), billing.at("maxPrice")


def _price_cap(resource: Resource, cap: float) -> Iterator[Finding]:
    for value, path in _bids(resource):
        yield from _bid(resource, value, path, cap)


def _month_cap(resource: Resource, cap: float, hours_left: float) -> Iterator[Finding]:
    """What a pack can know of a month: a machine whose bid alone, to the month's end, is more than the cap. What was paid only placement knows."""
    for value, path in _bids(resource):
        if value is UNKNOWN:
            yield _finding("month-cap", resource, "has a bid that is unknown until apply; it is judged there", path, unknown=True)
        elif isinstance(value, str | int | float) and _number(value) * hours_left > cap:
            yield _finding("month-cap", resource, f"bids so much that it alone may cost more than the boundary's {cap:g} USD to the month's end", path)


def _number(value: str | float) -> float:
    """A bid in USD/h; below 0 what is no number, and so no bid."""
    try:
        return float(value)
    except ValueError:
        return -1.0


def _bid(resource: Resource, value: Any, path: str, cap: float) -> Iterator[Finding]:
    if value is UNKNOWN:
        yield _finding("price-cap", resource, "has a bid that is unknown until apply; it is judged there", path, unknown=True)
        return
    try:
        bid = float(value)
    except (TypeError, ValueError):
        bid = -1.0
    # Azure's -1 and no bid at all mean: whatever on-demand costs.
    if bid < 0:
        yield _finding("price-cap", resource, f"bids without a limit, the boundary's is {cap:g} USD/h", path)
    elif bid > cap + 1e-9:
        yield _finding("price-cap", resource, f"bids more than the boundary's {cap:g} USD/h", path)


def _imds(resource: Resource) -> Iterator[Finding]:
    inputs = resource.inputs
    if not _of_ec2(resource, "Instance", "LaunchTemplate", "LaunchConfiguration") or (resource.kind == "Instance" and inputs.get("launchTemplate")):
        return
    options = inputs.within("metadataOptions")
    if equals(options.get("httpTokens"), "required") is False:
        yield _finding("imdsv2", resource, "answers metadata without a session token", options.at("httpTokens"))


def _disks(resource: Resource) -> Iterator[Finding]:
    if resource.package != "aws":
        return
    for trait in aws_facts.facts(resource).traits:
        if trait.name == "disk-encrypted" and trait.holds is False:
            yield _finding("disk-encryption", resource, "has a disk in clear", trait.path)


def _ownership(resource: Resource) -> Iterator[Finding]:
    if _machine(resource):
        keys = {key.lower() for name in _TAGGED for key in sorted(resource.inputs.within(name).keys())}
        unknown = any(resource.inputs.get(name) is UNKNOWN for name in _TAGGED)
        if "tenant" not in keys and not unknown:
            yield _finding("ownership", resource, "doesn't say whose it is", "tags")


def _admin_port(resource: Resource) -> Iterator[Finding]:
    inputs = resource.inputs
    if _of_ec2(resource, "SecurityGroup", "DefaultSecurityGroup"):
        for rule in inputs.each("ingress"):
            blocks = [value for key in ("cidrBlocks", "ipv6CidrBlocks") for _, value in rule.texts(key)]
            yield from _ports(resource, blocks, rule.get("fromPort"), rule.get("toPort"), rule.path)
    elif resource.package == "aws" and resource.kind in {"SecurityGroupIngressRule", "SecurityGroupRule"} and not equals(inputs.get("type"), "egress"):
        blocks = [inputs.get("cidrIpv4"), inputs.get("cidrIpv6"), *(value for key in ("cidrBlocks", "ipv6CidrBlocks") for _, value in inputs.texts(key))]
        yield from _ports(resource, blocks, inputs.get("fromPort"), inputs.get("toPort"), "fromPort")
    elif resource.package == "azure-native" and resource.kind in {"SecurityRule", "NetworkSecurityGroup"}:
        for rule in [inputs] if resource.kind == "SecurityRule" else inputs.each("securityRules"):
            if equals(rule.get("access"), "Deny") or equals(rule.get("direction"), "Outbound"):
                continue
            given = [rule.get("sourceAddressPrefix"), *(value for _, value in rule.texts("sourceAddressPrefixes"))]
            sources = ["0.0.0.0/0" if _azure_open(one) else one for one in given]
            for port in [rule.get("destinationPortRange"), *(value for _, value in rule.texts("destinationPortRanges"))]:
                first, _, last = ("0-65535" if port == "*" else str(port)).partition("-")
                yield from _ports(
                    resource, ["0.0.0.0/0" if _azure_open(one) else one for one in sources], first, last or first, rule.at("destinationPortRange")
                )
    elif resource.package == "gcp" and resource.kind == "Firewall" and not equals(inputs.get("direction"), "EGRESS"):
        sources = [value for _, value in inputs.texts("sourceRanges")]
        for allowed in inputs.each("allows"):
            for path, port in allowed.texts("ports") if allowed.get("ports") is not None else [(allowed.path, "0-65535")]:
                first, _, last = str(port).partition("-")
                yield from _ports(resource, sources, first, last or first, path)


def _azure_open(value: Any) -> bool:
    return isinstance(value, str) and value.lower() in {"*", "internet", "any"}


def _ports(resource: Resource, blocks: Iterable[Any], first: Any, last: Any, path: str) -> Iterator[Finding]:
    try:
        low, high = int(first), int(last)
    except (TypeError, ValueError):
        return
    if low == high == -1 or (low == 0 and high == 0):
        low, high = 0, 65535
    if any(aws_facts.anywhere(block) for block in blocks if block is not None) and (open_ports := [port for port in ADMIN_PORTS if low <= port <= high]):
        yield _finding("admin-port", resource, f"opens port {', '.join(map(str, open_ports[:4]))} to the internet", path)


def _fallback(resource: Resource) -> Iterator[Finding]:
    inputs = resource.inputs
    if _of_ec2(resource, "Instance", "LaunchTemplate") and equals(inputs.within("instanceMarketOptions").get("marketType"), "spot"):
        options = inputs.within("instanceMarketOptions").within("spotOptions")
        behaviour = options.get("instanceInterruptionBehavior")
        if behaviour is not None and equals(behaviour, "terminate") is False:
            yield _finding("spot-fallback", resource, "is kept when it is taken back", options.at("instanceInterruptionBehavior"))
        if equals(options.get("spotInstanceType"), "persistent"):
            yield _finding("spot-fallback", resource, "comes back by itself", options.at("spotInstanceType"))
    elif resource.package == "azure-native" and resource.kind == "VirtualMachine" and equals(inputs.get("priority"), "Spot"):
        if equals(inputs.get("evictionPolicy"), "Delete") is False:
            yield _finding("spot-fallback", resource, "is kept when it is taken back", "evictionPolicy")
    elif resource.package == "gcp" and resource.kind == "Instance" and equals(inputs.within("scheduling").get("provisioningModel"), "SPOT"):
        scheduling = inputs.within("scheduling")
        if equals(scheduling.get("instanceTerminationAction"), "DELETE") is False or truth(scheduling.get("automaticRestart")):
            yield _finding("spot-fallback", resource, "is kept when it is taken back", scheduling.at("instanceTerminationAction"))


_HYGIENE: tuple[tuple[str, Callable[[Resource], Iterator[Finding]]], ...] = (
    ("imdsv2", _imds),
    ("disk-encryption", _disks),
    ("ownership", _ownership),
    ("admin-port", _admin_port),
    ("spot-fallback", _fallback),
)
