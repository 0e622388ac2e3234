"""Compute Engine v1: networks, subnetworks, firewalls, routers, addresses, disks, instances and their operations.

Format: https://cloud.google.com/compute/docs/reference/rest/v1. A mutation answers an operation that is RUNNING; its work is done at once, and the first
``get`` or ``wait`` tells how it ended.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from domain.catalog import CATALOG
from localcloud.clouds.documents import Document, Documents, Json, made_up_number, made_up_uuid
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.gcp.errors import GoogleError, exists, in_use, not_found
from localcloud.clouds.gcp.instances import INSTANCE, Instances
from localcloud.clouds.gcp.locations import check_location
from localcloud.clouds.gcp.projects import Projects

BASE = "https://www.googleapis.com/compute/v1/"
OPERATION = "compute#operation"

_KINDS = {
    "networks": "compute#network",
    "subnetworks": "compute#subnetwork",
    "firewalls": "compute#firewall",
    "routers": "compute#router",
    "addresses": "compute#address",
    "disks": "compute#disk",
    "instances": INSTANCE,
}
_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NETWORK_FILTER = re.compile(r"network eq (https://\S+)")
_LABEL_FILTER = re.compile(r"labels\.([a-z][a-z0-9_-]*)=([a-z0-9_-]*)")
_CPUS = {"CPUS": 72, "PREEMPTIBLE_CPUS": 0}
"""Quotas of a region in a project that never asked for more (Compute Engine, "Allocation quotas"): spot machines then use that of all CPUs."""
_LINKS = ("network", "subnetwork", "natIps", "source", "sourceSubnetworkIpRangesToNat")
"""Fields that name another resource."""


@dataclass(frozen=True)
class _Place:
    """Where a path points: ``location`` is ``global``, ``regions/<r>`` or ``zones/<z>``."""

    project: str
    location: str
    collection: str
    name: str
    verb: str

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/{self.location}/{self.collection}"

    @property
    def key(self) -> str:
        return f"{self.parent}/{self.name}"


class Compute:
    """compute.googleapis.com over ``documents``."""

    def __init__(self, documents: Documents, projects: Projects, instances: Instances) -> None:
        self._documents = documents
        self._projects = projects
        self._instances = instances

    def handle(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one call. Raises :class:`GoogleError`."""
        parts = request.path.strip("/").split("/")[2:]
        if len(parts) >= 4 and parts[0] == "projects" and parts[2:4] == ["global", "images"]:
            return json_answer(200, _image(parts))
        if len(parts) < 2 or parts[0] != "projects":
            raise GoogleError(404, f"{request.path}: the local cloud serves compute/v1/projects/*")
        project = self._projects.require_service(parts[1], "compute.googleapis.com").account
        if parts[2:3] == ["aggregated"]:
            return self._aggregated(project, parts[3] if len(parts) == 4 else "", request)
        place = _place(project, parts)
        if place.collection in ("zones", "regions", "machineTypes"):
            return _catalogue(place, parts)
        if place.collection == "operations":
            return self._operation(place)
        if place.collection not in _KINDS:
            raise GoogleError(404, f"{request.path}: the local cloud serves {', '.join(sorted(_KINDS))}")
        _check_place(place)
        if not place.name and request.method == "POST":
            return self._insert(request.json(), place)
        if not place.name:
            items = [_shown(document) for document in self._documents.below(place.parent)]
            if wanted := _NETWORK_FILTER.fullmatch(request.parameters.get("filter", "")):
                items = [item for item in items if item.get("network") == wanted[1]]
            return json_answer(200, {"kind": f"{_KINDS[place.collection]}List", "id": place.parent, "items": items, "selfLink": BASE + place.parent})
        found = self._documents.get(place.key)
        if found is None:
            raise not_found(place.key)
        if request.method == "GET":
            if place.verb == "serialPort":
                return json_answer(200, {"kind": "compute#serialPortOutput", "contents": self._instances.console(found)})
            return json_answer(200, _shown(found))
        if request.method == "DELETE":
            return self._delete(found, place)
        return self._change(request, found, place)

    def _aggregated(self, project: str, collection: str, request: HttpRequest) -> HttpAnswer:
        """``aggregatedList``: the members of a collection in all places, by place. Of filters, equality with a label is understood."""
        if collection not in _KINDS:
            raise GoogleError(404, f"{request.path}: the local cloud serves {', '.join(sorted(_KINDS))}")
        wanted = _LABEL_FILTER.fullmatch(request.parameters.get("filter", ""))
        if wanted is None and "filter" in request.parameters:
            raise GoogleError(400, f"Invalid value for field 'filter': '{request.parameters['filter']}'. The local cloud reads labels.KEY=VALUE.")
        items: dict[str, Json] = {}
        for document in self._documents.below(f"projects/{project}"):
            location, _, rest = document.key.removeprefix(f"projects/{project}/").partition(f"/{collection}/")
            labels = document.body.get("labels") or {}
            if document.kind == _KINDS[collection] and rest and (wanted is None or labels.get(wanted[1]) == wanted[2]):
                items.setdefault(location, {collection: []})[collection].append(_shown(document))
        return json_answer(200, {"kind": f"{_KINDS[collection]}AggregatedList", "items": items})

    def empty(self, project: str) -> None:
        """Removes everything of a project that is deleted."""
        for document in reversed(self._documents.of(account=project)):
            if document.kind == INSTANCE:
                self._instances.delete(document)
            elif document.kind in _KINDS.values():
                self._documents.delete(document.key)

    def _insert(self, body: Json, place: _Place) -> HttpAnswer:
        name = str(body.get("name", ""))
        if not _NAME.fullmatch(name):
            raise GoogleError(400, f"Invalid value for field 'resource.name': '{name}'. Must be a match of regex '(?:[a-z](?:[-a-z0-9]{{0,61}}[a-z0-9])?)'")
        place = _Place(place.project, place.location, place.collection, name, "")
        if self._documents.get(place.key) is not None:
            raise exists(place.key)
        location = place.location.rpartition("/")[2]
        if location != "global":
            check_location(self._documents, place.project, location, place.key)
        body = {key: value for key, value in body.items() if key not in ("id", "selfLink", "kind", "creationTimestamp", "status")}
        if place.collection == "instances":
            _default_network(body, place)
        _normalise(body, place.project)
        self._check_links(body)
        number = self._documents.next_number()
        identity = made_up_number(place.key, number)
        body |= {"id": str(identity), "creationTimestamp": _now(), "fingerprint": _fingerprint(place.key, number)}
        if place.collection == "instances":
            failure = self._instances.insert(place.key, place.project, location, identity, body)
            if failure is not None:
                return self._done(place, "insert", identity, failure)
        else:
            self._fill(body, place)
            self._documents.put(place.key, _KINDS[place.collection], place.project, body)
        return self._done(place, "insert", identity)

    def _fill(self, body: Json, place: _Place) -> None:
        if place.collection == "networks":
            body.setdefault("autoCreateSubnetworks", False)
            body.setdefault("routingConfig", {"routingMode": "REGIONAL"})
            body.setdefault("networkFirewallPolicyEnforcementOrder", "AFTER_CLASSIC_FIREWALL")
        elif place.collection == "subnetworks":
            network = self._range(body)
            for other in self._documents.of("compute#subnetwork", place.project):
                if other.body["network"] == body.get("network") and self._range(other.body).overlaps(network):
                    message = f"Invalid IPCidrRange: {body['ipCidrRange']} conflicts with existing subnetwork"
                    message += f" '{other.body['name']}' in region '{other.key.split('/')[3]}'."
                    raise GoogleError(400, message)
            body |= {
                "gatewayAddress": str(network.network_address + 1),
                "purpose": body.get("purpose", "PRIVATE"),
                "stackType": body.get("stackType", "IPV4_ONLY"),
            }
            body.setdefault("privateIpGoogleAccess", False)
        elif place.collection == "firewalls":
            body.setdefault("direction", "INGRESS")
            body.setdefault("priority", 1000)
            body.setdefault("disabled", False)
            body.setdefault("logConfig", {"enable": False})
            if ("allowed" in body) == ("denied" in body):
                raise GoogleError(400, "Invalid value for field 'resource.allowed': exactly one of allowed and denied must be given.")
        elif place.collection == "addresses":
            body.setdefault("address", f"203.0.113.{1 + int(body['id']) % 254}")  # RFC 5737: leads nowhere
            body |= {"status": "RESERVED", "addressType": body.get("addressType", "EXTERNAL")}
        elif place.collection == "disks":
            body |= {"status": "READY", "sizeGb": str(body.get("sizeGb", "10"))}

    def _range(self, body: Json) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        try:
            return ipaddress.ip_network(body["ipCidrRange"])
        except (KeyError, ValueError) as error:
            raise GoogleError(400, f"Invalid value for field 'resource.ipCidrRange': '{body.get('ipCidrRange', '')}'. Must be a valid CIDR range.") from error

    def _delete(self, found: Document, place: _Place) -> HttpAnswer:
        if place.collection != "instances":
            for other in self._documents.of(account=place.project):
                if other.key != found.key and other.kind in _KINDS.values() and found.key in _links(other.body):
                    raise in_use(found.key, other.key)
            self._documents.delete(found.key)
        else:
            self._instances.delete(found)
        return self._done(place, "delete", int(found.body["id"]))

    def _change(self, request: HttpRequest, found: Document, place: _Place) -> HttpAnswer:
        if place.collection == "instances" and place.verb:
            failure = self._instances.act(found, place.verb, request)
            return self._done(place, place.verb, int(found.body["id"]), failure)
        change = request.json()
        if place.collection == "subnetworks" and request.method == "PATCH" and change.get("fingerprint") != found.body["fingerprint"]:
            raise GoogleError(412, f"Invalid fingerprint for the subnetwork '{found.key}': it was changed meanwhile.")
        _normalise(change, place.project)
        self._check_links(change)
        if place.verb == "expandIpCidrRange" and not self._range(found.body).subnet_of(self._range(change)):  # type: ignore[arg-type]  # both are IPv4
            raise GoogleError(400, f"Invalid value for field 'ipCidrRange': '{change['ipCidrRange']}' does not contain {found.body['ipCidrRange']}.")
        kept = {key: found.body[key] for key in ("id", "name", "creationTimestamp")}
        body = {**found.body, **change, **kept, "fingerprint": _fingerprint(found.key, self._documents.next_number())}
        self._documents.put(found.key, found.kind, found.account, body)
        return self._done(place, place.verb or ("update" if request.method == "PUT" else "patch"), int(found.body["id"]))

    def _check_links(self, body: Json) -> None:
        for link in _links(body):
            if self._documents.get(link) is None:
                raise not_found(link)

    # Operations

    def _done(self, place: _Place, kind: str, target: int, failure: GoogleError | None = None) -> HttpAnswer:
        number = self._documents.next_number()
        name = f"operation-{made_up_uuid('operation', place.project, number)}"
        key = f"projects/{place.project}/{place.location}/operations/{name}"
        operation: Json = {"kind": OPERATION, "id": str(made_up_number(key)), "name": name, "operationType": kind, "targetLink": BASE + place.key}
        operation |= {
            "targetId": str(target),
            "user": "local",
            "insertTime": _now(),
            "startTime": _now(),
            "progress": 0,
            "status": "RUNNING",
            "selfLink": BASE + key,
        }
        if place.location != "global":
            scope, _, location = place.location.partition("/")
            operation[scope.rstrip("s")] = f"{BASE}projects/{place.project}/{scope}/{location}"
        done = {**operation, "status": "DONE", "progress": 100, "endTime": _now()}
        if failure is not None:
            done |= {"error": {"errors": [{"code": failure.reason, "message": failure.message}]}}
            done |= {"httpErrorStatusCode": failure.code, "httpErrorMessage": failure.status}
        self._documents.put(key, OPERATION, place.project, done)
        self._documents.keep_last(OPERATION, 500)
        return json_answer(200, operation)

    def _operation(self, place: _Place) -> HttpAnswer:
        found = self._documents.get(place.key)
        if found is None:
            raise not_found(place.key)
        return json_answer(200, found.body)


