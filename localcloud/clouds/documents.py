"""The documents of a cloud that has no emulator of its own: one table, keyed by the resource's path, kept in SQLite (WAL).

Keys are compared without case, as ARM does; GCP's are lower case anyway. Ids that a cloud makes up are drawn from the document's key and its creation
number, so that they are the same after a restart.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """A resource. ``key`` is its path, ``kind`` its type, ``account`` the subscription or project; ``hidden`` is kept but never shown (user data)."""

    key: str
    kind: str
    account: str
    body: Json
    hidden: Json
    number: int


class Documents:
    """The documents at ``path``. Thread-safe; hold :attr:`lock` over a read and the write that follows from it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.execute(
            "create table if not exists documents (key text primary key collate nocase, kind text,"
            " account text collate nocase, body text, hidden text, number integer)"
        )
        self._database.execute("create index if not exists documents_kind on documents (kind, account)")
        self._database.execute("create table if not exists counter (value integer)")
        if self._database.execute("select count(*) from counter").fetchone() == (0,):
            self._database.execute("insert into counter values (0)")

    def next_number(self) -> int:
        """A number never given before."""
        with self.lock:
            (value,) = self._database.execute("update counter set value = value + 1 returning value").fetchone()
            return int(value)

    def get(self, key: str) -> Document | None:
        """The document at ``key``."""
        with self.lock:
            row = self._database.execute("select key, kind, account, body, hidden, number from documents where key = ?", (key,)).fetchone()
        return _document(row) if row else None

    def put(self, key: str, kind: str, account: str, body: Json, hidden: Json | None = None) -> Document:
        """Writes the document at ``key``; one that is there keeps its number, the spelling of its key and, without ``hidden``, its hidden part."""
        with self.lock:
            known = self.get(key)
            number = known.number if known else self.next_number()
            kept = hidden if hidden is not None else known.hidden if known else {}
            self._database.execute(
                "insert into documents values (?, ?, ?, ?, ?, ?)"
                " on conflict (key) do update set body = excluded.body, hidden = excluded.hidden, kind = excluded.kind",
                (key, kind, account, json.dumps(body), json.dumps(kept), number),
            )
            return Document(known.key if known else key, kind, account, body, kept, number)

    def delete(self, key: str) -> bool:
        """Removes the document at ``key``; False if there was none."""
        with self.lock:
            return self._database.execute("delete from documents where key = ?", (key,)).rowcount > 0

    def below(self, prefix: str) -> list[Document]:
        """The documents whose key goes on after ``prefix`` and a slash, in order of creation."""
        with self.lock:
            rows = self._database.execute(
                "select key, kind, account, body, hidden, number from documents where lower(substr(key, 1, ?)) = ? order by number",
                (len(prefix) + 1, prefix.lower() + "/"),
            ).fetchall()
        return [_document(row) for row in rows]

    def of(self, kind: str | None = None, account: str | None = None) -> list[Document]:
        """The documents of a kind, of an account or of both, in order of creation."""
        with self.lock:
            rows = self._database.execute(
                "select key, kind, account, body, hidden, number from documents where (? is null or kind = ?) and (? is null or account = ?) order by number",
                (kind, kind, account, account),
            ).fetchall()
        return [_document(row) for row in rows]

    def keep_last(self, kind: str, count: int) -> None:
        """Removes all but the last ``count`` documents of ``kind``."""
        with self.lock:
            self._database.execute(
                "delete from documents where kind = ? and number <= (select number from documents where kind = ? order by number desc limit 1 offset ?)",
                (kind, kind, count),
            )

    def close(self) -> None:
        """Closes the database."""
        with self.lock:
            self._database.close()


def made_up_uuid(*parts: object) -> str:
    """A UUID that follows from ``parts``."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(str(part) for part in parts)))


def made_up_number(*parts: object) -> int:
    """A number of 18 to 19 digits that follows from ``parts``, as Google's ids are."""
    return 10**18 + uuid.uuid5(uuid.NAMESPACE_URL, "/".join(str(part) for part in parts)).int % (8 * 10**18)


def _document(row: tuple[Any, ...]) -> Document:
    key, kind, account, body, hidden, number = row
    return Document(key, kind, account, json.loads(body), json.loads(hidden), number)
