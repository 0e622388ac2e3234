"""Capacity that comes and goes: which pools give a spot machine out, and which take theirs back, as a function of seed and moment.

A zone's pool is with or without capacity for a whole spell. CPU: half days, each without by the chance that the pool's monthly interruption bucket
stands for. GPU: hours, each with capacity as often as one of the six zones that were measured. Where spells follow each other independently, a zone
that is available for a share p of the time changes 2 p (1 - p) times a spell, which for hours is what was measured (tests compare the two).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CATALOG, OfferRef
from localcloud.market import figures
from localcloud.market.noise import Floats, Keys, keys, uniform

CPU_SPELL = 12 * 3600.0
GPU_SPELL = 3600.0
"""A pool is with or without capacity for this long, in market seconds."""
_MONTH = 30 * 86400.0
_NOTICE = 120.0
"""Seconds of the longest notice, on the wall clock."""
_FEWEST = 8
"""Spells looked back at most, so that a leap in time doesn't take a year's machines back at once."""


def bucket(seed: int, cloud: str, region: str, instance_type: str) -> int:
    """The Spot Advisor's bucket of monthly interruption, 0 (rare) to 4; where no cloud publishes one, the middle."""
    if cloud != "aws":
        return 2
    drawn = float(uniform(keys([f"{seed}|advisor|{region}|{instance_type}"]))[0])
    return int(np.searchsorted(np.cumsum(figures.ADVISOR_SHARES), drawn, side="right").clip(0, 4))


class Capacity:
    """The capacity of every zone's pools under one seed."""

    def __init__(self, seed: int) -> None:
        gpu = {(machine.cloud, machine.name) for machine in CATALOG.machine_list if machine.gpu}
        offers = list(CATALOG.offers())
        self._kinds = [
            _Kind(seed, [ref for ref in offers if (ref.cloud, ref.instance_type) not in gpu], CPU_SPELL),
            _Kind(seed, [ref for ref in offers if (ref.cloud, ref.instance_type) in gpu], GPU_SPELL),
        ]

    def knows(self, ref: OfferRef) -> bool:
        """Whether the catalogue sells the offer."""
        return any(ref in kind.row for kind in self._kinds)

    def has(self, ref: OfferRef, at: float) -> bool:
        """Whether a machine would be given out at a moment (seconds since the epoch); yes for what the catalogue doesn't list."""
        return all(ref not in kind.row or not kind.lacking(int(at // kind.spell))[kind.row[ref]] for kind in self._kinds)

    def lack(self, ref: OfferRef) -> float:
        """The share of the time for which an offer of the catalogue is without capacity."""
        return next(float(kind.lack[kind.row[ref]]) for kind in self._kinds if ref in kind.row)

    def likelihood(self, ref: OfferRef) -> float:
        """How likely a request is met, as a cloud scores it: of GPU pools the share of time with capacity, of others the chance to keep it for a month."""
        kind = next(kind for kind in self._kinds if ref in kind.row)
        lack = float(kind.lack[kind.row[ref]])
        return 1.0 - lack if kind.spell == GPU_SPELL else float((1.0 - lack) ** (_MONTH / kind.spell))

    def lost(self, after: float, until: float, speed: float) -> Iterator[OfferRef]:
        """What lost its capacity in (after, until], but for kinds whose spells pass within a notice at that many market seconds a second (adr/0008)."""
        for kind in self._kinds:
            if speed > kind.spell / _NOTICE:
                continue
            first, last = int(after // kind.spell), int(until // kind.spell)
            for spell in range(max(first + 1, last - _FEWEST), last + 1):
                for row in np.flatnonzero(kind.lacking(spell) & ~kind.lacking(spell - 1)):
                    yield kind.refs[row]


class _Kind:
    """Pools that share a spell's length."""

    def __init__(self, seed: int, refs: list[OfferRef], spell: float) -> None:
        self.refs = refs
        self.spell = spell
        self.row = {ref: number for number, ref in enumerate(refs)}
        self.lacking = lru_cache(maxsize=16)(self._lacking)
        self._keys: Keys = keys([f"{seed}|capacity|{ref.id}" for ref in refs])
        if spell == GPU_SPELL:
            drawn = (uniform(self._keys, 1) * len(figures.GPU_AVAILABILITY)).astype(np.intp)
            self.lack: Floats = 1.0 - np.array(figures.GPU_AVAILABILITY)[drawn]
        else:
            buckets = {place: bucket(seed, *place) for place in dict.fromkeys((ref.cloud, ref.region, ref.instance_type) for ref in refs)}
            monthly = np.array([figures.ADVISOR_MONTHLY[buckets[ref.cloud, ref.region, ref.instance_type]] for ref in refs])
            self.lack = 1.0 - (1.0 - monthly) ** (spell / _MONTH)

    def _lacking(self, spell: int) -> NDArray[np.bool_]:
        """Which pools are without capacity in the spell of that number."""
        return np.asarray(uniform(self._keys, spell) < self.lack)
