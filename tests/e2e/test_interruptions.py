"""A cloud takes a machine back by its own metadata service, with its own notice: traffic is elsewhere before the machine is gone, and nothing fails."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from demo.cast import CAST
from demo.load import Load
from domain.catalog import CATALOG
from spotlane import wire
from spotlane.errors import ApiProblem
from tests.e2e.conftest import Platform
from tests.e2e.test_move_under_traffic import target

pytestmark = pytest.mark.timeout(600)
_, GLOBEX = CAST
NOTICE_SECONDS = {"aws": 120, "azure": 30, "gcp": 30}
"""EC2's two minutes; the least of Azure's Scheduled Events; Compute Engine's thirty seconds."""


def brought_to(platform: Platform, cloud: str) -> wire.Placement:
    """The workload's placement on ``cloud``: moved there by the cheapest offers that the boundary allows, until one has capacity."""
    platform.director.quiet(GLOBEX, 120)
    placed = platform.edge.workload(GLOBEX.id).placement
    if placed is not None and placed.offer.cloud == cloud:
        return placed
    needs = platform.edge.workload(GLOBEX.id).spec.resources
    allowed = platform.allowed[GLOBEX.tenant].regions[cloud]
    book = [quote for quote in platform.edge.prices(cloud=cloud).quotes if quote.offer.region in allowed and quote.spot_usd_per_hour is not None]
    for quote in sorted(book, key=lambda one: one.spot_usd_per_hour or 0.0)[:40]:
        machine = CATALOG.machine(cloud, quote.offer.instance_type)
        if machine.vcpu < needs.vcpu or machine.memory_gib < needs.memory_gib or machine.arch != "x86_64":
            continue
        try:
            asked = platform.automation.move(wire.MoveRequest(workload=GLOBEX.id, offer=quote.offer))
        except ApiProblem:
            continue
        platform.director.wait(f"the move to {cloud}", 180, lambda: platform.edge.migration(asked.id).status != "running")  # noqa: B023  # waited for here
        platform.director.quiet(GLOBEX, 120)
        now = platform.edge.workload(GLOBEX.id).placement
        if now is not None and now.offer.cloud == cloud:
            return now
    raise AssertionError(f"no offer of {cloud} took {GLOBEX.id}")


@pytest.mark.parametrize("cloud", sorted(NOTICE_SECONDS))
def test_traffic_has_moved_before_a_machine_that_is_taken_back_is_gone(platform: Platform, cloud: str) -> None:
    platform.automation.tick()
    before = brought_to(platform, cloud)
    machine = platform.director.machine(GLOBEX, before)
    load = Load([target(platform, GLOBEX.id)], platform.stage.environ)
    load.start()
    noticed = time.time()
    taken = platform.stage.control("POST", f"/hosts/{machine['id']}/interrupt", {})
    ends = float(taken["deadline"])
    assert ends - noticed == pytest.approx(NOTICE_SECONDS[cloud], abs=3)

    def served_elsewhere() -> bool:
        now = platform.edge.workload(GLOBEX.id).placement
        return now is not None and now.id != before.id

    platform.director.wait("another machine to serve", NOTICE_SECONDS[cloud] + 60, served_elsewhere)
    moved = time.time()
    platform.director.quiet(GLOBEX, 120)
    tally = load.stop()
    after = platform.edge.workload(GLOBEX.id).placement
    assert after is not None and platform.edge.migration(after.id).kind == "interruption"
    assert (tally.http_failed, tally.ws_lost, tally.ws_duplicated, tally.tcp_failed) == (0, 0, 0, 0), tally.faults
    assert set(tally.served_by) == {before.id, after.id}
    assert moved < ends, f"{cloud}: the route changed {moved - ends:.1f} s after the machine's end"
    _told(cloud, moved - noticed, ends - moved, tally.http_requests)


def _told(cloud: str, seconds: float, left: float, requests: int) -> None:
    """Where a file is named, the figures go there: one JSON object a line."""
    if name := os.environ.get("SPOTLANE_FIGURES"):
        with Path(name).open("a") as file:
            file.write(json.dumps({"cloud": cloud, "notice_to_route_seconds": round(seconds, 2), "left_seconds": round(left, 2), "http": requests}) + "\n")
