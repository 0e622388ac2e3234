"""What is known of zones, recalled from what is on record: spans for which machines were held, losses, refusals. Pure.

The same memories as :func:`domain.placement.fleet.observe` builds step by step, in closed form: a span weighs what is left of each of its moments. So nothing
has to be kept beside the record, and what is recalled after a restart is what was known before. A refusal says that its zone has no more to give, whoever
asked, until a machine was had there again: who holds one stands at the zone's ceiling. How many machines of one zone go together isn't recalled: who recalls
holds one machine a zone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from domain.placement.fleet import MEMORIES, Belief, Goal, Seen

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Tenure:
    """A machine of a zone was held from ``since`` to ``until``, in hours of the market's clock."""

    zone: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A zone took a machine back, or refused one, at ``hours``."""

    zone: str
    hours: float


def recall(tenures: Iterable[Tenure], losses: Iterable[Mark], refusals: Iterable[Mark], hours: float, goal: Goal) -> Seen:
    """What is known at ``hours``; what is later than that counts for nothing."""
    held = _by_zone((one.zone, one) for one in tenures if one.since < hours)
    lost = _by_zone((one.zone, one.hours) for one in losses if one.hours <= hours)
    refused = _by_zone((one.zone, one.hours) for one in refusals if one.hours <= hours)
    zones: dict[str, Belief] = {}
    ceiling_held = ceiling_lost = 0.0
    for zone in sorted({*held, *lost, *refused}):
        spans = [Tenure(zone, one.since, min(one.until, hours)) for one in held.get(zone, [])]
        last = max(refused.get(zone, []), default=-math.inf)
        stands = last > -math.inf and not any(one.since > last for one in spans)
        zones[zone] = Belief(
            held=tuple(sum(_left(one, half, hours) for one in spans) for half in MEMORIES),
            lost=tuple(sum(math.pow(0.5, (hours - at) / half) for at in lost.get(zone, [])) for half in MEMORIES),
            ceiling=0 if stands else None,
            refused_at=last,
        )
        windows = _merged((at, min(at + goal.ceiling_hours, hours)) for at in refused.get(zone, []))
        stood = _merged((one.since, one.until) for one in spans)
        ceiling_held += sum(max(min(end, until) - max(begin, since), 0.0) for begin, end in windows for since, until in stood)
        ceiling_lost += sum(1 for at in lost.get(zone, []) if any(begin < at <= end for begin, end in windows))
    return Seen(zones, hours, ceiling_held, ceiling_lost)


def _left(span: Tenure, half: float, hours: float) -> float:
    """Of the hours of a span, what a memory with this half-life holds: the integral of what is left of each moment."""
    return half / math.log(2) * (math.pow(0.5, (hours - span.until) / half) - math.pow(0.5, (hours - span.since) / half))


def _by_zone(pairs: Iterable[tuple[str, _Value]]) -> dict[str, list[_Value]]:
    found: dict[str, list[_Value]] = defaultdict(list)
    for zone, value in pairs:
        found[zone].append(value)
    return found


def _merged(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The spans without overlaps, ascending."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found
