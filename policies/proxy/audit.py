"""The audit log: JSON lines, each bound to the one before by SHA-256, flushed before the call goes on. What can't be recorded is not done.

The chain shows edits; its head is anchored at the edge, so that cutting off its end shows too.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from policies.proxy.judge import Verdict

GENESIS = "0" * 64


class AuditUnavailable(OSError):
    """The log can't be written; the call is refused with 503."""


class AuditLog:
    """One file, one writer. Raises :class:`AuditUnavailable` where the file can't be opened or its last whole line isn't an entry."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seq = 0
        self.hash = GENESIS
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._resume()
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise AuditUnavailable(f"{path}: {error}") from error

    def record(self, verdict: Verdict, now: datetime) -> dict[str, Any]:
        """Appends the verdict. Raises :class:`AuditUnavailable`; then nothing counts as recorded."""
        call = verdict.call
        entry: dict[str, Any] = {
            "seq": self.seq + 1,
            "prev": self.hash,
            "at": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "point": "api",
            "tenant": call.tenant,
            "principal": call.principal,
            "digest": verdict.digest,
            "cloud": call.cloud,
            "service": call.service,
            "action": call.action,
            "region": call.region,
            "account": call.account,
            "resource": call.resource[:200],
            "verdict": "allow" if verdict.allowed else "deny",
            "rule": verdict.rule,
        }
        entry["hash"] = entry_hash(entry)
        line = json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        try:
            if os.write(self._file, line) != len(line):
                raise OSError("the disk took half a line")
        except OSError as error:
            self._mend()
            raise AuditUnavailable(f"{self.path}: {error}") from error
        self.seq, self.hash = entry["seq"], entry["hash"]
        self._length += len(line)
        return entry

    def after(self, seq: int, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` entries after number ``seq``."""
        found: list[dict[str, Any]] = []
        with self.path.open("rb") as file:
            for line in file:
                entry = json.loads(line)
                if entry["seq"] > seq:
                    found.append(entry)
                    if len(found) >= limit:
                        break
        return found

    def close(self) -> None:
        """Flushes to the disk and closes."""
        os.fsync(self._file)
        os.close(self._file)

    def _resume(self) -> None:
        self._length = 0
        if not self.path.exists():
            return
        last = b""
        with self.path.open("r+b") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    # A crash cut the write short; its call was never answered.
                    file.truncate(self._length)
                    break
                self._length += len(line)
                last = line
        if last:
            try:
                entry = json.loads(last)
                self.seq, self.hash = int(entry["seq"]), str(entry["hash"])
                sound = entry_hash(entry) == entry["hash"]
            except (ValueError, KeyError, TypeError):
                sound = False
            if not sound:
                raise AuditUnavailable(f"{self.path}: the last entry was changed; keep the file aside as evidence and start anew")

    def _mend(self) -> None:
        try:
            os.truncate(self.path, self._length)
        except OSError:
            return


def entry_hash(entry: dict[str, Any]) -> str:
    """SHA-256 (hex) of the entry without its hash, as canonical JSON."""
    plain = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()
