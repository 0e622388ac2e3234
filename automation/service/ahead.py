"""Regions made ahead: where a workload would probably go next, its network stands already when an interruption leaves thirty seconds.

Off unless ``SPOTLANE_REGIONS_AHEAD`` says how many a workload: a region that stands costs its NAT (docs/real-clouds.md), used or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from datetime import date
from typing import Protocol

import structlog

from domain.placement.plan import Reason
from spotlane import wire

_log = structlog.get_logger("spotlane.ahead")
Region = tuple[str, str, str]
"""Tenant, cloud, region."""


class Queue(Protocol):
    """Where runs are submitted."""

    def submit(self, request: wire.RunRequest) -> tuple[wire.Run, bool]:
        """Accepts a run; the same key is the same run."""
        ...


def wanted(items: Iterable[wire.PlanItem], standing: Mapping[str, Set[tuple[str, str]]], each: int) -> list[Region]:
    """The regions to make, without repetition, cheapest first for each workload; ``standing`` gives by tenant the clouds and regions that stand.

    Of a workload's offers only those count that it could take now and that are merely dearer or scarcer; ``each`` regions beside the one where it runs.
    """
    found: dict[Region, None] = {}
    for item in items:
        evidence, tenant = item.evidence, item.workload.rpartition("-")[2]
        if evidence is None:
            continue
        here = evidence.current_quote.offer if evidence.current_quote is not None else None
        offers = [evidence.quote.offer, *(one.offer for one in evidence.alternatives if one.reason in (Reason.DEARER, Reason.SCARCER))]
        regions = dict.fromkeys((one.cloud, one.region) for one in offers if here is None or (one.cloud, one.region) != (here.cloud, here.region))
        for cloud, region in list(regions)[:each]:
            if (cloud, region) not in standing.get(tenant, frozenset()):
                found[tenant, cloud, region] = None
    return list(found)


class RegionsAhead:
    """Asks for the region stacks that are wanted, each at most once a day; as the least urgent of runs."""

    def __init__(
        self,
        plan: Callable[[], wire.Plan],
        foundations: Callable[[str], list[wire.StackRef]],
        runs: Queue,
        each: int,
        today: Callable[[], date],
    ) -> None:
        self._plan, self._foundations, self._runs, self._each, self._today = plan, foundations, runs, each, today

    def prepare(self) -> list[wire.Run]:
        """Submits what is missing; nothing where no region is to be made ahead. Raises SpotlaneError where the edge is away."""
        if self._each == 0:
            return []
        items = self._plan().items
        tenants = {item.workload.rpartition("-")[2] for item in items}
        standing = {
            tenant: frozenset((str(one.cloud), str(one.region)) for one in self._foundations(tenant) if one.kind == "region") for tenant in sorted(tenants)
        }
        submitted = []
        for tenant, cloud, region in wanted(items, standing, self._each):
            stack = wire.StackRef.model_validate({"kind": "region", "tenant": tenant, "cloud": cloud, "region": region})
            key = f"ahead:{stack.name}:{self._today().isoformat()}"
            run, new = self._runs.submit(wire.RunRequest(idempotency_key=key, stack=stack, operation="up", priority="drift"))
            if new:
                _log.info("a region is made ahead", stack=stack.name, run=run.id)
            submitted.append(run)
        return submitted
