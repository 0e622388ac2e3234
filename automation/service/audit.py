"""Anchors the inline proxy's audit chain at the edge, so that cutting its end off shows."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import structlog

from spotlane.client import Client
from spotlane.wire import AuditHead

_log = structlog.get_logger(__name__)
_TAIL_BYTES = 64 * 1024


class AuditAnchor:
    """Reads the chain's head from the file's end and stores it at the edge when it has moved."""

    def __init__(self, path: Path, edge: Client) -> None:
        self._path = path
        self._edge = edge
        self._anchored = -1

    def head(self) -> AuditHead | None:
        """The newest whole entry; None where nothing was written yet."""
        if not self._path.exists():
            return None
        with self._path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            lines = log.read().split(b"\n")
        for line in reversed(lines):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            return AuditHead(point="api", seq=entry["seq"], hash=entry["hash"], at=datetime.fromisoformat(entry["at"]))
        return None

    def anchor(self) -> None:
        """Stores the head where the chain has grown. Raises SpotlaneError where the edge is away; the next call tries again.

        A chain that has become shorter isn't anchored: what stands at the edge is the evidence of what is gone.
        """
        head = self.head()
        if head is not None and head.seq < self._anchored:
            _log.error("the audit log lost records", ends_at=head.seq, anchored=self._anchored, then="spotlane audit verify")
        elif head is not None and head.seq > self._anchored:
            self._edge.put_audit_head(head)
            self._anchored = head.seq
