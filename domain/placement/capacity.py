"""How likely an offer is refused, and what a refusal costs: the capacity side of a choice. Pure.

**The chance.** The middle of what Google's own bounds of its grades (:mod:`domain.scores`) leave: a machine is had 85 times of a hundred where capacity is
high, 55 where it is medium, 20 where it is low. Measured single zones were available 17 to 90 % of the time, six zones over 45 days ("Can't Be Late",
NSDI'24). Where nobody says anything it counts as medium: AWS names its ten best regions only, which says nothing of the others. To that comes what the
platform itself was told: the cloud's word weighs as much as one answer (the short record of a single offer), each refusal and each launch as one, half after
a day (a day is the long memory of :mod:`domain.placement.fleet`), so that with r refusals and l launches the chance is ``(p + r) / (1 + r + l)``.

**What one costs.** The time until the next offer is asked, times the price of an hour meanwhile. Where nothing serves or what serves goes, that is the worth
of an hour short, ``1 / (1 - A)`` hours of a spare (:mod:`domain.placement.fleet`): a hundred at A = 99 %. Where the old machine serves on, it is what that
costs: it is paid for until another one takes its place.

**The choice.** Let c be what an offer costs over the horizon, q the chance to have it, p = 1 - q, d what a refusal costs. Asked in some order, each after the
refusal of the one before, two neighbours i and j come to ``q_i c_i + p_i (d + q_j c_j + p_j (d + R))`` or to the same with i and j exchanged, R what all later
ones come to. R falls out, and i belongs first where ``c_i + d p_i / q_i < c_j + d p_j / q_j``. So the order by *cost plus d times the odds of a refusal* is
the best of all orders, whatever comes after (the exchange argument of least-cost testing: Mitten, "An analytic solution to the least cost testing sequence
problem", J. Industrial Engineering 11, 1960). It needs no thresholds, and one number an offer. It scales with money.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.catalog import OfferRef
from domain.told import Grade

HAD: Mapping[Grade, float] = {Grade.HIGH: 0.85, Grade.MEDIUM: 0.55, Grade.LOW: 0.20}
"""The chance to have a machine, by what the cloud says."""
WHEN_UNTOLD = Grade.MEDIUM
HALF_LIFE = timedelta(hours=24)
"""Of what was answered to us."""
_WORD = 1.0
"""How many answers the cloud's word weighs as much as."""


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """A machine was asked for at a time of the market's clock, and refused for want of capacity or had."""

    at: datetime
    offer: OfferRef
    refused: bool


@dataclass(frozen=True, slots=True)
class Record:
    """Refusals and launches of one offer, each at the weight that its age leaves it."""

    refused: float = 0.0
    launched: float = 0.0


def remembered(answers: Iterable[Answer], now: datetime) -> dict[OfferRef, Record]:
    """What is remembered at ``now``; the answers' order doesn't matter, one of the future counts as one of now."""
    found: dict[OfferRef, Record] = {}
    for answer in sorted(set(answers)):
        weight = 0.5 ** (max(now - answer.at, timedelta(0)) / HALF_LIFE)
        held = found.get(answer.offer, Record())
        found[answer.offer] = Record(held.refused + weight, held.launched) if answer.refused else Record(held.refused, held.launched + weight)
    return found


def chance(grade: Grade | None, record: Record = Record()) -> float:
    """The chance of a refusal, above 0 and below 1."""
    told = _WORD * (1.0 - HAD[grade or WHEN_UNTOLD])
    return (told + record.refused) / (_WORD + record.refused + record.launched)


def odds(refusal: float) -> float:
    """Refusals for each machine that is had."""
    return refusal / (1.0 - refusal)