def _place(project: str, parts: list[str]) -> _Place:
    rest = parts[2:]
    if rest[:1] == ["global"]:
        location, rest = "global", rest[1:]
    elif rest[:1] in (["zones"], ["regions"]) and len(rest) > 2:
        location, rest = "/".join(rest[:2]), rest[2:]
    else:
        location = "global"
    return _Place(project, location, *[*rest, "", "", ""][:3])


def _check_place(place: _Place) -> None:
    scope, _, location = place.location.partition("/")
    region = location if scope == "regions" else location.rpartition("-")[0]
    if scope == "global":
        return
    if not CATALOG.has_region("gcp", region) or (scope == "zones" and location not in CATALOG.region("gcp", region).zones):
        kind = scope.rstrip("s")
        raise GoogleError(400, f"Invalid value for field '{kind}': '{location}'. Unknown {kind}.")


def _default_network(body: Json, place: _Place) -> None:
    if not body.get("networkInterfaces"):
        raise GoogleError(400, "Invalid value for field 'resource.networkInterfaces': ''. At least one network interface is required.")


def _normalise(value: Any, project: str) -> None:
    """Links of any form (URL, ``projects/…``, ``global/…``, ``regions/…``) become full URLs, as Compute Engine shows them."""
    if isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, str) and key in ("network", "subnetwork", "source", "name") and "/" in part:
                value[key] = BASE + _relative(part, project)
            elif key == "natIps" and isinstance(part, list):
                value[key] = [BASE + _relative(link, project) for link in part]
            else:
                _normalise(part, project)
    elif isinstance(value, list):
        for part in value:
            _normalise(part, project)


