"""A tenant's own relay on the whole platform: a run brings it up, TCP goes through it to the machine that serves, over a move, and a run takes it down."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from automation.settings import AutomationSettings
from demo.cast import CAST
from domain.catalog import CATALOG
from spotlane import wire
from tests.e2e.conftest import Platform

pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]
ACME, _ = CAST
RELAY = wire.StackRef(kind="relay", tenant=ACME.tenant, cloud="aws", region="eu-west-1")
PORT = 19_000


def settings(platform: Platform) -> wire.Json:
    """A relay of ACME's service, made in seconds: here the whole computer may connect, and no Spectrum has to be waited for."""
    port = urlsplit(platform.stage.environ["SPOTLANE_API_URL"]).port
    zone = platform.stage.environ["SPOTLANE_ZONE"]
    quotes = platform.edge.prices("aws", str(RELAY.region)).quotes
    sold = min((one for one in quotes if one.spot_usd_per_hour is not None), key=lambda one: one.spot_usd_per_hour or 0.0).offer
    return {
        "zone": sold.zone,
        "instanceType": sold.instance_type,
        "arch": CATALOG.machine("aws", sold.instance_type).arch,
        "capacityType": "spot",  # as its boundary asks
        "zoneName": zone,
        "cloudflareZoneId": AutomationSettings.model_fields["cloudflare_zone_id"].default,
        "workloads": [{"label": ACME.id, "port": PORT, "proxyIn": "off"}],
        "sources": ["127.0.0.0/8"],
        "watchers": ["127.0.0.0/8"],
        "edgeUrl": f"http://tcp.{zone}:{port}",
        "handoverSeconds": 2.0,
        "answerSeconds": 60.0,
    }


def run(platform: Platform, operation: str, **more: object) -> wire.Run:
    key = f"relay-{operation}-{time.time_ns()}"
    request = wire.RunRequest.model_validate({"idempotencyKey": key, "stack": RELAY.model_dump(), "operation": operation, **more})
    submitted = platform.automation.submit(request)
    platform.director.wait(f"{operation} of the relay", 180, lambda: platform.automation.run(submitted.id).status not in ("queued", "running"))
    ended = platform.automation.run(submitted.id)
    assert ended.status == "succeeded", (ended.error, ended.findings)
    return ended


class Clients:
    """Connects through the relay, a line each, until it is told to stop."""

    def __init__(self, address: str) -> None:
        self.address, self.served = address, 0
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._connect)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _connect(self) -> None:
        while not self._stop.wait(0.1):
            try:
                with socket.create_connection((self.address, PORT), timeout=10) as client:
                    client.sendall(b"hello\n")
                    back = client.makefile("rb").readline()
            except OSError as error:
                back = repr(error).encode()
            if back == b"hello\n":
                self.served += 1
            else:
                self.failed.append(back.decode())


def test_tcp_goes_through_a_tenants_relay_that_a_run_brings_up_over_a_move_and_none_is_left(platform: Platform) -> None:
    machines = {one["id"] for one in platform.stage.control("GET", "/hosts") if one["state"] == "running"}
    platform.director.quiet(ACME, 120)
    run(platform, "up", settings=settings(platform))
    try:
        [relay] = [one for one in platform.stage.control("GET", "/hosts") if one["state"] == "running" and one["id"] not in machines]
        assert RELAY.name in {one.name for one in platform.automation.stacks(ACME.tenant)}
        clients = Clients(relay["address"])
        platform.automation.tick()
        migration = platform.automation.move(wire.MoveRequest(workload=ACME.id))
        platform.director.wait("the move", 120, lambda: platform.edge.migration(migration.id).status != "running")
        clients.end()
        assert platform.edge.migration(migration.id).status == "succeeded"
        assert clients.failed == [] and clients.served > 10
    finally:
        run(platform, "destroy")
    assert relay["id"] not in {one["id"] for one in platform.stage.control("GET", "/hosts") if one["state"] == "running"}
