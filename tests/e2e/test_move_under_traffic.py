"""A served workload moves, is interrupted, a forbidden move is refused, under live traffic: nothing is lost and nothing is left outside its boundary."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from demo.cast import CAST
from demo.load import Load, Target
from spotlane import wire
from spotlane.errors import ApiProblem
from tests.e2e.conftest import ROOT, Platform

pytestmark = pytest.mark.timeout(600)
ACME, GLOBEX = CAST


def target(platform: Platform, workload: str) -> Target:
    endpoint = platform.edge.endpoint(workload)
    assert endpoint.http and endpoint.websocket and endpoint.tcp_host and endpoint.tcp_port
    return Target(workload, endpoint.http, endpoint.websocket.rstrip("/") + "/ws", (endpoint.tcp_host, endpoint.tcp_port), 20, 10, 2)


def test_a_requested_move_loses_no_request_message_or_connection(platform: Platform) -> None:
    before = platform.edge.workload(ACME.id).placement
    assert before is not None
    load = Load([target(platform, ACME.id)], platform.stage.environ)
    load.start()
    platform.automation.tick()
    migration = platform.automation.move(wire.MoveRequest(workload=ACME.id))
    platform.director.wait("the move", 120, lambda: platform.edge.migration(migration.id).status != "running")
    tally = load.stop()
    ended = platform.edge.migration(migration.id)
    assert (ended.status, ended.step, ended.from_placement) == ("succeeded", wire.MigrationStep.DONE, before.id)
    assert (tally.http_failed, tally.ws_lost, tally.ws_duplicated, tally.tcp_failed) == (0, 0, 0, 0), tally.faults
    assert tally.http_requests > 50 and tally.ws_messages > 20 and tally.tcp_connections > 4
    assert set(tally.served_by) == {before.id, migration.id}


def test_a_machine_that_is_taken_back_is_replaced_by_its_notice_and_in_time(platform: Platform) -> None:
    platform.automation.tick()
    before = platform.edge.workload(GLOBEX.id).placement
    assert before is not None
    load = Load([target(platform, GLOBEX.id)], platform.stage.environ)
    load.start()
    platform.director.interruption(GLOBEX, 120)
    platform.director.quiet(GLOBEX, 120)
    tally = load.stop()
    after = platform.edge.workload(GLOBEX.id).placement
    assert after is not None and after.id != before.id and after.offer != before.offer
    assert platform.edge.migration(after.id).kind == "interruption"
    assert (tally.http_failed, tally.ws_lost, tally.tcp_failed) == (0, 0, 0), tally.faults


def test_a_move_out_of_the_boundary_is_refused_by_placement_and_by_the_proxy(platform: Platform) -> None:
    platform.automation.tick()
    running = platform.edge.workload(GLOBEX.id).placement
    platform.director.refused(GLOBEX)
    assert [refusal.partition(":")[0] for refusal in platform.director.plot.refusals] == ["placement", "inline proxy"]
    assert platform.edge.workload(GLOBEX.id).placement == running


def test_every_placement_ever_made_stands_inside_its_boundary(platform: Platform) -> None:
    for part in CAST:
        for placement in platform.edge.placements(part.id):
            assert placement.offer.region in platform.allowed[part.tenant].regions[placement.offer.cloud]


def test_a_tenants_key_sees_its_own_workloads_only(platform: Platform) -> None:
    key = platform.edge.create_key(ACME.tenant, ["tenant:read"])
    environ = {**platform.stage.environ, "SPOTLANE_API_KEY": key.key}
    own = type(platform.edge).from_env(environ)
    assert [one.id for one in own.workloads()] == [ACME.id]
    with pytest.raises(ApiProblem) as refused:
        own.workload(GLOBEX.id)
    assert refused.value.problem.status in (403, 404)


def test_the_ledger_holds_hours_with_the_quotes_they_were_charged_at(platform: Platform) -> None:
    platform.automation.tick()
    ledger = platform.edge.ledger(tenant=ACME.tenant)
    assert ledger.hours, "an hour of the market is a second here"
    for hour in ledger.hours:
        assert hour.quote.spot_usd_per_hour is not None
        expected = hour.quote.spot_usd_per_hour * hour.seconds / 3600
        assert float(hour.paid_usd) == pytest.approx(expected, abs=1e-6)


def told(platform: Platform, *arguments: str) -> str:
    """What a command prints; it must succeed."""
    command = [sys.executable, "-m", "spotlane.cli.main", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=platform.stage.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_monthly_cap_raises_each_alert_once_refuses_a_dearer_machine_and_stops_nothing(platform: Platform) -> None:
    running = platform.edge.workload(ACME.id)
    assert running.placement is not None
    placement = running.spec.placement.model_copy(update={"max_usd_per_month": 0.0001})
    platform.edge.put_workload(ACME.id, running.spec.model_copy(update={"placement": placement}))
    for _ in range(2):
        platform.automation.tick()
    raised = [(one.month, one.percent) for one in platform.edge.alerts(workload=ACME.id)]
    assert {percent for _, percent in raised} == {50, 80, 100} and len(raised) == len(set(raised))
    [cap] = platform.automation.spend(ACME.tenant).items
    # A month of the market is twelve minutes here: one that has just begun has paid next to nothing yet.
    assert (cap.owner, cap.cap_usd, cap.standing in ("over", "headed-over")) == (ACME.id, 0.0001, True)
    allowed = platform.allowed[ACME.tenant].regions
    sold = [one for one in platform.edge.prices().quotes if one.offer.region in allowed[one.offer.cloud] and one.spot_usd_per_hour is not None]
    dearest = max(sold, key=lambda one: one.spot_usd_per_hour or 0)
    with pytest.raises(ApiProblem, match="over-month-cap"):
        platform.automation.move(wire.MoveRequest(workload=ACME.id, offer=dearest.offer))
    assert f"cap of {ACME.id}" in told(platform, "status", "--tenant", ACME.tenant)
    platform.edge.put_workload(ACME.id, running.spec)
    assert platform.edge.workload(ACME.id).state is wire.WorkloadState.RUNNING


def test_a_changed_boundary_is_priced_and_a_month_reported_from_what_the_platform_has_recorded(platform: Platform, tmp_path: Path) -> None:
    platform.automation.tick()
    month = f"{next(iter(platform.edge.ledger_hours())).hour:%Y-%m}"
    (tmp_path / "wide.yaml").write_text("name: wide\n")
    found = wire.WhatIf.model_validate_json(told(platform, "plan", "--boundary", str(tmp_path / "wide.yaml"), "--tenant", GLOBEX.tenant, "--json"))
    [item] = found.items
    assert (item.workload, item.changed.usd, item.leaves) == (GLOBEX.id, item.free.usd, False)
    assert item.present.hours > 0
    report = json.loads(told(platform, "report", "--month", month, "--out", str(tmp_path), "--json"))
    assert [Path(one).is_file() for one in report["files"]] == [True, True]
    assert (report["hours"] > 0, report["outsideBoundaryHours"]) == (True, 0)


def test_the_command_line_shows_what_runs(platform: Platform) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spotlane.cli.main", "workload", "ls", "--json"],
        cwd=ROOT,
        env=platform.stage.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = [wire.Workload.model_validate(one) for one in json.loads(done.stdout)]
    assert sorted(one.id for one in listed) == sorted(part.id for part in CAST)


def test_the_machine_behind_a_tunnel_answers_only_through_the_edge(platform: Platform) -> None:
    endpoint = platform.edge.endpoint(ACME.id)
    assert endpoint.http is not None
    port = endpoint.http.rsplit(":", 1)[1].rstrip("/")
    answer = httpx.get(f"http://127.0.0.1:{port}/", headers={"host": f"unknown-{ACME.tenant}.workloads.spotlane.localhost:{port}"}, trust_env=False)
    assert answer.status_code in (404, 503)
