"""Azure Resource Manager requests as calls, by the grammar of its paths; bodies are brought into the flat shape of Pulumi's inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from domain.boundary.call import Access, Named
from domain.boundary.names import azure_subscription
from policies.facts import azure
from policies.facts.reading import Inputs
from policies.facts.resource import Facts, Resource
from policies.proxy.request import ApiRequest, Refused

_KINDS = {
    "microsoft.compute/virtualmachines": "compute:VirtualMachine",
    "microsoft.compute/virtualmachinescalesets": "compute:VirtualMachineScaleSet",
    "microsoft.compute/disks": "compute:Disk",
    "microsoft.network/virtualnetworks": "network:VirtualNetwork",
    "microsoft.network/virtualnetworks/subnets": "network:Subnet",
    "microsoft.network/networkinterfaces": "network:NetworkInterface",
    "microsoft.network/networksecuritygroups": "network:NetworkSecurityGroup",
    "microsoft.network/networksecuritygroups/securityrules": "network:SecurityRule",
    "microsoft.network/publicipaddresses": "network:PublicIPAddress",
    "microsoft.network/natgateways": "network:NatGateway",
    "microsoft.storage/storageaccounts": "storage:StorageAccount",
    "microsoft.managedidentity/userassignedidentities": "managedidentity:UserAssignedIdentity",
}
_GLOBAL_NAMESPACES = frozenset(
    {
        "microsoft.authorization",
        "microsoft.subscription",
        "microsoft.management",
        "microsoft.billing",
        "microsoft.resources",
        "microsoft.features",
        "microsoft.consumption",
    }
)
_PASSIVE_KINDS = frozenset(
    {
        "resourcegroups", "subscriptions", "microsoft.network/routetables", "microsoft.network/routetables/routes",
        "microsoft.network/virtualnetworks/virtualnetworkpeerings", "microsoft.network/applicationsecuritygroups",
        "microsoft.network/loadbalancers", "microsoft.compute/availabilitysets", "microsoft.compute/proximityplacementgroups",
        "microsoft.compute/diskencryptionsets", "microsoft.keyvault/vaults", "microsoft.keyvault/vaults/keys",
        "microsoft.network/networkwatchers/flowlogs",
        "microsoft.managedidentity/userassignedidentities/federatedidentitycredentials",
    }
)  # fmt: skip
"""Types that are judged by place, account and tags alone."""
_ACTIONS = frozenset({"start", "restart", "redeploy", "reapply", "deallocate", "cancel", "poweroff", "register", "unregister", "simulateeviction", "rename"})
"""What a POST may do to a resource. Running commands, exporting disks and reading keys carry data out: they are refused."""
_PLACE_KEYS = ("location", "locations", "locationname", "region", "regions", "regionname")
_CHILD_SUFFIXES = ("/subnets", "/vaults/keys", "/securityrules", "/federatedidentitycredentials", "/virtualnetworkpeerings", "/roleassignments")


def decode(request: ApiRequest) -> tuple[str, Access, Facts, str]:
    """Action, access, facts and resource of the request. Raises :class:`Refused` where it can't be read or can't be judged."""
    parts = request.segments
    lowered = [part.lower() for part in parts]
    if lowered[:1] == ["batch"] or "deployments" in lowered or "deploymentstacks" in lowered:
        raise Refused("request", "batches and template deployments hide the calls that they make; make them one by one")
    subscription = azure_subscription(request.path)
    kind, resource = _kind(parts, lowered)
    if request.method not in {"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"}:
        raise Refused("request", f"{request.method} is no method of Resource Manager", 400)
    if request.method in {"GET", "HEAD", "DELETE"} and request.body.strip():
        raise Refused("request", f"a {request.method} with a body", 400)
    request.parameters()
    body = request.json() if request.method in {"PUT", "PATCH", "POST"} else {}
    inputs = Inputs(_flat(body))
    if _reads_spot_rates(request.method, kind, body) or _reads_spot_scores(request.method, parts, body):
        return f"{request.method} {kind}", "metadata", Facts(scope="global"), ""
    access = _access(request.method, lowered, kind)
    if access == "write":
        kind, resource = _written(request.method, kind, resource, parts)
    token = "azure-native:" + _KINDS.get(kind, "resources:ResourceGroup" if kind == "resourcegroups" else f"other:{kind}")
    facts = azure.facts(Resource(token, resource, inputs))
    if (
        kind.split("/", 1)[0] in _GLOBAL_NAMESPACES
        or kind == "subscriptions"
        or kind.endswith(_CHILD_SUFFIXES)
        or (request.method != "PUT" and not facts.regions)
    ):
        # What exists already stays where it is; only a PUT can make something in a place.
        facts.scope = "global"
    if kind.split("/", 1)[0] in _GLOBAL_NAMESPACES:
        # A policy's or role's location says where its own record is kept, not where anything may run.
        facts.regions = []
    facts.account = subscription
    if request.method == "PATCH":
        # What a part of a resource doesn't hold stays as it is, and was judged when it was written.
        said = inputs.keys()
        facts.traits = [trait for trait in facts.traits if trait.path.partition(".")[0].partition("[")[0] in said]
        if inputs.get("tags") is None:
            facts.tags = None
    texts = inputs.strings()
    if access == "write" and kind.split("/", 1)[0] not in _GLOBAL_NAMESPACES:
        # A child has no location of its own: what names one there is as strange as anywhere else.
        own = {"location"} if facts.regions else set()
        elsewhere = ((path, text) for path, text in texts if path not in own and not path.startswith("tags."))
        facts.regions += [Named(text, path, copy=True) for path, text in elsewhere if _names_a_place(path, text)]
    if "locations" in lowered[:-1] and access == "read":
        # Progress and catalogues of a location: read by what was started there.
        resource = resource or parts[-1]
    facts.accounts = [Named(found, path) for path, text in texts if (found := azure_subscription(text))]
    return f"{request.method} {kind}", access, facts, resource


_WORDS = r"\('[\w.-]+'(?:, '[\w.-]+')*\)"
_SPOT_RATES = re.compile(
    r"SpotResources \| where type =~ 'microsoft\.compute/skuspotevictionrate/location' "
    rf"\| where sku\.name in~ {_WORDS} \| where location in~ {_WORDS} "
    r"\| project skuName = tostring\(sku\.name\), location, evictionRate = tostring\(properties\.evictionRate\)"
)
"""The one query of Resource Graph that is made: any other could read what tenants have."""


def _reads_spot_rates(method: str, kind: str, body: Mapping[str, Any]) -> bool:
    query = body.get("query") if method == "POST" and kind == "microsoft.resourcegraph/resources" else None
    return isinstance(query, str) and body.keys() <= {"query", "options"} and _SPOT_RATES.fullmatch(query) is not None


_PLACEMENT = re.compile(
    r"subscriptions/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/providers/microsoft\.compute/locations/[a-z0-9]+/placementscores/spot/generate"
)
_WORD = re.compile(r"[\w.-]+")
_QUESTION = frozenset({"desiredLocations", "desiredSizes", "desiredCount", "availabilityZones"})


def _reads_spot_scores(method: str, parts: list[str], body: Mapping[str, Any]) -> bool:
    """Whether it is the question for placement scores, with nothing else in it: it makes nothing, and names sizes and regions alone."""
    if method != "POST" or _PLACEMENT.fullmatch("/".join(parts).lower()) is None or body.keys() != _QUESTION:
        return False
    regions, sizes, count = (body[name] for name in ("desiredLocations", "desiredSizes", "desiredCount"))
    if not isinstance(regions, list) or not isinstance(sizes, list) or type(count) is not int or type(body["availabilityZones"]) is not bool:
        return False
    names = [*regions, *(size["sku"] if isinstance(size, dict) and size.keys() == {"sku"} else None for size in sizes)]
    return all(isinstance(name, str) and _WORD.fullmatch(name) for name in names)


def is_management(action: str) -> bool:
    """Whether an action (``PUT microsoft.authorization/policyassignments``) is about identity, policy or the subscription itself, not about what runs in it."""
    kind = action.partition(" ")[2]
    return kind == "subscriptions" or kind.split("/", 1)[0] in _GLOBAL_NAMESPACES


def _kind(parts: list[str], lowered: list[str]) -> tuple[str, str]:
    """The type (``microsoft.compute/virtualmachines``) and name of the innermost resource that the path names."""
    if "providers" in lowered:
        start = len(lowered) - 1 - lowered[::-1].index("providers")
        tail = lowered[start + 1 :]
        kind = "/".join([*tail[:1], *tail[1::2]])
        return kind, parts[-1] if len(tail) % 2 == 1 and len(tail) > 1 else ""
    if lowered[2:3] == ["resourcegroups"]:
        return "resourcegroups", parts[3] if len(parts) > 3 else ""
    if lowered[:1] == ["subscriptions"]:
        return "subscriptions", parts[1] if len(parts) > 1 else ""
    return lowered[0] if lowered else "", ""


def _written(method: str, kind: str, resource: str, parts: list[str]) -> tuple[str, str]:
    """Kind and resource of a write, the action of a POST taken off. Raises :class:`Refused` for a type or an action that isn't judged here."""
    if method == "POST":
        action = parts[-1].lower() if parts else ""
        if kind.split("/", 1)[0] not in _GLOBAL_NAMESPACES and action not in _ACTIONS:
            raise Refused("request", f"the action {action!r} is not among those that are judged here")
        kind, resource = kind.removesuffix("/" + action), resource or (parts[-2] if len(parts) > 1 else "")
        if action in {"register", "unregister"}:
            return kind, resource
    if kind.split("/", 1)[0] not in _GLOBAL_NAMESPACES and kind not in _KINDS and kind not in _PASSIVE_KINDS:
        raise Refused("request", f"the type {kind!r} is not among those that are judged here")
    return kind, resource


