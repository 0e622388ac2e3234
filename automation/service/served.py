"""The placements of all workloads, for the ledger: asked for once, and again only for a workload that has moved since.

What a workload shows of itself tells whether its placements are still those that are known; a cycle over ten thousand that stand still asks for none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from spotlane.wire import Placement, Workload

AT_ONCE = 20
"""More unknown workloads than this, and all placements are listed instead of each workload's own."""


class Placements(Protocol):
    """What is asked of the edge."""

    def placements(self, workload: str) -> Iterable[Placement]:
        """Of one workload."""
        ...

    def all_placements(self) -> Iterable[Placement]:
        """Of all."""
        ...


class Served:
    """Not thread-safe: one cycle at a time uses it."""

    def __init__(self, edge: Placements) -> None:
        self._edge = edge
        self._known: dict[str, tuple[object, list[Placement]]] = {}

    def of(self, workloads: Sequence[Workload]) -> list[Placement]:
        """Every placement that any of ``workloads`` ever had. Raises SpotlaneError; what was known before stays known."""
        changed = [one for one in workloads if one.active_migration is not None or self._known.get(one.id, (None,))[0] != _shown(one)]
        found: dict[str, list[Placement]] = defaultdict(list)
        if len(changed) > AT_ONCE:
            for placement in self._edge.all_placements():
                found[placement.workload].append(placement)
        else:
            for one in changed:
                found[one.id] = list(self._edge.placements(one.id))
        self._known.update((one.id, (_shown(one), found[one.id])) for one in changed)
        held = {one.id for one in workloads}
        self._known = {workload: known for workload, known in self._known.items() if workload in held}
        return [placement for one in workloads for placement in self._known[one.id][1]]


def _shown(workload: Workload) -> object:
    """What of a workload changes whenever its placements do."""
    placed = workload.placement
    span = None if placed is None else (placed.id, placed.state, placed.market_served_from, placed.market_served_until)
    beside = [(one.id, one.state) for one in workload.further]
    return (span, beside, workload.state, workload.active_migration, workload.generation)
