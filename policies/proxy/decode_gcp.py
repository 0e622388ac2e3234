"""Google Cloud requests as calls, by the paths of the Compute, Resource Manager, Service Usage, IAM, Org Policy, Billing, KMS and Monitoring APIs."""

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
_METHODS: dict[str, dict[str, frozenset[str]]] = {
    "cloudkms": {
        "keyRings": frozenset({"", "getIamPolicy"}),
        "cryptoKeys": frozenset({"", "getIamPolicy", "setIamPolicy"}),
        "cryptoKeyVersions": frozenset({"", "destroy"}),
    },
    "billingbudgets": {"budgets": frozenset({""})},
    "monitoring": {"notificationChannels": frozenset({""})},
    "iamcredentials": {"serviceAccounts": frozenset({"generateAccessToken"})},
    "iam": {
        "serviceAccounts": frozenset({"", "disable", "enable", "getIamPolicy", "setIamPolicy", "testIamPermissions", "undelete"}),
        "roles": frozenset({"", "undelete"}),
        "permissions": frozenset({"queryTestablePermissions"}),
        "workloadIdentityPools": frozenset({"", "undelete"}),
        "providers": frozenset({"", "undelete"}),
        "operations": frozenset({""}),
    },
}
"""Of services that do more than the stacks need, the collections and verbs that are judged: no decryption, no keys of service accounts (they are good for ever)
nor their import, no signing, no time series."""
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
    _check_query(query)
    body = request.json()
    _check_names(body)
    place = next((parts[index + 1] for index, part in enumerate(parts[:-1]) if part in _PLACES), None)
    if place == "global" and "locations" in parts and host.service != "cloudkms":
        # Google's word for the place of what has none; `regions/global` is no such thing, and a global key is kept in many regions.
        place = None
    tail = parts[parts.index("projects") + 2 :] if "projects" in parts[:-1] else parts[1:]
    collection = _collection(tail)
    if host.service in _METHODS:
        collection = _judged(host.service, parts, verb)
    access = _access(request.method, verb, tail, collection)
    facts = Facts(scope="global")
    if host.service == "compute" and access == "write":
        _check_write(request, tail, collection, query, body)
    if host.service == "compute":
        facts = gcp.facts(Resource(f"gcp:compute/x:{_KINDS.get(collection, collection)}", "", Inputs(body)))
        if collection == "instances" and (action := _action(tail)):
            facts = _of_action(action, body)
        facts.regions = [Named(of_zone("gcp", named.value.rsplit("/", 1)[-1]) if named.value else None, named.path) for named in facts.regions]
        facts.scope = "regional" if place else "global"
        for path, text in strings(body):
            linked = gcp_place(text) if len(text) < _LINK_LENGTH and not path.startswith("metadata") else None
            if linked:
                facts.regions.append(Named(of_zone("gcp", linked), path))
    if place:
        facts.regions.insert(0, Named(of_zone("gcp", place), "path"))
        facts.scope = "regional"
    if host.service == "cloudkms" and collection == "cryptoKeys" and access == "write" and not verb and _writes_labels(request.method, query, body):
        facts.tagged(Inputs(body), "labels")
    facts.account = gcp_project("/" + "/".join(parts).partition(":")[0])
    if facts.account is None and host.service == "cloudresourcemanager" and request.method == "POST" and collection in {"", "projects"}:
        facts.account = None
    if facts.account == "-" and host.service == "iamcredentials":
        facts.account = _project_of(last.partition(":")[0])
    facts.accounts = [Named(found, path) for path, text in strings(body) if (found := gcp.linked_project(text))]
    named = last if collection and last != collection else str(body.get("name") or "")
    if access == "read" and not named and verb:
        named = last
    return f"{collection or last}.{verb or request.method.lower()}", access, facts, named


def _action(tail: list[str]) -> str:
    """``setLabels`` of ``zones/europe-west1-b/instances/web/setLabels``."""
    where = tail[1:] if tail[:1] == ["global"] else tail[2:]
    return where[2] if len(where) > 2 else ""


_SAID: dict[str, frozenset[str]] = {
    "setScheduling": frozenset({"spot"}),
    "attachDisk": frozenset({"disk-encrypted", "customer-key"}),
    "updateNetworkInterface": frozenset({"public-address"}),
}
"""The traits that an action's body decides."""


def _of_action(action: str, body: Mapping[str, Any]) -> Facts:
    """What an action on an instance says: its body is a part of one, and what the part doesn't hold stays as it is."""
    parts: dict[str, dict[str, Any]] = {
        "setScheduling": {"scheduling": body},
        "attachDisk": {"disks": [body]},
        "updateNetworkInterface": {"networkInterfaces": [body]},
    }
    facts = gcp.facts(Resource("gcp:compute/x:Instance", "", Inputs(parts.get(action, {}))))
    said = _SAID.get(action, frozenset())
    facts.traits = [trait for trait in facts.traits if trait.name in said]
    facts.tags = None
    if action in {"addAccessConfig", "updateAccessConfig"}:
        facts.trait("public-address", True, action)
    if action == "setLabels":
        facts.tagged(Inputs(body), "labels")
    return facts


_FREE = frozenset({"labels", "resourceLabels", "userLabels", "metadata", "bindings", "params", "spec", "etag", "attributeMapping"})


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


_QUERY = frozenset({"$alt", "$fields", "$prettyPrint", "$.xgafv", "access_token", "oauth_token", "upload_protocol"})
"""Google's own parameters that are written in another way than a method's."""


def _check_query(query: Mapping[str, str]) -> None:
    """Raises :class:`Refused` for names that Google reads as another's, and for its own by which a query stands for headers, a method or a body."""
    if strange := sorted(name for name in query if name not in _QUERY and (not name[:1].isalpha() or name[:1].isupper() or "_" in name)):
        raise Refused("request", f"the query's {', '.join(map(repr, strange))} isn't read here", 400)


def _judged(service: str, parts: list[str], verb: str) -> str:
    """The innermost collection of a path of a service in :data:`_METHODS`. Raises :class:`Refused` where it or its verb isn't judged."""
    rest = [part.partition(":")[0] for part in parts[1:]]
    names = rest[0::2]  # collections and ids take turns
    collection = names[-1] if names else ""
    if verb not in _METHODS[service].get(collection, ()):
        raise Refused("request", f"{collection or 'this'}{':' if verb else ''}{verb} of {service} is not among the calls that are judged here")
    return collection


def _writes_labels(method: str, query: Mapping[str, str], body: Mapping[str, Any]) -> bool:
    return method == "POST" or "labels" in body or any(path.split(".")[0] == "labels" for path in query.get("updateMask", "labels").split(","))


def _project_of(email: str) -> str | None:
    """The project of a service account that was made in it: ``<name>@<project>.iam.gserviceaccount.com``."""
    domain = email.partition("@")[2]
    return domain.removesuffix(".iam.gserviceaccount.com") if domain.endswith(".iam.gserviceaccount.com") else None


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
        return "metadata" if collection in _CATALOGUES or tail == ["aggregated", "machineTypes"] else "read"
    if method == "POST" and tail[:1] == ["regions"] and tail[2:] == ["advice", "capacity"]:
        return "metadata"
    if verb in {"getIamPolicy", "testIamPermissions", "search"}:
        return "read"
    if tail[-1:] == ["wait"]:
        return "read"
    if method == "DELETE" or verb in {"disable", "delete", "destroy"} or tail[-1:] == ["stop"]:
        return "delete"
    return "write"
