"""The placement engine: exact, pure and deterministic. For every workload the least total cost over its horizon among the offers that it may use, what is
to be expected of refusals counted in: the best first offer of all orders in which they might be asked (:mod:`domain.placement.capacity`).

Ties break by offer id. Only :class:`Problem` decides: the same problem gives the same plan, whatever the order of its offers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from domain.catalog import OfferRef
from domain.offers import age_seconds
from domain.placement import alternatives, caps, moves
from domain.placement.alternatives import Outcome
from domain.placement.moves import Gap
from domain.placement.plan import (
    Alternative,
    Asking,
    Current,
    Demand,
    Deploy,
    Evidence,
    Hurdle,
    Move,
    MoveCost,
    NoOffer,
    PlacementPlan,
    Problem,
    Reason,
    Stay,
    Trigger,
    Verdict,
)
from domain.placement.score import REFUSALS, STALE, USABLE, Market
from domain.placement.segment import Ranking, Segment, kind_of, rank
from domain.spend import tightest


def plan(problem: Problem) -> PlacementPlan:
    """One verdict for each demand."""
    market = Market(problem)
    verdicts: list[Verdict | None] = [None] * len(problem.demands)
    kinds: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, demand in enumerate(problem.demands):
        kinds[kind_of(demand)].append(number)
    for numbers in kinds.values():  # one kind after the other: only one segment's arrays are held
        segment = Segment(market, market.codes(problem.demands[numbers[0]]))
        # Demands of one egress and state follow each other, so that their costs are worked out once.
        for number in sorted(numbers, key=lambda one: (problem.demands[one].rules.egress_gib_per_hour, problem.demands[one].rules.state_gib)):
            verdicts[number] = _under_caps(_Case(segment, problem.demands[number]).verdict(), segment, problem.demands[number])
    jointly = caps.together(problem.demands, tuple(one for one in verdicts if one is not None))
    return PlacementPlan(problem.market_now, within_budget(jointly, problem.settings.price_moves))


def _under_caps(free: Verdict, segment: Segment, demand: Demand) -> Verdict:
    """``free`` where it keeps the monthly caps: what is best without them and within them is best under them. Else the verdict among offers that keep them;
    where there are none, a move to a machine that costs no more than the present one: a cap refuses what raises the spend, not what lowers it."""
    cap = tightest(demand.caps)
    if cap is None or caps.keeps(demand, free):
        return free
    bound = _Case(segment.under(cap.most_usd_per_hour), demand).verdict()
    return free if isinstance(bound, Stay | NoOffer) and caps.lowers(demand, free) else bound


def within_budget(verdicts: tuple[Verdict, ...], price_moves: int | None) -> tuple[Verdict, ...]:
    """At most ``price_moves`` moves by price: the most saving ones, of equals the first workload; the others stay."""
    by_price = [number for number, one in enumerate(verdicts) if isinstance(one, Move) and one.trigger is Trigger.PRICE and one.reason is Reason.CHEAPEST]
    if price_moves is None or len(by_price) <= price_moves:
        return verdicts

    def order(number: int) -> tuple[float, str]:
        move = verdicts[number]
        assert isinstance(move, Move), "only moves are ordered"
        return (-(move.evidence.net_saving_usd or 0.0), move.workload)

    late = set(sorted(by_price, key=order)[price_moves:])
    why = f"the platform makes {price_moves} price moves at a time, and others save more"
    return tuple(
        Stay(one.workload, Reason.MOVE_BUDGET, why, one.evidence) if number in late and isinstance(one, Move) else one for number, one in enumerate(verdicts)
    )


@dataclass
class _Case:
    """One workload before the market."""

    segment: Segment
    demand: Demand

    def __post_init__(self) -> None:
        self.market: Market = self.segment.market
        self.now: datetime = self.market.problem.market_now
        self.settings = self.market.problem.settings
        self.at: int | None = None if self.demand.current is None else self.market.columns.positions.get(self.demand.current.offer)

    def verdict(self) -> Verdict:
        demand, current = self.demand, self.demand.current
        if current is None:
            return self._deploy()
        if demand.trigger is Trigger.INTERRUPTION:
            return self._forced(current, Reason.INTERRUPTED, "its machine is being taken back")
        if demand.trigger is Trigger.UNHEALTHY:
            return self._forced(current, Reason.UNHEALTHY, "its machine fails its probes")
        if fault := self._fault_of(current):
            return self._forced(current, fault, f"it runs where it may not: {alternatives.DETAILS[fault]}")
        if demand.trigger is Trigger.REQUESTED:
            return self._leave(current, Reason.REQUESTED, "asked for", self.at, (int(USABLE),))
        if demand.trigger in (Trigger.REDEPLOY, Trigger.RENEWAL):
            return self._redeployed(current)
        return self._by_price(current)

    # The ways to a verdict

    def _deploy(self) -> Verdict:
        horizon = moves.horizon_hours(self.now, self.demand.ends_at, None, self.settings)
        ranking = rank(self.segment, self.demand, horizon, 0.0, self._refusal_usd(lost=True), None)
        found = self._chosen(ranking, horizon, 0.0, (int(USABLE),), None)
        if found is None:
            return self._no_offer(ranking, horizon)
        asked = self.demand.requested is not None
        reason, detail = (Reason.REQUESTED, "asked for") if asked else (Reason.FIRST_PLACEMENT, "the cheapest that it may use")
        row, total = found
        return Deploy(self.demand.workload, self._ref(row), reason, detail, self._evidence(Outcome(row, total, horizon), ranking, None))

    def _by_price(self, current: Current) -> Verdict:
        at = self.at
        rate = None if at is None else self._expected(at)
        if at is None or rate is None:
            return Stay(self.demand.workload, Reason.UNKNOWN_PRICE, f"the price of {current.offer.id} isn't known, so no saving can be", None)
        if not self.market.fresh[at]:
            quote = self.market.columns.offers[at].quote
            return Stay(self.demand.workload, Reason.STALE_PRICE, quote.doubtful or f"the quote of {current.offer.id} is past its limit", None)
        horizon = moves.horizon_hours(self.now, self.demand.ends_at, float(self.market.rates[at]), self.settings)
        stays = horizon * rate
        ranking = rank(self.segment, self.demand, horizon, self.settings.overlap_hours * rate, self._refusal_usd(lost=False), at)
        found = ranking.least(int(USABLE))
        over = self._over(at)
        if found is None:
            reason, detail = (Reason.CHEAPEST, "nothing else may be used") if over is None else (over, f"goes on over its cap: {self._why_over(at)}")
            return self._stay(reason, detail, at, stays, horizon, ranking, rate, None)
        best, total = found
        gap = self._gap(current, best, rate, (stays - total) / stays)
        cleared = moves.hurdle(self.demand, current, self.now, gap, self.settings)
        if over is not None:
            return self._move(current, Outcome(best, total, horizon), over, f"leaves {current.offer.id}: {self._why_over(at)}", ranking, rate)
        if total >= stays:
            return self._stay(Reason.CHEAPEST, "nothing that it may use costs less, the move counted in", at, stays, horizon, ranking, rate, cleared)
        held = moves.gate(self.demand, current, self.now, gap, cleared)
        if held.reason is not None:
            return self._stay(held.reason, held.detail, at, stays, horizon, ranking, rate, cleared, best)
        detail = f"saves {stays - total:.2f} USD net in {horizon:.0f} h ({gap.share:.0%})"
        return self._move(current, Outcome(best, total, horizon), Reason.CHEAPEST, detail, ranking, rate, cleared)

    def _redeployed(self, current: Current) -> Verdict:
        """A new machine for a changed declaration or new credentials: on its own offer where that may still be used; the market hasn't changed."""
        own = self.at if self.at is not None and self.segment.codes[self.at] == int(USABLE) else None
        why = "its declaration has changed" if self.demand.trigger is Trigger.REDEPLOY else "its machine's credentials end soon"
        return self._leave(current, Reason.REDEPLOY, why, None, (int(USABLE),), own)

    def _forced(self, current: Current, reason: Reason, detail: str) -> Verdict:
        """A move that can't wait for a price: fresh quotes if there are any, else the last known. What fails its probes may start anew where it is."""
        barred = self.at if self.demand.trigger is Trigger.INTERRUPTION else None
        return self._leave(current, reason, detail, barred, (int(USABLE), int(STALE)))

    def _leave(self, current: Current, reason: Reason, detail: str, barred: int | None, codes: tuple[int, ...], only: int | None = None) -> Verdict:
        """A move without threshold, dwell or budget; boundary and cap hold. ``codes`` are tried in their order; ``only`` leaves no choice."""
        rate = None if self.at is None else self._expected(self.at)
        lost = self.demand.trigger in (Trigger.INTERRUPTION, Trigger.UNHEALTHY)
        rates = None if lost or rate is None or self.at is None else float(self.market.rates[self.at])
        horizon = moves.horizon_hours(self.now, self.demand.ends_at, rates, self.settings)
        overlap = self.settings.overlap_hours * (rate or 0.0)
        ranking = rank(self.segment, self.demand, horizon, overlap, self._refusal_usd(lost), barred)
        found = self._chosen(ranking, horizon, overlap, codes, barred, only)
        if found is None:
            return self._no_offer(ranking, horizon)
        row, total = found
        return self._move(current, Outcome(row, total, horizon), reason, detail, ranking, rate)

    def _chosen(
        self, ranking: Ranking, horizon: float, overlap: float, codes: tuple[int, ...], barred: int | None, only: int | None = None
    ) -> tuple[int, float] | None:
        """The least of what may be used, or the one that a person named, if it may be."""
        if self.demand.requested is None and only is None:
            return next((found for code in codes if (found := ranking.least(code)) is not None), None)
        asked = only if self.demand.requested is None else self.market.columns.positions.get(self.demand.requested)
        rate = None if asked is None else self._expected(asked)
        if asked is None or rate is None or asked == barred or self.segment.codes[asked] not in codes:
            return None
        return asked, horizon * rate + overlap + self._carry(asked) + ranking.refusal_usd * float(self.market.odds[asked])

    # What a verdict is made of

    def _stay(
        self, reason: Reason, detail: str, at: int, total: float, horizon: float, ranking: Ranking, rate: float, cleared: Hurdle | None, best: int | None = None
    ) -> Stay:
        held = None if best is None else (best, reason, detail)
        return Stay(self.demand.workload, reason, detail, self._evidence(Outcome(at, total, horizon, stays=True), ranking, rate, cleared, held))

    def _move(
        self, current: Current, outcome: Outcome, reason: Reason, detail: str, ranking: Ranking, rate: float | None, cleared: Hurdle | None = None
    ) -> Move:
        evidence = self._evidence(outcome, ranking, rate, cleared)
        return Move(self.demand.workload, self._ref(outcome.row), current.placement, self.demand.trigger, reason, detail, evidence)

    def _evidence(
        self, outcome: Outcome, ranking: Ranking, rate: float | None, cleared: Hurdle | None = None, held: tuple[int, Reason, str] | None = None
    ) -> Evidence:
        columns, row = self.market.columns, outcome.row
        expected = self._expected(row)
        assert expected is not None, "an offer without a price is never chosen"
        overlap = 0.0 if outcome.stays or rate is None else self.settings.overlap_hours * rate
        cost = MoveCost(0.0, 0.0) if outcome.stays or self.demand.current is None else MoveCost(self._carry(row), overlap)
        saving = None if rate is None else outcome.horizon * rate - outcome.total
        asking = None if outcome.stays else Asking(self.market.chance(row), self.market.record(row), ranking.refusal_usd)
        return Evidence(
            market_now=self.now,
            quote=columns.offers[row].quote,
            quote_age_seconds=age_seconds(float(columns.observed[row]), self.now),
            current_quote=columns.offers[self.at].quote if self.at is not None else None,
            expected_usd_per_hour=expected,
            parts=self.market.parts(self.demand.rules, row),
            current_usd_per_hour=rate,
            move_cost=cost,
            horizon_hours=outcome.horizon,
            net_saving_usd=saving,
            net_saving_share=None if saving is None or not rate else saving / (outcome.horizon * rate),
            considered=len(self.market.selected),
            counts=self.segment.counts,
            alternatives=alternatives.told(ranking, self.demand, outcome, held, self.settings.alternatives),
            stale=not bool(self.market.fresh[row]),
            hurdle=cleared,
            caps=self.demand.caps,
            asking=asking,
        )

    def _no_offer(self, ranking: Ranking, horizon: float) -> NoOffer:
        asked = self.demand.requested
        told: tuple[Alternative, ...] = ()
        if asked is not None:
            at = self.market.columns.positions.get(asked)
            if at is None:
                reason, detail = Reason.UNKNOWN_PRICE, f"nobody quotes {asked.id}"
            else:
                refused = self._code(at) or Reason.CHEAPEST
                told = (alternatives.of_row(self.segment, self.demand, at, 0.0, horizon),) if refused is not Reason.CHEAPEST else ()
                reason, detail = refused, f"{asked.id}: {told[0].detail if told else 'it runs there already'}"
        else:
            told = alternatives.told(ranking, self.demand, None, None, self.settings.alternatives)
            if told:
                reason, detail = told[0].reason, f"the cheapest, {told[0].offer.id}: {told[0].detail}"
            else:
                reason, detail = Reason.TOO_SMALL, "no machine of the size asked for is quoted in any region"
        return NoOffer(self.demand.workload, reason, detail, len(self.market.selected), self.segment.counts, told)

    def _over(self, at: int) -> Reason | None:
        """The cap that offer ``at`` is above, if it is above one."""
        return next((one for one in (Reason.OVER_CAP, Reason.OVER_MONTH_CAP) if self.segment.codes[at] == REFUSALS.index(one)), None)

    def _why_over(self, at: int) -> str:
        return alternatives.of_row(self.segment, self.demand, at, 0.0, 1.0).detail

    def _gap(self, current: Current, best: int, rate: float, share: float) -> Gap:
        other = self._expected(best)
        assert other is not None, "the best has a price"
        cost = MoveCost(self._carry(best), self.settings.overlap_hours * rate)
        volatility = self.market.problem.volatility
        variance = volatility.of(current.offer.cloud) * rate**2 + volatility.of(self._ref(best).cloud) * other**2
        return Gap(cost, rate, other, share, variance)

    def _refusal_usd(self, lost: bool) -> float:
        """What a refusal costs: the time until another offer is asked, without a machine where there is none or the present one is ``lost``."""
        here = None if lost or self.at is None or not self.market.priced[self.at] else float(self.market.columns.spot[self.at])
        hour = self.settings.short_hours * self.segment.least_spot if lost else self.segment.least_spot if here is None else here
        return self.settings.refusal_hours * hour

    def _carry(self, row: int) -> float:
        """USD for the state's way to an offer."""
        current, gib = self.demand.current, self.demand.rules.state_gib
        if current is None or not gib:
            return 0.0
        target = self._ref(row)
        if current.offer[:2] != target[:2]:
            place = int(self.market.columns.place[row])
            return gib * float(self.market.transfer(current.offer[:3])[place])
        return gib * self.market.problem.tariffs.transfer(current.offer[:3], target[:3])

    def _expected(self, row: int) -> float | None:
        """USD/h all in; None where the spot price isn't known."""
        figure = float(self.market.expected(self.demand.rules, slice(row, row + 1))[0])
        return figure if figure != float("inf") else None

    def _fault_of(self, current: Current) -> Reason | None:
        """What forbids the present offer for good; a cap or a lack of capacity doesn't end what runs."""
        if self.demand.boundary(current.offer.cloud, current.offer.region) is not None:
            return Reason.OUTSIDE_BOUNDARY
        if not self.demand.rules.asks_for(current.offer.cloud, current.offer.region):
            return Reason.OUTSIDE_RULES
        if self.at is not None and not self.demand.needs.fits(self.market.columns.offers[self.at].machine):
            return Reason.TOO_SMALL
        if current.offer[:3] in self.demand.apart:
            return Reason.PEER
        return None

    def _code(self, at: int) -> Reason | None:
        return None if self.segment.codes[at] == USABLE else REFUSALS[self.segment.codes[at]]

    def _ref(self, at: int) -> OfferRef:
        return self.market.columns.offers[at].ref
