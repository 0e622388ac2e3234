"""Monthly caps over a whole plan: of verdicts that are each within a cap, no more than fit into it together.

What lowers a month's spend is never held back, and makes no room either: it may yet fail. What raises it (a first placement, a dearer machine after an
interruption) takes of the room that is left, in the order of the workloads' ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.placement.plan import Alternative, Demand, Deploy, Move, NoOffer, Reason, Stay, Verdict
from domain.prices import known
from domain.spend import Spending, tightest

_SLACK = 1e-12
"""Of the sums' own rounding, in USD/h."""


def keeps(demand: Demand, verdict: Verdict) -> bool:
    """Whether the machine of a verdict is within each of the demand's caps, by itself. Nothing placed keeps every cap."""
    cap = tightest(demand.caps)
    price = _usd_per_hour(verdict)
    return cap is None or price is None or price <= cap.most_usd_per_hour


def lowers(demand: Demand, verdict: Verdict) -> bool:
    """Whether the verdict moves the workload to a machine that costs no more than the present one."""
    cap, price = tightest(demand.caps), _usd_per_hour(verdict)
    return isinstance(verdict, Move) and cap is not None and price is not None and price <= cap.own_usd_per_hour


def together(demands: Sequence[Demand], verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts, those refused for which no room is left. ``demands`` and ``verdicts`` are in one order."""
    room: dict[str, float] = {}
    admitted = list(verdicts)
    for at in sorted((at for at, one in enumerate(demands) if one.caps), key=lambda at: demands[at].workload):
        demand, verdict = demands[at], verdicts[at]
        raises = list(_raises(demand, verdict))
        lacking = next((one for one in raises if one.usd_per_hour > room.get(one.spending.owner, _room(one.spending)) + _SLACK), None)
        if lacking is not None and isinstance(verdict, Deploy | Move):
            admitted[at] = _refused(verdict, demand, lacking)
            continue
        for one in raises:
            room[one.spending.owner] = room.get(one.spending.owner, _room(one.spending)) - one.usd_per_hour
    return tuple(admitted)


@dataclass(frozen=True, slots=True)
class _Raise:
    """By how much a verdict raises what one owner pays per hour."""

    spending: Spending
    usd_per_hour: float


def _raises(demand: Demand, verdict: Verdict) -> Iterator[_Raise]:
    price = _usd_per_hour(verdict) if isinstance(verdict, Deploy | Move) else None
    for cap in demand.caps if price is not None else ():
        more = (price or 0.0) - cap.own_usd_per_hour
        if more > 0:
            yield _Raise(cap.spending, more)


def _room(spending: Spending) -> float:
    return spending.most_usd_per_hour - spending.usd_per_hour


def _usd_per_hour(verdict: Verdict) -> float | None:
    """The spot price of the machine that the verdict leaves the workload with; None without one, or where nobody knows it."""
    if isinstance(verdict, Deploy | Move):
        return known(verdict.evidence.quote.spot)
    if isinstance(verdict, Stay) and verdict.evidence is not None and verdict.evidence.current_quote is not None:
        return known(verdict.evidence.current_quote.spot)
    return None


def _refused(verdict: Deploy | Move, demand: Demand, lacking: _Raise) -> Verdict:
    own = next(cap.own_usd_per_hour for cap in demand.caps if cap.spending is lacking.spending)
    alone = lacking.spending.sentence(own, own + lacking.usd_per_hour)
    why = f"{verdict.offer.id}: {alone}, beside what is placed now"
    if isinstance(verdict, Move) and verdict.reason in (Reason.CHEAPEST, Reason.REDEPLOY):  # nothing forces it: it may stay
        return Stay(verdict.workload, Reason.OVER_MONTH_CAP, why, verdict.evidence)
    evidence = verdict.evidence
    lost = Alternative(verdict.offer, evidence.expected_usd_per_hour, Reason.OVER_MONTH_CAP, alone)
    return NoOffer(verdict.workload, Reason.OVER_MONTH_CAP, why, evidence.considered, evidence.counts, (lost, *evidence.alternatives))
