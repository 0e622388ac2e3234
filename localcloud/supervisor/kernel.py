"""What Linux says of processes and ports, from ``/proc`` (proc(5)): sessions, environments, memory, who listens where."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from localcloud.hosts.process import MARKER as MACHINE_MARKER
from localcloud.hosts.process import identify
from localcloud.state import LOOPBACK

SUPERVISED = "SPOTLANE_SUPERVISED"
"""Environment variable of everything that the supervisor starts: ``<home>:<process>``."""

_LISTENING = "0A"


@dataclass(frozen=True)
class Holder:
    """Who listens on a port."""

    pid: int
    command: str


def session_of(pid: int) -> int | None:
    """The session of a living process."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def session_members(session: int) -> list[int]:
    """Living processes of ``session``."""
    return [pid for pid in _pids() if session_of(pid) == session and identify(pid) is not None]


def environment_of(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty where it can't be read."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (entry.decode(errors="replace").partition("=") for entry in entries if b"=" in entry)
    return {name: value for name, _, value in pairs}


def supervised(home: Path) -> dict[int, str]:
    """Living processes that descend from what was started for ``home``: pid → process name."""
    found = {}
    for pid in _pids():
        marker = environment_of(pid).get(SUPERVISED, "")
        directory, _, name = marker.rpartition(":")
        if directory == str(home) and identify(pid) is not None:
            found[pid] = name
    return found


def machine_processes(hosts: Path) -> dict[int, str]:
    """Living processes of machines below ``hosts``: pid → the machine's directory."""
    prefix = f"{hosts}{os.sep}"
    found = {}
    for pid in _pids():
        marker = environment_of(pid).get(MACHINE_MARKER, "")
        if marker.startswith(prefix) and identify(pid) is not None:
            found[pid] = marker
    return found


def memory_mib(session: int) -> float:
    """Proportional set size of a session's processes in MiB: pages that they share count once."""
    total = 0
    for pid in session_members(session):
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 1024


def command_of(pid: int) -> str:
    """A process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def port_free(port: int) -> bool:
    """Whether ``port`` of 127.0.0.1 can be listened on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def holder_of(port: int) -> Holder | None:
    """Who listens on ``port``; None where that isn't known (another user's process)."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in _pids():
        try:
            for descriptor in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(descriptor.path) in wanted:
                    return Holder(pid, command_of(pid))
        except OSError:
            continue
    return None


def end_processes(living: Callable[[], list[int]], grace_seconds: float) -> None:
    """SIGTERM to what ``living`` names, SIGKILL to what is left after ``grace_seconds``, until nothing is."""
    _signal_all(living(), signal.SIGTERM)
    limit = time.monotonic() + grace_seconds
    while (pids := living()) and time.monotonic() < limit:
        time.sleep(0.05)
    for _ in range(100):
        if not pids:
            return
        _signal_all(pids, signal.SIGKILL)
        time.sleep(0.05)
        pids = living()


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _listening_inodes(port: int) -> Iterator[str]:
    suffix = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(suffix) and fields[3] == _LISTENING:
                yield fields[9]
