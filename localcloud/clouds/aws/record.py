"""The record of AWS: every call that changed something, in order, with the seed that its ids were drawn from.

Replayed at start, it restores the same objects under the same ids. SQLite in WAL mode: what was answered survives a kill. What a replay needs no more is
taken out in one transaction (``compaction``); room that it leaves in the file is used again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
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
        self._next_seed = self._last() * 1000 + 1

    def next_seed(self) -> int:
        """A seed for a call about to be made; never given twice, not even after a restart."""
        self._next_seed += 1
        return self._next_seed

    def add_call(self, request: HttpRequest, seed: int, at: float) -> None:
        """Keeps a call that succeeded."""
        document = json.dumps([request.method, request.host, request.path, request.query, dict(request.headers)])
        self._database.execute("insert into calls (seed, at, kind, document, body) values (?, ?, 'call', ?, ?)", (seed, at, document, request.body))
        self._next_seed = max(self._next_seed, self._last() * 1000 + 1)

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

    def compact(self, dropped: Iterable[int], shrunk: Mapping[int, HttpRequest]) -> None:
        """Forgets the entries ``dropped`` and keeps those of ``shrunk`` with a smaller body: all of it, or after a kill nothing."""
        with self._database:
            self._database.execute("begin immediate")
            self._database.executemany("delete from calls where seq = ?", [(seq,) for seq in dropped])
            self._database.executemany("update calls set body = ? where seq = ?", [(request.body, seq) for seq, request in shrunk.items()])

    def _last(self) -> int:
        """The highest number ever given, also if its entry is forgotten: seeds are told from it."""
        found = self._database.execute("select seq from sqlite_sequence where name = 'calls'").fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Closes the database."""
        self._database.close()
