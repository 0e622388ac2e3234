"""Which running workloads are to get a new machine because their declaration has changed since theirs was made.

Pure but for asking the edge for the placements of a workload whose last redeploy failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from spotlane import wire

AGAIN = timedelta(minutes=10)
"""How long after a failed redeploy the same declaration is tried again, on the wall clock: what failed by itself often fails again, what failed by its
surroundings must not stay so."""


def due(
    workloads: Iterable[wire.Workload], migrations: Sequence[wire.Migration], placements: Callable[[str], Iterable[wire.Placement]], now: datetime
) -> frozenset[str]:
    """Ids of the workloads to redeploy now. A placement made before there were fingerprints says nothing, and stays."""
    return frozenset(one.id for one in workloads if _outdated(one) and not _failed_lately(one, migrations, placements, now))


def _outdated(workload: wire.Workload) -> bool:
    placed = workload.placement
    return placed is not None and placed.fingerprint is not None and placed.fingerprint != workload.fingerprint


def _failed_lately(workload: wire.Workload, migrations: Sequence[wire.Migration], placements: Callable[[str], Iterable[wire.Placement]], now: datetime) -> bool:
    tries = [one for one in migrations if one.workload == workload.id and one.kind == "redeploy"]
    last = max(tries, key=lambda one: one.generation, default=None)
    if last is None or last.status != "failed" or last.finished_at is None or now - last.finished_at >= AGAIN:
        return False
    tried = next((one for one in placements(workload.id) if one.id == last.id), None)
    return tried is not None and tried.fingerprint == workload.fingerprint
