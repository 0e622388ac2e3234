"""How restless each cloud's prices are, measured once a day of the market's clock from the quotes that were recorded."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from automation.service.history import QuoteHistory
from domain.catalog import CLOUDS
from domain.offers import Floats
from domain.placement.volatility import MEASURED, Volatility, measure

_BACK = timedelta(days=90)
"""As far as the clouds' own price histories go."""
_AGAIN = timedelta(days=1)
_POOLS = 200
"""So many pools of a cloud say what its prices do; more would only be slower."""
_STEP_HOURS = 6.0


class Restlessness:
    """Keeps what it measured last. Where too little is recorded yet, the figures of the domain stand in."""

    def __init__(self, history: QuoteHistory) -> None:
        self._history = history
        self._kept: tuple[datetime, Volatility] | None = None

    def at(self, market_now: datetime) -> Volatility:
        """Of each cloud, at ``market_now``."""
        if self._kept is None or market_now - self._kept[0] >= _AGAIN:
            measured: dict[str, float] = {cloud: found for cloud in CLOUDS if (found := measure(*self._grid(cloud, market_now))) is not None}
            self._kept = (market_now, Volatility({**MEASURED.by_cloud, **measured}))
        return self._kept[1]

    def _grid(self, cloud: str, market_now: datetime) -> tuple[Floats, Floats]:
        """Hours, and the spot price of each pool then; not a number before its first quote."""
        changes = self._history.changes(cloud, market_now - _BACK, market_now, _POOLS)
        if not changes:
            return np.zeros(0), np.zeros((0, 0))
        first = min(moments[0] for moments, _ in changes)
        hours = np.arange(max(first, (market_now - _BACK).timestamp()) / 3600, market_now.timestamp() / 3600 + 1e-9, _STEP_HOURS)
        columns = []
        for moments, prices in changes:
            at = np.searchsorted(np.array(moments) / 3600, hours, side="right") - 1
            columns.append(np.where(at >= 0, np.array(prices)[at], np.nan))
        return hours, np.column_stack(columns)
