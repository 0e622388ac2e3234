"""Which running workloads are to get a new machine: because their declaration has changed since theirs was made, or its credentials are about to end.

Pure but for asking the edge for the placements of a workload whose last redeploy failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from domain.placement.plan import Trigger
from spotlane import wire

AGAIN = timedelta(minutes=10)
"""How long after a failed redeploy the same declaration is tried again, on the wall clock: what failed by itself often fails again, what failed by its
surroundings must not stay so."""


RENEWED = timedelta(days=25)
"""Age on the wall clock at which a machine is replaced by one with new credentials: its token is good for 30 days, and a generation's never changes."""


def due(
    workloads: Sequence[wire.Workload], migrations: Sequence[wire.Migration], placements: Callable[[str], Iterable[wire.Placement]], now: datetime
) -> dict[str, Trigger]:
    """The workloads to redeploy now, by id, each with what sets it off. A placement made before there were fingerprints says nothing, and stays."""
    found = {one.id: trigger for one in workloads if (trigger := _trigger(one, now)) is not None}
    return {one.id: found[one.id] for one in workloads if one.id in found and not _failed_lately(one, migrations, placements, now)}


def _trigger(workload: wire.Workload, now: datetime) -> Trigger | None:
    if _outdated(workload):
        return Trigger.REDEPLOY
    placed = workload.placement
    return Trigger.RENEWAL if placed is not None and now - placed.created_at >= RENEWED else None


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
