"""The offers that lost, and why: what a person asks who sees a decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from domain.placement.capacity import Record
from domain.placement.plan import Alternative, Demand, Reason, Trigger
from domain.placement.score import REFUSALS, USABLE, Market
from domain.placement.segment import Ranking, Segment
from domain.prices import Unknown
from domain.spend import tightest

DETAILS: dict[Reason, str] = {
    Reason.TOO_SMALL: "the machine is smaller than asked for, or of another kind",
    Reason.OUTSIDE_BOUNDARY: "the region is outside the tenant's boundary",
    Reason.OUTSIDE_RULES: "the owner asked for other clouds or regions",
    Reason.PEER: "another machine of it is in that zone, or in one that fails together with it",
    Reason.EXCLUDED: "not tried again now",
    Reason.NO_CAPACITY: "the cloud has refused it recently for lack of capacity",
    Reason.UNKNOWN_PRICE: "its spot price isn't known",
    Reason.OVER_CAP: "its spot price is above the cap",
    Reason.OVER_MONTH_CAP: "its spot price, to the month's end, is above a monthly cap",
    Reason.STALE_PRICE: "its quote is past its limit, or held in doubt",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The offer of a verdict: its position, its total over the horizon in hours, and whether the workload runs there already."""

    row: int
    total: float
    horizon: float
    stays: bool = False


def told(ranking: Ranking, demand: Demand, outcome: Outcome | None, held: tuple[int, Reason, str] | None, count: int) -> tuple[Alternative, ...]:
    """The best that lost, one a region: the cheapest few of the right size, then the cheapest of each reason that isn't among them.

    ``held`` is the offer that would have won, had a gate not held it back; it comes first.
    """
    segment, place = ranking.segment, ranking.segment.market.columns.place
    total, horizon = (outcome.total, outcome.horizon) if outcome is not None else (0.0, 1.0)
    rows = [held[0]] if held is not None else []
    seen = {int(place[row]) for row in rows} | ({int(place[outcome.row])} if outcome is not None else set())
    groups: list[int] = [-1] * len(rows)
    order = np.argsort(ranking.totals, kind="stable")
    known = order[: int(np.isfinite(ranking.totals).sum())]
    for group in known:
        if len(rows) >= count:
            break
        if int(segment.place[group]) not in seen:
            seen.add(int(segment.place[group]))
            rows.append(ranking.row_of(int(group)))
            groups.append(int(group))
    shown = {int(segment.codes[row]) for row in rows}
    codes = segment.code[known]
    for code in range(1, int(USABLE) + 1):
        if code not in shown and len(first := np.flatnonzero(codes == code)):
            group = int(known[first[0]])
            row = ranking.row_of(group)
            if outcome is None or row != outcome.row:
                rows.append(row)
                groups.append(group)
    found = []
    for row, group in zip(rows, groups, strict=True):
        if held is not None and row == held[0]:
            found.append(Alternative(segment.market.columns.offers[row].ref, _price(segment, demand, row), held[1], held[2]))
        else:
            found.append(of_row(segment, demand, row, float(ranking.totals[group] - total) / horizon, horizon, _scarcer(ranking, outcome, row) / horizon))
    lost = _lost(segment, demand)
    return tuple(found) if lost is None else (*found, lost)


def of_row(segment: Segment, demand: Demand, row: int, more: float, horizon: float, scarcer: float = 0.0) -> Alternative:
    """Offer ``row``, which would cost ``more`` USD/h, its move spread over the horizon; ``scarcer`` of that for refusals that are likelier than the other's."""
    offer, code = segment.market.columns.offers[row], segment.codes[row]
    price = _price(segment, demand, row)
    if code == USABLE and more < scarcer:
        less = f"costs {scarcer - more:.2g} USD/h less, and likelier refusals {scarcer:.2g} USD/h more: {capacity(segment.market, row)}"
        return Alternative(offer.ref, price, Reason.SCARCER, less)
    if code == USABLE:
        return Alternative(offer.ref, price, Reason.DEARER, f"costs {more:.4f} USD/h more, its move spread over {horizon:.0f} h")
    reason = REFUSALS[code]
    why = DETAILS[reason]
    if reason is Reason.OUTSIDE_BOUNDARY:
        why = demand.boundary(offer.ref.cloud, offer.ref.region) or why
    elif reason is Reason.EXCLUDED:
        why = demand.excluded.get(offer.ref, why)
    elif reason is Reason.OVER_MONTH_CAP and (cap := tightest(demand.caps)) is not None:
        why = cap.spending.sentence(cap.own_usd_per_hour, float(segment.market.columns.spot[row]))
    elif reason is Reason.STALE_PRICE:
        why = offer.quote.doubtful or why
    return Alternative(offer.ref, price, reason, why)


def capacity(market: Market, row: int) -> str:
    """The chance that offer ``row`` is refused, and what it rests on, as a sentence."""
    score, record = market.columns.offers[row].quote.score, market.record(row)
    told = "its cloud says nothing of its capacity" if score is None else f"its cloud says {score.says}, {score.grade.value} ({score.source})"
    ours = "" if record == Record() else f", and of late it was refused {record.refused:.1f} times and had {record.launched:.1f} times"
    return f"refused {market.chance(row):.0%} of the times, for {told}{ours}"


def _scarcer(ranking: Ranking, outcome: Outcome | None, row: int) -> float:
    """USD that refusals of offer ``row`` cost more than the outcome's; what stays asks for nothing."""
    if outcome is None:
        return 0.0
    odds = ranking.segment.market.odds
    return ranking.refusal_usd * float(odds[row] - (0.0 if outcome.stays else odds[outcome.row]))


def _price(segment: Segment, demand: Demand, row: int) -> float | Unknown:
    figure = float(segment.market.expected(demand.rules, slice(row, row + 1))[0])
    return figure if figure != float("inf") else Unknown("no spot price")


def _lost(segment: Segment, demand: Demand) -> Alternative | None:
    """The machine that is being taken back, which no ranking shows."""
    if demand.current is None or demand.trigger is not Trigger.INTERRUPTION:
        return None
    row = segment.market.columns.positions.get(demand.current.offer)
    return None if row is None else Alternative(demand.current.offer, _price(segment, demand, row), Reason.EXCLUDED, "its machine is being taken back")
