"""The tutorial: every command that it names, in its order, says what it claims.

The whole of it, from a local cloud that isn't there yet to one that is taken down, takes one to two minutes, and so is run by `make tutorial` and
`make soak`. In `make test` those that need no platform are run, and each is one that the programs take
(test_examples.py).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.tutorial import Shell, Step, holds, steps
from tests.ports import free_base

PAGE = ROOT / "docs" / "tutorial.md"
STEPS = steps(PAGE.read_text(encoding="utf-8"))
BEFORE = "Before you begin"
"""The heading of what `make` does before any test is run."""
STEP_SECONDS = 120.0


def test_the_first_block_is_the_setup_and_each_later_one_stands_under_a_heading_of_its_own() -> None:
    assert [step.commands for step in STEPS if step.heading == BEFORE] == ["make setup\n"]
    assert len({step.heading for step in STEPS}) > 5


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Shell]:
    """A shell of a user who has nothing yet, in the checkout."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    own = {"HOME": str(tmp_path), "XDG_CACHE_HOME": cache, "SPOTLANE_HOME": str(tmp_path / "platform"), "SPOTLANE_PORT_BASE": str(free_base())}
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SPOTLANE_", "PULUMI_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = Shell(ROOT, {**ours, **own, "PATH": path})
    yield shell
    shell.close()
    subprocess.run([sys.executable, "-m", "localcloud", "down", "--purge"], cwd=ROOT, env={**ours, **own}, check=False, capture_output=True)


def says(shell: Shell, step: Step) -> None:
    """Runs a step; what it prints is what the tutorial claims."""
    printed = shell.run(step.commands, STEP_SECONDS)
    assert step.claim is None or holds(step.claim, printed), f"docs/tutorial.md, line {step.line}: {step.commands}printed\n{printed}\nand not\n{step.claim}"


def test_a_project_begins_and_its_files_are_those_that_the_tutorial_shows(typed: Shell) -> None:
    for step in STEPS:
        if step.heading == "Begin a project":
            says(typed, step)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("curl") is None, reason="the tutorial's traffic is curl's")
def test_from_nothing_to_a_move_command_by_command(typed: Shell) -> None:
    for step in STEPS:
        if step.heading != BEFORE:
            says(typed, step)


@pytest.mark.parametrize(
    ("claim", "output", "same"),
    [
        ("up edge: 36 create\n", "up edge: 41 create\n", True),
        ("up edge: 36 create\n", "up edge: 36 create, 1 update\n", False),
        ("ends on aws/eu-south-2 t3.medium\n", "ends on azure/westeurope Standard_D2as_v5\n", True),
        ("ends on aws/eu-south-2 t3.medium\n", "ends on localhost t3.medium\n", False),
        ("first\n…\nlast\n", "first\nlast\n", True),
        ("first\n…\nlast\n", "first\na\nb\nlast\n", True),
        ("first\n…\nlast\n", "first\na\n", False),
        ("    143 200\n", "     97 200\n", True),
        ("    143 200\n", "     97 200\n      1 503\n", False),
    ],
)
def test_a_claim_holds_whatever_its_figures_and_for_no_other_words(claim: str, output: str, same: bool) -> None:
    assert holds(claim, output) is same
