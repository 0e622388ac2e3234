"""A machine's own log lines, as it tells them and as people read them (docs/adr/0092-a-machines-lines.md).

They are the tenant's data: only a workload whose file says ``logs: true`` has them told, they are kept by the edge for a day, and nowhere else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from spotlane.wire.base import PlacementId, Wire

LINES_AT_ONCE = 200
"""How many lines a machine tells in one batch."""
LINE_CHARACTERS = 2048
"""How long a line may be; a machine cuts what is longer."""

LogUnit = Literal["workload", "agent", "tunnel"]
Message = Annotated[str, StringConstraints(max_length=LINE_CHARACTERS)]


class LogEntry(Wire):
    """One line of a machine's journal. ``at``: when it was written, by the machine's clock. ``unit``: the service itself, our agent or the tunnel."""

    at: datetime
    unit: LogUnit
    message: Message


class LogBatch(Wire):
    """What a machine tells: its lines from number ``first`` on, without a gap among them. A machine numbers its lines from 1."""

    placement: PlacementId
    first: int = Field(ge=1, le=2**53 - 1)
    lines: list[LogEntry] = Field(min_length=1, max_length=LINES_AT_ONCE)


class LogTaken(Wire):
    """The answer to a batch: the number of the line that is asked for ``next``; lines before it are kept already, or were, and needn't be told again."""

    next: int


class LogLine(Wire):
    """One kept line. ``number``: its place among its machine's lines; what is missing between two numbers is lost."""

    placement: PlacementId
    number: int
    at: datetime
    unit: LogUnit
    message: str


class MachineLogs(Wire):
    """Lines of one of a workload's machines, the oldest first.

    ``placement``: whose lines; null while the workload has no machine. ``next``: give it as ``after`` to go on where these end. ``lost``: how many
    of the lines asked for were given up, by the machine or for want of room here, before ``lines`` or among them. ``told``: whether the machine tells its
    lines at all; where it doesn't, the workload's file didn't say ``logs: true`` when it was made.
    """

    lines: list[LogLine]
    placement: PlacementId | None
    next: int
    lost: int
    told: bool
