"""What is shipped for a machine: units that systemd takes, programs and variables that exist, an image made of the directories that are there."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from automation.settings import AutomationSettings

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
HARDENED = {"NoNewPrivileges=true", "ProtectSystem=strict", "ProtectHome=true", "PrivateTmp=true", "CapabilityBoundingSet=", "RestrictSUIDSGID=true"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_program_of_ours_and_is_hardened(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    (command,) = [line for line in lines if line.startswith("ExecStart=")]
    module = re.fullmatch(r"ExecStart=/opt/spotlane/\.venv/bin/python -m ([a-z.]+)( .*)?", command)
    assert module is not None and importlib.util.find_spec(f"{module[1]}.__main__") is not None
    assert set(lines) >= HARDENED and not any(line.startswith("User=root") for line in lines)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_the_unit(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for one in (ROOT / "deploy" / "systemd").iterdir():
        text = one.read_text().replace("/opt/spotlane/.venv/bin/python", sys.executable).replace("/opt/spotlane", str(ROOT))
        (tmp_path / one.name).write_text(re.sub(r"^(User|Group)=.*\n", "", text, flags=re.MULTILINE))
    told = subprocess.run([analyze, "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in told.stderr.splitlines() if unit.name in line]
    assert complaints == []


def test_every_variable_of_ours_in_the_example_is_a_setting() -> None:
    names = re.findall(r"^SPOTLANE_([A-Z_]+)=", (ROOT / "deploy" / "environment.example").read_text(), re.MULTILINE)
    assert names and {name.lower() for name in names} <= set(AutomationSettings.model_fields)


def test_a_stop_takes_less_than_systemd_waits() -> None:
    text = (ROOT / "deploy" / "systemd" / "spotlane-automation.service").read_text()
    stop = AutomationSettings.model_fields["stop_seconds"].default
    engines = 10  # EngineProcess.kill, all at once
    assert stop + engines < int(re.search(r"TimeoutStopSec=(\d+)", text)[1])  # type: ignore[index]  # a unit without it fails here


def test_the_image_is_made_of_what_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "deploy" / "Containerfile").read_text(), re.MULTILINE)
    assert copied and all((ROOT / name).exists() for line in copied for name in line.split())
