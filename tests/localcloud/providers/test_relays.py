"""A tenant's relay on the local clouds: a changed one takes over from the one before without a connection refused."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import CommandError
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from localcloud.providers.server import ProviderSettings, start
from stacks import region, relay, tenant
from stacks.settings import load_settings, parse_stack_name
from tests.localcloud.clouds.conftest import Served
from tests.localcloud.providers.conftest import Program, Stage
from tests.ports import free_ports

PORT = free_ports(2)
MORE = PORT + 1
HANDOVER_SECONDS = 2.0
BOUNDARY = {"name": "acme", "residency": {"countries": ["IE", "NL"]}}
TENANTS: dict[str, Any] = {
    "aws": {"email": "acme@example.com"},
    "azure": {"billingScope": "/billing/1", "publicAddresses": True},
    "gcp": {"projectId": "spotlane-acme-7", "billingAccount": "0-0-0", "publicAddresses": True},
}
PLACES = {
    "aws": ("eu-west-1", "eu-west-1a", "arm64", ("t4g.small", "m7g.large")),
    "azure": ("westeurope", "-", "x86_64", ("Standard_D2s_v5", "Standard_D4s_v5")),
    "gcp": ("europe-west4", "europe-west4-a", "x86_64", ("n2-standard-2", "n2-standard-4")),
}


class Records(ThreadingHTTPServer):
    """Cloudflare's DNS records: POST, GET, PUT, DELETE below ``/client/v4/zones/zone/dns_records``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Record)
        self.records: dict[str, Any] = {}
        self.changed_at = 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def leads_to(self) -> str:
        """Where the one record leads; empty without one."""
        return next((str(one["content"]) for one in list(self.records.values())), "")


