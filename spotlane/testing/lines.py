"""The fake platform's machine logs: the lines that each placement told, by number. As on the real one, the last 2,000 of each; here they don't grow old."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from spotlane import wire

_KEPT = 2000


@dataclass
class Lines:
    """What machines told, by placement."""

    kept: dict[str, list[wire.LogLine]] = field(default_factory=dict)
    following: dict[str, int] = field(default_factory=dict)

    def take(self, batch: wire.LogBatch) -> wire.LogTaken:
        """Takes in what isn't known yet of a batch."""
        expected = self.expected(batch.placement)
        fresh = [
            wire.LogLine(placement=batch.placement, number=number, at=one.at, unit=one.unit, message=one.message)
            for number, one in enumerate(batch.lines, batch.first)
            if number >= expected
        ]
        if fresh:
            self.kept[batch.placement] = [*self.kept.get(batch.placement, []), *fresh][-_KEPT:]
            self.following[batch.placement] = fresh[-1].number + 1
        return wire.LogTaken(next=self.expected(batch.placement))

    def expected(self, placement: str) -> int:
        """The number of its next line."""
        return self.following.get(placement, 1)

    def read(self, placement: str | None, after: int | None, limit: int, *, tells: bool) -> wire.MachineLogs:
        """The first ``limit`` lines after number ``after``, without it the last ones. ``tells``: the workload's file asks for lines."""
        kept = self.kept.get(placement or "", [])
        lines = kept[-limit:] if after is None else [one for one in kept if one.number > after][:limit]
        last = lines[-1].number if lines else after or 0
        lost = 0
        if lines and after is not None:
            lost = last - after - len(lines)
        elif lines:
            lost = last - lines[0].number + 1 - len(lines) + min(lines[0].number - 1, limit - len(lines))
        return wire.MachineLogs(lines=lines, placement=placement, next=last, lost=lost, told=tells or bool(kept))

    def told_by(self, placements: Iterable[str]) -> str | None:
        """The first of them with lines."""
        return next((one for one in placements if self.kept.get(one)), None)
