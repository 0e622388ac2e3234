"""The rebalancing daemon: APScheduler runs the cycle; a cycle that is late is run once, two never overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from prometheus_client import Counter, Histogram

from spotlane.errors import SpotlaneError
from spotlane.wire import TickReport

_log = structlog.get_logger("spotlane.daemon")
_TICKS = Counter("spotlane_ticks_total", "Cycles of the daemon", ["outcome"])
_SECONDS = Histogram("spotlane_tick_seconds", "Wall time of one cycle, seconds")


_BETWEEN = timedelta(seconds=2)
"""Least pause before a cycle that was asked for by a nudge: many workloads declared in a row make one."""


JITTER_SECONDS = 1800


def nightly(hour: int) -> BaseTrigger:
    """Once a day around ``hour`` UTC, within :data:`JITTER_SECONDS` of it."""
    return CronTrigger(hour=hour, jitter=JITTER_SECONDS, timezone="UTC")


Chores = Mapping[str, tuple[BaseTrigger, Callable[[], object]]]
"""By name, when and what."""


class Cycle(Protocol):
    """One cycle: collect prices, close the ledger, decide, propose."""

    def tick(self) -> TickReport:
        """Runs one cycle. Raises SpotlaneError where the edge is away; nothing is half-done then."""
        ...


class Switch(Protocol):
    """Whether the daemon is paused; kept by whoever keeps it."""

    paused: bool


class Daemon:
    """Runs ``cycle`` every ``tick_seconds``, and ``chores`` at their own times. Of several service processes it works only where ``leads`` says so, but for
    the ``own`` chores, which each process does for itself.

    The rules, of all jobs alike: one never overlaps itself; of times that were missed (the one before lasted too long, the computer slept, the clock leapt)
    all are made up for by one; nothing is too late. A chore of the night is spread by jitter, so that many platforms don't ask the clouds at one second.
    """

    def __init__(self, cycle: Cycle, tick_seconds: float, chores: Chores, *, leads: Callable[[], bool], switch: Switch, own: Chores | None = None) -> None:
        self._cycle = cycle
        self._leads = leads
        self._lock = threading.Lock()
        self._nudged = threading.Event()
        self._last = datetime.min.replace(tzinfo=UTC)
        self._switch = switch
        self._scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None})
        self._scheduler.add_job(self._scheduled, "interval", seconds=tick_seconds, id="tick")
        for name, (trigger, chore) in chores.items():
            self._scheduler.add_job(self._guarded, trigger, args=[name, chore], id=name)
        for name, (trigger, chore) in (own or {}).items():
            self._scheduler.add_job(self._survived, trigger, args=[name, chore], id=name)

    @property
    def paused(self) -> bool:
        """Whether no cycle starts by itself."""
        return self._switch.paused

    def start(self) -> None:
        """Starts the scheduler's thread."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stops after the jobs in hand."""
        self._scheduler.shutdown(wait=True)

    def pause(self) -> None:
        """No cycle starts by itself; prices are no longer collected, interruptions are still handled."""
        self._switch.paused = True

    def resume(self) -> None:
        """Cycles start by themselves again, the first one now."""
        self._switch.paused = False
        self._scheduler.modify_job("tick", next_run_time=datetime.now(UTC))

    def nudge(self) -> None:
        """Something has changed at the edge: the next cycle comes at once, or right after the one in hand. Nothing while paused."""
        if self.paused:
            return
        self._nudged.set()
        self._soon()

    def tick_now(self) -> TickReport:
        """One cycle at once, after the one in hand; also while paused."""
        with self._lock:
            with _SECONDS.time():
                report = self._cycle.tick()
            _TICKS.labels("ok").inc()
            return report

    def _scheduled(self) -> None:
        if not self._leads() or self._guarded("pause", lambda: self.paused) is not False:
            return
        self._nudged.clear()
        self._guarded("tick", lambda: self._told(self.tick_now()))
        self._last = datetime.now(UTC)
        if self._nudged.is_set():  # while the cycle ran: it may have read what was there before
            self._soon()

    def _soon(self) -> None:
        self._scheduler.modify_job("tick", next_run_time=max(datetime.now(UTC), self._last + _BETWEEN))

    def _told(self, report: TickReport) -> None:
        if report.started or report.errors:
            _log.info("tick", market_now=report.market_now.isoformat(), started=[one.id for one in report.started], errors=report.errors)

    def _guarded(self, name: str, chore: Callable[[], object]) -> object:
        """What ``chore`` gives; None where another process leads, or it failed."""
        return self._survived(name, chore) if self._leads() else None

    def _survived(self, name: str, chore: Callable[[], object]) -> object:
        """What ``chore`` gives; None where it failed."""
        try:
            return chore()
        except SpotlaneError as error:
            _TICKS.labels("away").inc()
            _log.warning("away", job=name, error=str(error))
        except Exception:  # noqa: BLE001  # the scheduler's thread survives a fault of one job; the log has the whole of it
            _TICKS.labels("failed").inc()
            _log.exception("failed", job=name)
        return None
