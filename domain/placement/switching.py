"""When a cheaper offer is worth a move: the rule, derived, with nothing in it that was fitted to a series of prices.

Two questions, and both must be answered with yes.

**Is the gap wide enough?** Let D be what the present machine costs more than the best other one, in USD/h, m what a move costs once, in USD, and let D
wander without a drift, its variance growing by v each hour. Move when D reaches d; the new gap then starts at -d. Where the density of D about 0 is r,
a share of r (d - x) / 2d of the time is spent on the dearer side at x in [0, d], so that waiting costs r d²/6 an hour over both directions, and
moves happen v r / 2d times an hour. The sum ``r d²/6 + m v r / 2d`` is least at::

    d = (3/2 · m · v)^(1/3)

the cube-root law of an inaction band under a fixed cost (Dixit, "A simplified treatment of the theory of optimal regulation of Brownian motion", J.
Econ. Dynamics and Control 15, 1991; Whalley and Wilmott, Math. Finance 7, 1997, for trade). r has fallen out: only the move's cost and the prices' volatility
count. Dear moves and restless prices ask for a wider gap. Scaling all prices by s scales m and √v and so d by s.

**Has it lasted?** The best of many offers is often best by chance, and prices that come back make a move twice. Staying has cost ``∫ D dt`` since the
workload came: the *regret*. A move is made only when that regret has reached ``patience`` times the move's cost. This is the rent-or-buy argument (Karlin,
Manasse, Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3, 1988): with patience 1 nobody who doesn't know the future can do better in the worst
case, for what is lost by waiting equals what the move costs. A larger patience p buys calm: over any time, whatever the prices do, all moves together
cost at most 1/p of the regret that was paid, and no two moves follow each other in less than p m / D hours. 5 bounds churn to a fifth of what it recovers.
It is also a dwell time, which needs no clock: wide gaps are followed soon, narrow ones late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Regret:
    """What staying has cost above the cheapest that might have been used: ``usd`` until ``at``, and ``usd_per_hour`` from then on."""

    usd: float
    usd_per_hour: float
    at: datetime

    def until(self, now: datetime) -> float:
        """USD at ``now``; a clock that runs back adds nothing."""
        return self.usd + self.usd_per_hour * max((now - self.at) / timedelta(hours=1), 0.0)


def worthwhile_gap(move_usd: float, variance_per_hour: float) -> float:
    """The least gap in USD/h that is worth a move of ``move_usd``, where the gap's variance grows by ``variance_per_hour`` (USD/h)² each hour."""
    return float((1.5 * move_usd * variance_per_hour) ** (1.0 / 3.0))
