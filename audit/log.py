"""The log's writer: JSON lines, each bound to the one before, written before the call goes on. What can't be recorded is not done.

A record survives the process's death at once (it is written before :meth:`AuditLog.record` returns) and a loss of power within :data:`SYNC_SECONDS` and one
fsync of the disk: one thread flushes all that came meanwhile together.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import logging
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit.heads import Head, HeadSigner
from audit.segments import entries_after, last_line, number, segments
from domain.boundary.call import Call
from domain.boundary.record import GENESIS, Outcome, line, record, record_hash

log = logging.getLogger("spotlane.audit")

SYNC_SECONDS = 0.03
"""Between a write and its fsync, so that both together end within 50 ms on a disk that takes 20."""
HEAD_SECONDS = 10.0
SEGMENT_BYTES = 64 * 1024 * 1024
_ROOM_BYTES = 1024 * 1024
"""Less free space than this is a full disk."""


class AuditUnavailable(OSError):
    """The log can't be written; the call is refused with 503."""


class AuditLog:
    """One log, one writer (a lock keeps others away). Full segments are set aside as ``<name>-<first seq>.jsonl``; the chain goes on in the next.

    Raises :class:`AuditUnavailable` where the file can't be opened, is another's, its last record was changed, or it ends before its signed head.
    """

    def __init__(self, path: Path, point: str = "api", segment_bytes: int = SEGMENT_BYTES) -> None:
        self.path = path
        self.point = point
        self.seq = 0
        self.hash = GENESIS
        self._segment_bytes = segment_bytes
        self._first = 1
        self._length = 0
        self._synced = (0, GENESIS)
        self._signed = 0
        self._broken: str | None = None
        self._guard = threading.Lock()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._resume()
            self._signer = HeadSigner(path)
            self._check_head(self._signer.last())
        except AuditUnavailable:
            raise
        except (OSError, ValueError) as error:
            raise AuditUnavailable(f"{path}: {error}") from error
        self._synced = (self.seq, self.hash)
        self._thread = threading.Thread(target=self._keep, name=f"audit {path.name}", daemon=True)
        self._thread.start()

    def record(self, call: Call, outcome: Outcome, rule: str, why: str, digest: str, now: datetime) -> dict[str, Any]:
        """Appends a decision. Raises :class:`AuditUnavailable`; then nothing counts as recorded."""
        with self._guard:
            if self._broken:
                raise AuditUnavailable(f"{self.path}: {self._broken}")
            entry = record(self.seq + 1, self.hash, now, call, outcome, rule, why, digest)
            text = line(entry)
            try:
                if self._length and self._length + len(text) > self._segment_bytes:
                    self._rotate()
                if os.write(self._file, text) != len(text):
                    raise OSError("the disk took half a line")
            except OSError as error:
                self._mend()
                raise AuditUnavailable(f"{self.path}: {error}") from error
            self.seq, self.hash = entry["seq"], entry["hash"]
            self._length += len(text)
        self._dirty.set()
        return entry

    def check(self) -> None:
        """Raises :class:`AuditUnavailable` where the log has failed for good, or its disk takes nothing any more."""
        with self._guard:
            if self._broken:
                raise AuditUnavailable(f"{self.path}: {self._broken}")
            try:
                space = os.fstatvfs(self._file)
            except OSError as error:
                raise AuditUnavailable(f"{self.path}: {error}") from error
            if space.f_bavail * space.f_frsize < _ROOM_BYTES:
                raise AuditUnavailable(f"{self.path}: the disk is full")

    def after(self, seq: int, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` records after number ``seq``, from all segments."""
        return list(itertools.islice(entries_after(self.path, seq), limit))

    def close(self) -> None:
        """Flushes to the disk, signs the last head and closes."""
        self._closing.set()
        self._dirty.set()
        self._thread.join()
        os.close(self._file)

    def _keep(self) -> None:
        """Flushes and signs until the log is closed."""
        due = time.monotonic() + HEAD_SECONDS
        while True:
            self._dirty.wait(1.0)
            closing = self._closing.wait(SYNC_SECONDS)
            self._dirty.clear()
            try:
                self._sync()
                if closing or time.monotonic() >= due:
                    due = time.monotonic() + HEAD_SECONDS
                    self._sign()
            except (OSError, ValueError) as error:
                # A disk that refuses to keep what was written stops the proxy: nothing more counts as recorded.
                self._broken = str(error)
                log.error("%s: %s; nothing is passed on any more", self.path, error)
            if closing:
                return

    def _sync(self) -> None:
        with self._guard:
            reached = (self.seq, self.hash)
            file = self._file
            if os.fstat(file).st_ino != os.stat(self.path).st_ino:
                raise OSError("the file was taken away or replaced while it was written")
        if reached != self._synced:
            os.fsync(file)
            self._synced = reached

    def _sign(self) -> None:
        seq, hash = self._synced
        if seq > self._signed:
            self._signer.sign(self.point, seq, hash, datetime.now(UTC))
            self._signed = seq

    def _rotate(self) -> None:
        os.fsync(self._file)
        self.path.rename(self.path.with_name(f"{self.path.stem}-{self._first:012d}{self.path.suffix}"))
        fresh = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(fresh, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.closing(_Directory(self.path.parent)) as directory:
            os.fsync(directory.file)
        old, self._file = self._file, fresh
        os.close(old)
        self._first, self._length = self.seq + 1, 0

    def _resume(self) -> None:
        older = segments(self.path)[:-1]
        if older:
            self._adopt(last_line(older[-1]), older[-1])
            self._first = self.seq + 1
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            last = b""
            for text in file:
                if not text.endswith(b"\n"):
                    # A crash cut the write short; its call was never answered.
                    os.ftruncate(self._file, self._length)
                    break
                if not self._length:
                    self._first = number(text) or self._first
                self._length += len(text)
                last = text
        if last:
            self._adopt(last, self.path)

    def _adopt(self, text: bytes, path: Path) -> None:
        try:
            entry = json.loads(text)
            seq, hash = int(entry["seq"]), str(entry["hash"])
            sound = record_hash(entry) == hash and line(entry) == text
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            raise AuditUnavailable(f"{path}: the last record was changed; keep the file aside as evidence and start anew")
        self.seq, self.hash = seq, hash

    def _check_head(self, head: Head | None) -> None:
        if head is None:
            return
        if head.seq > self.seq:
            raise AuditUnavailable(f"{self.path} ends at record {self.seq}, its signed head is {head.seq}: records are missing. Keep the files as evidence")
        found = self.after(head.seq - 1, 1)
        if not found or found[0]["hash"] != head.hash:
            raise AuditUnavailable(f"{self.path}: record {head.seq} isn't the one that its head signs. Keep the files as evidence and start anew")
        self._signed = head.seq

    def _mend(self) -> None:
        try:
            os.ftruncate(self._file, self._length)
        except OSError as error:
            self._broken = f"half a line can't be taken back: {error}"


class _Directory:
    """An open directory."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        os.close(self.file)
