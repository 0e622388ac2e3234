"""The daemon: paused it rests, resumed it runs a cycle at once, and a cycle that fails doesn't end it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from automation.scheduler.daemon import JITTER_SECONDS, Daemon, nightly
from spotlane import wire
from spotlane.errors import Unreachable

HOUR = 3600.0


@dataclass
class Paused:
    """A switch in memory."""

    paused: bool


class Cycle:
    """Counts its cycles; ``away`` of them find no edge."""

    def __init__(self) -> None:
        self.ticks = 0
        self.away = 0
        self.ticked = threading.Event()

    def tick(self) -> wire.TickReport:
        self.ticks += 1
        self.ticked.set()
        if self.ticks <= self.away:
            raise Unreachable("edge API", "http://api", "refused", "start it")
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return wire.TickReport(
            market_now=now, quotes=0, quarantined=0, plan=wire.Plan(market_now=now, items=[], saving_usd_per_30_days=0.0), started=[], errors=[]
        )


@pytest.fixture
def cycle() -> Cycle:
    return Cycle()


@pytest.fixture
def daemon(cycle: Cycle) -> Iterator[Daemon]:
    one = Daemon(cycle, HOUR, {}, leads=lambda: True, switch=Paused(True))
    one.start()
    yield one
    one.stop()


def test_resumed_it_does_not_wait_for_its_pace(daemon: Daemon, cycle: Cycle) -> None:
    daemon.resume()
    assert cycle.ticked.wait(10)
    assert cycle.ticks == 1


def test_a_cycle_can_be_asked_for_while_it_is_paused(daemon: Daemon, cycle: Cycle) -> None:
    assert daemon.tick_now().quotes == 0
    assert (cycle.ticks, daemon.paused) == (1, True)


def test_an_edge_that_is_away_does_not_end_it(daemon: Daemon, cycle: Cycle) -> None:
    cycle.away = 1
    daemon.resume()
    assert cycle.ticked.wait(10)
    cycle.ticked.clear()
    for _ in range(50):  # the scheduler takes no second one while it still writes the first one's failure down
        daemon.resume()
        if cycle.ticked.wait(0.2):
            break
    assert cycle.ticks >= 2


def test_of_several_processes_only_the_one_that_leads_works_by_itself(cycle: Cycle) -> None:
    leads, chored = threading.Event(), threading.Event()
    one = Daemon(cycle, HOUR, {"chore": (IntervalTrigger(seconds=1), chored.set)}, leads=leads.is_set, switch=Paused(False))
    one.start()
    try:
        one.resume()
        assert not chored.wait(1.5)
        assert cycle.ticks == 0
        leads.set()
        one.resume()
        assert cycle.ticked.wait(10) and chored.wait(10)
    finally:
        one.stop()


def test_a_nudge_brings_the_next_cycle_at_once_unless_it_is_paused(daemon: Daemon, cycle: Cycle) -> None:
    daemon.nudge()
    assert not cycle.ticked.wait(0.3)
    daemon._switch.paused = False
    daemon.nudge()
    assert cycle.ticked.wait(10)


def test_a_nudge_during_a_cycle_brings_another_one_after_it(daemon: Daemon, cycle: Cycle) -> None:
    running, release = threading.Event(), threading.Event()
    inner = cycle.tick

    def slow() -> wire.TickReport:
        running.set()
        assert release.wait(10)
        return inner()

    cycle.tick = slow  # type: ignore[method-assign]  # the same cycle, held open
    daemon.resume()
    assert running.wait(10)
    running.clear()
    daemon.nudge()
    daemon.nudge()
    release.set()
    assert running.wait(10)
    assert cycle.ticked.wait(10)


def test_a_pause_that_can_not_be_read_starts_nothing_and_does_not_end_it(cycle: Cycle) -> None:
    class Away:
        away = True

        @property
        def paused(self) -> bool:
            if self.away:
                raise Unreachable("database", "sqlite://", "away", "start it")
            return False

        @paused.setter
        def paused(self, paused: bool) -> None:
            """Nothing to keep."""

    switch = Away()
    one = Daemon(cycle, HOUR, {}, leads=lambda: True, switch=switch)
    one.start()
    try:
        one.resume()
        assert not cycle.ticked.wait(0.5)
        switch.away = False
        for _ in range(50):
            one.resume()
            if cycle.ticked.wait(0.2):
                break
        assert cycle.ticks >= 1
    finally:
        one.stop()


def test_a_chore_never_overlaps_itself_and_what_it_missed_is_made_up_for_once(cycle: Cycle) -> None:
    at_once, most, begun = 0, 0, []

    def slow() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        begun.append(time.monotonic())
        time.sleep(1.2)
        at_once -= 1

    one = Daemon(cycle, HOUR, {"slow": (IntervalTrigger(seconds=0.2), slow)}, leads=lambda: True, switch=Paused(True))  # type: ignore[arg-type]  # a fraction
    one.start()
    time.sleep(3.0)
    one.stop()
    assert most == 1
    assert 2 <= len(begun) <= 3  # fifteen times were due


def test_a_time_that_passed_long_ago_is_made_up_for_by_one_run(cycle: Cycle) -> None:
    ran: list[int] = []
    past = datetime.now(UTC) - timedelta(hours=30)
    one = Daemon(cycle, HOUR, {"late": (IntervalTrigger(hours=1, start_date=past), lambda: ran.append(1))}, leads=lambda: True, switch=Paused(True))
    one._scheduler.start(paused=True)
    one._scheduler.modify_job("late", next_run_time=past)  # as after a long sleep of the computer
    one._scheduler.resume()
    try:
        for _ in range(40):
            if ran:
                break
            time.sleep(0.1)
        time.sleep(0.3)
        assert ran == [1]
    finally:
        one.stop()


def test_chores_of_the_night_are_spread_so_that_platforms_do_not_meet() -> None:
    trigger, now = nightly(3), datetime(2026, 1, 1, tzinfo=UTC)
    fired = {trigger.get_next_fire_time(None, now) for _ in range(20)}
    assert len(fired) > 10
    assert all(abs((one - datetime(2026, 1, 1, 3, tzinfo=UTC)).total_seconds()) <= JITTER_SECONDS for one in fired)


def test_what_is_of_a_process_own_is_done_where_another_leads_and_goes_on_after_a_fault(cycle: Cycle) -> None:
    done: list[str] = []
    twice, led = threading.Event(), threading.Event()

    def own() -> None:
        done.append("own")
        if len(done) == 2:
            twice.set()
        raise Unreachable("edge API", "http://api", "refused", "start it")

    every = IntervalTrigger(seconds=0.05)
    follower = Daemon(cycle, HOUR, {"led": (every, led.set)}, leads=lambda: False, switch=Paused(False), own={"own": (every, own)})
    follower.start()
    try:
        assert twice.wait(20)
        assert not led.is_set()
    finally:
        follower.stop()