def _relative(link: str, project: str) -> str:
    path = re.sub(r"^https?://[^/]+/(?:compute/[a-z0-9]+/)?", "", link).removeprefix("/")
    return path if path.startswith("projects/") else f"projects/{project}/{path}"


def _links(value: Any) -> Iterator[str]:
    """Keys of the resources that ``value`` names."""
    if isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, str) and key in ("network", "subnetwork", "source", "name") and part.startswith(BASE):
                yield part.removeprefix(BASE)
            elif key == "natIps" and isinstance(part, list):
                yield from (link.removeprefix(BASE) for link in part)
            else:
                yield from _links(part)
    elif isinstance(value, list):
        for part in value:
            yield from _links(part)


def _shown(document: Document) -> Json:
    body: Json = json.loads(json.dumps(document.body))
    body |= {"kind": document.kind, "selfLink": BASE + document.key}
    scope, _, rest = document.key.split("/", 2)[2].partition("/")
    if scope != "global":
        body[scope.rstrip("s")] = f"{BASE}{'/'.join(document.key.split('/')[:2])}/{scope}/{rest.split('/')[0]}"
    return body


def _catalogue(place: _Place, parts: list[str]) -> HttpAnswer:
    """Zones, regions and machine types."""
    if place.collection == "machineTypes":
        if not CATALOG.has_machine("gcp", place.name):
            raise not_found(place.key)
        machine = CATALOG.machine("gcp", place.name)
        shape: Json = {"kind": "compute#machineType", "name": machine.name, "guestCpus": machine.vcpu, "memoryMb": int(machine.memory_gib * 1024)}
        return json_answer(200, shape | {"zone": place.location.rpartition("/")[2], "selfLink": BASE + place.key})
    kind = place.collection.rstrip("s")
    names = [region.name for region in CATALOG.regions("gcp")] if kind == "region" else [zone for region in CATALOG.regions("gcp") for zone in region.zones]
    items: list[Json] = [
        {"kind": f"compute#{kind}", "name": name, "status": "UP", "selfLink": f"{BASE}projects/{place.project}/{place.collection}/{name}"} for name in names
    ]
    if place.name:
        found = next((item for item in items if item["name"] == place.name), None)
        if found is None:
            raise not_found("/".join(parts))
        if kind == "region":
            found |= {"quotas": [{"metric": metric, "limit": limit, "usage": 0} for metric, limit in _CPUS.items()]}
        return json_answer(200, found)
    return json_answer(200, {"kind": f"compute#{kind}List", "items": items})


def _image(parts: list[str]) -> Json:
    """A public image: here it only has to have a name."""
    family = parts[5] if parts[4:5] == ["family"] and len(parts) > 5 else ""
    name = f"{family}-v20261101" if family else parts[-1]
    link = f"{BASE}projects/{parts[1]}/global/images/{name}"
    return {"kind": "compute#image", "id": str(made_up_number(link)), "name": name, "family": family, "status": "READY", "diskSizeGb": "10", "selfLink": link}


def _fingerprint(key: str, number: int) -> str:
    return base64.b64encode(made_up_uuid(key, number).encode()[:8]).decode()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+00:00")
