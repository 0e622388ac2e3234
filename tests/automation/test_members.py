"""Service processes on one database: one leads, a dead one's runs are given back, no stack ever has two engines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dbos import DBOSClient
from sqlalchemy import create_engine, text

from automation.runs.members import Members
from automation.scheduler.holds import Holds
from spotlane import wire
from tests.automation import postgres
from tests.automation.service_process import runs_on

ROOT = Path(__file__).parents[2]
SILENT = 30.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("database")
    if request.param == "sqlite":
        yield f"sqlite:///{directory}/runs.sqlite"
        return
    if postgres.installed() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as found:
        yield found


class Clock:
    """A member's monotonic clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def leap(url: str, seconds: float) -> None:
    """To the members it is as if the database's clock had leapt forward by so much: all that was said lies so far back."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text("update spotlane_members set seen_at = seen_at - :by"), {"by": seconds})
        connection.execute(text("update spotlane_leader set until = until - :by"), {"by": seconds})
    engine.dispose()


def test_one_of_two_leads_and_the_other_follows_when_it_leaves_or_falls_silent(url: str) -> None:
    given_back: list[tuple[str, ...]] = []
    clock = Clock()
    first, second = (Members(url, name, lambda names: given_back.append(tuple(names)), silent_seconds=SILENT, monotonic=clock) for name in ("a", "b"))
    first.start()
    second.start()
    assert (first.leads, second.leads, second.heartbeat().leads) == (True, False, False)
    first.stop()
    assert (first.leads, second.heartbeat().leads, second.leads, given_back) == (False, True, True, [])
    third = Members(url, "c", lambda names: given_back.append(tuple(names)), silent_seconds=SILENT, monotonic=clock)
    third.start()
    leap(url, 3600)
    third.heartbeat()  # it leads now, and has seen the other's word for the first time
    clock.now += SILENT
    standing = third.heartbeat()
    assert (standing.leads, standing.silent, given_back) == (True, ("b",), [("b",)])
    assert third.heartbeat().silent == ()
    assert not second.heartbeat().leads, "it has lost the lead and learns so with its next word"
    second.stop()
    third.stop()


def test_a_clock_that_leaps_makes_nobody_dead_who_goes_on_speaking(url: str) -> None:
    given_back: list[tuple[str, ...]] = []
    clock = Clock()
    first, second = (Members(url, name, lambda names: given_back.append(tuple(names)), silent_seconds=SILENT, monotonic=clock) for name in ("a", "b"))
    first.start()
    second.start()
    for by in (3600, -3600, 86_400):
        leap(url, by)
        for _ in range(5):
            clock.now += SILENT / 4
            first.heartbeat()
            second.heartbeat()
    assert given_back == []
    for _ in range(5):
        clock.now += SILENT / 4
        leader, other = (first, second) if first.heartbeat().leads else (second, first)
    assert given_back == [(other._name,)]
    assert leader.leads
    first.stop()
    second.stop()


def test_a_member_that_cannot_be_given_back_is_tried_again(url: str) -> None:
    asked: list[tuple[str, ...]] = []

    def failing(names: object) -> None:
        asked.append(tuple(names))  # type: ignore[arg-type]  # a sequence of names
        if len(asked) == 1:
            raise ConnectionError("the database went away")

    clock = Clock()
    gone = Members(url, "gone", failing, silent_seconds=SILENT)
    gone.start()
    gone._stop.set()
    gone._thread.join()
    leap(url, 3600)
    leader = Members(url, "leader", failing, silent_seconds=SILENT, monotonic=clock)
    leader.start()
    clock.now += SILENT
    with pytest.raises(ConnectionError):
        leader.heartbeat()
    assert (leader.heartbeat().silent, asked) == (("gone",), [("gone",), ("gone",)])
    leader.stop()


def test_a_member_that_leaves_work_behind_has_it_given_back_at_once(url: str) -> None:
    given_back: list[tuple[str, ...]] = []
    first, second = (Members(url, name, lambda names: given_back.append(tuple(names)), silent_seconds=SILENT) for name in ("a", "b"))
    first.start()
    second.start()
    first.stop(hand_over=True)
    assert (second.heartbeat().silent, given_back, second.heartbeat().silent) == (("a",), [("a",)], ())
    second.stop()


def test_services_that_begin_at_once_on_a_new_database_all_stand(url: str) -> None:
    together = threading.Barrier(4)
    members = [Members(url, str(number), lambda names: None, silent_seconds=SILENT) for number in range(4)]
    holds = [Holds(url) for _ in range(4)]

    def begin(number: int) -> None:
        members[number]._engine.connect().close()  # what is raced for is the tables, not the connection
        together.wait()
        members[number].start()
        holds[number].open()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, range(4)))
    for member, hold in zip(members, holds, strict=True):
        member.stop()
        hold.close()


def start(url: str, member: str, directory: Path, **environment: str) -> subprocess.Popen[bytes]:
    log = (directory / f"{member}.log").open("ab")
    command = [sys.executable, "-m", "tests.automation.service_process", url, member, str(directory)]
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **environment})


@pytest.mark.parametrize(("stop_seconds", "words"), [("15", ["begin", "end"]), ("0", ["begin", "begin", "end"])])
def test_a_stop_lets_a_run_end_or_leaves_it_to_the_next_release(tmp_path: Path, stop_seconds: str, words: list[str]) -> None:
    url, log = f"sqlite:///{tmp_path}/runs.sqlite", tmp_path / "engine.log"
    stack = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=1)
    enqueue_all(url, [wire.RunRequest(idempotency_key="a", stack=stack, operation="up")], tmp_path)
    old = start(url, "local", tmp_path, WORK_SECONDS="3", STOP_SECONDS=stop_seconds)
    until("the run to begin", log.exists, 60)
    old.terminate()
    old.wait(timeout=30)
    new = start(url, "local", tmp_path, NEWER="1")
    try:
        until("the run to end", lambda: ended(url) == 1, 60)
    finally:
        new.terminate()
        new.wait(timeout=20)
    lines = [line.split() for line in log.read_text().splitlines()]
    if stop_seconds == "0":
        lines = [line for line in lines if line[0] == "begin" or line[2] == str(new.pid)]  # the old one may still write its end down, which nobody takes
    assert [line[0] for line in lines] == words


def until(what: str, seen: Callable[[], bool], seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < limit, what
        time.sleep(0.1)


@pytest.mark.timeout(300)
def test_two_processes_share_runs_while_one_is_killed_and_restarted(tmp_path_factory: pytest.TempPathFactory) -> None:
    if postgres.installed() is None:
        pytest.skip("PostgreSQL is not installed")
    directory = tmp_path_factory.mktemp("service")
    with postgres.server() as url:
        engine_log, leader_log = directory / "engine.log", directory / "leader.log"
        requests = [
            wire.RunRequest(
                idempotency_key=f"run-{number}",
                stack=wire.StackRef(kind="placement", tenant="acme", workload="web", generation=number % 40 + 1),
                operation="up",
            )
            for number in range(200)
        ]
        processes = {name: start(url, name, directory) for name in ("first", "second")}
        try:
            until("a leader", leader_log.exists, 60)
            leader = leader_log.read_text().split()[1]
            enqueue_all(url, requests, directory)
            until("some work of both", lambda: engine_log.exists() and both_have_worked(engine_log.read_text().splitlines()), 60)
            processes[leader].send_signal(signal.SIGKILL)
            processes[leader].wait()
            killed_at = time.monotonic()
            dead_pid = processes[leader].pid
            until("another leader", lambda: any(line.split()[1] != leader for line in leader_log.read_text().splitlines()), 15)
            hand_over = time.monotonic() - killed_at
            processes[leader] = start(url, leader, directory)
            until("every run to end", lambda: ended(url) == 200, 150)
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                process.wait(timeout=20)
        assert hand_over < 15
        assert overlaps(engine_log.read_text().splitlines(), dead_pid) == []


def enqueue_all(url: str, requests: list[wire.RunRequest], directory: Path) -> None:
    """Submits by a process of its own: this one holds no part of the queue."""
    code = "import sys, json; from pathlib import Path; from tests.automation.test_members import submit; submit(sys.argv[1], Path(sys.argv[2]))"
    (directory / "requests").write_text("\n".join(request.model_dump_json(by_alias=True) for request in requests))
    subprocess.run([sys.executable, "-c", code, url, str(directory)], cwd=ROOT, check=True)


def submit(url: str, directory: Path) -> None:
    """Submits each request of ``<directory>/requests`` without working the queues."""
    from dbos import DBOS

    from automation.runs.executor import enqueue

    runs = runs_on(url, "submitter", directory)
    DBOS.listen_queues([])
    DBOS.launch()
    for line in (directory / "requests").read_text().splitlines():
        enqueue(runs._executor, wire.RunRequest.model_validate_json(line))
    DBOS.destroy()


def ended(url: str) -> int:
    """Runs that have succeeded."""
    client = DBOSClient(system_database_url=url)
    try:
        return len(client.list_workflows(name="execute", status="SUCCESS", load_input=False, load_output=False))
    finally:
        client.destroy()


def both_have_worked(lines: list[str]) -> bool:
    """Whether two processes have ended something, twenty in all."""
    ends = [line.split()[2] for line in lines if line.startswith("end ") and len(line.split()) == 3]
    return len(ends) >= 20 and len(set(ends)) == 2


def overlaps(lines: list[str], dead: int) -> list[str]:
    """Begins of a stack while another engine was at work on it; what the dead process had begun ended with it."""
    at_work: dict[str, int] = {}
    found = []
    for line in lines:
        word, stack, pid = line.split()
        if word == "end":
            at_work.pop(stack, None)
        elif stack in at_work and at_work[stack] != dead:
            found.append(line)
        else:
            at_work[stack] = int(pid)
    return found
