"""The supervisor's commands on real processes: two of the five, on free ports and in a directory of their own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_base

ROOT = Path(__file__).resolve().parents[3]
PART = "proxy,languagehost"


@dataclass
class Local:
    """One local cloud, driven by its commands."""

    home: Path
    base: int

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "localcloud", *arguments, "--home", str(self.home)], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
        )

    def up(self, only: str = PART) -> subprocess.CompletedProcess[str]:
        return self.run("up", "--port-base", str(self.base), "--only", only)

    def processes(self) -> dict[str, dict[str, Any]]:
        document = json.loads(self.run("status", "--json").stdout)
        return {one["name"]: one for one in document["processes"]}

    def pid(self, name: str) -> int:
        pid: int = json.loads((self.home / "run" / f"{name}.json").read_text())["pid"]
        return pid

    def left(self) -> list[str]:
        """Processes that carry this home in their environment."""
        found = subprocess.run(["grep", "-lsa", f"SPOTLANE_SUPERVISED={self.home}:", *_environments()], capture_output=True, text=True, check=False)
        return found.stdout.split()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    made = Local(tmp_path / "home", free_base())
    yield made
    made.run("down", "--purge")


def test_up_starts_env_tells_down_leaves_nothing(local: Local) -> None:
    assert local.up().returncode == 0
    states = {name: one["state"] for name, one in local.processes().items()}
    assert states == {"edge": "stopped", "proxy": "running", "languagehost": "running", "localcloud": "stopped", "automation": "stopped"}
    environment = json.loads(local.run("env", "--json").stdout)
    assert environment["PULUMI_DEBUG_LANGUAGES"] == f"python:{local.base + 3}"
    assert environment["SPOTLANE_API_URL"] == f"http://api.spotlane.localhost:{local.base}/v1"
    assert " " not in environment["NO_PROXY"]
    assert local.run("down").returncode == 0
    assert local.left() == []
    assert (local.home / "platform.key").stat().st_mode & 0o777 == 0o600
    assert local.run("status").returncode == 3


def test_a_killed_process_is_started_again(local: Local) -> None:
    local.up()
    before = local.pid("proxy")
    os.kill(before, signal.SIGKILL)
    _until(lambda: local.pid("proxy") not in (0, before))
    _until(lambda: local.processes()["proxy"]["state"] == "running")
    assert local.processes()["proxy"]["restarts"] == 1


def test_what_outlives_its_watcher_is_taken_over(local: Local) -> None:
    local.up()
    before = {name: local.pid(name) for name in ("proxy", "languagehost")}
    os.kill(local.pid("supervisor"), signal.SIGKILL)
    os.kill(before["proxy"], signal.SIGKILL)
    assert local.up().returncode == 0
    assert local.pid("languagehost") == before["languagehost"]
    assert local.pid("proxy") != before["proxy"]


def test_a_process_without_a_record_is_replaced_not_doubled(local: Local) -> None:
    local.up("languagehost")
    lost = local.pid("languagehost")
    os.kill(local.pid("supervisor"), signal.SIGKILL)
    (local.home / "run" / "languagehost.json").unlink()
    assert local.up("languagehost").returncode == 0
    assert local.pid("languagehost") != lost
    assert not Path(f"/proc/{lost}/exe").exists()


def test_a_taken_port_is_named_with_its_holder_and_nothing_starts(local: Local) -> None:
    with socket.create_server(("127.0.0.1", local.base + 2)):
        refused = local.up()
    assert refused.returncode == 2
    assert f"port {local.base + 2} (proxy, proxy) is taken by process {os.getpid()}" in refused.stderr
    assert local.left() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--only", "proxi"], "'proxi' is no process of the local cloud"),
        (["up", "--port-base", "80"], "--port-base 80 is out of range"),
        (["up", "--market", "/nowhere.parquet"], "there is no such file"),
        (["env"], "start the local cloud with `spotlane local up`"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(local: Local, arguments: list[str], said: str) -> None:
    refused = local.run(*arguments)
    assert refused.returncode == 2
    assert said in refused.stderr and "Traceback" not in refused.stderr
    assert local.left() == []


def test_the_ports_are_those_of_the_environment_where_the_command_names_none(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTLANE_PORT_BASE", "80")
    assert "--port-base 80 is out of range" in local.run("up").stderr
    assert local.left() == []


def _environments() -> list[str]:
    return [f"/proc/{name}/environ" for name in os.listdir("/proc") if name.isdigit()]


def _until(condition: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "didn't happen in time"
        time.sleep(0.05)


def test_a_reader_that_has_seen_enough_gets_no_traceback(local: Local) -> None:
    command = [sys.executable, "-m", "localcloud", "status", "--home", str(local.home)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
