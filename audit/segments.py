"""Reads the log's files. What is asked for by its number is looked for, not read up to: a log of years has millions of records before it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_BLOCK_BYTES = 64 * 1024


def segments(path: Path) -> list[Path]:
    """The log's files, oldest first, the one that is written last (also where it doesn't exist)."""
    return [*sorted(path.parent.glob(f"{path.stem}-{'[0-9]' * 12}{path.suffix}")), path]


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The records of all segments. Raises ``ValueError`` for a line that is none."""
    return entries_after(path, 0)


def entries_after(path: Path, seq: int) -> Iterator[dict[str, Any]]:
    """The records after number ``seq``. Raises ``ValueError`` for a line that is none."""
    for segment in _from(path, seq):
        if segment.exists():
            with segment.open("rb") as file:
                _seek(file, seq)
                for text in file:
                    entry = json.loads(text)
                    if entry["seq"] > seq:
                        yield entry


def last_line(path: Path) -> bytes:
    """The file's last line, with its end where it has one."""
    with path.open("rb") as file:
        at = size = file.seek(0, os.SEEK_END)
        while at:
            at = max(0, at - _BLOCK_BYTES)
            file.seek(at)
            rest = file.read(size - at)
            start = rest.rfind(b"\n", 0, -1)
            if start >= 0:
                return rest[start + 1 :]
        file.seek(0)
        return file.read()


def number(text: bytes) -> int | None:
    """The number of the record in a line, None for a line that is none."""
    try:
        return int(json.loads(text)["seq"])
    except (ValueError, KeyError, TypeError):
        return None


def _from(path: Path, seq: int) -> list[Path]:
    """The segments from the one on that may hold the record after ``seq``. Those that are set aside are named by their first record."""
    found = segments(path)
    firsts = [int(one.stem[-12:]) for one in found[:-1]]
    later = sum(first <= seq + 1 for first in firsts)
    return found[max(later - 1, 0) :]


def _seek(file: BinaryIO, seq: int) -> None:
    """Goes to the start of a line that isn't after the record after ``seq``, and not far before it."""
    low, high = 0, file.seek(0, os.SEEK_END) if seq else 0
    while high - low > _BLOCK_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        at, text = file.tell(), file.readline()
        found = number(text) if at < high else None
        if found is not None and found <= seq:
            low = at
        else:
            # Also for a line that is no record: whoever reads from before it will find it.
            high = middle
    file.seek(low)
