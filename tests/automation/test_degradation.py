"""What the service stands on is away or full: nothing new is accepted, nothing accepted is lost, results come later and once in effect."""

from __future__ import annotations

import errno
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dbos import DBOS
from dbos._dbos import _get_or_create_dbos_registry

from automation.errors import DatabaseAway, EngineFailed
from automation.http.app import app
from automation.runs.database import Database
from automation.runs.engine import Engine, PolicyPack
from automation.runs.events import RunOutcome
from automation.runs.executor import RunExecutor
from automation.runs.journal import Journals
from automation.runs.queue import Runs, stored_in
from spotlane import wire
from spotlane.errors import ApiProblem, Unreachable
from tests.automation import postgres
from tests.automation.service_process import NoPlans
from tests.automation.test_http import EDGE, RUN, Caller, Examined, FakeRebalancer, Swept, Tokens
from tests.automation.test_queue import FakeEngine

STACK = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=1)


class Edge:
    """Takes results, each once in effect by its run; away while told so, or answers and the answer is lost."""

    def __init__(self) -> None:
        self.away = threading.Event()
        self.loses = 0
        self.taken: list[str] = []
        self.tries = 0

    def deliver(self, migration: str, event: wire.RunEvent) -> None:
        self.tries += 1
        if self.away.is_set():
            raise Unreachable("edge API", "http://api", "refused", "start it")
        if event.run.id not in self.taken:
            self.taken.append(event.run.id)
        if self.loses:
            self.loses -= 1
            raise ApiProblem(wire.Problem(type="about:blank", title="bad gateway", status=502))


@contextmanager
def service(url: str, directory: Path, engine: FakeEngine, edge: Edge, plans: NoPlans | None = None) -> Iterator[Runs]:
    """A run queue on ``url``. DBOS knows one executor a process for good; here there is one after the other."""
    known = _get_or_create_dbos_registry().instance_info_map
    known.clear()
    DBOS(config=stored_in(url, "local", "CRITICAL"))
    journals, database = Journals(directory / "journals"), Database(url)
    executor = RunExecutor(engine, plans or NoPlans(), journals, edge.deliver)  # type: ignore[arg-type]  # a fake with the engine's calls in use
    executor.delivery_pauses = (0.05, 0.1)
    runs = Runs(executor, journals, 2, reachable=database.check)
    runs.open()
    try:
        yield runs
    finally:
        runs.close()
        database.close()
        known.clear()


