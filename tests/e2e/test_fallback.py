"""On demand on the whole platform: a cloud takes a machine back and spot is refused, so that one on demand serves."""

from __future__ import annotations

import pytest

from demo.cast import CAST
from spotlane import wire
from tests.e2e.conftest import Platform
from tests.e2e.test_refusals import fault

pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]
ACME, _ = CAST


def test_where_spot_is_refused_a_machine_on_demand_serves(platform: Platform) -> None:
    platform.director.quiet(ACME, 120)
    boundary = dict(ACME.boundary) | {"spotOnly": False}
    tenant = platform.edge.tenant(ACME.tenant)
    digest = platform.automation.check_boundary(boundary).digest
    platform.edge.put_tenant(tenant.model_copy(update={"boundary": boundary, "boundary_digest": digest}))
    spec = platform.edge.workload(ACME.id).spec
    rules = spec.placement.model_copy(update={"fallback": "on-demand"})
    platform.edge.put_workload(ACME.id, spec.model_copy(update={"placement": rules}))
    platform.automation.tick()
    platform.director.quiet(ACME, 120)
    before = platform.edge.workload(ACME.id).placement
    assert before is not None and before.capacity == "spot"
    machine = platform.director.machine(ACME, before)
    for code in ("InsufficientInstanceCapacity", "AllocationFailed", "ZONE_RESOURCE_POOL_EXHAUSTED"):
        fault(platform, code=code)
    platform.stage.control("POST", f"/hosts/{machine['id']}/interrupt", {})

    def refused() -> bool:
        return any(one.status == "failed" and one.from_placement == before.id for one in platform.edge.migrations(ACME.id))

    platform.director.wait("a refusal", 120, refused)
    platform.stage.control("DELETE", "/faults")

    def bought(capacity: str) -> bool:
        one = platform.edge.workload(ACME.id)
        return one.active_migration is None and one.placement is not None and one.placement.id != before.id and one.placement.capacity == capacity

    platform.director.wait("a machine on demand", 180, lambda: bought("on-demand"))
    on_demand = platform.edge.workload(ACME.id)
    assert on_demand.placement is not None and on_demand.state is wire.WorkloadState.RUNNING
    taken = next(one for one in platform.edge.migrations(ACME.id) if one.id == on_demand.placement.id)
    assert (taken.kind, taken.decision.capacity, taken.from_placement) == ("interruption", "on-demand", before.id)
