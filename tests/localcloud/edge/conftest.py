"""A host of its own for each test: free ports, a new state directory, ended by its pid."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ports import free_port

ROOT = Path(__file__).parents[3]
ACCOUNT = "0" * 32
ZONE_ID = "1" * 32
ZONE = "spotlane.localhost"


class EdgeHost:
    """The program under test with a client of its API."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.edge_port, self.api_port = free_port(), free_port()
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.api_port}/client/v4", headers={"authorization": "Bearer any"}, timeout=30)
        self.control = httpx.Client(base_url=f"http://127.0.0.1:{self.api_port}", timeout=10)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Starts the host, with ``more`` arguments, and waits until it is ready."""
        arguments = ["--home", str(self.home), "--edge-port", str(self.edge_port), "--api-port", str(self.api_port), *more]
        log = (self.home / "host.log").open("ab")
        environment = {**os.environ, "SPOTLANE_ZONE": ZONE}
        self.process = subprocess.Popen(["node", "localcloud/edge/host.mjs", *arguments], cwd=ROOT, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if self.control.get("/healthz").status_code == 200:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError((self.home / "host.log").read_text())

    def end(self, number: int = signal.SIGTERM) -> None:
        """Sends the signal to the host and waits for its end."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=20)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The result of an API call that succeeds."""
        answer = self.api.request(method, path, **options)
        assert answer.status_code < 300, answer.text
        return answer.json()["result"]

    def upload(self, name: str, source: str, **metadata: Any) -> httpx.Response:
        """Puts a script of one module."""
        document = {"main_module": "main.js", "compatibility_date": "2026-04-01", **metadata}
        parts = {"metadata": (None, json.dumps(document), "application/json"), "main.js": ("main.js", source, "application/javascript+module")}
        return self.api.put(f"/accounts/{ACCOUNT}/workers/scripts/{name}", files=parts)

    def route(self, pattern: str, script: str) -> None:
        """Adds a route of ``script``."""
        self.ask("POST", f"/zones/{ZONE_ID}/workers/routes", json={"pattern": pattern, "script": script})

    def get(self, host: str, path: str = "/", **headers: str) -> httpx.Response:
        """A request at the edge's address."""
        return self.control.get(f"http://127.0.0.1:{self.edge_port}{path}", headers={"host": host, **headers}, timeout=20)

    def tunnel(self, host: str, service: str) -> dict[str, Any]:
        """A tunnel with an ingress rule for ``host`` and its DNS record."""
        tunnel: dict[str, Any] = self.ask("POST", f"/accounts/{ACCOUNT}/cfd_tunnel", json={"name": host, "config_src": "cloudflare"})
        ingress = [{"hostname": host, "service": service}, {"service": "http_status:404"}]
        self.ask("PUT", f"/accounts/{ACCOUNT}/cfd_tunnel/{tunnel['id']}/configurations", json={"config": {"ingress": ingress}})
        record = {"type": "CNAME", "name": host, "content": f"{tunnel['id']}.cfargotunnel.com", "ttl": 1, "proxied": True}
        self.ask("POST", f"/zones/{ZONE_ID}/dns_records", json=record)
        return tunnel

    def connect(self, tunnel: dict[str, Any], address: str) -> int:
        """A heartbeat of the tunnel's connector; returns the status."""
        return self.control.post("/tunnels/connect", json={"token": tunnel["token"], "address": address}).status_code


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[EdgeHost]:
    """A started host."""
    if not shutil.which("node") or not (ROOT / "node_modules" / "miniflare").is_dir():
        pytest.skip("node and its packages are needed: run `npm ci`")
    host = EdgeHost(tmp_path)
    host.start()
    try:
        yield host
    finally:
        host.end()
