"""An engine process that is known again after our own death: pid and start time stand beside its event log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from automation.errors import EngineMissing
from automation.runs.journal import stop_reason

_GRACE_SECONDS = 10.0
_STOP_POLL_SECONDS = 0.25
_STOP_GRACE_SECONDS = 120.0
"""For what an engine has in hand when it is asked to stop; then it is ended, and the stack is repaired by the next run."""


@dataclass
class EngineProcess:
    """One engine process, living or dead; ``started`` is the kernel's start time of the pid in clock ticks (``/proc/<pid>/stat``, field 22)."""

    journal: Path
    pid: int | None
    started: int | None
    _child: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, command: list[str], environment: Mapping[str, str], journal: Path) -> EngineProcess:
        """Starts ``command`` in a session of its own. Raises :class:`EngineMissing`."""
        with _console(journal).open("wb") as console:
            try:
                child = subprocess.Popen(command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
            except OSError as error:
                raise EngineMissing(f"the Pulumi engine {command[0]!r} can't be started ({error}); run `make setup`") from error
        process = cls(journal, child.pid, _start_time(child.pid), child)
        _record(journal).write_text(json.dumps({"pid": process.pid, "started": process.started}))
        return process

    @classmethod
    def of(cls, journal: Path) -> EngineProcess:
        """The process that last wrote ``journal``; one without a pid where there was none."""
        try:
            document = json.loads(_record(journal).read_text())
        except (OSError, ValueError):
            return cls(journal, None, None)
        return cls(journal, document["pid"], document["started"])

    def wait(self) -> int:
        """Waits for the end; the exit code, negative for the signal that ended it: then the process stays known, as after :meth:`kill`.

        Asks the engine to stop (SIGINT, as Ctrl-C does) once its run shall.
        """
        assert self._child is not None, "only who started an engine can wait for it"
        asked_at: float | None = None
        while True:
            try:
                code = self._child.wait(timeout=_STOP_POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if asked_at is None and stop_reason(self.journal) is not None:
                    asked_at = time.monotonic()
                    self._child.send_signal(signal.SIGINT)
                elif asked_at is not None and time.monotonic() - asked_at > _STOP_GRACE_SECONDS:
                    self.signal(signal.SIGKILL)
        if code >= 0:
            _record(self.journal).unlink(missing_ok=True)
        return code

    def alive(self) -> bool:
        """Whether this very process (not a later one of the same pid) still runs."""
        return self.pid is not None and self.started is not None and _start_time(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the engine and what it started."""
        if self.alive() and self.pid is not None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                return

    def end(self) -> None:
        """Ends the process, politely, then not, and forgets it."""
        self.kill()
        _record(self.journal).unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends the process; that it was there stays known, so that whoever goes on with the run repairs its stack first."""
        self.signal(signal.SIGTERM)
        limit = time.monotonic() + _GRACE_SECONDS
        while self.alive() and time.monotonic() < limit:
            time.sleep(0.05)
        self.signal(signal.SIGKILL)

    def tail(self, lines: int = 5) -> list[str]:
        """The last lines that it printed."""
        try:
            text = _console(self.journal).read_text(errors="replace")
        except OSError:
            return []
        return [line.strip() for line in text.splitlines() if line.strip()][-lines:]


def _record(journal: Path) -> Path:
    return journal.with_suffix(".pid")


def _console(journal: Path) -> Path:
    return journal.with_suffix(".console")


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
