"""Recorded series replayed: a recording's step functions (``localcloud.market.recording``). A cloud that the recording lacks isn't priced."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CLOUDS, OfferRef
from localcloud.market.recording import read
from localcloud.market.source import Change, Floats

_CLOUDS: list[str] = list(CLOUDS)
_STRIDE = 1 << 33
"""Seconds given to each pool on the one sorted axis: pool x stride + second since the epoch."""


class ReplaySource:
    """A recording, in memory: arrays sorted by pool and moment. ``notes`` say what of the file was mended. Raises :class:`RecordingError`."""

    ends_at: datetime | None

    def __init__(self, path: Path) -> None:
        self.name = path.name
        found = read(path)
        pools, pool, second = found.pools, found.pool, found.second
        self.notes = found.notes
        self._axis: NDArray[np.int64] = pool * _STRIDE + second
        self._second, self._spot, self._on_demand = second, found.spot, found.on_demand
        self._pools: dict[tuple[str, str], tuple[OfferRef, ...]] = {}
        self._first: dict[tuple[str, str], int] = {}
        for number, ref in enumerate(pools):
            place = ref[:2]
            self._pools[place] = (*self._pools.get(place, ()), ref)
            self._first.setdefault(place, number)
        clouds = np.array([_CLOUDS.index(ref.cloud) for ref in pools], dtype=np.intp)[pool]
        # Rows are changes, so that a quiet cloud's first and last rows aren't its begin and end: the cloud with the most rows tells when the recording ran.
        densest = second[clouds == int(np.bincount(clouds).argmax())]
        self.starts_at = datetime.fromtimestamp(int(densest.min()), UTC)
        self.ends_at = datetime.fromtimestamp(int(densest.max()), UTC)

    def pools(self, cloud: str, region: str) -> tuple[OfferRef, ...]:
        return self._pools.get((cloud, region), ())

    def spot(self, cloud: str, region: str, at: float) -> Floats:
        return self._in_force(self._spot, cloud, region, at)

    def since(self, cloud: str, region: str, at: float) -> Floats:
        return self._in_force(self._second.astype(np.float64, copy=False), cloud, region, at)

    def on_demand(self, cloud: str, region: str, at: float) -> Floats:
        return self._in_force(self._on_demand, cloud, region, at)

    def changes(self, cloud: str, region: str, start: float, end: float) -> list[Change]:
        found: list[Change] = []
        for offset, ref in enumerate(self.pools(cloud, region)):
            base = (self._first[cloud, region] + offset) * _STRIDE
            low, high = np.searchsorted(self._axis, [base + int(np.floor(start)), base + int(np.floor(end))], side="right")
            found += [Change(ref, float(self._second[row]), float(self._spot[row])) for row in range(low, high) if not np.isnan(self._spot[row])]
        return sorted(found, key=lambda change: (change.at, change.pool))

    def _in_force(self, figures: Floats, cloud: str, region: str, at: float) -> Floats:
        count = len(self.pools(cloud, region))
        if not count:
            return np.zeros(0)
        bases = (self._first[cloud, region] + np.arange(count, dtype=np.int64)) * _STRIDE
        rows = np.searchsorted(self._axis, bases + int(at), side="right") - 1
        begun = (rows >= 0) & (self._axis[rows] >= bases)
        return np.where(begun, figures[rows], np.nan)
