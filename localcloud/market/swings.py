"""Slow swings of log prices: sums of sines whose periods and phases follow from keys, so that any moment can be asked for by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from localcloud.market.noise import Floats, Keys, uniform


class Band(NamedTuple):
    """One sine of a swing: its share of the swing's variance, and the shortest and longest of its periods in days."""

    share: float
    shortest: float
    longest: float


class Swing:
    """What things of one kind (regions, families, pools) do each by itself: ``deviation`` is that of the log price over years."""

    def __init__(self, of: Keys, deviation: float, bands: tuple[Band, ...]) -> None:
        self._waves = [
            (
                deviation * (2.0 * band.share) ** 0.5,
                2 * np.pi / (band.shortest + (band.longest - band.shortest) * uniform(of, number, 8)),
                2 * np.pi * uniform(of, number, 9),
            )
            for number, band in enumerate(bands)
        ]

    def at(self, days: Floats) -> Floats:
        """The log of the factor on each key's price; ``days`` (since the epoch) has one column a key, or one for all."""
        total = np.zeros(1)
        for amplitude, pace, phase in self._waves:
            total = total + amplitude * np.sin(pace * days + phase)
        return total
