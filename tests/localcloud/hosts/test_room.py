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
import http.server, os, signal, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(os.environ["GREETING"].encode())
    def log_message(self, *args): pass
print("key", os.environ["SPOTLANE_ORIGIN_KEY"], flush=True)
def last_words(*of):
    time.sleep(0.6)
    print("last words", flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, last_words)
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT_HTTP"])), Handler).serve_forever()
"""


class Platform:
    """What a machine talks to: the artifact's source, the edge's connector address, the incidents' address."""

    def __init__(self) -> None:
        self.connections: list[dict[str, Any]] = []
        self.incidents: list[dict[str, Any]] = []
        self.batches: list[dict[str, Any]] = []
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
                {"/tunnels/connect": platform.connections, "/logs": platform.batches}.get(self.path, platform.incidents).append(document)
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

    def lines(self) -> list[tuple[str, str]]:
        return [(line["unit"], line["message"]) for batch in self.batches for line in batch["lines"]]

    def user_data(self, image: str = "", logs: bool = False) -> bytes:
        return render(
            MachineDocument(
                image=image,
                placement="acme_web_1",
                cloud="aws",
                region="eu-west-1",
                artifact_url=f"http://{self.address}/artifact",
                artifact_digest="sha256:" + hashlib.sha256(self.artifact).hexdigest(),
                command=["python3", "serve.py"],
                incident_url=f"http://{self.address}/incidents",
                log_url=f"http://{self.address}/logs" if logs else "",
                origin_key="ab" * 32,
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


def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
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
    assert "key " + "ab" * 32 in (room.folder(machine.id) / "console.log").read_text()
    assert not (room.folder(machine.id) / "root/opt/spotlane/journal.py").exists()
    room.stop(machine.id)
    until(lambda: room.get(machine.id) is None)
    assert processes_of(str(room.folder(machine.id))) == []


def test_a_machine_whose_lines_are_told_tells_its_boot_its_service_and_its_end_without_its_secrets(room: MachineRoom, platform: Platform) -> None:
    machine = room.start(spec("i-tells", platform.user_data(logs=True)))

    until(lambda: ("workload", "key ***") in platform.lines())
    until(lambda: ("agent", "spotlane-boot: acme_web_1 is up") in platform.lines())
    room.stop(machine.id)
    until(lambda: room.get(machine.id) is None)
    assert ("workload", "last words") in platform.lines()
    assert "ab" * 32 not in json.dumps(platform.batches)
    numbers = [batch["first"] + place for batch in platform.batches for place in range(len(batch["lines"]))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_machine_that_is_to_run_an_image_says_why_it_doesnt(room: MachineRoom, platform: Platform) -> None:
    machine = room.start(spec("i-image", platform.user_data("ghcr.io/acme/web@sha256:" + "0" * 64)))
    console = room.folder(machine.id) / "console.log"

    until(lambda: "boot script ended with" in console.read_text())

    assert "podman: a machine of the local cloud is a process and runs no OCI image; give the workload an artifact instead" in console.read_text()
    assert "boot script ended with 1" in console.read_text()


def test_a_service_that_stops_answering_before_it_is_ready_is_started_again(room: MachineRoom) -> None:
    unit = "[Service]\\nExecStart=/bin/sleep 1000\\nExecStartPost=/bin/sh -c 'exit 3'\\nRestart=always\\nRestartSec=10ms\\n"
    boot = f'#!/bin/sh\nprintf "{unit}" > /etc/systemd/system/a.service\nsystemctl start a.service\necho started with $?\n'
    console = room.folder(room.start(spec("i-unready", boot.encode())).id) / "console.log"

    # Not by what the service itself says: it may be stopped before it has said anything.
    until(lambda: console.read_text().count("a.service: ExecStartPost ended with 3") > 2)
    until(lambda: "started with 1" in console.read_text())


def test_a_process_that_is_stopped_as_soon_as_it_is_there_ends_by_that_signal(tmp_path: Path) -> None:
    (tmp_path / "boot.json").write_text(json.dumps({"environment": {}}))
    stop = (
        "import os, signal, sys; from localcloud.hosts.vm import Init\n"
        "init = Init(sys.argv[1])\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: None)\n"
        "def ended():\n"
        "    pid = init.spawn(['/bin/sleep', '2'], {}, '/', 'a.service')\n"
        "    os.killpg(pid, signal.SIGTERM)\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
        "print({ended() for _ in range(50)})"
    )
    told = subprocess.run([sys.executable, "-c", stop, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str({-signal.SIGTERM.value})


def test_two_rooms_on_one_computer_never_give_the_same_address(room: MachineRoom, tmp_path: Path, platform: Platform) -> None:
    first = room.start(spec("i-first", b"#!/bin/sh\nsleep 1000\n"))
    until(lambda: not address_free(first.address))
    other = MachineRoom(tmp_path / "other", platform.address)
    given = json.loads(room.folder("addresses.json").read_text())["aws"]
    other.folder("addresses.json").write_text(json.dumps({"aws": given - 1}))
    try:
        assert other.start(spec("i-second", b"#!/bin/sh\nsleep 1000\n")).address != first.address
    finally:
        other.stop("i-second")
        until(lambda: other.get("i-second") is None)
        other.close()


def test_two_rooms_that_look_for_an_address_at_once_look_elsewhere(room: MachineRoom, tmp_path: Path, platform: Platform) -> None:
    other = MachineRoom(tmp_path / "other", platform.address)
    rooms = (room, other)
    addresses = [one.start(spec("i-first", b"#!/bin/sh\nsleep 1000\n")).address for one in rooms]
    for one in rooms:
        one.stop("i-first")
        until(lambda one=one: one.get("i-first") is None)  # type: ignore[misc]  # mypy can't type a lambda's default
    other.close()
    assert addresses[0] != addresses[1]


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
