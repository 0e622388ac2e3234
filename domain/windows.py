"""Maintenance windows and pauses: when the daemon leaves a workload where it is. Pure.

A window is weekly: days, a beginning and an end by the wall clock of a zone. A beginning that a change to summer time leaves out comes an hour later; of one
that comes twice the first counts (PEP 495, ``fold=0``). What saves a workload is never held, whatever a window says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from domain.placement.plan import Trigger

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FORM = re.compile(r"(?P<days>[a-z,\-]+|\*) (?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?: (?P<zone>[A-Za-z0-9_+/\-]+))?")
NEVER_HELD = frozenset({Trigger.INTERRUPTION, Trigger.UNHEALTHY, Trigger.REQUESTED, Trigger.RENEWAL})
"""What saves a workload (a machine whose credentials end stops telling of interruptions), and what a person asked for by name."""


class WindowError(ValueError):
    """A window that can't be read; the text says what it should look like."""


@dataclass(frozen=True, slots=True)
class Window:
    """``days`` from 0 (Monday) on which it begins; ``end`` at or before ``begin`` is on the next day."""

    days: frozenset[int]
    begin: time
    end: time
    zone: str

    @classmethod
    def parse(cls, text: str) -> Window:
        """A window from ``<days> HH:MM-HH:MM [<zone>]``: ``mon-fri 22:00-06:00 Europe/Berlin``, ``sat,sun 00:00-24:00``, ``* 02:00-04:00``; UTC by default.

        Raises :class:`WindowError`.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise WindowError(f"{text!r} is no window; write days, times and a zone, as in 'mon-fri 22:00-06:00 Europe/Berlin'")
        zone = found["zone"] or "UTC"
        if zone not in available_timezones():
            raise WindowError(f"{text!r}: {zone!r} is no time zone; use a name such as Europe/Berlin (IANA)")
        return cls(_days(text, found["days"]), _time(text, found["begin"]), _time(text, found["end"], ends=True), zone)

    def __str__(self) -> str:
        days = "*" if len(self.days) == len(DAYS) else ",".join(DAYS[day] for day in sorted(self.days))
        return f"{days} {self.begin:%H:%M}-{self.end:%H:%M} {self.zone}"

    def span(self, day: date) -> tuple[datetime, datetime]:
        """Begin and end, in UTC, of the window that begins on ``day``."""
        zone = ZoneInfo(self.zone)
        last = day if self.end > self.begin else day + timedelta(days=1)
        return datetime.combine(day, self.begin, zone).astimezone(UTC), datetime.combine(last, self.end, zone).astimezone(UTC)

    def holds(self, now: datetime) -> bool:
        """Whether ``now`` (with a zone) lies in it; the beginning does, the end doesn't."""
        today = now.astimezone(ZoneInfo(self.zone)).date()
        for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
            if day.weekday() in self.days:
                begin, end = self.span(day)
                if begin <= now < end:
                    return True
        return False


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held of a workload, a tenant's workloads or all. ``only``: prices move it only inside one of these; ``never``: not inside any of these."""

    paused: bool = False
    only: tuple[Window, ...] = ()
    never: tuple[Window, ...] = ()

    def reason(self, trigger: Trigger, now: datetime) -> str | None:
        """Why ``trigger`` does nothing at ``now``; None where it may."""
        if trigger in NEVER_HELD:
            return None
        if self.paused:
            return "is paused"
        if trigger is not Trigger.PRICE:
            return None
        if (inside := next((one for one in self.never if one.holds(now)), None)) is not None:
            return f"isn't moved by prices in {inside}"
        if self.only and not any(one.holds(now) for one in self.only):
            return "is moved by prices only in " + " or ".join(map(str, self.only))
        return None


def held(holds: Mapping[str, Hold], workload: str, tenant: str, trigger: Trigger, now: datetime) -> str | None:
    """Why nothing is begun for a workload, by the holds of the platform (``""``), of its tenant and its own; None where something may."""
    for subject, name in (("", "the platform"), (f"tenant:{tenant}", f"tenant {tenant}"), (f"workload:{workload}", workload)):
        if (hold := holds.get(subject)) is not None and (reason := hold.reason(trigger, now)) is not None:
            return f"{name} {reason}"
    return None


def windows(texts: Iterable[str]) -> tuple[Window, ...]:
    """Each text's window. Raises :class:`WindowError` that names every fault."""
    found, faults = [], []
    for text in texts:
        try:
            found.append(Window.parse(text))
        except WindowError as error:
            faults.append(str(error))
    if faults:
        raise WindowError("; ".join(faults))
    return tuple(found)


def _days(text: str, days: str) -> frozenset[int]:
    if days == "*":
        return frozenset(range(len(DAYS)))
    found: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise WindowError(f"{text!r}: {part!r} is no day; use mon to sun, mon-fri or *")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update(day % len(DAYS) for day in range(begin, (end if end >= begin else end + len(DAYS)) + 1))
    return frozenset(found)


def _time(text: str, clock: str, *, ends: bool = False) -> time:
    hour, minute = map(int, clock.split(":"))
    if ends and (hour, minute) == (24, 0):
        return time(0)
    if hour > 23 or minute > 59:
        raise WindowError(f"{text!r}: {clock} is no time of day; use 00:00 to 23:59, 24:00 as an end")
    return time(hour, minute)
