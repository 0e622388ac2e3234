"""The daemon: paused it rests, resumed it runs a cycle at once, and a cycle that fails doesn't end it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from automation.scheduler.daemon import Daemon
from spotlane import wire
from spotlane.errors import Unreachable

HOUR = 3600.0


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
    one = Daemon(cycle, HOUR, {}, leads=lambda: True, paused=True)
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
    one = Daemon(cycle, HOUR, {"chore": (IntervalTrigger(seconds=1), chored.set)}, leads=leads.is_set, paused=False)
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
    daemon.paused = False
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
