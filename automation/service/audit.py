"""Anchors the audit chains of this machine at the edge, so that cutting an end off shows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

import structlog

from spotlane.client import Client
from spotlane.errors import ApiProblem
from spotlane.wire import AuditHead

_log = structlog.get_logger(__name__)
_TAIL_BYTES = 64 * 1024
Point = Literal["plan", "place", "api"]


class AuditAnchor:
    """Reads each chain's head from its file's end and stores it at the edge when it has moved."""

    def __init__(self, logs: Mapping[Point, Path], member: str, edge: Client) -> None:
        self._logs = logs
        self._member = member
        self._edge = edge
        self._anchored: dict[Point, int] = {}

    def head(self, point: Point) -> AuditHead | None:
        """The newest whole entry; None where nothing was written yet."""
        path = self._logs[point]
        if not path.exists():
            return None
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            lines = log.read().split(b"\n")
        for line in reversed(lines):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            return AuditHead(point=point, member=self._member, seq=entry["seq"], hash=entry["hash"], at=datetime.fromisoformat(entry["at"]))
        return None

    def anchor(self) -> None:
        """Stores the heads of chains that have grown. Raises SpotlaneError where the edge is away; the next call tries again.

        A chain that has become shorter isn't anchored: what stands at the edge is the evidence of what is gone. Neither is a record that the edge knows with
        another hash; either is an error in the log, and the other chains are anchored.
        """
        for point in self._logs:
            head, anchored = self.head(point), self._anchored.get(point, -1)
            if head is not None and head.seq < anchored:
                _log.error("the audit log lost records", point=point, ends_at=head.seq, anchored=anchored, then="spotlane audit verify")
            elif head is not None and head.seq > anchored:
                self._put(head)
                self._anchored[point] = head.seq

    def _put(self, head: AuditHead) -> None:
        try:
            self._edge.put_audit_head(head)
        except ApiProblem as error:
            if error.word != "anchor-conflict":
                raise
            _log.error("the audit log was written anew", point=head.point, record=head.seq, error=str(error), then="spotlane audit verify")
