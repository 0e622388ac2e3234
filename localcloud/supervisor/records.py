"""``run/<process>.json``: by which a process is known again after any crash.

``{"pid", "startTime", "group", "startedAt", "restarts", "state", "note", "memoryMib"}``; ``startTime`` in clock ticks since boot (proc(5)), ``startedAt``
in seconds since the epoch. ``run/wanted.json`` lists the processes that shall run; ``run/supervisor.json`` is the watching process's own record.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localcloud.hosts.process import ProcessIdentity, alive


@dataclass(frozen=True)
class ProcessRecord:
    """One process as last seen. ``state`` is ``starting``, ``running``, ``failing`` (alive, but its health check fails) or ``waiting`` (to be started anew)."""

    name: str
    pid: int
    start_time: int
    started_at: float
    restarts: int = 0
    state: str = "starting"
    note: str = ""
    memory_mib: float | None = None

    @property
    def identity(self) -> ProcessIdentity:
        """Who it is for its whole life."""
        return ProcessIdentity(self.pid, self.start_time)

    @property
    def alive(self) -> bool:
        """Whether this very process lives."""
        return self.pid > 0 and alive(self.identity)


class Records:
    """The ``run`` directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str) -> ProcessRecord | None:
        """The record of ``name``; None where there is none, or half of one."""
        try:
            document = json.loads((self.directory / f"{name}.json").read_text(encoding="utf-8"))
            return ProcessRecord(
                name,
                int(document["pid"]),
                int(document["startTime"]),
                float(document["startedAt"]),
                int(document["restarts"]),
                str(document["state"]),
                str(document["note"]),
                document["memoryMib"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: ProcessRecord) -> None:
        """Keeps ``record``."""
        values = asdict(record)
        document = {
            "pid": values["pid"],
            "startTime": values["start_time"],
            "group": values["pid"],
            "startedAt": values["started_at"],
            "restarts": values["restarts"],
            "state": values["state"],
            "note": values["note"],
            "memoryMib": values["memory_mib"],
        }
        self._write(f"{record.name}.json", document)

    def forget(self, name: str) -> None:
        """Removes the record of ``name``."""
        (self.directory / f"{name}.json").unlink(missing_ok=True)

    def wanted(self) -> list[str]:
        """Names of the processes that shall run."""
        try:
            names: list[str] = json.loads((self.directory / "wanted.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return names

    def want(self, names: list[str]) -> None:
        """Sets which processes shall run."""
        self._write("wanted.json", names)

    def _write(self, name: str, document: Any) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / name
        temporary = path.with_name(f"{name}.{os.getpid()}.new")
        temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
        temporary.replace(path)
