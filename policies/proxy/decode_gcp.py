"""Google Cloud requests as calls, by the paths of the Compute, Resource Manager, Service Usage, IAM, Org Policy and Billing APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.boundary.call import Access, Named
from domain.boundary.names import gcp_place, gcp_project, strings
from domain.boundary.regions import of_zone
from policies.facts import gcp
from policies.facts.reading import Inputs
from policies.facts.resource import Facts, Resource
from policies.proxy.hosts import KnownHost
from policies.proxy.request import ApiRequest, Refused

_KINDS = {
    "instances": "Instance",
    "firewalls": "Firewall",
    "instanceTemplates": "InstanceTemplate",
    "disks": "Disk",
    "subnetworks": "Subnetwork",
    "routers": "Router",
}
_WRITES: dict[str, frozenset[str]] = {
    "instances": frozenset(
        {"start", "stop", "reset", "suspend", "resume", "setLabels", "setMetadata", "setTags", "setScheduling", "setMachineType", "setServiceAccount",
         "addAccessConfig", "updateAccessConfig", "deleteAccessConfig", "attachDisk", "detachDisk", "simulateMaintenanceEvent", "setDeletionProtection",
         "updateNetworkInterface", "updateShieldedInstanceConfig"}
    ),
    "disks": frozenset({"setLabels", "resize"}),
    "networks": frozenset({"addPeering", "removePeering", "updatePeering"}),
    "subnetworks": frozenset({"expandIpCidrRange", "setPrivateIpGoogleAccess"}),
    "addresses": frozenset({"setLabels"}), "firewalls": frozenset(), "routers": frozenset(), "routes": frozenset(), "instanceTemplates": frozenset(),
    "healthChecks": frozenset(), "operations": frozenset({"wait"}), "": frozenset({"setCommonInstanceMetadata"}),
}  # fmt: skip
"""Compute's collections that are judged, each with the actions on one of its members. Anything else that writes is refused: bulk inserts and templates of
others hide what they make, snapshots and images carry data out."""
_HIDING = frozenset({"sourceInstanceTemplate", "sourceMachineImage", "sourceImage", "sourceSecurityPolicy"})
_CATALOGUES = frozenset({"machineTypes", "zones", "regions", "diskTypes", "images"})
_LINK_LENGTH = 1024
_PLACES = frozenset({"zones", "regions", "locations"})


def decode(request: ApiRequest, host: KnownHost) -> tuple[str, Access, Facts, str]:
    """Action, access, facts and resource of the request. Raises :class:`Refused` where it can't be read."""
    parts = request.segments
    if "batch" in parts:
        raise Refused("request", "batches hide the calls that they make; make them one by one")
    if host.service == "compute" and parts[:1] == ["compute"]:
        parts = parts[1:]
    last, _, verb = (parts[-1] if parts else "").partition(":")
    if request.method not in {"GET", "PUT", "PATCH", "POST", "DELETE"} or request.headers.get("x-http-method-override"):
        raise Refused("request", "the method is none of Google's, or another one hides behind it", 400)
    if request.method in {"GET", "DELETE"} and request.body.strip():
        raise Refused("request", f"a {request.method} with a body", 400)
    query = request.parameters()
    body = request.json()
    _check_names(body)
    place = next((parts[index + 1] for index, part in enumerate(parts[:-1]) if part in _PLACES), None)
    if place == "global" and "locations" in parts:
        # Google's word for the place of what has none; `regions/global` is no such thing.
        place = None
    tail = parts[parts.index("projects") + 2 :] if "projects" in parts[:-1] else parts[1:]
    collection = _collection(tail)
    access = _access(request.method, verb, tail, collection)
    facts = Facts(scope="global")
    if host.service == "compute" and access == "write":
        _check_write(request, tail, collection, query, body)
    if host.service == "compute":
        facts = gcp.facts(Resource(f"gcp:compute/x:{_KINDS.get(collection, collection)}", "", Inputs(body)))
        facts.regions = [Named(of_zone("gcp", named.value.rsplit("/", 1)[-1]) if named.value else None, named.path) for named in facts.regions]
        facts.scope = "regional" if place else "global"
        if tail[-1:] and tail[-1] in {"addAccessConfig", "updateAccessConfig"}:
            facts.trait("public-address", True, tail[-1])
        if tail[-1:] == ["setScheduling"]:
            facts.traits = [one for one in gcp.facts(Resource("gcp:compute/x:Instance", "", Inputs({"scheduling": body}))).traits if one.name == "spot"]
        for path, text in strings(body):
            linked = gcp_place(text) if len(text) < _LINK_LENGTH and not path.startswith("metadata") else None
            if linked:
                facts.regions.append(Named(of_zone("gcp", linked), path))
    if place:
        facts.regions.insert(0, Named(of_zone("gcp", place), "path"))
    facts.account = gcp_project("/" + "/".join(parts).partition(":")[0])
    if facts.account is None and host.service == "cloudresourcemanager" and request.method == "POST" and collection in {"", "projects"}:
        facts.account = None
    facts.accounts = [Named(found, path) for path, text in strings(body) if "/images/" not in text and "projects/" in text and (found := gcp_project(text))]
    named = last if collection and last != collection else str(body.get("name") or "")
    if access == "read" and not named and verb:
        named = last
    return f"{collection or last}.{verb or request.method.lower()}", access, facts, named


_FREE = frozenset({"labels", "resourceLabels", "metadata", "bindings", "params", "spec", "etag"})


def _check_names(value: Any) -> None:
    """Google reads ``source_ranges`` as ``sourceRanges``. Raises :class:`Refused` for names that aren't written as the rules read them."""
    if isinstance(value, list):
        for item in value:
            _check_names(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if "_" in key or (key[:1].isupper() and key not in {"IPProtocol", "IPAddress"}):
                raise Refused("request", f"{key!r} is not written in camel case", 400)
            if key not in _FREE:
                _check_names(item)


def _collection(tail: list[str]) -> str:
    """``instances`` of ``zones/europe-west1-b/instances/web``."""
    rest = list(tail)
    if rest[:1] == ["global"]:
        rest = rest[1:]
    elif rest[:1] and rest[0] in _PLACES and len(rest) > 2:
        rest = rest[2:]
    return rest[0].partition(":")[0] if rest else ""


def _check_write(request: ApiRequest, tail: list[str], collection: str, query: Mapping[str, str], body: Mapping[str, Any]) -> None:
    if hiding := sorted(_HIDING & {*query, *(body if collection == "instances" else ())}):
        raise Refused("request", f"{', '.join(hiding)} hides what the call makes; write it out")
    if collection not in _WRITES:
        raise Refused("request", f"a write to {collection!r} is not among those that are judged here")
    where = tail[1:] if tail[:1] == ["global"] else tail[2:] if tail[:1] and tail[0] in _PLACES else tail
    action = where[2] if len(where) > 2 else where[0] if collection == "" and where else ""
    if len(where) > 3 or (request.method == "POST" and len(where) == 2 and collection) or (action and action not in _WRITES[collection]):
        raise Refused("request", f"{'/'.join(where[:1] + where[2:]) or 'this'} is not among the writes that are judged here")


def _access(method: str, verb: str, tail: list[str], collection: str) -> Access:
    if method == "GET":
        return "metadata" if collection in _CATALOGUES else "read"
    if verb in {"getIamPolicy", "testIamPermissions", "search"}:
        return "read"
    if tail[-1:] == ["wait"]:
        return "read"
    if method == "DELETE" or verb in {"disable", "delete"} or tail[-1:] == ["stop"]:
        return "delete"
    return "write"
