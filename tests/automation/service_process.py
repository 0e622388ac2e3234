"""A service process for tests: the run queue and its members on the database of ``argv``, over an engine that writes down what it does.

``python -m tests.automation.service_process <database url> <member> <directory> [<placements of a tenant at once>]``; ends on SIGTERM.
Lines of ``<directory>/engine.log``: ``begin|end <stack> <pid>``;
of ``leader.log``: ``<monotonic seconds> <member>`` each time that this member sees itself lead.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from dbos import DBOS

from automation.errors import LanesChanged
from automation.runs.admission import Limits
from automation.runs.engine import PolicyPack
from automation.runs.events import RunOutcome
from automation.runs.executor import RunExecutor
from automation.runs.journal import Journals
from automation.runs.members import Members
from automation.runs.queue import Runs, stored_in
from spotlane import wire

WORK_SECONDS = float(os.environ.get("WORK_SECONDS", "0.05"))
STOP_SECONDS = int(os.environ.get("STOP_SECONDS", "0"))


def note(file: Path, line: str) -> None:
    """One line, appended whole."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


if os.environ.get("NEWER"):

    @DBOS.workflow(name="newer")
    def newer() -> None:
        """What a later release has beside the runs: to DBOS another application."""


class NotingEngine:
    """Takes a while for each stack and writes down when it begins and ends."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def settle(self, stack: str, settings: object) -> None:
        return None

    def interrupted(self, stack: str) -> bool:
        return False

    def end(self, journal: Path) -> None:
        return None

    def deployment(self, stack: str) -> None:
        return None

    def repaired(self, stack: str) -> None:
        return None

    def up(self, stack: str, packs: list[PolicyPack], journal: Path, allow: list[str], handed_over: str = "") -> RunOutcome:
        note(self._log, f"begin {stack} {os.getpid()}")
        time.sleep(WORK_SECONDS)
        note(self._log, f"end {stack} {os.getpid()}")
        return RunOutcome()


class NoPlans:
    """Nothing stands beneath anything."""

    def foundations(self, request: wire.RunRequest) -> list[list[wire.RunRequest]]:
        return []

    def settings(self, request: wire.RunRequest) -> wire.Json:
        return {}

    def packs(self, request: wire.RunRequest) -> list[PolicyPack]:
        return []

    def finished(self, request: wire.RunRequest, outcome: RunOutcome) -> None:
        return None


def runs_on(url: str, member: str, directory: Path, at_once: int | None = None) -> Runs:
    """The run queue of one member."""
    DBOS(config=stored_in(url, member, "ERROR"))
    journals = Journals(directory / "journals")
    executor = RunExecutor(NotingEngine(directory / "engine.log"), NoPlans(), journals, lambda migration, event: None)  # type: ignore[arg-type]  # fakes
    return Runs(executor, journals, 4, Limits(at_once=at_once))


def main(url: str, member: str, directory: Path, at_once: int | None = None) -> int:
    """Works until SIGTERM; 2 where runs wait by another ``at_once``."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    runs = runs_on(url, member, directory, at_once)
    try:
        runs.open()
    except LanesChanged as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    members = Members(url, member, runs.take_over, silent_seconds=4.0)
    members.start()
    while not stop.wait(0.1):
        if members.leads:
            note(directory / "leader.log", f"{time.monotonic():.3f} {member}")
    members.stop(hand_over=runs.close(STOP_SECONDS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else None))