def until(what: str, seen: Callable[[], bool], seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < limit, what
        time.sleep(0.05)


def up(key: str, *, migration: str | None = None) -> wire.RunRequest:
    return wire.RunRequest(idempotency_key=key, stack=STACK, operation="up", settings={}, migration=migration, step=None if migration is None else "provision")


def ended(runs: Runs, run: str) -> Callable[[], bool]:
    return lambda: runs.get(run).status == "succeeded"


@pytest.mark.timeout(180)
def test_without_its_database_nothing_is_accepted_and_what_was_in_hand_ends_when_it_is_back(tmp_path: Path) -> None:
    if postgres.installed() is None:
        pytest.skip("PostgreSQL is not installed")
    engine = FakeEngine()
    with postgres.stoppable() as server, service(server.url, tmp_path, engine, Edge()) as runs:
        engine.holds.clear()
        first, _ = runs.submit(up("first"))
        second, _ = runs.submit(up("second"))
        until("the first to begin", lambda: ("up", STACK.name) in engine.calls)
        server.stop()
        begun = time.monotonic()
        with pytest.raises(DatabaseAway):
            runs.submit(up("third"))
        assert time.monotonic() - begun < 10
        engine.holds.set()  # the first comes to its end, which can't be stored now
        time.sleep(1.0)
        server.start()
        until("the first", ended(runs, first.id), 90)
        until("the second", ended(runs, second.id), 90)
        third, new = runs.submit(up("third"))
        assert new, "what was refused had left nothing behind"
        until("the third", ended(runs, third.id))
        assert engine.calls.count(("up", STACK.name)) == 3


def test_a_disk_that_is_full_refuses_the_run_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    engine = FakeEngine()
    with service(f"sqlite:///{tmp_path}/runs.sqlite", tmp_path, engine, Edge()) as runs:
        until("the first", ended(runs, runs.submit(up("first"))[0].id))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # no file of this process can grow, nor be written
        try:
            with pytest.raises(DatabaseAway, match="nothing was accepted"):
                runs.submit(up("second"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        second, new = runs.submit(up("second"))
        assert new
        until("the second", ended(runs, second.id))


def test_a_state_that_can_not_be_kept_on_a_full_disk_is_not_destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine("/bin/false", tmp_path, tmp_path / "project", {})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Engine, "exists", lambda *_: True)
    monkeypatch.setattr(Engine, "deployment", lambda *_: {"deployment": {"resources": [{}]}})
    monkeypatch.setattr(engine.backups, "take", full)
    with pytest.raises(EngineFailed, match="No space left on device"):
        engine.destroy("region.acme.aws.eu-west-1", tmp_path / "run.jsonl")
    assert not (tmp_path / "run.jsonl").exists(), "no engine was started"


def test_an_unusable_database_is_a_503_and_the_edge_knows_to_ask_again() -> None:
    class Away:
        def submit(self, request: wire.RunRequest) -> None:
            raise DatabaseAway("OperationalError")

    api = app(Away(), lambda request: None, FakeRebalancer(), None, None, Tokens(), dict, Examined(), Swept(), None, None)  # type: ignore[arg-type]  # fakes with the calls in use
    answer = Caller(api).post("/v1/runs", json=RUN, headers=EDGE)
    assert (answer.status_code, answer.json()["type"]) == (503, "https://spotlane.dev/problems/unavailable")


def test_results_reach_an_edge_that_was_away_however_long_and_runs_go_on_meanwhile(tmp_path: Path) -> None:
    edge = Edge()
    with service(f"sqlite:///{tmp_path}/runs.sqlite", tmp_path, FakeEngine(), edge) as runs:
        edge.away.set()
        submitted = [runs.submit(up(f"run-{number}", migration="acme_web_1"))[0].id for number in range(5)]
        for run in submitted:
            until(run, ended(runs, run))
        until("many tries", lambda: edge.tries > 60)
        assert edge.taken == []
        edge.away.clear()
        until("the results", lambda: sorted(edge.taken) == sorted(submitted))


def test_a_result_whose_answer_was_lost_is_delivered_again_and_is_one_in_effect(tmp_path: Path) -> None:
    edge = Edge()
    edge.loses = 2
    with service(f"sqlite:///{tmp_path}/runs.sqlite", tmp_path, FakeEngine(), edge) as runs:
        run, _ = runs.submit(up("lost", migration="acme_web_1"))
        until("three tries", lambda: edge.tries == 3)
        time.sleep(0.3)
        assert (edge.taken, edge.tries) == ([run.id], 3)


def test_a_result_that_waits_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    edge, url = Edge(), f"sqlite:///{tmp_path}/runs.sqlite"
    edge.away.set()
    with service(url, tmp_path, FakeEngine(), edge) as runs:
        run, _ = runs.submit(up("handed-on", migration="acme_web_1"))
        until("a try", lambda: edge.tries > 1)
    edge.away.clear()
    with service(url, tmp_path, FakeEngine(), edge):
        until("the result", lambda: edge.taken == [run.id])


def test_a_slow_cloud_holds_up_its_own_stack_and_no_other(tmp_path: Path) -> None:
    class Slow(FakeEngine):
        def up(self, stack: str, packs: list[PolicyPack], journal: Path, allow: list[str], handed_over: str = "") -> RunOutcome:
            if stack != STACK.name:
                return RunOutcome()
            return super().up(stack, packs, journal, allow)

    engine = Slow()
    engine.holds.clear()
    with service(f"sqlite:///{tmp_path}/runs.sqlite", tmp_path, engine, Edge()) as runs:
        slow, behind = (runs.submit(up(key))[0].id for key in ("slow", "behind"))
        others = [wire.StackRef(kind="placement", tenant="acme", workload="web", generation=number) for number in range(2, 8)]
        for one in others:
            run, _ = runs.submit(wire.RunRequest(idempotency_key=one.name, stack=one, operation="up", settings={}))
            until(one.name, ended(runs, run.id))
        assert (runs.get(slow).status, runs.get(behind).status) == ("running", "queued")
        engine.holds.set()
        until("the slow one and who waited for it", lambda: ended(runs, slow)() and ended(runs, behind)())


class EdgePlans(NoPlans):
    """What a stack is made of is known to the edge alone, which is away for the first ``away`` questions, or refuses."""

    def __init__(self, away: int, refuses: bool = False) -> None:
        self.away, self.refuses, self.asked = away, refuses, 0

    def foundations(self, request: wire.RunRequest) -> list[list[wire.RunRequest]]:
        self._ask()
        return []

    def settings(self, request: wire.RunRequest) -> wire.Json:
        self._ask()
        return {}

    def _ask(self) -> None:
        self.asked += 1
        if self.refuses:
            raise ApiProblem(wire.Problem(type="about:blank", title="no such migration", status=404))
        if self.asked <= self.away:
            raise Unreachable("edge API", "http://api", "refused", "start it")


def test_a_run_waits_for_an_edge_that_comes_back(tmp_path: Path) -> None:
    plans = EdgePlans(away=3)
    with service(f"sqlite:///{tmp_path}/runs.sqlite", tmp_path, FakeEngine(), Edge(), plans) as runs:
        until("the run", ended(runs, runs.submit(up("patient"))[0].id))
    assert plans.asked == 5


@pytest.mark.parametrize(("plans", "seconds"), [(EdgePlans(away=1000), 1.0), (EdgePlans(0, refuses=True), 60.0)], ids=["away for long", "refused"])
def test_a_run_whose_edge_stays_away_or_refuses_fails_and_says_so(tmp_path: Path, plans: EdgePlans, seconds: float) -> None:
    engine = FakeEngine()
    with service(f"sqlite:///{tmp_path}/runs.sqlite", tmp_path, engine, Edge(), plans) as runs:
        runs._executor.edge_seconds = seconds
        run, _ = runs.submit(up("in vain"))
        until("the end", lambda: runs.get(run.id).status == "failed", 20)
        error = runs.get(run.id).error
    assert error is not None and ("does not answer" in error or "no such migration" in error)
    assert engine.calls == []
