"""What was created but never acknowledged: makes Create idempotent over a crash of the engine or of this process.

An engine that dies in a Create never learns the id; the next ``up`` asks for the same resource again. The record remembers each creation by URN until the
engine shows that it knows the resource (a Check with old inputs, a Diff, Read, Update or Delete of it). Kept in SQLite, mode 0600: outputs may hold secrets.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.providers.ports import Made
from localcloud.providers.values import Asset


@dataclass(frozen=True)
class Intent:
    """A creation: ``token`` names it to the cloud; ``made`` is its result where a former try got that far, ``resumed`` whether there was one."""

    token: str
    made: Made | None
    resumed: bool


class CreationRecord:
    """The unacknowledged creations at ``path``. Thread-safe."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.Lock()
        self._urns: dict[str, tuple[threading.Lock, int]] = {}
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.execute("create table if not exists creations (urn text primary key, inputs text not null, token text not null, id text, outputs text)")

    @contextlib.contextmanager
    def alone(self, urn: str) -> Iterator[None]:
        """Held while ``urn`` is being created: a second creation waits for the first."""
        with self._lock:
            lock, waiting = self._urns.get(urn, (threading.Lock(), 0))
            self._urns[urn] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._urns[urn]
                if waiting == 1:
                    del self._urns[urn]
                else:
                    self._urns[urn] = (lock, waiting - 1)

    def begin(self, urn: str, inputs: Mapping[str, Any]) -> Intent:
        """Notes that ``urn`` is about to be created; tells what is left of a former try with the same inputs."""
        digest = _digest(inputs)
        with self._lock:
            row = self._database.execute("select token, id, outputs from creations where urn = ? and inputs = ?", (urn, digest)).fetchone()
            if row is not None:
                token, made_id, outputs = row
                return Intent(token, Made(made_id, json.loads(outputs)) if made_id is not None else None, True)
            token = uuid.uuid4().hex
            self._database.execute("insert or replace into creations values (?, ?, ?, null, null)", (urn, digest, token))
            return Intent(token, None, False)

    def made(self, urn: str, result: Made) -> None:
        """Notes the result, before it is answered."""
        with self._lock:
            self._database.execute("update creations set id = ?, outputs = ? where urn = ?", (result.id, json.dumps(result.outputs), urn))

    def forget(self, urn: str) -> None:
        """The engine knows the resource, or its creation failed cleanly."""
        with self._lock:
            self._database.execute("delete from creations where urn = ?", (urn,))

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._database.close()


def _digest(inputs: Mapping[str, Any]) -> str:
    text = json.dumps(inputs, sort_keys=True, default=lambda value: value.document if isinstance(value, Asset) else repr(value))
    return hashlib.sha256(text.encode()).hexdigest()
