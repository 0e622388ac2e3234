"""Machines beside the first on the whole platform: a standby in the traffic's way as soon as the cloud takes the first back, and a second one that serves."""

from __future__ import annotations

import time

import pytest

from automation.service.standbys import others, standby_of
from demo.cast import CAST
from demo.load import Load
from spotlane import wire
from tests.e2e.conftest import Platform
from tests.e2e.test_interruptions import _told
from tests.e2e.test_move_under_traffic import target

pytestmark = [pytest.mark.timeout(600), pytest.mark.soak]
ACME, _ = CAST


def asked(platform: Platform, *, standby: bool = False, replicas: int = 1, availability: float | None = None) -> None:
    """ACME's workload, declared with or without a standby, with so many machines that serve, or with a share of the time for which they are to."""
    spec = platform.edge.workload(ACME.id).spec
    rules = spec.placement.model_copy(update={"warm_standby": standby, "replicas": replicas, "availability": availability})
    platform.edge.put_workload(ACME.id, spec.model_copy(update={"placement": rules}))


def until_cycles(platform: Platform, what: str, *, standby: bool = False, replicas: int = 1) -> wire.Workload:
    """The daemon is let go on until the workload has a standby, or has none, and so many machines that serve, and nothing of it moves."""
    platform.automation.daemon(paused=False)

    def there() -> bool:
        one = platform.edge.workload(ACME.id)
        if one.active_migration is not None:
            return False
        if (standby_of(one) is not None) == standby and len(others(one)) + 1 == replicas:
            return True
        platform.automation.tick()
        return False

    platform.director.wait(what, 120, there)
    platform.automation.daemon(paused=True)
    platform.director.quiet(ACME, 120)
    return platform.edge.workload(ACME.id)


def test_a_standby_takes_over_within_seconds_of_a_notice_and_is_made_anew(platform: Platform) -> None:
    platform.director.quiet(ACME, 120)
    asked(platform, standby=True)
    before = until_cycles(platform, "a standby", standby=True)
    standby = standby_of(before)
    assert before.placement is not None and standby is not None
    zones = {(one.offer.cloud, one.offer.region, one.offer.zone) for one in (before.placement, standby)}
    assert len(zones) == 2 and before.state is wire.WorkloadState.RUNNING
    machine = platform.director.machine(ACME, before.placement)
    load = Load([target(platform, ACME.id)], platform.stage.environ)
    load.start()
    noticed = time.time()
    taken = platform.stage.control("POST", f"/hosts/{machine['id']}/interrupt", {})

    def taken_over() -> bool:
        now = platform.edge.workload(ACME.id).placement
        return now is not None and now.id == standby.id

    platform.director.wait("the standby to serve", 60, taken_over)
    moved = time.time()
    platform.director.quiet(ACME, 120)
    tally = load.stop()
    assert (tally.http_failed, tally.ws_lost, tally.ws_duplicated, tally.tcp_failed) == (0, 0, 0, 0), tally.faults
    assert set(tally.served_by) == {before.placement.id, standby.id}
    [ended] = [one for one in platform.edge.migrations(ACME.id) if one.decision.promote == standby.id]
    assert (ended.kind, ended.status, ended.from_placement) == ("interruption", "succeeded", before.placement.id)
    _told(f"{before.placement.offer.cloud}, standby", moved - noticed, float(taken["deadline"]) - moved, tally.http_requests)
    anew = until_cycles(platform, "another standby", standby=True)
    assert anew.placement is not None and anew.placement.id == standby.id
    asked(platform, standby=False)
    until_cycles(platform, "the standby's end", standby=False)
    assert next(iter(platform.edge.migrations(ACME.id))).kind == "retire"


def test_two_machines_share_the_traffic_and_one_of_them_is_replaced_under_it(platform: Platform) -> None:
    platform.director.quiet(ACME, 120)
    asked(platform, replicas=2)
    both = until_cycles(platform, "a second machine", replicas=2)
    [second] = others(both)
    assert both.placement is not None
    assert (both.placement.offer.cloud, both.placement.offer.region, both.placement.offer.zone) != (second.offer.cloud, second.offer.region, second.offer.zone)
    machine = platform.director.machine(ACME, second)
    load = Load([target(platform, ACME.id)], platform.stage.environ)
    load.start()
    time.sleep(3)
    platform.stage.control("POST", f"/hosts/{machine['id']}/interrupt", {})

    def replaced() -> bool:
        one = platform.edge.workload(ACME.id)
        return one.active_migration is None and len(others(one)) == 1 and others(one)[0].id != second.id

    platform.director.wait("another second machine", 150, replaced)
    tally = load.stop()
    after = platform.edge.workload(ACME.id)
    assert after.placement is not None and after.placement.id == both.placement.id and after.state is wire.WorkloadState.RUNNING
    assert others(after)[0].replaces == second.id
    assert (tally.http_failed, tally.ws_lost, tally.ws_duplicated, tally.tcp_failed) == (0, 0, 0, 0), tally.faults
    assert {both.placement.id, second.id} <= set(tally.served_by)
    asked(platform)
    until_cycles(platform, "the second machine's end")


