"""The market's clock: seconds of the market as a function of the monotonic clock and a speed; can be paused, advanced, and goes on after a restart.

It never runs backwards, not even after a kill: the kept reading is always a little ahead of the shown one, and a restart begins there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

KEEP_SECONDS = 1.0
"""The clock's reading is kept at least this often, in wall seconds."""
_AHEAD_SECONDS = 2.0


class ClockError(ValueError):
    """The clock can't be set like this; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a restart goes on from: market seconds since the epoch, market seconds per wall second, and whether the clock runs."""

    at: float
    speed: float
    running: bool


class Clock:
    """A clock that starts at ``reading``. ``monotonic`` is the wall's monotonic clock in seconds. Safe to use from several threads."""

    def __init__(self, reading: Reading, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._anchor = reading.at
        self._anchored = monotonic()
        self._speed = reading.speed
        self._running = reading.running

    def seconds(self) -> float:
        """Market seconds since the epoch."""
        with self._lock:
            return self._seconds()

    def now(self) -> datetime:
        """The market's time, to the second as the APIs tell it."""
        return datetime.fromtimestamp(int(self.seconds()), UTC)

    @property
    def speed(self) -> float:
        """Market seconds per wall second."""
        return self._speed

    @property
    def running(self) -> bool:
        """Whether time passes."""
        return self._running

    def set(self, speed: float | None = None, running: bool | None = None, advance_to: datetime | None = None) -> None:
        """Changes speed, pauses or resumes, and jumps forward. Raises :class:`ClockError` for a speed of 0 or less, or a jump back."""
        if speed is not None and not 0 < speed <= 1e7:
            raise ClockError(f"speed {speed} is not above 0; use running: false to pause the market")
        with self._lock:
            here = self._seconds()
            target = here if advance_to is None else advance_to.timestamp()
            if target < here - 1.0:
                told = datetime.fromtimestamp(here, UTC).isoformat()
                raise ClockError(f"the market stands at {told} and can't go back to {advance_to}; start a new one for another past")
            self._anchor, self._anchored = max(here, target), self._monotonic()
            self._speed = self._speed if speed is None else speed
            self._running = self._running if running is None else running

    def reading(self, ahead: bool = False) -> Reading:
        """What to keep; ``ahead`` of now by what may be shown before the next keeping."""
        with self._lock:
            lead = _AHEAD_SECONDS * self._speed if ahead and self._running else 0.0
            return Reading(self._seconds() + lead, self._speed, self._running)

    def _seconds(self) -> float:
        return self._anchor + (self._monotonic() - self._anchored) * self._speed if self._running else self._anchor
