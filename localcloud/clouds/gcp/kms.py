"""Key rings, keys and their versions: Cloud KMS v1 (https://cloud.google.com/kms/docs/reference/rest).

Rings and keys can't be deleted; a version is scheduled for destruction and destroyed when its time has come. Nothing is encrypted here.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.catalog import CATALOG
from localcloud.clouds.documents import Document, Documents, Json
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.gcp.errors import GoogleError
from localcloud.clouds.gcp.locations import check_location
from localcloud.clouds.gcp.projects import Projects

RING = "keyRing"
KEY = "cryptoKey"
_DAY = 86400
_MULTI_REGIONS = frozenset({"global", "eu", "europe", "us", "asia"})
_USE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


class Kms:
    """cloudkms.googleapis.com over ``documents``."""

    def __init__(self, documents: Documents, projects: Projects) -> None:
        self._documents = documents
        self._projects = projects

    def handle(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one call. Raises :class:`GoogleError`."""
        path, _, verb = request.path.strip("/").partition("/")[2].partition(":")
        parts = path.split("/")
        if len(parts) < 5 or parts[0] != "projects" or parts[2] != "locations" or parts[4] != "keyRings":
            raise GoogleError(404, f"{request.path}: the local cloud serves v1/projects/*/locations/*/keyRings")
        project = self._projects.require_service(parts[1], "cloudkms.googleapis.com").account
        parts[1] = project
        path = "/".join(parts)
        if verb in ("getIamPolicy", "setIamPolicy", "testIamPermissions"):
            return self._projects.policy(request, verb, self._found(path).key)
        if len(parts) in (5, 7):
            return self._collection(request, project, path, RING if len(parts) == 5 else KEY)
        found = self._found("/".join(parts[:8]))
        if len(parts) == 9:
            return json_answer(200, {"cryptoKeyVersions": (versions := _versions(found)), "totalSize": len(versions)})
        if len(parts) == 10:
            return self._version(request, found, path, verb)
        if request.method == "GET":
            return json_answer(200, _shown(found))
        if request.method == "PATCH" and found.kind == KEY:
            return self._change(request, found)
        raise GoogleError(404, f"{request.method} {request.path}: no such method; rings and keys can't be deleted")

    def use(self, key: str, region: str, agent: str) -> str:
        """The version of a disk's key that encrypts now. Raises :class:`GoogleError` for a key that Compute Engine couldn't use."""
        name = key.partition("/cryptoKeyVersions/")[0]
        found = self._documents.get(name)
        bindings = (found.hidden.get("policy") or {}).get("bindings", []) if found is not None else []
        granted = any(binding["role"] == _USE and f"serviceAccount:{agent}" in binding.get("members", []) for binding in bindings)
        if found is None or not granted:
            message = f"Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '{name}' (or it may not exist)."
            raise GoogleError(400, f"Cloud KMS error when using key {name}: {message}", reason="kmsPermissionDenied")
        place = name.split("/")[3]
        if place not in (region, "global"):
            raise GoogleError(400, f"The provided Cloud KMS key {name} is in location {place}, the resource in {region}; they must be in the same location.")
        primary = _shown(found).get("primary")
        if primary is None:
            raise GoogleError(400, f"Cloud KMS error when using key {name}: {name} is not enabled, current state is: DESTROYED.", reason="kmsKeyNotEnabled")
        return str(primary["name"])

    def _found(self, path: str) -> Document:
        found = self._documents.get(path)
        if found is None:
            kind = "CryptoKey" if "/cryptoKeys/" in path else "KeyRing"
            raise GoogleError(404, f"{kind} {path} not found.")
        return found

    def _collection(self, request: HttpRequest, project: str, path: str, kind: str) -> HttpAnswer:
        if kind == KEY:
            self._found(path.rpartition("/")[0])
        if request.method == "GET":
            members = [_shown(one) for one in self._documents.below(path) if one.key.count("/") == path.count("/") + 1]
            return json_answer(200, {f"{kind}s": members, "totalSize": len(members)})
        location = path.split("/")[3]
        if location not in _MULTI_REGIONS and not CATALOG.has_region("gcp", location):
            raise GoogleError(400, f"The request concerns location '{location}' but was sent to location 'global'. Unknown location.")
        id = request.parameters.get("keyRingId" if kind == RING else "cryptoKeyId", "")
        key = f"{path}/{id}"
        if not id:
            raise GoogleError(400, f"{'keyRingId' if kind == RING else 'cryptoKeyId'} is missing.")
        check_location(self._documents, project, location, key)
        if self._documents.get(key) is not None:
            raise GoogleError(409, f"{'KeyRing' if kind == RING else 'CryptoKey'} {key} already exists.")
        made: Json = {"name": key, "createTime": _time(datetime.now(UTC))}
        if kind == RING:
            return json_answer(200, self._documents.put(key, RING, project, made).body)
        body = request.json()
        _check_times(body)
        made |= {field: body[field] for field in ("purpose", "labels", "rotationPeriod", "nextRotationTime") if field in body}
        made |= {"destroyScheduledDuration": body.get("destroyScheduledDuration", f"{30 * _DAY}s")}
        made["versionTemplate"] = {"algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION", "protectionLevel": "SOFTWARE", **body.get("versionTemplate", {})}
        initial = [] if request.parameters.get("skipInitialVersionCreation") == "true" else [_fresh_version(key, 1)]
        return json_answer(200, _shown(self._documents.put(key, KEY, project, made, {"versions": initial})))

    def _change(self, request: HttpRequest, found: Document) -> HttpAnswer:
        body = request.json()
        _check_times(body)
        for field in request.parameters.get("updateMask", "").split(","):
            if field not in ("labels", "rotationPeriod", "nextRotationTime", "versionTemplate"):
                raise GoogleError(400, f"updateMask: {field!r} can't be changed.")
            found.body.pop(field, None)
            if field in body:
                found.body[field] = body[field]
        return json_answer(200, _shown(self._documents.put(found.key, KEY, found.account, found.body)))

    def _version(self, request: HttpRequest, found: Document, path: str, verb: str) -> HttpAnswer:
        versions = _versions(found)
        version = next((one for one in versions if one["name"] == path), None)
        if version is None:
            raise GoogleError(404, f"CryptoKeyVersion {path} not found.")
        if verb == "destroy":
            if version["state"] not in ("ENABLED", "DISABLED"):
                raise GoogleError(400, f"{path} is not enabled or disabled, current state is: {version['state']}.", status="FAILED_PRECONDITION")
            seconds = int(found.body["destroyScheduledDuration"].removesuffix("s"))
            version |= {"state": "DESTROY_SCHEDULED", "destroyTime": _time(datetime.now(UTC) + timedelta(seconds=seconds))}
            self._documents.put(found.key, KEY, found.account, found.body, {**found.hidden, "versions": versions})
        elif request.method != "GET":
            raise GoogleError(404, f"{request.method} {request.path}: no such method")
        return json_answer(200, version)


