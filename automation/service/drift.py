"""Drift: what somebody or something changed in the clouds past the stacks. Looked for nightly, told, never mended by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Protocol

import structlog
from prometheus_client import Gauge

from automation.runs.events import RunOutcome
from spotlane.client import Client
from spotlane.wire import Run, RunRequest, StackRef

_log = structlog.get_logger("spotlane.drift")
_DRIFTED = Gauge("spotlane_drifted_resources", "Resources that differ in the cloud from their stack's state", ["stack"])


class Foundations(Protocol):
    """Which foundations of a tenant stand."""

    def standing(self, tenant: str) -> list[StackRef]:
        """In the order in which they can be destroyed."""
        ...


class Queue(Protocol):
    """Where runs are submitted."""

    def submit(self, request: RunRequest) -> tuple[Run, bool]:
        """Accepts a run; the same key is the same run."""
        ...


class DriftWatch:
    """Asks for a drift run of every stack that stands, once a day."""

    def __init__(self, edge: Client, foundations: Foundations, runs: Queue, today: Callable[[], date]) -> None:
        self._edge, self._foundations, self._runs, self._today = edge, foundations, runs, today

    def look(self) -> list[Run]:
        """Submits the runs of today; those of stacks that were asked for today already are the same. Raises SpotlaneError where the edge is away."""
        stacks = [stack for tenant in self._edge.tenants() for stack in self._foundations.standing(tenant.id)]
        for one in self._edge.workloads():
            # What moves is looked at tomorrow: its stacks are being made and destroyed.
            if one.placement is not None and one.active_migration is None:
                generations = [placed.generation for placed in (one.placement, *one.further)]
                stacks += [StackRef(kind="placement", tenant=one.tenant, workload=one.name, generation=number) for number in generations]
        day = self._today().isoformat()
        return [
            self._runs.submit(RunRequest(idempotency_key=f"drift:{stack.name}:{day}", stack=stack, operation="drift", priority="drift"))[0] for stack in stacks
        ]


def report(stack: str, outcome: RunOutcome) -> None:
    """Tells what a drift run found: in the log, and as a gauge."""
    drifted = sum(outcome.changes.values())
    _DRIFTED.labels(stack).set(drifted)
    if drifted:
        _log.warning("drift", stack=stack, changes=dict(outcome.changes), resources=sorted({f"{one.type} {one.name}" for one in outcome.steps}))
