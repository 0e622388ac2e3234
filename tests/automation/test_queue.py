"""Durable runs: the same key is one run, foundations come first, results are delivered, a failure is a result."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dbos import DBOS

from automation.errors import EngineDied, EngineFailed, EngineStopped, KeyReused, RunEnded, UnknownRun
from automation.runs.engine import PolicyPack
from automation.runs.events import RunOutcome
from automation.runs.executor import RunExecutor
from automation.runs.journal import Journals, stop_reason
from automation.runs.queue import Runs, stored_in
from spotlane import wire
from spotlane.errors import Unreachable
from tests.automation.service_process import NoPlans

TENANT = wire.StackRef(kind="tenant", tenant="acme")
PLACEMENT = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=1)


class FakeEngine:
    """Keeps what it was asked for; ``fails`` names stacks whose update fails."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fails: set[str] = set()
        self.broken: set[str] = set()
        """Stacks on which an engine died."""
        self.dies = 0
        """How many engines die from now on."""
        self.holds = threading.Event()
        self.holds.set()

    def settle(self, stack: str, settings: object) -> None:
        self.calls.append(("settle", stack))

    def interrupted(self, stack: str) -> bool:
        return stack in self.broken

    def up(self, stack: str, packs: list[PolicyPack], journal: Path, allow: list[str], handed_over: str = "") -> RunOutcome:
        self.calls.append(("up", stack))
        if self.dies:
            self.dies -= 1
            self.broken.add(stack)
            raise EngineDied(stack, "up", 9)
        while not self.holds.is_set():
            if (reason := stop_reason(journal)) is not None:
                raise EngineStopped(stack, "up", reason)
            time.sleep(0.01)
        if stack in self.fails:
            finding = wire.PolicyFinding(rule="boundary", severity="high", enforcement="mandatory", resource="vm", message="outside")
            raise EngineFailed(stack, "up", ["refused"], [finding])
        return RunOutcome(Counter({"create": 1}), {"origin": "https://o"})

    def destroy(self, stack: str, journal: Path) -> RunOutcome:
        self.calls.append(("destroy", stack))
        return RunOutcome()


