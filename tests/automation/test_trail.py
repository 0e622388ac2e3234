"""The service's own audit records: what it decides is written before it is carried out, and what can't be written isn't decided."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from audit.__main__ import main
from audit.log import AuditUnavailable
from automation.errors import EngineFailed, MoveRefused, TrailAway
from automation.runs.events import RunOutcome
from automation.runs.executor import RunExecutor
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from automation.service.trail import Trail
from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import load as load_boundary
from spotlane import wire
from tests.automation.test_rebalancer import CHEAPER, NOW, Edge, Prices, serving

AMERICAN = {"name": "acme", "residency": {"countries": ["US"]}}
STACK = wire.StackRef(kind="region", tenant="acme", cloud="azure", region="westeurope")
OPENED = wire.PolicyFinding(rule="exposure", severity="high", enforcement="mandatory", resource="network", message="Port 22 is open to the internet.")
ADVISED = OPENED.model_copy(update={"rule": "tags", "enforcement": "advisory", "message": "The tag owner is missing."})


@contextmanager
def kept(home: Path) -> Iterator[Trail]:
    trail = Trail(home, "local", lambda tenant: f"digest of {tenant}", lambda: NOW)
    try:
        yield trail
    finally:
        trail.close()


@contextmanager
def service(edge: Edge, home: Path, trail: Trail) -> Iterator[Rebalancer]:
    history, watch = QuoteHistory(home / "quotes.sqlite"), FeedWatch(home / "feeds.sqlite", timedelta(hours=6))
    try:
        yield Rebalancer(edge, Prices(), history, 6.0, watch, lambda: NOW, trail=trail)  # type: ignore[arg-type]  # fakes with the calls in use
    finally:
        history.close()
        watch.close()


def records(home: Path, point: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "audit" / "local" / f"{point}.jsonl").read_text().splitlines()]


def told(home: Path, point: str) -> list[tuple[str, ...]]:
    return [(one["tenant"], one["resource"], one["cloud"], one["verdict"], one["rule"]) for one in records(home, point)]


def full(*_: Any) -> None:
    raise AuditUnavailable("no space left on device")


def test_a_placement_is_recorded_with_the_boundary_it_was_decided_by_before_the_edge_hears_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge(serving("b", "a"))
    before: list[int] = []
    decide = edge.decide
    monkeypatch.setattr(edge, "decide", lambda decision: (before.append(len(records(tmp_path, "place"))), decide(decision))[1])
    with kept(tmp_path) as trail, service(edge, tmp_path, trail) as rebalancer:
        rebalancer.tick()
    [record] = records(tmp_path, "place")
    assert before == [1]
    assert (record["point"], record["region"], record["verdict"], record["why"]) == ("place", "eu-west-1", "allow", "redeploy: its declaration has changed")
    assert record["digest"] == compile_boundary(load_boundary(edge.boundary)).digest == edge.decisions[0].boundary_digest


def test_nothing_is_moved_while_it_cant_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge(serving("b", "a"))
    with kept(tmp_path) as trail, service(edge, tmp_path, trail) as rebalancer:
        monkeypatch.setattr("audit.log.AuditLog.record", full)
        with pytest.raises(TrailAway, match=r"the audit trail can't be written \(no space left on device\)"):
            rebalancer.tick()
    assert edge.decisions == []


def test_a_workload_that_may_stand_nowhere_is_recorded_once_for_the_same_reason(tmp_path: Path) -> None:
    edge = Edge(serving("b", "a"))
    edge.boundary = AMERICAN
    with kept(tmp_path) as trail, service(edge, tmp_path, trail) as rebalancer:
        rebalancer.tick()
        rebalancer.tick()
        trail.refused("acme", "web-acme", None, "outside-boundary", "the same words", "another boundary")
    assert told(tmp_path, "place") == [("acme", "web-acme", "", "deny", "outside-boundary")] * 2


def test_a_move_that_a_person_asked_for_and_didnt_get_is_recorded_with_its_offer(tmp_path: Path) -> None:
    edge = Edge(serving("a", "a"))
    edge.boundary = AMERICAN
    offer = wire.OfferRef(cloud="aws", region=CHEAPER.region, zone=CHEAPER.zone, instance_type=CHEAPER.instance_type)
    with kept(tmp_path) as trail, service(edge, tmp_path, trail) as rebalancer:
        rebalancer.tick()
        with pytest.raises(MoveRefused):
            rebalancer.move(wire.MoveRequest(workload="web-acme", offer=offer))
    assert told(tmp_path, "place")[-1] == ("acme", "web-acme", "aws", "deny", "residency")


def test_the_packs_verdict_is_a_record_a_finding_and_one_of_the_stack(tmp_path: Path) -> None:
    with kept(tmp_path) as trail:
        trail.judged(wire.RunRequest(idempotency_key="1", stack=STACK, operation="up"), [ADVISED, OPENED])
        trail.judged(wire.RunRequest(idempotency_key="2", stack=STACK, operation="preview"), [])
    stack = "region.acme.azure.westeurope"
    assert told(tmp_path, "plan") == [
        ("acme", "network", "azure", "advise", "tags"),
        ("acme", "network", "azure", "deny", "exposure"),
        ("acme", stack, "azure", "deny", "exposure"),
        ("acme", stack, "azure", "allow", ""),
    ]
    assert {one["digest"] for one in records(tmp_path, "plan")} == {"digest of acme"}


class Engine:
    """Updates whatever it is told, or finds what it was given."""

    def __init__(self, finding: wire.PolicyFinding | None = None) -> None:
        self.finding = finding
        self.updated = 0

    def up(self, stack: str, packs: Any, journal: Path, allow: Any, handed_over: str = "") -> RunOutcome:
        self.updated += 1
        if self.finding is not None:
            raise EngineFailed(stack, "up", ["refused"], [self.finding])
        return RunOutcome(Counter({"create": 1}))


def judged(engine: Engine, trail: Trail) -> RunOutcome:
    executor = RunExecutor.__new__(RunExecutor)
    executor._engine, executor._trail = engine, trail  # type: ignore[assignment]  # the calls in use
    return executor._judged(wire.RunRequest(idempotency_key="1", stack=STACK, operation="up"), STACK.name, Path("journal"), [])


def test_an_update_that_the_packs_refuse_is_in_the_trail_and_so_is_one_that_they_let_pass(tmp_path: Path) -> None:
    with kept(tmp_path) as trail:
        with pytest.raises(EngineFailed):
            judged(Engine(OPENED), trail)
        judged(Engine(), trail)
    assert [(one["verdict"], one["why"]) for one in records(tmp_path, "plan")] == [
        ("deny", OPENED.message),
        ("deny", "up: refused by exposure"),
        ("allow", "up: the packs let it pass"),
    ]


def test_no_engine_is_called_while_the_packs_verdict_couldnt_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    with kept(tmp_path) as trail:
        monkeypatch.setattr("audit.log._ROOM_BYTES", 1 << 62)
        with pytest.raises(TrailAway, match="the disk is full"):
            judged(engine, trail)
    assert engine.updated == 0


def test_a_second_process_of_the_same_name_is_refused_and_one_of_another_name_has_its_own_logs(tmp_path: Path) -> None:
    with kept(tmp_path):
        with pytest.raises(TrailAway, match=r"audit/local/place\.jsonl"):
            Trail(tmp_path, "local", str)
        Trail(tmp_path, "second", str).close()
    assert sorted(path.name for path in (tmp_path / "audit").iterdir()) == ["local", "second"]


def test_what_the_service_wrote_is_verified_with_the_proxys_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with kept(tmp_path) as trail:
        trail.judged(wire.RunRequest(idempotency_key="1", stack=STACK, operation="up"), [])
    assert main(["--home", str(tmp_path), "verify"]) == 0
    log = tmp_path / "audit" / "local" / "plan.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"allow"', b'"deny" '))
    assert main(["--home", str(tmp_path), "verify"]) == 1
    anchors = tmp_path / "anchors.json"
    heads = [{"point": "place", "member": member, "seq": 5, "hash": "0" * 64, "at": datetime.now(UTC).isoformat()} for member in ("elsewhere", "local")]
    anchors.write_text(json.dumps(heads[:1]))
    capsys.readouterr()
    main(["--home", str(tmp_path), "verify", "--json", "--anchors", str(anchors)])
    other = json.loads(capsys.readouterr().out)[str(tmp_path / "audit" / "local" / "place.jsonl")]
    anchors.write_text(json.dumps(heads))
    main(["--home", str(tmp_path), "verify", "--json", "--anchors", str(anchors)])
    own = json.loads(capsys.readouterr().out)[str(tmp_path / "audit" / "local" / "place.jsonl")]
    assert (other["sound"], own["sound"]) == (True, False), "an anchor of another machine's log says nothing of this one's"
