"""The platform in memory holds as many machines of a workload as it asks for: one change a cycle, each machine in a zone of its own."""

from __future__ import annotations

from typing import Any

import pytest

from spotlane import wire
from spotlane.testing import FakePlatform
from spotlane.testing.platform import Refused

FIRST, SECOND, THIRD = "gcp/us-central1/us-central1-a/e2-standard-2", "gcp/europe-west4/europe-west4-a/e2-standard-2", "azure/eastus/1/Standard_D2s_v5"
"""The three cheapest of the little market."""


def spec(**rules: Any) -> wire.WorkloadSpec:
    digest = {"digest": "sha256:" + "0" * 64, "sizeBytes": 1}
    return wire.WorkloadSpec.model_validate({"artifact": digest, "command": ["./serve"], "ports": {"http": 8080}, "placement": rules})


@pytest.fixture
def platform() -> FakePlatform:
    fake = FakePlatform()
    fake.tenants["acme"] = wire.Tenant.model_validate({"id": "acme", "boundary": {}, "boundaryDigest": "sha256:" + "0" * 64})
    return fake


def held(platform: FakePlatform) -> list[tuple[str, str, str]]:
    """(placement, cloud, state) of each machine."""
    return [(one.id, one.offer.region, one.state.value) for one in platform.machines("web-acme")]


def test_replicas_and_a_standby_come_one_a_cycle_what_serves_before_what_stands_by(platform: FakePlatform) -> None:
    platform.declare("web-acme", spec(replicas=2, warmStandby=True))
    assert held(platform) == [("acme_web_1", "us-central1", "SERVING")]
    kinds = [[(one.kind, one.decision.role) for one in platform.tick().started] for _ in range(3)]
    assert kinds == [[("deploy", "serving")], [("deploy", "standby")], []]
    assert held(platform) == [("acme_web_1", "us-central1", "SERVING"), ("acme_web_2", "europe-west4", "SERVING"), ("acme_web_3", "eastus", "STANDBY")]
    [second, standby] = platform.workloads["web-acme"].further
    assert (second.beside, second.market_ready_from, standby.market_served_from) == (True, None, None)
    assert [one.state.value for one in platform.events] == ["PENDING", "PROVISIONING", "RUNNING"]
    assert [(one.role, one.placement, one.verdict) for one in platform.plan().items] == [
        ("serving", "acme_web_1", "stay"),
        ("serving", "acme_web_2", "stay"),
        ("standby", "acme_web_3", "stay"),
    ]


def test_each_machine_moves_by_its_own_price_and_never_into_a_zone_of_another(platform: FakePlatform) -> None:
    platform.declare("web-acme", spec(replicas=2))
    platform.tick()
    platform.market.price(SECOND, 0.05)
    [moved] = platform.tick().started
    assert (moved.kind, moved.from_placement) == ("move", "acme_web_2")
    assert held(platform) == [("acme_web_1", "us-central1", "SERVING"), ("acme_web_3", "eastus", "SERVING")]
    assert platform.placements["acme_web_2"].state is wire.PlacementState.DESTROYED
    platform.market.price(THIRD, 0.001)
    assert [one.verdict for one in platform.plan().items] == ["stay", "stay"]


def test_what_nobody_asks_for_any_more_is_given_up_one_a_cycle(platform: FakePlatform) -> None:
    platform.declare("web-acme", spec(replicas=2, warmStandby=True))
    for _ in range(2):
        platform.tick()
    platform.declare("web-acme", spec())
    given_up = [[(one.kind, one.from_placement) for one in platform.tick().started] for _ in range(3)]
    assert given_up == [[("retire", "acme_web_2")], [("retire", "acme_web_3")], []]
    assert held(platform) == [("acme_web_1", "us-central1", "SERVING")]


def test_each_is_paid_for_and_a_standby_has_nothing_on_demand_against_it(platform: FakePlatform) -> None:
    platform.declare("web-acme", spec(replicas=2, warmStandby=True))
    for _ in range(2):
        platform.tick()
    platform.advance(1)
    assert [(one.placement, str(one.paid_usd), str(one.on_demand_usd)) for one in platform.hours] == [
        ("acme_web_1", "0.020100", "0.067000"),
        ("acme_web_2", "0.022100", "0.067000"),
        ("acme_web_3", "0.024000", "0.000000"),
    ]


def test_a_removed_workload_leaves_no_machine_behind_and_a_late_decision_is_refused(platform: FakePlatform) -> None:
    platform.declare("web-acme", spec(replicas=2))
    platform.tick()
    platform.market.price(SECOND, 0.05)
    late = next(one.decision for one in platform.plan().items if one.decision is not None)
    assert platform.remove("web-acme").further == []
    assert held(platform) == [] and {one.state.value for one in platform.placements.values()} == {"DESTROYED"}
    with pytest.raises(Refused) as refused:
        platform.place(late)
    assert refused.value.problem.detail == "acme_web_2 is no machine of web-acme any more"