def _names_a_place(path: str, text: str) -> bool:
    leaf = path.rsplit(".", 1)[-1].partition("[")[0].lower()
    return leaf in _PLACE_KEYS and bool(text) and "/" not in text


def _access(method: str, lowered: list[str], kind: str) -> Access:
    if method in {"GET", "HEAD"}:
        return (
            "metadata"
            if kind.endswith(("/skus", "/vmsizes")) or lowered[2:] == ["locations"] or lowered == ["subscriptions"] or lowered == ["tenants"]
            else "read"
        )
    if method == "DELETE" or (method == "POST" and lowered[-1:] and lowered[-1] in {"deallocate", "cancel", "poweroff"}):
        return "delete"
    return "write"


# Resource Manager reads property names in any letter case; what the rules read must be written as they read it.
_READ = {
    name.lower(): name
    for name in (
        "location", "properties", "priority", "tags", "sku", "storageProfile", "osDisk", "dataDisks", "managedDisk", "diskEncryptionSet", "id",
        "networkProfile", "networkInterfaceConfigurations", "networkInterfaces", "ipConfigurations", "publicIPAddress", "publicIPAddressConfiguration",
        "securityRules", "direction", "access", "sourceAddressPrefix", "sourceAddressPrefixes", "destinationAddressPrefix", "destinationAddressPrefixes",
        "virtualMachineProfile", "encryption", "diskEncryptionSetId", "backup", "geoRedundantBackup", "name",
    )
}  # fmt: skip


def _flat(value: Any) -> Any:
    """Resource Manager keeps a resource's own fields under ``properties``; Pulumi's inputs have them one level up.

    Raises :class:`Refused` where a name stands in another letter case than the rules read, or twice.
    """
    if isinstance(value, list):
        return [_flat(item) for item in value]
    if not isinstance(value, dict):
        return value
    lowered = [key.lower() for key in value]
    if len(set(lowered)) != len(lowered):
        raise Refused("request", "a name stands twice in different letter cases", 400)
    flat: dict[str, Any] = {}
    inner: Any = None
    for low, (key, item) in zip(lowered, value.items(), strict=True):
        if _READ.get(low, key) != key:
            raise Refused("request", f"{key!r} is written {_READ[low]!r} here", 400)
        if key == "properties":
            inner = item
        else:
            flat[key] = item if key == "tags" else _flat(item)
    if not isinstance(inner, dict):
        _flat(inner)
        return flat
    if clash := flat.keys() & inner.keys() & {"location", "priority"}:
        raise Refused("request", f"{', '.join(sorted(clash))} stands in the resource and in its properties", 400)
    return {**_flat(inner), **flat}