def usable(key: Document) -> bool:
    """Whether a key still has a version that isn't given up: only such a one is somebody's, and paid for."""
    return any(version["state"] in ("ENABLED", "DISABLED") for version in _versions(key))


def _fresh_version(key: str, number: int) -> Json:
    return {
        "name": f"{key}/cryptoKeyVersions/{number}",
        "state": "ENABLED",
        "protectionLevel": "SOFTWARE",
        "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION",
        "createTime": _time(datetime.now(UTC)),
    }


def _versions(key: Document) -> list[Json]:
    found: list[Json] = [dict(one) for one in key.hidden.get("versions", [])]
    for version in found:
        if version["state"] == "DESTROY_SCHEDULED" and version["destroyTime"] <= _time(datetime.now(UTC)):
            version |= {"state": "DESTROYED", "destroyEventTime": version["destroyTime"]}
    return found


def _shown(document: Document) -> Json:
    if document.kind != KEY:
        return document.body
    primary = next((version for version in reversed(_versions(document)) if version["state"] == "ENABLED"), None)
    return document.body | ({"primary": primary} if primary is not None else {})


def _check_times(body: Json) -> None:
    least = {"rotationPeriod": _DAY, "destroyScheduledDuration": _DAY}
    for field, seconds in least.items():
        if field in body and float(str(body[field]).removesuffix("s")) < seconds:
            raise GoogleError(400, f"{field}: {body[field]} is less than {seconds}s.")
    if "rotationPeriod" in body and "nextRotationTime" not in body:
        raise GoogleError(400, "nextRotationTime must be set if rotationPeriod is set.")


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
