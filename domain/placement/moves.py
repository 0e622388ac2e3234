"""What a move costs, over which time it must pay, and whether it may be made now.

The horizon. A saving is counted for as long as it may be expected to last, which ends at the earliest of three: the reign of the cheapest region
(measured; ``Settings.reign_hours``), the end of a temporary workload, and the interruption that the present machine would meet anyway, in the mean
after one over its rate: that interruption is itself a chance to place the workload anew, so a move made now only buys the time until then. One
horizon holds for all candidates of a workload, so that their totals can be compared: staying costs H x c, moving H x e + m, and the least total wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.offers import Floats
from domain.placement.plan import Current, Demand, Reason, Settings
from domain.placement.score import Market


def horizon_hours(now: datetime, ends_at: datetime | None, interruptions_per_hour: float | None, settings: Settings) -> float:
    """Hours over which a saving counts; at least the overlap, for less could never pay. No rate where nothing runs or it is lost already."""
    hours = settings.reign_hours
    if ends_at is not None:
        hours = min(hours, (ends_at - now) / timedelta(hours=1))
    if interruptions_per_hour:
        hours = min(hours, 1.0 / interruptions_per_hour)
    return max(hours, settings.overlap_hours, 1e-6)


def move_costs(market: Market, demand: Demand, current: Current, present_usd_per_hour: float) -> Floats:
    """USD for a move to each offer: the state's way out of the present region, and the present machine for as long as both run."""
    carry = demand.rules.state_gib * market.transfer(current.offer[:3])
    return np.asarray(carry + market.problem.settings.overlap_hours * present_usd_per_hour, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a price move may be made: None, or the word and sentence that hold it back."""

    reason: Reason | None
    detail: str = ""


def gate(demand: Demand, current: Current, now: datetime, saving_usd: float, share: float) -> Gate:
    """Threshold, dwell and budget, in that order: what is too small to matter isn't worth waiting for."""
    rules = demand.rules
    if saving_usd <= 0 or share < rules.threshold:
        return Gate(Reason.BELOW_THRESHOLD, f"would save {share:.1%} net, less than the {rules.threshold:.0%} asked for")
    served = (now - current.since) / timedelta(hours=1)
    if served < rules.dwell_hours:
        return Gate(Reason.DWELL, f"has served for {served:.1f} h of the {rules.dwell_hours:g} h that a placement stays")
    if demand.moves_in_30_days >= rules.moves_per_30_days:
        return Gate(Reason.MOVE_BUDGET, f"has used {demand.moves_in_30_days} of the {rules.moves_per_30_days} price moves of 30 days")
    return Gate(None)
