"""Caps on a month's spend: what was paid, what the month will have cost, and what may still be paid per hour. Pure.

A month is a calendar month in UTC, on the market's clock. What was *paid* is the ledger's hours of the month, and what has run since its last full hour at
the price of now. *Projected* is that plus what runs now, to the month's end::

    projected = paid + Σ (USD/h of what runs) × hours left

An offer at p USD/h in place of a machine at o USD/h keeps to a cap C when ``paid + (Σ − o + p) × hours left ≤ C``, so that a workload may pay at most

    p = o + (C − paid) / hours left − Σ

Where the month already runs over its cap (the last two terms are below 0), each machine may pay its share of what is left, ``o × (C − paid) / hours left / Σ``:
all of them together then keep to the cap, and none has to save for the others.

Prices are spot prices, as in the ledger: what the machines cost. A cap refuses what would break it; it never stops what runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

THRESHOLDS = (50, 80, 100)
"""Per cent of a cap at which people are told."""
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month in UTC: ``begin``, and ``end`` (excluded)."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, moment: datetime) -> Month:
        """The month in which ``moment`` lies."""
        begin = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return cls(begin, begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1))

    @property
    def name(self) -> str:
        """``YYYY-MM``."""
        return f"{self.begin:%Y-%m}"

    def hours_left(self, now: datetime) -> float:
        """Hours from ``now`` to the end; above 0 inside the month."""
        return max((self.end - now) / _HOUR, 0.0)


class Standing(StrEnum):
    """How a month stands to its cap."""

    WITHIN = "within"
    HEADED_OVER = "headed-over"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Spending:
    """A cap and its month so far. ``owner`` is a workload or a tenant; ``usd_per_hour`` is what its machines cost now, all of them together.

    ``unknown_hours`` are hours of the month whose price nobody knew: they are in no sum, so that ``paid_usd`` is too low by what they cost.
    """

    owner: str
    month: Month
    cap_usd: float
    paid_usd: float
    usd_per_hour: float
    hours_left: float
    unknown_hours: float = 0.0

    @property
    def projected_usd(self) -> float:
        """What the month will have cost if all goes on as it is."""
        return self.paid_usd + self.usd_per_hour * self.hours_left

    @property
    def most_usd_per_hour(self) -> float:
        """What may be paid per hour from now on, by all machines together; 0 where the cap is used up."""
        return max(self.cap_usd - self.paid_usd, 0.0) / self.hours_left if self.hours_left > 0 else 0.0

    @property
    def standing(self) -> Standing:
        """Whether the cap is kept, will not be, or is used up."""
        if self.paid_usd >= self.cap_usd:
            return Standing.OVER
        return Standing.HEADED_OVER if self.projected_usd > self.cap_usd else Standing.WITHIN

    def most_for(self, own_usd_per_hour: float) -> float:
        """USD/h that a workload may pay which pays ``own_usd_per_hour`` of the whole now (0 where it doesn't run)."""
        spare = self.most_usd_per_hour - self.usd_per_hour
        if spare >= 0:
            return own_usd_per_hour + spare
        return own_usd_per_hour * self.most_usd_per_hour / self.usd_per_hour

    def reached(self, thresholds: Iterable[int] = THRESHOLDS) -> tuple[int, ...]:
        """The per cents of the cap that what was paid has come to."""
        return tuple(per_cent for per_cent in sorted(thresholds) if self.paid_usd >= self.cap_usd * per_cent / 100)

    def sentence(self, own_usd_per_hour: float, usd_per_hour: float) -> str:
        """Why an offer at ``usd_per_hour`` is refused to a workload that pays ``own_usd_per_hour`` now."""
        then = self.paid_usd + (self.usd_per_hour - own_usd_per_hour + usd_per_hour) * self.hours_left
        known = f"{self.paid_usd:.2f} paid, {self.hours_left:.0f} h left"
        return f"would bring {self.owner} to {then:.2f} USD in {self.month.name}; its cap is {self.cap_usd:.2f} ({known})"


@dataclass(frozen=True, slots=True)
class Running:
    """A machine that costs money now: ``usd_per_hour`` since ``since`` (the market's clock)."""

    workload: str
    tenant: str
    usd_per_hour: float
    since: datetime


@dataclass(frozen=True, slots=True)
class Paid:
    """The ledger's hours of one workload in the month: USD, and hours whose price is unknown."""

    workload: str
    tenant: str
    usd: float
    unknown_hours: float = 0.0


def spending(owner: str, cap_usd: float, paid: Iterable[Paid], running: Iterable[Running], now: datetime) -> Spending:
    """The month of ``now`` under a cap. ``paid`` and ``running`` are the owner's; the ledger holds every hour that has ended.

    What runs in the present hour isn't in the ledger yet and counts at the price of now.
    """
    month, ledger, machines = Month.of(now), tuple(paid), tuple(running)
    hour = now.replace(minute=0, second=0, microsecond=0)
    open_usd = sum(one.usd_per_hour * max((now - max(hour, one.since)) / _HOUR, 0.0) for one in machines)
    return Spending(
        owner,
        month,
        cap_usd,
        sum(one.usd for one in ledger) + open_usd,
        sum(one.usd_per_hour for one in machines),
        month.hours_left(now),
        sum(one.unknown_hours for one in ledger),
    )


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap as one workload meets it: it pays ``own_usd_per_hour`` of the spending now."""

    spending: Spending
    own_usd_per_hour: float = 0.0

    @property
    def most_usd_per_hour(self) -> float:
        """What the workload may pay per hour."""
        return self.spending.most_for(self.own_usd_per_hour)


def tightest(caps: Iterable[Cap]) -> Cap | None:
    """The cap that leaves the least, of equals the first owner's; None without any."""
    return min(caps, key=lambda cap: (cap.most_usd_per_hour, cap.spending.owner), default=None)
