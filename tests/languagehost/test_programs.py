"""Programs under the real engine, by a spawned host and by a warm one."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.languagehost.conftest import Project, WarmHost, descendants

PROGRAM = """
import sys, pulumi
print("said")
print("warned", file=sys.stderr)
pulumi.export("where", f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}")
pulumi.export("value", pulumi.Config().require("value"))
"""


@pytest.fixture(params=["spawned", "warm"])
def either(request: pytest.FixtureRequest, project: Project) -> Project:
    """The project, by each kind of host."""
    if request.param == "warm":
        project.host_port = request.getfixturevalue("warm_host").port
    return project


def test_a_program_gets_its_config_and_its_lines_reach_the_user(either: Project) -> None:
    either.write(PROGRAM)
    either.pulumi("config", "set", "value", "7")
    update = either.pulumi("up", "--yes", "--skip-preview", "--non-interactive")
    assert update.returncode == 0, update.stdout
    assert "said" in update.stdout and "warned" in update.stdout
    outputs = json.loads(either.pulumi("stack", "output", "--json").stdout)
    assert outputs == {"where": "organization/tiny/dev", "value": "7"}


@pytest.mark.parametrize(
    "raised",
    ['raise pulumi.RunError("the zone is missing")', 'class Quiet(ValueError):\n    exits_quietly = True\nraise Quiet("the zone is missing")'],
    ids=["RunError", "exits_quietly"],
)
def test_a_users_error_is_one_message(either: Project, raised: str) -> None:
    either.write(f"import pulumi\n{raised}\n")
    failed = either.preview()
    assert failed.returncode != 0
    assert "error: the zone is missing" in failed.stdout
    assert "Traceback" not in failed.stdout


def test_a_fault_shows_the_programs_frames_only(either: Project) -> None:
    either.write("def part():\n    return {}['absent']\n\npart()\n")
    failed = either.preview()
    assert failed.returncode != 0
    assert "KeyError: 'absent'" in failed.stdout
    assert failed.stdout.count('  File "') == 2
    assert "<frozen runpy>" not in failed.stdout and "languagehost/program.py" not in failed.stdout


def test_a_syntax_error_names_its_line(either: Project) -> None:
    either.write("import pulumi\nx = = 1\n")
    failed = either.preview()
    assert failed.returncode != 0
    assert '__main__.py", line 2' in failed.stdout and "SyntaxError" in failed.stdout


def test_a_changed_module_is_seen_by_the_next_run(project: Project, warm_host: WarmHost) -> None:
    project.host_port = warm_host.port
    project.write("import part, pulumi\npulumi.export('v', part.V)\n")
    for value in ("first", "second, changed"):
        project.write(f"V = {value!r}\n", "part.py")
        assert project.pulumi("up", "--yes", "--skip-preview", "--non-interactive").returncode == 0
        assert project.pulumi("stack", "output", "v").stdout.strip() == value


def test_a_killed_zygote_costs_the_runs_in_hand_only(project: Project, warm_host: WarmHost) -> None:
    project.host_port = warm_host.port
    project.write("import time, pulumi\nif not pulumi.Config().get('short'): time.sleep(60)\n")
    running = project.begin("preview", "--non-interactive")
    zygote = warm_host.children()[0]
    _until(lambda: len(descendants(zygote)) == 1)
    os.kill(zygote, signal.SIGKILL)
    printed, _ = running.communicate(timeout=20)
    assert running.returncode != 0
    assert "ended by signal SIGKILL" in printed
    project.pulumi("config", "set", "short", "yes")
    assert project.preview().returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_hosts_end_is_its_programs_end(project: Project, warm_host: WarmHost, number: signal.Signals) -> None:
    project.host_port = warm_host.port
    project.write("import subprocess\nsubprocess.run(['sleep', '60'])\n")
    running = project.begin("preview", "--non-interactive")
    _until(lambda: len(warm_host.children()) == 3)
    below = warm_host.children()
    warm_host.process.send_signal(number)
    warm_host.process.wait(10)
    _until(lambda: not [pid for pid in below if _alive(pid)])
    running.communicate(timeout=20)
    assert running.returncode != 0


def test_a_dead_engine_ends_its_program(either: Project) -> None:
    mark = either.directory / "pid"
    either.write(f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    running = either.begin("preview", "--non-interactive")
    _until(lambda: mark.exists() and mark.read_text() != "")
    below = descendants(running.pid)  # a spawned host and its program
    running.kill()
    running.communicate()
    _until(lambda: not [pid for pid in (*below, int(mark.read_text())) if _alive(pid)])


def test_a_missing_virtual_environment_is_said(project: Project) -> None:
    (project.directory / "Pulumi.yaml").write_text("name: tiny\nruntime:\n  name: python\n  options:\n    virtualenv: nowhere\n")
    failed = project.preview()
    assert failed.returncode != 0
    assert f"the virtual environment {project.directory / 'nowhere'}" in failed.stdout + failed.stderr


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _until(condition: object, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]  # any callable
        assert time.monotonic() < limit, "didn't happen in time"
        time.sleep(0.02)
