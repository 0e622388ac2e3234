"""Completion in bash, zsh and fish: each shell's script asks the program, and the program answers with commands and options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_ASKED = {
    "bash": {"COMP_WORDS": "spotlane wo", "COMP_CWORD": "1"},
    "zsh": {"_TYPER_COMPLETE_ARGS": "spotlane wo"},
    "fish": {"_TYPER_COMPLETE_ARGS": "spotlane wo", "_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_WORD_TO_COMPLETE": "wo"},
}


def run(*arguments: str, **environment: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run([sys.executable, "-m", "spotlane", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("shell", _ASKED)
def test_the_program_completes_a_command_for_each_shell(shell: str) -> None:
    told = run(_SPOTLANE_COMPLETE=f"complete_{shell}", **_ASKED[shell])
    assert "workload" in told and "tenant" not in told.split()


@pytest.mark.parametrize("shell", _ASKED)
def test_the_script_of_each_shell_asks_the_program_so(shell: str) -> None:
    script = run("completion", shell)
    assert "_SPOTLANE_COMPLETE" in script and f"complete_{shell}" in script
