"""Which processes are a machine's: told by pid and start time, session and environment, as Linux's ``/proc`` shows them (proc(5)).

Imported by the machine's first process, so only the standard library, and little of it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

MARKER = "LOCALCLOUD_MACHINE"
"""Environment variable that every process of a machine inherits; its value is the machine's directory."""


class ProcessIdentity(NamedTuple):
    """A process for its whole life: a pid alone comes round again. ``start_time`` is in clock ticks since boot."""

    pid: int
    start_time: int


class _Status(NamedTuple):
    state: str
    session: int
    start_time: int


def _status(pid: int) -> _Status | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            # The command's name stands in parentheses and may itself hold any character.
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return _Status(state=fields[0], session=int(fields[3]), start_time=int(fields[19]))


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of living process ``pid``; None if there is none (a zombie is dead)."""
    status = _status(pid)
    return None if status is None or status.state in "ZX" else ProcessIdentity(pid, status.start_time)


def alive(process: ProcessIdentity) -> bool:
    """Whether exactly this process still runs."""
    return identify(process.pid) == process


def processes_of(marker: str, session: int | None = None) -> list[int]:
    """Pids of living processes that carry ``marker`` in their environment or belong to ``session``."""
    wanted = f"{MARKER}={marker}".encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        status = _status(int(name))
        if status is None or status.state in "ZX":
            continue
        if session is not None and status.session == session:
            found.append(int(name))
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found
