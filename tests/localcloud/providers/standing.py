"""A tenant, a region and a placement in each cloud, made by a real engine on the local clouds. ``python -m tests.localcloud.providers.standing FILE`` writes
their exported states, which stand for what a release left in users' accounts; what later programs make of them is previewed (``test_upgrades.py``).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from localcloud.providers.server import ProviderSettings, start
from stacks import placement, region, tenant
from stacks.settings import load_settings, parse_stack_name
from tests.localcloud.clouds.conftest import Served
from tests.localcloud.providers.conftest import Program, Stage
from tools.engine.resolve import resolve

PROJECT = "spotlane"
CLOUDS = {
    "aws": ("eu-west-1", "eu-west-1a", "m7g.large", "arm64"),
    "azure": ("westeurope", "-", "Standard_D2s_v5", "x86_64"),
    "gcp": ("europe-west4", "europe-west4-a", "n2-standard-2", "x86_64"),
}
KINDS = {"tenant": tenant, "region": region, "placement": placement}


def settings_of(stack: str) -> dict[str, Any]:
    """What the stack is told, then and now."""
    name = parse_stack_name(stack)
    if name.kind == "tenant":
        return {
            "boundary": {"name": "acme", "residency": {"countries": ["IE", "NL"]}},
            "aws": {"email": "acme@example.com"},
            "azure": {"billingScope": "/billing/1"},
            "gcp": {"projectId": "spotlane-acme-9", "billingAccount": "0-0-0"},
        }
    place, zone, instance_type, arch = CLOUDS[name.cloud or name.workload]
    if name.kind == "region":
        return {"cidr": f"10.{list(CLOUDS).index(name.cloud)}.0.0/16", "zones": [zone]}
    offer = {"cloud": name.workload, "region": place, "zone": zone, "instanceType": instance_type, "arch": arch}
    machine = {
        "artifactUrl": "http://127.0.0.1:9/none",
        "artifactDigest": "sha256:" + "0" * 64,
        "command": ["true"],
        "httpPort": 8080,
        "incidentUrl": "http://127.0.0.1:9/incidents",
        "placementToken": "token",
        "originKey": "0" * 64,
    }
    return offer | {"zoneName": "example.com", "cloudflareZoneId": "zone", "cloudflareAccountId": "account", "machine": machine}


def stacks() -> list[str]:
    """Their names, each after what it stands on."""
    names = [f"region.acme.{cloud}.{place}" for cloud, (place, *_) in CLOUDS.items()]
    return ["tenant.acme", *names, *(f"placement.acme.{cloud}.3" for cloud in CLOUDS)]


def program(stack: str) -> Program:
    """Today's program of the stack."""
    return lambda: KINDS[stack.partition(".")[0]].declare(parse_stack_name(stack), load_settings(stack, settings_of(stack)))


class _Cloudflare(BaseHTTPRequestHandler):
    """Collections of objects at any path; a tunnel's configuration is one of them, its token a text."""

    objects: dict[str, Any] = {}  # of the one server that this is for

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        sent = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or "{}")
        if self.command == "POST":
            path = f"{path}/id-{len(self.objects) + 1}"
        if self.command in ("POST", "PUT", "PATCH"):
            of_tunnel = {"tunnel_id": path.split("/")[-2]} if path.endswith("/configurations") else {}
            self.objects[path] = {**self.objects.get(path, {}), **sent, "id": path.rpartition("/")[2]} | of_tunnel
        found: Any = "tunnel-token" if path.endswith("/token") else self.objects.get(path)
        if self.command == "DELETE":
            self.objects.pop(path, None)
        body = json.dumps({"success": found is not None, "result": found, "errors": [] if found else [{"code": 81044, "message": "not found"}]}).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def ground(directory: Path, served: Served) -> Iterator[Stage]:
    """A place to run the stacks in, with a Cloudflare that keeps what it is given."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Cloudflare)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstreams = {"api.cloudflare.com": f"http://127.0.0.1:{server.server_port}", "*": served.state.url("clouds")}
    running = start({"aws": 0, "azure-native": 0, "gcp": 0, "cloudflare": 0}, ProviderSettings(directory / "spotlane", "", directory / "none.pem", upstreams))
    try:
        yield Stage(directory, running)
    finally:
        running.stop(0.5)
        server.shutdown()
        server.server_close()


def record(file: Path) -> None:
    """Brings everything up and writes what the engine exports, without times and places in programs."""
    os.environ["PATH"] = f"{resolve()[0].parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as directory:
        served = Served(Path(directory, "clouds"))
        served.start()
        try:
            with ground(Path(directory), served) as stage:
                exported: dict[str, Any] = {}
                for name in stacks():
                    stack = stage.stack(program(name), name, PROJECT)
                    stack.up()
                    exported[name] = stack.export_stack().deployment
        finally:
            served.close()
    for resource in (one for deployment in exported.values() for one in deployment["resources"]):
        for left_out in ("created", "modified", "sourcePosition", "stackTrace"):
            resource.pop(left_out, None)
    file.write_text(json.dumps(exported, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
