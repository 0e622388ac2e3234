"""What a call to a cloud wants, as far as an injected fault asks: its operation, its region, whether it makes a machine, whether it changes anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from localcloud.clouds.exchange import HttpRequest

_ZONE = re.compile(r"/zones/([a-z0-9-]+)-[a-z](?:/|$)")
_REGION = re.compile(r"/regions/([a-z0-9-]+)(?:/|$)")
_READS = ("Describe", "Get", "List")


@dataclass(frozen=True)
class Wanted:
    """``operation`` is EC2's action, or method and type (``PUT Microsoft.Compute/virtualMachines``, ``POST instances``); ``region`` "" where none is told."""

    operation: str
    region: str
    machine: bool
    changes: bool

    @classmethod
    def of(cls, cloud: str, request: HttpRequest) -> Wanted:
        """What ``request`` wants of ``cloud``."""
        return {"aws": _aws, "azure": _azure, "gcp": _gcp}[cloud](request)


def _aws(request: HttpRequest) -> Wanted:
    target = request.headers.get("x-amz-target", "").rpartition(".")[2]
    form = parse_qs(request.body.decode("latin-1")) if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded") else {}
    action = target or form.get("Action", [""])[0]
    scope = request.headers.get("authorization", "").partition("Credential=")[2].split(",")[0].split("/")
    changes = not action.startswith(_READS) and action not in ("AssumeRole", "AssumeRoleWithWebIdentity") if action else request.method not in ("GET", "HEAD")
    return Wanted(action, scope[2] if len(scope) > 2 else "", action in ("RunInstances", "CreateFleet"), changes)


def _azure(request: HttpRequest) -> Wanted:
    _, found, tail = request.path.partition("/providers/")
    parts = tail.rsplit("/providers/", 1)[-1].split("/") if found else []
    kind = "/".join([*parts[:1], *parts[1::2]])
    try:
        region = str(json.loads(request.body).get("location", "")) if request.body else ""
    except (ValueError, AttributeError):
        region = ""
    machine = request.method == "PUT" and kind.lower() == "microsoft.compute/virtualmachines"
    return Wanted(f"{request.method} {kind}", region, machine, request.host == "management.azure.com" and request.method in ("PUT", "PATCH", "DELETE"))


def _gcp(request: HttpRequest) -> Wanted:
    parts = [part for part in request.path.split("/") if part]
    kind = parts[-1] if request.method == "POST" or not parts else parts[-2] if len(parts) > 1 else parts[-1]
    place = _ZONE.search(request.path) or _REGION.search(request.path)
    machine = request.method == "POST" and request.path.rstrip("/").endswith("/instances")
    changes = request.method not in ("GET", "HEAD") and not kind.endswith((":generateAccessToken", "getIamPolicy", "token"))
    return Wanted(f"{request.method} {kind}", place[1] if place else "", machine, changes)
