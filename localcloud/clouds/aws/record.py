"""The record of AWS: every call that changed something, in order, with the seed that its ids were drawn from.

Replayed at start, it restores the same objects under the same ids. SQLite in WAL mode: what was answered survives a kill.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localcloud.clouds.exchange import HttpRequest


@dataclass(frozen=True)
class Call:
    """A recorded call; ``at`` is when it was made, in seconds since the epoch."""

    seq: int
    seed: int
    at: float
    request: HttpRequest


@dataclass(frozen=True)
class Ending:
    """An instance that ended by itself: ``state`` is ``terminated`` or ``stopped``, ``code`` the state reason's; ``at`` in seconds since the epoch."""

    instance: str
    account: str
    region: str
    state: str
    code: str
    message: str
    at: float


class Record:
    """The record at ``path``. Not thread-safe: its owner holds one lock over all of AWS."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.execute(
            "create table if not exists calls (seq integer primary key autoincrement, seed integer, at real, kind text, document text, body blob)"
        )
        (last,) = self._database.execute("select coalesce(max(seq), 0) from calls").fetchone()
        self._next_seed = int(last) * 1000 + 1

    def next_seed(self) -> int:
        """A seed for a call about to be made; never given twice, not even after a restart."""
        self._next_seed += 1
        return self._next_seed

    def add_call(self, request: HttpRequest, seed: int, at: float) -> None:
        """Keeps a call that succeeded."""
        document = json.dumps([request.method, request.host, request.path, request.query, dict(request.headers)])
        self._database.execute("insert into calls (seed, at, kind, document, body) values (?, ?, 'call', ?, ?)", (seed, at, document, request.body))
        (last,) = self._database.execute("select max(seq) from calls").fetchone()
        self._next_seed = max(self._next_seed, int(last) * 1000 + 1)

    def add_ending(self, ending: Ending) -> None:
        """Keeps the end of an instance."""
        document = json.dumps([ending.instance, ending.account, ending.region, ending.state, ending.code, ending.message, ending.at])
        self._database.execute("insert into calls (seed, at, kind, document, body) values (0, ?, 'ending', ?, x'')", (ending.at, document))

    def entries(self) -> Iterator[Call | Ending]:
        """Everything kept, in order."""
        rows = self._database.execute("select seq, seed, at, kind, document, body from calls order by seq").fetchall()
        for seq, seed, at, kind, document, body in rows:
            if kind == "ending":
                yield Ending(*json.loads(document))
            else:
                method, host, path, query, headers = json.loads(document)
                yield Call(seq, seed, at, HttpRequest(method, host, path, query, headers, body))

    def close(self) -> None:
        """Closes the database."""
        self._database.close()
