"""Where a run's event log stands, how it is read while it grows, and the word that a run shall stop, beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

_POLL_SECONDS = 0.2


class Journals:
    """Event logs by run id, kept under one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def of(self, run: str) -> Path:
        """The event log of a run."""
        return self._directory / f"{run}.jsonl"

    def stop(self, run: str, reason: str) -> None:
        """Says that the run shall stop: it isn't begun, or its engine is asked to end. The first reason stands."""
        file = stop_file(self.of(run))
        whole = file.with_suffix(f".stop-{uuid.uuid4().hex}")
        whole.write_text(reason)
        # By a link, which is there with its whole text or not at all; the first one stands.
        with contextlib.suppress(FileExistsError):
            os.link(whole, file)
        whole.unlink()

    def stopped(self, run: str) -> str | None:
        """Why the run shall stop; None where it shall not."""
        return stop_reason(self.of(run))

    async def follow(self, run: str, ended: Callable[[], bool], after: int = 0) -> AsyncIterator[tuple[int, str]]:
        """Events of a run as ``(line number from 1, JSON text)``, from after line ``after``, until the run has ended and all is read."""
        path = self.of(run)
        position = 0
        number = 0
        rest = ""
        while True:
            last = ended()
            if path.exists():
                with path.open() as log:
                    log.seek(position)
                    rest += log.read()
                    position = log.tell()
                *lines, rest = rest.split("\n")
                for line in lines:
                    number += 1
                    if number > after and line:
                        yield number, line
            if last:
                return
            await asyncio.sleep(_POLL_SECONDS)


def stop_file(journal: Path) -> Path:
    """The file that says that the run of this event log shall stop."""
    return journal.with_suffix(".stop")


def stop_reason(journal: Path) -> str | None:
    """What it says; None where there is none."""
    try:
        return stop_file(journal).read_text()
    except OSError:
        return None