def test_a_machine_that_goes_is_replaced_while_another_one_is_moving(platform: Platform) -> None:
    platform.director.quiet(ACME, 120)
    asked(platform, replicas=2)
    both = until_cycles(platform, "a second machine", replicas=2)
    [second] = others(both)
    assert both.placement is not None
    machine = platform.director.machine(ACME, second)
    load = Load([target(platform, ACME.id)], platform.stage.environ)
    load.start()
    moving = platform.automation.move(wire.MoveRequest(workload=ACME.id))
    taken = platform.stage.control("POST", f"/hosts/{machine['id']}/interrupt", {})

    def replaced() -> bool:
        now = others(platform.edge.workload(ACME.id))
        return len(now) == 1 and now[0].id != second.id

    platform.director.wait("another second machine", 150, replaced)
    served = time.time()
    platform.director.wait("the move's end", 150, lambda: platform.edge.migration(moving.id).status != "running")
    platform.director.quiet(ACME, 120)
    tally = load.stop()
    after = platform.edge.workload(ACME.id)
    assert after.placement is not None and after.placement.id == both.placement.id and after.state is wire.WorkloadState.RUNNING
    assert (platform.edge.migration(moving.id).error or "").startswith("it gave way")
    assert (tally.http_failed, tally.ws_lost, tally.ws_duplicated, tally.tcp_failed) == (0, 0, 0, 0), tally.faults
    assert served < float(taken["deadline"])
    asked(platform)
    until_cycles(platform, "the second machine's end")


def test_two_machines_that_go_at_once_are_both_replaced_under_the_traffic(platform: Platform) -> None:
    platform.director.quiet(ACME, 120)
    asked(platform, replicas=2)
    both = until_cycles(platform, "a second machine", replicas=2)
    assert both.placement is not None
    gone = {both.placement.id, others(both)[0].id}
    machines = [platform.director.machine(ACME, one) for one in (both.placement, *others(both))]
    load = Load([target(platform, ACME.id)], platform.stage.environ)
    load.start()
    for machine in machines:
        platform.stage.control("POST", f"/hosts/{machine['id']}/interrupt", {})

    def replaced() -> bool:
        one = platform.edge.workload(ACME.id)
        return one.active_migration is None and one.placement is not None and not gone & {one.placement.id, *(each.id for each in others(one))}

    platform.director.wait("two other machines", 180, replaced)
    tally = load.stop()
    assert (tally.http_failed, tally.ws_lost, tally.ws_duplicated, tally.tcp_failed) == (0, 0, 0, 0), tally.faults
    rescues = [one for one in platform.edge.migrations(ACME.id) if one.from_placement in gone and one.status == "succeeded"]
    assert sorted(one.kind for one in rescues) == ["interruption", "interruption"]
    ups = {run.stack: run for run in platform.edge.workload_runs(ACME.id) if run.operation == "up"}
    one, other = (ups[f"placement.acme.web.{each.generation}"] for each in rescues)
    assert one.accepted_at < other.finished_at and other.accepted_at < one.finished_at  # type: ignore[operator]  # both have ended
    asked(platform)
    until_cycles(platform, "the second machine's end")


def test_an_availability_that_is_worth_a_spare_gets_one_and_one_that_isnt_gives_it_up(own_platform: Platform) -> None:
    platform = own_platform  # what it holds is decided by what its zones did before
    platform.director.quiet(ACME, 120)
    asked(platform, availability=0.99999)
    both = until_cycles(platform, "a spare", replicas=2)
    [spare] = others(both)
    assert both.placement is not None
    assert (both.placement.offer.cloud, both.placement.offer.region, both.placement.offer.zone) != (spare.offer.cloud, spare.offer.region, spare.offer.zone)
    made = platform.edge.migration(spare.id).decision
    assert made.holding is not None and (made.holding.chosen.spot, made.holding.availability) == (2, 0.99999)
    assert made.reason.startswith("for an availability of 99.9990% of 1 machines it holds 2 on spot")
    asked(platform, availability=0.001)
    alone = until_cycles(platform, "the spare's end")
    given_up = next(one for one in platform.edge.migrations(ACME.id) if one.kind == "retire")
    assert given_up.status == "succeeded" and given_up.decision.holding is not None and given_up.decision.holding.chosen.spot == 1
    assert alone.placement is not None and alone.state is wire.WorkloadState.RUNNING
    asked(platform)
