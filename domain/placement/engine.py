"""The placement engine: exact, pure and deterministic. For every workload the least total cost over its horizon among the offers that it may use.

Ties break by offer id. Only :class:`Problem` decides: the same problem gives the same plan, whatever the order of its offers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from domain.catalog import OfferRef
from domain.offers import Floats, Mask, age_seconds
from domain.placement import moves
from domain.placement.plan import (
    Alternative,
    Current,
    Demand,
    Deploy,
    Evidence,
    Move,
    NoOffer,
    PlacementPlan,
    Problem,
    Reason,
    Stay,
    Trigger,
    Verdict,
)
from domain.placement.score import REFUSALS, STALE, USABLE, Codes, Market
from domain.prices import Unknown

_DETAILS: dict[Reason, str] = {
    Reason.TOO_SMALL: "the machine is smaller than asked for, or of another kind",
    Reason.OUTSIDE_BOUNDARY: "the region is outside the tenant's boundary",
    Reason.OUTSIDE_RULES: "the owner asked for other clouds or regions",
    Reason.EXCLUDED: "not tried again now",
    Reason.NO_CAPACITY: "the cloud has refused it recently for lack of capacity",
    Reason.UNKNOWN_PRICE: "its spot price isn't known",
    Reason.OVER_CAP: "its spot price is above the cap",
    Reason.STALE_PRICE: "its quote is past its limit, or held in doubt",
}


def plan(problem: Problem) -> PlacementPlan:
    """One verdict for each demand."""
    market = Market(problem)
    return PlacementPlan(problem.market_now, tuple(_Case(market, demand).verdict() for demand in problem.demands))


@dataclass
class _Case:
    """One workload before the market."""

    market: Market
    demand: Demand

    def __post_init__(self) -> None:
        market, demand = self.market, self.demand
        self.now: datetime = market.problem.market_now
        self.settings = market.problem.settings
        self.expected: Floats = market.expected(demand.rules)
        self.codes: Codes = market.codes(demand)
        lost = demand.current is not None and demand.trigger is Trigger.INTERRUPTION
        if lost and demand.current is not None and demand.current.offer in market.columns.positions:
            at = market.columns.positions[demand.current.offer]
            self.codes = self.codes.copy()
            self.codes[at] = min(self.codes[at], np.int8(REFUSALS.index(Reason.EXCLUDED)))
        if len(market.selected) != market.size:
            outside = np.ones(market.size, dtype=np.bool_)
            outside[market.selected] = False
            self.codes = np.where(outside, np.int8(REFUSALS.index(Reason.TOO_SMALL)), self.codes)
            self.expected = np.where(outside, np.nan, self.expected)

    def verdict(self) -> Verdict:
        demand, current = self.demand, self.demand.current
        if current is None:
            return self._deploy()
        if demand.trigger is Trigger.INTERRUPTION:
            return self._forced(current, Reason.INTERRUPTED, "its machine is being taken back")
        if demand.trigger is Trigger.UNHEALTHY:
            return self._forced(current, Reason.UNHEALTHY, "its machine fails its probes")
        if fault := self._fault_of(current):
            return self._forced(current, fault, f"it runs where it may not: {_DETAILS[fault]}")
        if demand.trigger is Trigger.REQUESTED:
            return self._requested(current)
        if demand.trigger is Trigger.REDEPLOY:
            return self._redeployed(current)
        return self._by_price(current)

    # The ways to a verdict

    def _deploy(self) -> Verdict:
        wanted = self._wanted()
        usable = (self.codes == USABLE) & wanted
        best = _least(self.expected, usable)
        if best is None:
            return self._no_offer(wanted)
        asked = self.demand.requested is not None
        horizon = moves.horizon_hours(self.now, self.demand.ends_at, None, self.settings)
        reason, detail = (Reason.REQUESTED, "asked for") if asked else (Reason.FIRST_PLACEMENT, "the cheapest that it may use")
        evidence = self._evidence(best, None, None, 0.0, horizon, horizon * self.expected)
        return Deploy(self.demand.workload, self._ref(best), reason, detail, evidence)

    def _by_price(self, current: Current) -> Verdict:
        present = self._present(current)
        if present is None:
            return Stay(self.demand.workload, Reason.UNKNOWN_PRICE, f"the price of {current.offer.id} isn't known, so no saving can be", None)
        at, rate = present
        if not self.market.fresh[at]:
            quote = self.market.columns.offers[at].quote
            return Stay(self.demand.workload, Reason.STALE_PRICE, quote.doubtful or f"the quote of {current.offer.id} is past its limit", None)
        horizon = moves.horizon_hours(self.now, self.demand.ends_at, float(self.market.rates[at]), self.settings)
        costs = moves.move_costs(self.market, self.demand, current, rate)
        totals = horizon * self.expected + costs
        usable = self.codes == USABLE
        usable[at] = False
        best = _least(totals, usable)
        if self._code(at) is Reason.OVER_CAP and best is not None:
            return self._move(current, best, Reason.OVER_CAP, "its spot price rose above the cap", rate, costs, horizon, totals)
        if best is None or totals[best] >= horizon * rate:
            detail = "nothing that it may use costs less, the move counted in"
            return Stay(self.demand.workload, Reason.CHEAPEST, detail, self._evidence(at, at, rate, 0.0, horizon, totals))
        saving = float(horizon * rate - totals[best])
        held = moves.gate(self.demand, current, self.now, saving, saving / (horizon * rate))
        if held.reason is not None:
            evidence = self._evidence(at, at, rate, 0.0, horizon, totals, (best, held.reason, held.detail))
            return Stay(self.demand.workload, held.reason, held.detail, evidence)
        detail = f"saves {saving:.2f} USD net in {horizon:.0f} h ({saving / (horizon * rate):.0%})"
        return self._move(current, best, Reason.CHEAPEST, detail, rate, costs, horizon, totals)

    def _requested(self, current: Current) -> Verdict:
        """A person's move: no threshold, dwell or budget; boundary, cap and freshness hold."""
        wanted = self._wanted()
        if current.offer in self.market.columns.positions:
            wanted[self.market.columns.positions[current.offer]] = False
        usable = (self.codes == USABLE) & wanted
        return self._leave(current, Reason.REQUESTED, "asked for", usable, wanted)

    def _redeployed(self, current: Current) -> Verdict:
        """A new machine for a changed declaration: on the offer that it has where that may still be used, since what has changed isn't the market."""
        usable = self.codes == USABLE
        at = self.market.columns.positions.get(current.offer)
        if at is not None and usable[at]:
            usable = np.zeros(self.market.size, dtype=np.bool_)
            usable[at] = True
        return self._leave(current, Reason.REDEPLOY, "its declaration has changed", usable, np.ones(self.market.size, dtype=np.bool_))

    def _forced(self, current: Current, reason: Reason, detail: str) -> Verdict:
        """A move that can't wait for a price: fresh quotes if there are any, else the last known."""
        usable = self.codes == USABLE
        if not usable.any():
            usable = self.codes == STALE
        return self._leave(current, reason, detail, usable, np.ones(self.market.size, dtype=np.bool_))

    def _leave(self, current: Current, reason: Reason, detail: str, usable: Mask, wanted: Mask) -> Verdict:
        present = self._present(current)
        at, rate = present if present is not None else (None, None)
        lost = self.demand.trigger in (Trigger.INTERRUPTION, Trigger.UNHEALTHY)
        stays = None if lost or at is None else float(self.market.rates[at])
        horizon = moves.horizon_hours(self.now, self.demand.ends_at, stays, self.settings)
        costs = moves.move_costs(self.market, self.demand, current, rate or 0.0)
        totals = horizon * self.expected + costs
        best = _least(totals, usable)
        if best is None:
            return self._no_offer(wanted)
        return self._move(current, best, reason, detail, rate, costs, horizon, totals)

    # What a verdict is made of

    def _move(self, current: Current, best: int, reason: Reason, detail: str, rate: float | None, costs: Floats, horizon: float, totals: Floats) -> Move:
        at = self.market.columns.positions.get(current.offer)
        evidence = self._evidence(best, at, rate, float(costs[best]), horizon, totals)
        return Move(self.demand.workload, self._ref(best), current.placement, self.demand.trigger, reason, detail, evidence)

    def _evidence(
        self,
        chosen: int,
        at: int | None,
        rate: float | None,
        move_cost: float,
        horizon: float,
        totals: Floats,
        held: tuple[int, Reason, str] | None = None,
    ) -> Evidence:
        columns = self.market.columns
        total = horizon * float(self.expected[chosen]) + move_cost
        saving = None if rate is None else horizon * rate - total
        return Evidence(
            market_now=self.now,
            quote=columns.offers[chosen].quote,
            quote_age_seconds=age_seconds(float(columns.observed[chosen]), self.now),
            current_quote=columns.offers[at].quote if at is not None else None,
            expected_usd_per_hour=float(self.expected[chosen]),
            parts=self.market.parts(self.demand.rules, chosen),
            current_usd_per_hour=rate,
            move_cost_usd=move_cost,
            horizon_hours=horizon,
            net_saving_usd=saving,
            net_saving_share=None if saving is None or not rate else saving / (horizon * rate),
            considered=len(self.market.selected),
            counts=self._counts(),
            alternatives=self._alternatives(chosen, total, totals, horizon, held),
            stale=not bool(self.market.fresh[chosen]),
        )

    def _no_offer(self, wanted: Mask) -> NoOffer:
        alternatives = self._alternatives(None, 0.0, self.expected, 1.0, None, wanted)
        asked = self.demand.requested
        if alternatives:
            reason, detail = alternatives[0].reason, f"the cheapest, {alternatives[0].offer.id}: {alternatives[0].detail}"
        elif asked is None:
            reason, detail = Reason.TOO_SMALL, "no machine of the size asked for is quoted in any region"
        elif asked not in self.market.columns.positions:
            reason, detail = Reason.UNKNOWN_PRICE, f"nobody quotes {asked.id}"
        else:
            refused = self._code(self.market.columns.positions[asked]) or Reason.CHEAPEST
            reason, detail = refused, f"{asked.id}: {_DETAILS.get(refused, 'it runs there already')}"
        return NoOffer(self.demand.workload, reason, detail, len(self.market.selected), self._counts(), alternatives)

    def _alternatives(
        self, chosen: int | None, total: float, totals: Floats, horizon: float, held: tuple[int, Reason, str] | None, wanted: Mask | None = None
    ) -> tuple[Alternative, ...]:
        """The best that lost, one per region: the cheapest few of the right size, then the cheapest of each reason that isn't among them."""
        ranked = np.where(self.codes == 0, np.nan, totals)
        if wanted is not None:
            ranked = np.where(wanted, ranked, np.nan)
        if chosen is not None:
            ranked[chosen] = np.nan
        rows = [held[0]] if held is not None else []
        seen = {self.market.columns.place[row] for row in rows} | ({self.market.columns.place[chosen]} if chosen is not None else set())
        for row in _lowest(ranked, 8 * self.settings.alternatives):
            if len(rows) >= self.settings.alternatives:
                break
            if (place := self.market.columns.place[row]) not in seen:
                seen.add(place)
                rows.append(row)
        told = {self.codes[row] for row in rows}
        for code in range(1, int(USABLE) + 1):
            sample = _least(ranked, self.codes == code) if code not in told else None
            if sample is not None:
                rows.append(sample)
        return tuple(self._alternative(row, float(totals[row] - total) / horizon, horizon, held) for row in rows)

    def _alternative(self, row: int, more: float, horizon: float, held: tuple[int, Reason, str] | None) -> Alternative:
        """Offer ``row``, which would cost ``more`` USD/h, its move spread over the horizon."""
        offer = self.market.columns.offers[row]
        rate = float(self.expected[row])
        price = Unknown("no spot price") if np.isnan(rate) else rate
        if held is not None and row == held[0]:
            return Alternative(offer.ref, price, held[1], held[2])
        if self.codes[row] == USABLE:
            return Alternative(offer.ref, price, Reason.DEARER, f"costs {more:.4f} USD/h more, its move spread over {horizon:.0f} h")
        reason = REFUSALS[self.codes[row]]
        why = _DETAILS[reason]
        if reason is Reason.OUTSIDE_BOUNDARY:
            why = self.demand.boundary(offer.ref.cloud, offer.ref.region) or why
        elif reason is Reason.EXCLUDED:
            why = self.demand.excluded.get(offer.ref, why)
        elif reason is Reason.STALE_PRICE:
            why = offer.quote.doubtful or why
        return Alternative(offer.ref, price, reason, why)

    def _counts(self) -> dict[str, int]:
        numbers = np.bincount(self.codes[self.market.selected], minlength=len(REFUSALS) + 1)
        counts = {reason.value: int(number) for reason, number in zip(REFUSALS, numbers, strict=False) if number}
        return {"usable": int(numbers[USABLE]), **counts}

    def _present(self, current: Current) -> tuple[int, float] | None:
        """Where the present offer stands and what it is expected to cost; None where that isn't known."""
        at = self.market.columns.positions.get(current.offer)
        if at is None:
            return None
        rate = float(self.market.expected(self.demand.rules)[at])
        return None if np.isnan(rate) else (at, rate)

    def _fault_of(self, current: Current) -> Reason | None:
        """What forbids the present offer for good; a cap or a lack of capacity doesn't end what runs."""
        if self.demand.boundary(current.offer.cloud, current.offer.region) is not None:
            return Reason.OUTSIDE_BOUNDARY
        if not self.demand.rules.asks_for(current.offer.cloud, current.offer.region):
            return Reason.OUTSIDE_RULES
        at = self.market.columns.positions.get(current.offer)
        if at is not None and not self.demand.needs.fits(self.market.columns.offers[at].machine):
            return Reason.TOO_SMALL
        return None

    def _wanted(self) -> Mask:
        """The offers that are asked for: all, or the one that a person named."""
        asked = self.demand.requested
        if asked is None:
            return np.ones(self.market.size, dtype=np.bool_)
        wanted = np.zeros(self.market.size, dtype=np.bool_)
        if asked in self.market.columns.positions:
            wanted[self.market.columns.positions[asked]] = True
        return wanted

    def _code(self, at: int) -> Reason | None:
        return None if self.codes[at] == USABLE else REFUSALS[self.codes[at]]

    def _ref(self, at: int) -> OfferRef:
        return self.market.columns.offers[at].ref


def _least(figures: Floats, allowed: Mask) -> int | None:
    """Position of the least known figure that is allowed; the first of equals."""
    candidates = np.where(allowed, figures, np.nan)
    if candidates.size == 0 or np.isnan(candidates).all():
        return None
    return int(np.nanargmin(candidates))


def _lowest(figures: Floats, count: int) -> list[int]:
    """Positions of the ``count`` lowest known figures, in order, the first of equals first."""
    known = np.flatnonzero(~np.isnan(figures))
    if len(known) > count:
        bound = np.partition(figures[known], count - 1)[count - 1]
        known = known[figures[known] <= bound]
    order = np.lexsort((known, figures[known]))[:count]
    return [int(row) for row in known[order]]
