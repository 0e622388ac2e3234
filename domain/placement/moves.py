"""What a move costs, over which time it must pay, and whether it may be made now.

The horizon. A saving is counted for as long as it may be expected to last, which ends at the earliest of three: the reign of the cheapest region
(measured; ``Settings.reign_hours``), the end of a temporary workload, and the interruption that the present machine would meet anyway, in the mean
after one over its rate: that interruption is itself a chance to place the workload anew, so a move made now only buys the time until then. One
horizon holds for all candidates of a workload, so that their totals can be compared: staying costs H x c, moving H x e + m, and the least total wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.placement.plan import Current, Demand, Hurdle, MoveCost, Reason, Settings
from domain.placement.switching import Regret, worthwhile_gap


def horizon_hours(now: datetime, ends_at: datetime | None, interruptions_per_hour: float | None, settings: Settings) -> float:
    """Hours over which a saving counts; at least the overlap, for less could never pay. No rate where nothing runs or it is lost already."""
    hours = settings.reign_hours
    if ends_at is not None:
        hours = min(hours, (ends_at - now) / timedelta(hours=1))
    if interruptions_per_hour:
        hours = min(hours, 1.0 / interruptions_per_hour)
    return max(hours, settings.overlap_hours, 1e-6)


@dataclass(frozen=True, slots=True)
class Gap:
    """The best move by price: what it costs, the present and the new expected USD/h, and the saving over the horizon as a share of staying."""

    cost: MoveCost
    present: float
    best: float
    share: float
    variance_per_hour: float
    """Of the difference between the two prices, (USD/h)²."""

    @property
    def usd_per_hour(self) -> float:
        """What staying costs more."""
        return self.present - self.best


def regret_of(current: Current, now: datetime, usd_per_hour: float) -> Regret:
    """What staying has cost too much until now, and costs from now on."""
    paid = current.regret.until(now) if current.regret is not None else 0.0
    return Regret(paid, max(usd_per_hour, 0.0), now)


def hurdle(demand: Demand, current: Current, now: datetime, gap: Gap, settings: Settings) -> Hurdle:
    """What the move has to clear. Where the owner asks for a threshold or a dwell time, that stands in for the derived one."""
    rules = demand.rules
    least = worthwhile_gap(gap.cost.usd, gap.variance_per_hour) if rules.threshold is None else 0.0
    patience = settings.patience * gap.cost.usd if rules.dwell_hours is None else 0.0
    served = (now - current.since) / timedelta(hours=1)
    left = 0.0 if rules.dwell_hours is None else max(rules.dwell_hours - served, 0.0)
    regret = regret_of(current, now, gap.usd_per_hour)
    if rules.dwell_hours is None and regret.usd_per_hour > 0:
        left = max(patience - regret.usd, 0.0) / regret.usd_per_hour
    return Hurdle(least, gap.usd_per_hour, patience, regret, left)


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a price move may be made: None, or the word and sentence that hold it back."""

    reason: Reason | None
    detail: str = ""


def gate(demand: Demand, current: Current, now: datetime, gap: Gap, cleared: Hurdle) -> Gate:
    """Threshold, dwell and budget, in that order: what is too small to matter isn't worth waiting for."""
    rules = demand.rules
    if gap.share <= 0 or gap.usd_per_hour < cleared.gap_usd_per_hour:
        why = f"costs {gap.usd_per_hour:.4f} USD/h more than the best; with a move at {gap.cost.usd:.2f} USD and prices as restless as these,"
        return Gate(Reason.BELOW_THRESHOLD, f"{why} {cleared.gap_usd_per_hour:.4f} is the least that is worth one")
    if rules.threshold is not None and gap.share < rules.threshold:
        return Gate(Reason.BELOW_THRESHOLD, f"would save {gap.share:.1%} net, less than the {rules.threshold:.0%} asked for")
    if rules.dwell_hours is not None:
        served = (now - current.since) / timedelta(hours=1)
        if served < rules.dwell_hours:
            return Gate(Reason.DWELL, f"has served for {served:.1f} h of the {rules.dwell_hours:g} h that a placement stays")
    elif cleared.regret.usd < cleared.regret_usd:
        paid = f"staying has cost {cleared.regret.usd:.2f} USD too much so far; a move waits until it is {cleared.regret_usd:.2f}"
        return Gate(Reason.DWELL, f"{paid}, in {cleared.dwell_left_hours:.0f} h if the gap lasts")
    if demand.moves_in_30_days >= rules.moves_per_30_days:
        return Gate(Reason.MOVE_BUDGET, f"has used {demand.moves_in_30_days} of the {rules.moves_per_30_days} price moves of 30 days")
    return Gate(None)
