from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.machine.cloud_config import MachineDocument, render
from localcloud.hosts.process import alive, processes_of
from localcloud.hosts.room import Machine, MachineRoom, MachineSpec

SERVICE = b"""
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["GREETING"].encode())
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT_HTTP"])), Handler).serve_forever()
"""


class Platform:
    """What a machine talks to: the artifact's source, the edge's connector address, the incidents' address."""

    def __init__(self) -> None:
        self.connections: list[dict[str, Any]] = []
        self.incidents: list[dict[str, Any]] = []
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            entry = tarfile.TarInfo("serve.py")
            entry.size = len(SERVICE)
            archive.addfile(entry, io.BytesIO(SERVICE))
        self.artifact = buffer.getvalue()
        platform = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(platform.artifact)

            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["content-length"])))
                (platform.connections if self.path == "/tunnels/connect" else platform.incidents).append(document)
                self._answer(b"{}")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_port}"

    def user_data(self) -> bytes:
        return render(
            MachineDocument(
                placement="acme_web_1",
                cloud="aws",
                region="eu-west-1",
                artifact_url=f"http://{self.address}/artifact",
                artifact_digest="sha256:" + hashlib.sha256(self.artifact).hexdigest(),
                command=["python3", "serve.py"],
                incident_url=f"http://{self.address}/incidents",
                placement_token="token",
                tunnel_token=b64encode(json.dumps({"a": "account", "t": "tunnel", "s": "secret"}).encode()).decode(),
                env={"GREETING": "hello"},
                http_port=8080,
            )
        ).encode()


@pytest.fixture
def platform() -> Iterator[Platform]:
    one = Platform()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def room(tmp_path: Path, platform: Platform) -> Iterator[MachineRoom]:
    one = MachineRoom(tmp_path, platform.address)
    yield one
    one.close()
    for folder in tmp_path.iterdir():
        for pid in processes_of(str(folder)):
            os.kill(pid, signal.SIGKILL)


def spec(machine: str, user_data: bytes) -> MachineSpec:
    return MachineSpec(machine, "aws", "123456789012", "eu-west-1", "eu-west-1a", "m5.large", machine, user_data)


def until(holds: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def address_free(address: str) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, 1338))
        except OSError:
            return False
    return True


def served(machine: Machine) -> str:
    try:
        with urllib.request.urlopen(f"http://{machine.address}:8080/", timeout=2) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def test_a_machine_boots_the_products_own_user_data_and_serves_on_its_address(room: MachineRoom, platform: Platform) -> None:
    machine = room.start(spec("i-serves", platform.user_data()))

    until(lambda: served(machine) == "hello")
    until(lambda: platform.connections)
    assert platform.connections[0]["address"] == machine.address
    room.stop(machine.id)
    until(lambda: room.get(machine.id) is None)
    assert processes_of(str(room.folder(machine.id))) == []


def test_two_rooms_on_one_computer_never_give_the_same_address(room: MachineRoom, tmp_path: Path, platform: Platform) -> None:
    first = room.start(spec("i-first", b"#!/bin/sh\nsleep 1000\n"))
    until(lambda: not address_free(first.address))
    other = MachineRoom(tmp_path / "other", platform.address)
    try:
        assert other.start(spec("i-second", b"#!/bin/sh\nsleep 1000\n")).address != first.address
    finally:
        other.stop("i-second")
        until(lambda: other.get("i-second") is None)
        other.close()


def test_an_interruption_reaches_the_agent_before_the_power_is_cut(room: MachineRoom, platform: Platform) -> None:
    gone: list[Machine] = []
    room.on_gone(gone.append)
    machine = room.start(spec("i-interrupted", platform.user_data()))
    until(lambda: served(machine) == "hello")

    room.interrupt(machine.id, 10.0)

    until(lambda: platform.incidents)
    assert platform.incidents[0]["kind"] == "interruption"
    until(lambda: gone)
    assert (gone[0].id, gone[0].state) == (machine.id, "interrupted")
    assert processes_of(str(room.folder(machine.id))) == []


def test_stopping_reaches_processes_that_opened_sessions_of_their_own(room: MachineRoom) -> None:
    machine = room.start(spec("i-escapes", b"#!/bin/sh\nsetsid sleep 1000 &\nsetsid setsid sleep 1000 &\n"))
    until(lambda: len(processes_of(str(room.folder(machine.id)))) == 3)

    room.stop(machine.id)

    until(lambda: room.get(machine.id) is None)
    assert processes_of(str(room.folder(machine.id))) == []


def test_a_machine_outlives_its_room_and_is_taken_over(tmp_path: Path) -> None:
    start = (
        "import os, sys; from pathlib import Path; from localcloud.hosts.room import MachineRoom, MachineSpec;"
        "room = MachineRoom(Path(sys.argv[1]), '127.0.0.1:9');"
        "room.start(MachineSpec('i-kept', 'aws', '1', 'eu-west-1', 'eu-west-1a', 'm5.large', 'kept'));"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", start, str(tmp_path)], check=False)

    room = MachineRoom(tmp_path, "127.0.0.1:9")
    kept = room.get("i-kept")

    assert kept is not None
    assert kept.state == "running"
    assert alive(kept.process)
    room.stop("i-kept")
    until(lambda: room.get("i-kept") is None)
    room.close()


def test_a_machine_whose_first_process_dies_is_stopped_and_leaves_nothing(room: MachineRoom) -> None:
    machine = room.start(spec("i-dies", b"#!/bin/sh\nsleep 1000\n"))
    until(lambda: len(processes_of(str(room.folder(machine.id)))) >= 2)

    os.kill(machine.pid, signal.SIGKILL)

    until(lambda: (found := room.get(machine.id)) is not None and found.state == "stopped")
    assert processes_of(str(room.folder(machine.id))) == []
