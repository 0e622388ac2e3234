"""The SDK's examples: each runs against a platform in memory, and a strict type checker finds nothing in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.spotlane.cli_program import Shell, furnished, shell

__all__ = ["furnished", "shell"]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "sdk"
SAYS = {
    "cheapest.py": "api-acme: azure/westeurope at 0.0289 of 0.1150 USD/h\nweb-acme: azure/westeurope at 0.0289 of 0.1150 USD/h\n",
    "plan_async.py": "api-acme: move (saves 12.05 USD net in 720 h); last: RUNNING\nweb-acme: move (saves 12.05 USD net in 720 h); last: RUNNING\n",
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_says_what_is_there(name: str, furnished: Shell) -> None:
    done = run(str(EXAMPLES / name))
    assert (done.stdout, done.stderr, done.returncode) == (SAYS[name], "", 0)


def test_the_example_of_a_test_passes_with_the_plugin() -> None:
    plugin = ("-p", "spotlane.testing.plugin", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={EXAMPLES}")
    done = run("-m", "pytest", *plugin, str(EXAMPLES / "test_deployment.py"))
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_every_example_is_run_here_and_strictly_typed() -> None:
    files = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert files == sorted([*SAYS, "test_deployment.py"])
    done = run("-m", "mypy", "--strict", "--no-incremental", "--cache-dir", os.devnull, "--config-file", os.devnull, *[str(EXAMPLES / name) for name in files])
    assert done.returncode == 0, done.stdout + done.stderr
