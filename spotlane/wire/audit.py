"""Heads of the audit log, as they travel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from spotlane.wire.base import Wire


class AuditHead(Wire):
    """The head of one enforcer's hash chain."""

    point: Literal["plan", "place", "api"]
    seq: int
    hash: str
    at: datetime
