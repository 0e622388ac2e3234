"""Ports for what a test starts and knows by its number.

A port that the kernel gave and that was let go is soon given again: to another test's process, or as the near end of any
connection. So these stand below the range from which the kernel gives ports by itself, and each test process has some
of its own, held by a lock that ends with the process.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import tempfile
from pathlib import Path

from localcloud.state import OFFSETS

_FIRST, _PAST, _EACH = 17_000, 32_600, 400


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other test is given."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of ``count`` such ports in a row."""
    return _own().take(count)


def free_base() -> int:
    """The base of the ports of a whole local cloud."""
    return free_ports(max(OFFSETS.values()) + 1)


class _Share:
    """This process's ports, each given once until all were."""

    def __init__(self, first: int) -> None:
        self._first, self._next = first, 0

    def take(self, count: int) -> int:
        for _ in range(2 * _EACH):
            start = self._next if self._next + count <= _EACH else 0
            self._next = start + count
            if all(_free(self._first + start + each) for each in range(count)):
                return self._first + start
        raise RuntimeError(f"there are no {count} free ports in a row among the {_EACH} from {self._first}")


@functools.cache
def _own() -> _Share:
    for first in range(_FIRST, _PAST, _EACH):
        lock = os.open(Path(tempfile.gettempdir(), f"spotlane-ports-{os.getuid()}-{first}"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return _Share(first)  # the lock is never closed: it ends with the process
    raise RuntimeError(f"the ports {_FIRST} to {_PAST} are all held by other test processes")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
