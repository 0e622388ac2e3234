"""A machine's journal: what its units write, by unit, in two files of bounded size. Imported by the machine's first process, so only the standard library.

``journal/now.jsonl`` and, before it, ``journal/before.jsonl`` hold one object a line as ``journalctl --output=json`` prints it; a cursor is a line's number.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

FILE_BYTES = 1 << 20
"""Of one file; two of them are kept."""
LINE_BYTES = 48 * 1024
"""journald's LineMax=: what is longer becomes several lines."""
NOW, BEFORE = "journal/now.jsonl", "journal/before.jsonl"


class Journal:
    """The journal in the current directory, as its only writer sees it."""

    def __init__(self) -> None:
        os.makedirs("journal", exist_ok=True)
        self._number = max((int(entry["__CURSOR"]) for name in (NOW, BEFORE) for entry in entries(name)), default=0)
        self._file = open(NOW, "a", encoding="utf-8")  # noqa: SIM115  # open as long as the machine lives
        self._begun: dict[int, bytes] = {}

    def output(self, stream: int, unit: str, data: bytes) -> None:
        """Takes what ``unit`` wrote to ``stream``; a line is one when it ends. Empty ``data`` is the stream's end."""
        *lines, rest = (self._begun.pop(stream, b"") + data).split(b"\n")
        if len(rest) > LINE_BYTES or (rest and not data):
            lines, rest = [*lines, rest], b""
        if rest:
            self._begun[stream] = rest
        for line in lines:
            self._add({"_SYSTEMD_UNIT": unit}, line)
        self._file.flush()

    def say(self, unit: str, message: str) -> None:
        """A line of the first process about ``unit``."""
        self._add({"_SYSTEMD_UNIT": "init.scope", "UNIT": unit}, message.encode())
        self._file.flush()

    def _add(self, of: dict[str, str], message: bytes) -> None:
        if self._file.tell() > FILE_BYTES:
            self._file.close()
            os.replace(NOW, BEFORE)
            self._file = open(NOW, "a", encoding="utf-8")  # noqa: SIM115  # as above
        self._number += 1
        try:
            text: str | list[int] = message.decode()
        except UnicodeDecodeError:
            text = list(message)
        entry = {"__CURSOR": str(self._number), "__REALTIME_TIMESTAMP": str(time.time_ns() // 1000), **of, "MESSAGE": text}
        self._file.write(json.dumps(entry) + "\n")


def entries(name: str) -> Iterator[dict[str, Any]]:
    """Those of file ``name``; none where it isn't there. A line that is being written is left out."""
    try:
        with open(name, encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)
    except FileNotFoundError:
        return
