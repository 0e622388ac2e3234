"""Which zones fail together, learnt from what happened: machines that were taken back, and requests that a cloud refused for want of capacity. Pure.

The rule. Failures of one zone that follow each other within :data:`WINDOW` are one spell: a shortage refuses more than once. A spell of one zone is shared
with another zone that failed within :data:`WINDOW` of it. Two zones fail together where more than half of the spells of both are shared, one spell of each
imagined beside what was seen that the other had no part in: once may be chance, so that the second shared spell is the first that tells. Nothing is
concluded from zone to zone to zone: what fails with both of two zones doesn't make these two fail together.

A zone in itself always fails as a whole. What was never seen to fail together is taken to fail apart: clouds build zones for that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations

from domain.placement.plan import ZoneRef

WINDOW = timedelta(minutes=20)
"""How far apart failures of one shortage lie: the length of a burst in :mod:`domain.placement.fleet`, whose short memory is as long."""
_IMAGINED = 1
"""Spells of each zone that the other had no part in, before anything was seen."""


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """A zone took a machine back, or refused one, at a time of the market's clock."""

    at: datetime
    zone: ZoneRef


@dataclass(frozen=True)
class Domains:
    """What was learnt: of each zone, those that fail together with it."""

    together: Mapping[ZoneRef, frozenset[ZoneRef]] = field(default_factory=dict)

    def around(self, zone: ZoneRef) -> frozenset[ZoneRef]:
        """The zone, and those that fail together with it: where a second machine protects against nothing."""
        return self.together.get(zone, frozenset()) | {zone}


@dataclass(frozen=True, slots=True)
class _Spell:
    begin: datetime
    end: datetime


def learn(failures: Iterable[Failure]) -> Domains:
    """The domains that these failures tell of; their order doesn't matter."""
    moments: dict[ZoneRef, list[datetime]] = defaultdict(list)
    for failure in sorted(set(failures)):
        moments[failure.zone].append(failure.at)
    spells = {zone: _spells(at) for zone, at in moments.items()}
    found: dict[ZoneRef, set[ZoneRef]] = defaultdict(set)
    for one, other in combinations(sorted(moments), 2):
        shared = _shared(spells[one], moments[other]) + _shared(spells[other], moments[one])
        if 2 * shared > len(spells[one]) + len(spells[other]) + 2 * _IMAGINED:
            found[one].add(other)
            found[other].add(one)
    return Domains({zone: frozenset(others) for zone, others in found.items()})


def _spells(moments: list[datetime]) -> list[_Spell]:
    """Ascending moments of one zone as spells."""
    found: list[_Spell] = []
    for at in moments:
        if found and at - found[-1].end <= WINDOW:
            found[-1] = _Spell(found[-1].begin, at)
        else:
            found.append(_Spell(at, at))
    return found


def _shared(spells: list[_Spell], moments: list[datetime]) -> int:
    """How many of the spells have one of the ascending moments in them or within :data:`WINDOW` of them."""
    count = 0
    for one in spells:
        at = bisect_left(moments, one.begin - WINDOW)
        count += at < len(moments) and moments[at] <= one.end + WINDOW
    return count
