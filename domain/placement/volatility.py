"""How restless prices are: the variance that the logarithm of a price gains in an hour, measured from what was recorded.

Measured over a week, not from change to change: clouds smooth their prices into many small steps of one direction, whose daily squares say too little
about where a price stands after the time that matters between two moves (the long-run variance; Lo and MacKinlay, Rev. Financial Studies 1, 1988).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from domain.offers import Floats

LAG_HOURS = 168.0
_LEAST_PAIRS = 8
"""Fewer pairs than that say nothing; the measured figure of the cloud is used."""


@dataclass(frozen=True, slots=True)
class Volatility:
    """Variance of log price per hour, by cloud; ``other`` where a cloud isn't named."""

    by_cloud: Mapping[str, float] = field(default_factory=dict)
    other: float = 1.2e-5

    def of(self, cloud: str) -> float:
        """Of one cloud's prices."""
        return self.by_cloud.get(cloud, self.other)


MEASURED = Volatility({"aws": 1.2e-5, "azure": 2.2e-5, "gcp": 0.4e-5})
"""Of 2023: AWS 1.7 % in a day's square root (64 types, 22 regions, weekly differences); Azure at most 2.3 %, GCP 1 %, from their steps at month starts."""


def measure(hours: Floats, prices: Floats, lag_hours: float = LAG_HOURS) -> float | None:
    """Variance of log price per hour, pooled over the columns of ``prices`` (rows: moments ``hours``, ascending; NaN where not sold); None if too few."""
    if len(hours) < 2:
        return None
    later = np.searchsorted(hours, hours + lag_hours)
    rows = np.flatnonzero(later < len(hours))
    if len(rows) < _LEAST_PAIRS:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.log(prices[later[rows]]) - np.log(prices[rows])
    spans = np.broadcast_to((hours[later[rows]] - hours[rows])[:, np.newaxis], steps.shape)
    told = np.isfinite(steps)
    if int(told.sum()) < _LEAST_PAIRS:
        return None
    return float(np.mean(steps[told] ** 2 / spans[told]))