class FakeRecovery:
    """Mends stacks at once; ``away``: it can't."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.away = False

    def recover(self, stack: str, journal: Path) -> None:
        self._engine.calls.append(("recover", stack))
        if self.away:
            raise EngineFailed(stack, "recovery", ["no answer"], [])
        self._engine.broken.discard(stack)


class FakePlans(NoPlans):
    """A placement stands on its tenant."""

    def foundations(self, request: wire.RunRequest) -> list[list[wire.RunRequest]]:
        if request.stack.kind != "placement" or request.operation != "up":
            return []
        return [[wire.RunRequest(idempotency_key=f"tenant:for:{request.idempotency_key}", stack=TENANT, operation="up")]]


class Edge:
    """Away for the first ``away`` deliveries."""

    def __init__(self) -> None:
        self.away = 0
        self.delivered: list[tuple[str, str, str]] = []

    def deliver(self, migration: str, event: wire.RunEvent) -> None:
        if self.away:
            self.away -= 1
            raise Unreachable("edge API", "http://api", "refused", "start it")
        self.delivered.append((migration, event.step, event.run.status))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runs, FakeEngine, Edge]]:
    home = tmp_path_factory.mktemp("runs")
    DBOS(config=stored_in(f"sqlite:///{home}/runs.sqlite", "local", "ERROR"))
    engine, edge, journals = FakeEngine(), Edge(), Journals(home / "journals")
    executor = RunExecutor(engine, FakePlans(), journals, edge.deliver, recovery=FakeRecovery(engine))  # type: ignore[arg-type]  # fakes with the calls in use
    runs = Runs(executor, journals, 2)
    runs.open()
    yield runs, engine, edge
    runs.close()


def ended(runs: Runs, request: wire.RunRequest) -> wire.Run:
    run, _ = runs.submit(request)
    limit = time.monotonic() + 60
    while not runs.ended(run.id) and time.monotonic() < limit:
        time.sleep(0.02)
    return runs.get(run.id)


def test_a_placement_runs_after_its_foundation_and_its_result_is_delivered(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, edge = parts
    run = ended(runs, wire.RunRequest(idempotency_key="a", stack=PLACEMENT, operation="up", migration="acme_web_1", step="provision"))
    assert (run.status, run.outputs, run.changes) == ("succeeded", {"origin": "https://o"}, {"create": 1})
    assert [stack for call, stack in engine.calls if call == "up"] == ["tenant.acme", "placement.acme.web.1"]
    limit = time.monotonic() + 60
    while not edge.delivered and time.monotonic() < limit:
        time.sleep(0.02)
    assert edge.delivered == [("acme_web_1", "provision", "succeeded")]


def test_the_same_key_is_the_same_run(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    request = wire.RunRequest(idempotency_key="b", stack=wire.StackRef(kind="edge"), operation="up")
    first = ended(runs, request)
    before = len(engine.calls)
    again, new = runs.submit(request)
    assert (again, new, len(engine.calls)) == (first, False, before)


def test_a_failed_update_is_a_result_with_its_findings(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    engine.fails = {"region.acme.aws.us-east-1"}
    stack = wire.StackRef(kind="region", tenant="acme", cloud="aws", region="us-east-1")
    run = ended(runs, wire.RunRequest(idempotency_key="c", stack=stack, operation="up"))
    assert (run.status, run.error, [finding.message for finding in run.findings]) == ("failed", "refused", ["outside"])


def test_a_failed_foundation_fails_what_stands_on_it_and_nothing_is_tried(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    engine.fails = {"tenant.acme"}
    stack = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=7)
    run = ended(runs, wire.RunRequest(idempotency_key="d", stack=stack, operation="up"))
    engine.fails = set()
    assert (run.status, run.error) == ("failed", "tenant.acme: refused")
    assert ("up", "placement.acme.web.7") not in engine.calls


def test_a_result_reaches_an_edge_that_was_away(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, _, edge = parts
    edge.away, edge.delivered = 2, []
    stack = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=3)
    ended(runs, wire.RunRequest(idempotency_key="e", stack=stack, operation="destroy", migration="acme_web_4", step="decommission"))
    limit = time.monotonic() + 60
    while not edge.delivered and time.monotonic() < limit:
        time.sleep(0.02)
    assert edge.delivered == [("acme_web_4", "decommission", "succeeded")]


def test_an_unknown_run_is_said_to_be_unknown(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    with pytest.raises(UnknownRun, match="run-none"):
        parts[0].get("run-none")


EDGE = wire.StackRef(kind="edge")


def until(seen: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < limit
        time.sleep(0.02)


def held(runs: Runs, engine: FakeEngine, key: str) -> wire.Run:
    """A run whose engine works until ``engine.holds`` is set."""
    engine.holds.clear()
    before = engine.calls.count(("up", "edge"))
    run, _ = runs.submit(wire.RunRequest(idempotency_key=key, stack=EDGE, operation="up"))
    until(lambda: engine.calls.count(("up", "edge")) > before)
    return run


def test_a_key_that_comes_with_another_request_is_refused_and_nothing_is_accepted(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    ended(runs, wire.RunRequest(idempotency_key="f", stack=EDGE, operation="up"))
    before = len(engine.calls)
    with pytest.raises(KeyReused, match="'f' belongs to run-"):
        runs.submit(wire.RunRequest(idempotency_key="f", stack=EDGE, operation="destroy"))
    assert len(engine.calls) == before


def test_a_run_is_stopped_while_its_engine_works_and_tried_again(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    run = held(runs, engine, "h")
    runs.stop(run.id, "cancelled by ada")
    until(lambda: runs.ended(run.id))
    engine.holds.set()
    stopped = runs.get(run.id)
    assert (stopped.status, stopped.error) == ("cancelled", "up of edge was stopped: cancelled by ada")
    with pytest.raises(RunEnded, match="cancelled already"):
        runs.stop(run.id, "once more")
    again = runs.again(run.id)
    until(lambda: runs.ended(again.id))
    assert (again.id != run.id, runs.get(again.id).status) == (True, "succeeded")
    with pytest.raises(RunEnded, match="is succeeded"):
        runs.again(again.id)


def test_a_run_that_waits_is_never_begun_once_it_is_stopped(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    first = held(runs, engine, "i")
    second, _ = runs.submit(wire.RunRequest(idempotency_key="j", stack=EDGE, operation="destroy"))
    runs.stop(second.id, "cancelled by ada")
    engine.holds.set()
    until(lambda: runs.ended(first.id) and runs.ended(second.id))
    assert (runs.get(second.id).status, ("destroy", "edge") in engine.calls) == ("cancelled", False)
    assert [one.id for one in runs.listed(stack="edge", status="cancelled", limit=1)] == [second.id]
    assert runs.listed(tenant="nobody") == []


def test_a_deadline_keeps_a_run_from_beginning_and_stops_one_that_works(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    before = len(engine.calls)
    past = datetime.now(UTC) - timedelta(seconds=1)
    late = ended(runs, wire.RunRequest(idempotency_key="k", stack=EDGE, operation="destroy", deadline=past))
    assert (late.status, late.error, len(engine.calls)) == ("cancelled", "its deadline has passed", before)
    engine.holds.clear()
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    slow = ended(runs, wire.RunRequest(idempotency_key="l", stack=EDGE, operation="up", deadline=soon))
    engine.holds.set()
    assert (slow.status, slow.error) == ("cancelled", "up of edge was stopped: its deadline has passed")


def test_a_throttled_run_is_tried_again_after_a_pause_and_another_refusal_is_not(parts: tuple[Runs, FakeEngine, Edge], monkeypatch: pytest.MonkeyPatch) -> None:
    runs, engine, _ = parts
    monkeypatch.setattr(runs._executor, "pauses", (0.0, 0.0))
    answers = {"m": ["api error RequestLimitExceeded: slow down"], "n": ["api error VcpuLimitExceeded: no"]}
    tried: list[str] = []

    def up(stack: str, packs: list[PolicyPack], journal: Path, allow: list[str], handed_over: str = "") -> RunOutcome:
        tried.append(stack)
        if len(tried) < 3:
            raise EngineFailed(stack, "up", answers[key], [])
        return RunOutcome()

    monkeypatch.setattr(engine, "up", up)
    for key, status, tries in (("m", "succeeded", 3), ("n", "failed", 1)):
        tried.clear()
        run = ended(runs, wire.RunRequest(idempotency_key=key, stack=EDGE, operation="up"))
        assert (run.status, len(tried)) == (status, tries)


def test_an_engine_that_dies_has_its_stack_mended_and_the_run_goes_on(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    engine.dies = 2
    engine.calls.clear()
    assert ended(runs, wire.RunRequest(idempotency_key="dies-twice", stack=TENANT, operation="up", settings={})).status == "succeeded"
    assert [call for call in engine.calls if call[0] != "settle"] == [("up", TENANT.name), ("recover", TENANT.name)] * 2 + [("up", TENANT.name)]


def test_a_run_whose_engine_dies_each_time_is_given_up_and_the_next_run_mends_the_stack(parts: tuple[Runs, FakeEngine, Edge]) -> None:
    runs, engine, _ = parts
    engine.dies = 3
    failed = ended(runs, wire.RunRequest(idempotency_key="dies-always", stack=TENANT, operation="up", settings={}))
    assert failed.status == "failed" and failed.error is not None and "signal 9" in failed.error
    engine.calls.clear()
    assert ended(runs, wire.RunRequest(idempotency_key="after", stack=TENANT, operation="up", settings={})).status == "succeeded"
    assert engine.calls[0] == ("recover", TENANT.name)


def test_a_stack_that_can_not_be_mended_now_fails_the_run_and_is_not_touched(parts: tuple[Runs, FakeEngine, Edge], monkeypatch: pytest.MonkeyPatch) -> None:
    runs, engine, _ = parts
    monkeypatch.setattr(runs._executor._recovery, "away", True)
    engine.broken.add(TENANT.name)
    engine.calls.clear()
    failed = ended(runs, wire.RunRequest(idempotency_key="dark", stack=TENANT, operation="up", settings={}))
    assert failed.status == "failed" and failed.error is not None and "no answer" in failed.error
    assert engine.calls == [("recover", TENANT.name)]
    engine.broken.clear()