class _Record(BaseHTTPRequestHandler):
    server: Records

    def _answer(self) -> None:
        id = self.path.rpartition("dns_records")[2].strip("/") or "r1"
        if self.command in ("POST", "PUT", "PATCH"):
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self.server.records[id] = {**self.server.records.get(id, {}), **sent, "id": id}
            self.server.changed_at = time.monotonic()
        found = self.server.records.pop(id, None) if self.command == "DELETE" else self.server.records.get(id)
        body = json.dumps({"success": found is not None, "result": found, "errors": [] if found else [{"code": 81044, "message": "Record not found"}]})
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def edge() -> Iterator[str]:
    """The tcp Worker and, on the same port, the tunnels of the only machine, whose service echoes."""
    stopped = threading.Event()

    def answer(connection: ServerConnection, request: Request) -> Response | None:
        if not request.path.startswith("/tcp/"):
            return None
        if request.path.endswith("after=1"):
            stopped.wait(5.0)
        target = {"placement": "acme_data_1", "origin": "data.localhost", "weight": 1, "healthy": True}
        return connection.respond(200, json.dumps({"version": 1, "targets": [target], "drainSeconds": 5}))

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    server: Server
    with serve(echo, "127.0.0.1", 0, process_request=answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://tcp.localhost:{server.socket.getsockname()[1]}"
        stopped.set()


class Clients:
    """Connect anew to wherever the record leads, over and over, and hold one connection open from the beginning."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._stop = threading.Event()
        self.served: dict[str, int] = {}
        self.failed: list[str] = []
        self.held_until = 0.0
        self._threads = [threading.Thread(target=self._hold), threading.Thread(target=self._come_and_go)]
        for thread in self._threads:
            thread.start()

    def _hold(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection((self._records.leads_to, PORT), timeout=5) as held:
            while not self._stop.wait(0.05) and _echoes(held):
                self.held_until = time.monotonic()

    def _come_and_go(self) -> None:
        while not self._stop.wait(0.05):
            address = self._records.leads_to
            try:
                with socket.create_connection((address, PORT), timeout=5) as client:
                    assert _echoes(client)
                self.served[address] = self.served.get(address, 0) + 1
            except (OSError, AssertionError) as error:
                self.failed.append(f"{address}: {error!r}")

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def _echoes(client: socket.socket) -> bool:
    client.sendall(b"hello")
    return client.recv(5) == b"hello"


class Ground:
    """A tenant and its region in one cloud, on which relays are made."""

    def __init__(self, stage: Stage, cloud: str, edge_url: str) -> None:
        self._stage, self._cloud, self._edge_url = stage, cloud, edge_url
        self.place, self.zone, self.arch, self.types = PLACES[cloud]
        zones = [self.zone]
        self._up("tenant.acme", {"boundary": BOUNDARY, cloud: TENANTS[cloud]}, tenant)
        self._up(f"region.acme.{cloud}.{self.place}", {"cidr": "10.16.0.0/16", "zones": zones, "flowLogs": False}, region)

    def relay(self, instance_type: str, *ports: int, **changes: Any) -> None:
        """Brings the relay up as this. Raises CommandError."""
        settings = {
            "zone": self.zone,
            "instanceType": instance_type,
            "arch": self.arch,
            "zoneName": "example.com",
            "cloudflareZoneId": "zone",
            "workloads": [{"label": f"data{number}-acme", "port": port, "proxyIn": "off"} for number, port in enumerate(ports)],
            "sources": ["127.0.0.0/8"],
            "watchers": ["127.0.0.0/8"],
            "edgeUrl": self._edge_url,
            "handoverSeconds": HANDOVER_SECONDS,
            "answerSeconds": 30.0,
        }
        self._up(f"relay.acme.{self._cloud}.{self.place}", settings | changes, relay)

    def machines(self, served: Served) -> set[str]:
        """Addresses of the machines that live."""
        return {str(one["address"]) for one in served.control("GET", "/hosts") if one["state"] == "running"}

    def down(self) -> None:
        """Takes everything down."""
        for name in (f"relay.acme.{self._cloud}.{self.place}", f"region.acme.{self._cloud}.{self.place}", "tenant.acme"):
            self._stage.stack(lambda: None, name, "spotlane").destroy()

    def _up(self, name: str, settings: dict[str, Any], kind: Any) -> None:
        program: Program = lambda: kind.declare(parse_stack_name(name), load_settings(name, settings))  # noqa: E731  # the engine calls it later
        self._stage.stack(program, name, "spotlane").up()


@pytest.fixture
def records() -> Iterator[Records]:
    server = Records()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def stage(tmp_path: Path, engine: Path, served: Served, records: Records, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A place to run the stacks in, with the records beside the clouds."""
    monkeypatch.setenv("PATH", f"{engine.parent}{os.pathsep}{os.environ['PATH']}")
    upstreams = {"api.cloudflare.com": f"http://127.0.0.1:{records.server_port}", "*": served.state.url("clouds")}
    settings = ProviderSettings(tmp_path / "spotlane", "", tmp_path / "none.pem", upstreams)
    running = start({"aws": 0, "azure-native": 0, "gcp": 0, "cloudflare": 0}, settings)
    yield Stage(tmp_path, running)
    running.stop(0.5)


@pytest.mark.soak
@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_a_changed_relay_takes_over_from_the_one_before_without_a_connection_refused(cloud: str, stage: Stage, served: Served, records: Records) -> None:
    with edge() as edge_url:
        ground = Ground(stage, cloud, edge_url)
        ground.relay(ground.types[0], PORT)
        first = records.leads_to
        assert ground.machines(served) == {first}
        clients = Clients(records)
        time.sleep(0.3)
        ground.relay(ground.types[1], PORT)
        second = records.leads_to
        time.sleep(0.3)
        clients.end()
        assert clients.failed == []
        assert set(clients.served) == {first, second}
        assert first != second
        assert ground.machines(served) == {second}
        # The open connection was served by the old relay until its time was over, and ended with it.
        assert HANDOVER_SECONDS - 0.5 < clients.held_until - records.changed_at < HANDOVER_SECONDS + 10

        # A successor that can't listen on all of its ports: the name leads where it led, and the next run takes over once it can.
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", MORE))
            with pytest.raises(CommandError, match=f"took no connection on {MORE}|took no connection on {PORT}, {MORE}"):
                ground.relay(ground.types[1], PORT, MORE, answerSeconds=2.0)
        assert records.leads_to == second
        with socket.create_connection((second, PORT), timeout=5) as client:
            assert _echoes(client)
        ground.relay(ground.types[1], PORT, MORE)
        assert records.leads_to not in (first, second)
        assert ground.machines(served) == {records.leads_to}
        ground.down()
        assert ground.machines(served) == set()
