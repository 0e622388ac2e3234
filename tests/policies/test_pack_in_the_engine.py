"""The executable pack runs in the real engine, with no language host."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PACK = Path(__file__).resolve().parents[2] / "policies" / "packs" / "boundary"
STACK = "urn:pulumi:placement.acme.web.1::spotlane::"


def _engine() -> str:
    found = shutil.which("pulumi") or next((str(path) for path in sorted(Path.home().glob(".cache/spotlane/engine/*/pulumi"), reverse=True)), None)
    if not found:
        pytest.skip("no Pulumi engine: run make setup")
    return found


def _analyse(tmp_path: Path, region: str) -> subprocess.CompletedProcess[str]:
    machine: dict[str, Any] = {"region": region, "instanceMarketOptions": {"marketType": "spot"}, "userData": "hunter2"}
    resources = [
        {"urn": f"{STACK}pulumi:pulumi:Stack::s", "custom": False, "type": "pulumi:pulumi:Stack"},
        {
            "urn": f"{STACK}aws:ec2/instance:Instance::web",
            "custom": True,
            "id": "i-1",
            "type": "aws:ec2/instance:Instance",
            "inputs": machine,
            "outputs": machine,
        },
    ]
    state = tmp_path / "state.json"
    state.write_text(
        json.dumps({"version": 3, "deployment": {"manifest": {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}, "resources": resources}})
    )
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"boundary": {"tenant": "acme", "boundary": {"name": "eu", "residency": {"regimes": ["gdpr"]}}}}))
    command = [_engine(), "policy", "analyze", "--file", str(state), "--policy-pack", str(PACK), "--policy-pack-config", str(config), "--color", "never"]
    quiet = {"PULUMI_SKIP_UPDATE_CHECK": "1", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "PULUMI_HOME": str(tmp_path / "home")}
    environment = {key: value for key, value in os.environ.items() if key.lower() not in {"http_proxy", "https_proxy"}}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**environment, **quiet}, cwd=tmp_path, check=False)


def test_a_machine_outside_the_boundary_fails_the_analysis(tmp_path: Path) -> None:
    result = _analyse(tmp_path, "us-east-1")
    assert result.returncode != 0
    assert "[residency] Region aws/us-east-1 (US)" in result.stdout
    assert "hunter2" not in result.stdout + result.stderr


def test_a_spot_machine_inside_the_boundary_passes(tmp_path: Path) -> None:
    result = _analyse(tmp_path, "eu-west-1")
    assert result.returncode == 0, result.stdout + result.stderr
