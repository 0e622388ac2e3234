"""Heads of the audit log, as they travel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from spotlane.wire.base import Wire


class AuditHead(Wire):
    """The head of one enforcer's hash chain, on the machine of service process ``member``."""

    point: Literal["plan", "place", "api"]
    member: str = Field(default="local", pattern=r"^[A-Za-z0-9._-]{1,63}$")
    seq: int
    hash: str
    at: datetime
