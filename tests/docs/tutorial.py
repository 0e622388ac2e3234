"""A tutorial as a script: its commands, and the output that it claims for each.

A claim is a pattern. Its words are literal; a number stands for any number, an offer (``aws/eu-south-2`` with its machine type) for any offer,
``…`` for any text, a line of nothing but ``…`` for any lines, none too.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import fences

_TOKEN = re.compile(
    r"(?P<offer>\b(?:aws|azure|gcp)/[\w/-]+(?: +(?=[\w.-]*\d)[A-Za-z][\w.-]*(?= |$))?)|(?P<cloud>\b(?:aws|azure|gcp)\b)"
    r"|(?P<number>-?\d+(?:[.,:]\d+)*)|(?P<any>…)|(?P<space> +)|(?P<word>.)"
)
_AS = {
    "offer": r"(?:aws|azure|gcp)/\S+(?: +(?=[\w.-]*\d)[A-Za-z][\w.-]*)?",
    "cloud": "(?:aws|azure|gcp)",
    "number": r"-?\d+(?:[.,:]\d+)*",
    "any": ".*",
    "space": " +",
}
_MARK = "--tutorial-step-ended--"


@dataclass(frozen=True)
class Step:
    """One block of commands with the output that is claimed for it; ``None`` where nothing is."""

    line: int
    heading: str
    commands: str
    claim: str | None


def steps(text: str) -> list[Step]:
    """The tutorial's steps, in order: each ``sh`` block, with the ``text`` block that follows it."""
    found: list[Step] = []
    for fence in fences(text):
        if fence.language == "sh":
            found.append(Step(fence.line, fence.heading, fence.text, None))
        elif fence.language == "text":
            last = found.pop()
            assert last.claim is None, f"line {fence.line}: a second output of the commands of line {last.line}"
            found.append(Step(last.line, last.heading, last.commands, fence.text))
        else:
            raise AssertionError(f"line {fence.line}: a block of {fence.language!r}; a tutorial has commands (sh) and their output (text)")
    return found


def holds(claim: str, output: str) -> bool:
    """Whether the output is what the claim says."""
    lines = "".join("(?:[^\n]*\n)*" if line.strip() == "…" else _pattern(line) + r"[ \t]*\n" for line in claim.rstrip("\n").split("\n"))
    return re.fullmatch(lines, output.rstrip("\n") + "\n") is not None


def _pattern(line: str) -> str:
    return "".join(_AS.get(str(one.lastgroup), re.escape(one.group())) for one in _TOKEN.finditer(line))


class Shell:
    """One shell in which the steps are typed one after the other: what one sets, the next one has."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eu", "-o", "pipefail"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, commands: str, limit: float) -> str:
        """What the commands print, errors too. Raises :class:`AssertionError` where one fails, or takes longer than ``limit`` seconds."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
            script.write(commands)
            script.flush()
            self._process.stdin.write(f". {script.name} < /dev/null\necho '{_MARK}'\n")
            self._process.stdin.flush()
            guard = threading.Timer(limit, self._process.kill)
            guard.start()
            printed: list[str] = []
            for line in self._process.stdout:
                if line.rstrip("\n").endswith(_MARK):
                    printed.append(line.rstrip("\n").removesuffix(_MARK))
                    guard.cancel()
                    return "".join(printed)
                printed.append(line)
            guard.cancel()
        raise AssertionError(f"{commands}ended the shell with {self._process.wait()} (limit {limit:.0f} s):\n{''.join(printed)}")

    def close(self) -> None:
        """Ends the shell."""
        self._process.kill()
        self._process.wait()
