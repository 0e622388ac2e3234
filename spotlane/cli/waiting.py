"""How long something will take, from how long it took before: pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from statistics import median

from spotlane import wire

_LEAST = 1.0


def usual_of_runs(runs: Iterable[wire.Run], request: wire.RunRequest) -> str:
    """What to say of an operation on a stack of this kind; empty where none has succeeded before."""
    kind = request.stack.kind
    alike = [one for one in runs if one.status == "succeeded" and one.operation == request.operation and one.stack.partition(".")[0] == kind]
    return usually((one.started_at, one.finished_at) for one in alike)


def usual_of_moves(moves: Iterable[wire.Migration]) -> str:
    """What to say of a move; empty where none has succeeded before."""
    return usually((one.started_at, one.finished_at) for one in moves if one.status == "succeeded")


def usually(spans: Iterable[tuple[datetime | None, datetime | None]]) -> str:
    """``usually 12 s``: the median of what has ended, in seconds, from 90 in minutes."""
    seconds = [(end - begin).total_seconds() for begin, end in spans if begin is not None and end is not None]
    if not seconds:
        return ""
    typical = max(median(seconds), _LEAST)
    return f"usually {typical:.0f} s" if typical < 90 else f"usually {typical / 60:.0f} min"
