"""What a machine does with an OCI image, by real podman: skipped where podman, or the rights to run it in a room of its own, aren't there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.machine import container

ROOT = Path(__file__).parents[2]
ROOM = ["unshare", "--mount", "--propagation", "private"]


@pytest.fixture(scope="module")
def seen() -> Iterator[dict[str, Any]]:
    if not Path(container.PODMAN).exists() or shutil.which("crun") is None:
        pytest.skip("podman and crun aren't installed")
    if os.geteuid() != 0 or subprocess.run([*ROOM, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("only root, with the right to a mount namespace, runs podman here")
    # Not pytest's own directory: podman's sockets have long names.
    with tempfile.TemporaryDirectory(prefix="podman-") as directory:
        command = [*ROOM, sys.executable, "-m", "tests.components.podman_room", directory]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)


def test_an_image_is_pulled_by_its_digest_once_the_registry_answers(seen: dict[str, Any]) -> None:
    assert len(seen["said"]) == 1 and seen["said"][0].endswith("again in 1 s")


def test_another_content_than_the_digest_says_is_not_taken(seen: dict[str, Any]) -> None:
    assert "digest" in seen["forged"].lower(), seen["forged"]


def test_the_unit_is_told_that_it_is_ready_and_whose_process_it_is(seen: dict[str, Any]) -> None:
    assert {"MAINPID", "READY"} <= set(seen["heard"])
    assert seen["group"], "the container is in the unit's control group"


def test_root_inside_is_nobody_outside_and_has_no_power(seen: dict[str, Any]) -> None:
    status = seen["status"]
    assert (status["Uid"][0], seen["user"]) == ("0", 0)
    assert [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")] == [["0000000000000000"]] * 5
    assert (status["NoNewPrivs"], status["Seccomp"]) == (["1"], ["2"])


def test_it_writes_its_state_and_nothing_else(seen: dict[str, Any]) -> None:
    assert not seen["root"] and seen["status"]


def test_a_secret_reaches_it_by_a_file_and_no_command_line(seen: dict[str, Any]) -> None:
    assert (seen["secret"], seen["told"]) == (True, [])


def test_what_it_says_goes_to_the_units_journal_and_its_stop_lets_it_end(seen: dict[str, Any]) -> None:
    assert seen["output"] == ["the workload is up", "the workload ends"]
    assert (seen["gone"], seen["stopped in time"]) == (True, True)
