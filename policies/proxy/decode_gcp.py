"""Google Cloud requests as calls, by the paths of the Compute, Resource Manager, Service Usage, IAM, Org Policy and Billing APIs."""

from __future__ import annotations

import re

from domain.boundary.call import Access, Named
from domain.boundary.names import gcp_project, strings
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
_CATALOGUES = frozenset({"machineTypes", "zones", "regions", "diskTypes", "images"})
_PLACES = frozenset({"zones", "regions", "locations"})


def decode(request: ApiRequest, host: KnownHost) -> tuple[str, Access, Facts, str]:
    """Action, access, facts and resource of the request. Raises :class:`Refused` where it can't be read."""
    parts = request.segments
    if "batch" in parts:
        raise Refused("request", "batches hide the calls that they make; make them one by one")
    if host.service == "compute" and parts[:1] == ["compute"]:
        parts = parts[1:]
    last, _, verb = (parts[-1] if parts else "").partition(":")
    body = request.json()
    place = next((parts[index + 1] for index, part in enumerate(parts[:-1]) if part in _PLACES), None)
    if place == "global":
        place = None
    tail = parts[parts.index("projects") + 2 :] if "projects" in parts[:-1] else parts[1:]
    collection = _collection(tail)
    access = _access(request.method, verb, tail, collection)
    facts = Facts(scope="global")
    if host.service == "compute":
        facts = gcp.facts(Resource(f"gcp:compute/x:{_KINDS.get(collection, collection)}", "", Inputs(body)))
        facts.regions = [Named(of_zone("gcp", named.value.rsplit("/", 1)[-1]) if named.value else None, named.path) for named in facts.regions]
        facts.scope = "regional" if place else "global"
        for path, text in strings(body):
            match = re.search(r"/(?:zones|regions)/([a-z0-9-]+)(?:/|$)", text) if text.startswith(("https://", "projects/", "zones/", "regions/")) else None
            if match:
                facts.regions.append(Named(of_zone("gcp", match[1]), path))
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


def _collection(tail: list[str]) -> str:
    """``instances`` of ``zones/europe-west1-b/instances/web``."""
    rest = list(tail)
    if rest[:1] == ["global"]:
        rest = rest[1:]
    elif rest[:1] and rest[0] in _PLACES and len(rest) > 2:
        rest = rest[2:]
    return rest[0].partition(":")[0] if rest else ""


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
