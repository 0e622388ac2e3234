"""The offers as workloads of one kind see them: put into groups of one verdict and one region, so that the best of a region is found once for all.

Within a group the move's cost is the same for every offer (data is priced by region), so that the least total of a group is its least expected cost,
refusals that are to be expected spread over the horizon.
Only the zones of the region in which a workload runs differ; those few rows are looked at one by one. The result is the same as that of a scan over all
offers, in a hundredth of the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from domain.offers import Floats, Index
from domain.placement.plan import Demand
from domain.placement.score import REFUSALS, STALE, TOO_SMALL, USABLE, Codes, Market
from domain.workload import PlacementRules

_RATES_KEPT = 8


def kind_of(demand: Demand) -> tuple[object, ...]:
    """Demands of one kind see the same offers. Objects are told apart by identity: the problem keeps them alive."""
    rules = demand.rules
    return (
        demand.needs,
        id(demand.boundary),
        rules.clouds,
        rules.regions,
        rules.max_usd_per_hour,
        id(demand.excluded) if demand.excluded else None,
        demand.apart,
    )


@dataclass(frozen=True, slots=True)
class Costs:
    """Expected USD/h of a segment's rows, refusals spread over the horizon, and of each group the least."""

    rows: Floats
    groups: Floats


class Segment:
    """The offers of one kind of demand, large enough for it, in groups; ``codes`` says of every offer of the market how it was judged."""

    def __init__(self, market: Market, codes: Codes) -> None:
        self.market = market
        self.codes = codes
        rows = np.flatnonzero(self.codes != TOO_SMALL)
        places = len(market.columns.places)
        keys = self.codes[rows].astype(np.int64) * places + market.columns.place[rows]
        small = places * (len(REFUSALS) + 1) <= np.iinfo(np.uint16).max
        # Stable: rows of a group stay in the order of their ids. Of 16 bits numpy sorts by radix, several times faster.
        order = np.argsort(keys.astype(np.uint16) if small else keys, kind="stable")
        self.rows: Index = rows[order]
        keys = keys[order]
        self.starts: Index = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, dtype=np.intp)
        self.ends: Index = np.append(self.starts[1:], len(keys)).astype(np.intp) if len(keys) else np.zeros(0, dtype=np.intp)
        firsts = keys[self.starts]
        self.code: Index = (firsts // places if places else firsts).astype(np.intp)
        self.place: Index = (firsts % places if places else firsts).astype(np.intp)
        numbers = np.bincount(self.codes[market.selected], minlength=len(REFUSALS) + 1)
        self.counts: dict[str, int] = {
            "usable": int(numbers[USABLE]),
            **{reason.value: int(number) for reason, number in zip(REFUSALS, numbers, strict=False) if number},
        }
        self._machine: Floats = market.machine[self.rows]
        self._internet: Floats = market.internet[market.columns.place[self.rows]] if len(self.rows) else np.zeros(0)
        self._evacuation: Floats = market.evacuation[self.rows]
        self._odds: Floats = market.odds[self.rows]
        self._kept: dict[tuple[float, float, float], Costs] = {}
        self._under: tuple[float, Segment] | None = None

    def under(self, month_usd_per_hour: float) -> Segment:
        """The same offers where monthly caps leave so much; kept for the next, as caps that are used up leave the same to all."""
        if self._under is None or self._under[0] != month_usd_per_hour:
            self._under = (month_usd_per_hour, Segment(self.market, self.market.over(self.codes, month_usd_per_hour)))
        return self._under[1]

    @cached_property
    def least_spot(self) -> float:
        """The least spot price of what may be used, in USD/h; of what is stale where nothing is fresh, and 0 where nothing may be used at all."""
        for code in (USABLE, STALE):
            if len(prices := self.market.columns.spot[self.codes == code]):
                return float(prices.min())
        return 0.0

    def costs(self, rules: PlacementRules, refusal_usd_per_hour: float) -> Costs:
        """Expected costs under the egress and state of ``rules``, where a refusal costs so much, spread over the horizon."""
        key = (rules.egress_gib_per_hour, rules.state_gib, refusal_usd_per_hour)
        found = self._kept.get(key)
        if found is None:
            rows = self._machine  # gathered once for the segment; the same sum in the same order as Market.expected
            if rules.egress_gib_per_hour:
                rows = rows + rules.egress_gib_per_hour * self._internet
            if rules.state_gib:
                rows = rows + rules.state_gib * self._evacuation
            if refusal_usd_per_hour:
                rows = rows + refusal_usd_per_hour * self._odds
            found = Costs(rows, np.minimum.reduceat(rows, self.starts) if len(rows) else np.zeros(0))
            if len(self._kept) >= _RATES_KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found

    def groups_in(self, place: int) -> Iterator[int]:
        """The groups of one region."""
        return (int(group) for group in np.flatnonzero(self.place == place))


@dataclass(frozen=True)
class Ranking:
    """Total USD of each group's best offer for one demand; infinite where there is none. ``best`` holds rows that are known already, by group;
    ``refusal_usd`` is what a refusal costs it."""

    segment: Segment
    costs: Costs
    totals: Floats
    best: dict[int, int]
    refusal_usd: float

    def row_of(self, group: int) -> int:
        """The position of the group's best offer; the first of equals."""
        if group in self.best:
            return self.best[group]
        start, end = self.segment.starts[group], self.segment.ends[group]
        return int(self.segment.rows[start + int(np.argmin(self.costs.rows[start:end]))])

    def least(self, code: int) -> tuple[int, float] | None:
        """Position and total of the least of all offers so judged; of equals the first id. None if there is none."""
        groups = np.flatnonzero(self.segment.code == code)
        if len(groups) == 0:
            return None
        totals = self.totals[groups]
        least = float(totals.min())
        if not np.isfinite(least):
            return None
        return min(self.row_of(int(group)) for group in groups[totals == least]), least


def rank(segment: Segment, demand: Demand, horizon: float, overlap_usd: float, refusal_usd: float, barred: int | None) -> Ranking:
    """The groups by what their best costs over ``horizon`` hours, a move from the present machine (if any) counted in, and refusals that are to be expected
    at ``refusal_usd`` each; ``barred`` takes no part."""
    market, rules = segment.market, demand.rules
    costs = segment.costs(rules, refusal_usd / horizon)
    totals = horizon * costs.groups + overlap_usd
    if demand.current is None:
        return Ranking(segment, costs, totals, {}, refusal_usd)
    origin, columns = demand.current.offer[:3], market.columns
    if rules.state_gib:
        totals = totals + rules.state_gib * market.transfer(origin)[segment.place]
    best: dict[int, int] = {}
    here = columns.place_of(origin[0], origin[1])
    if here is None:
        return Ranking(segment, costs, totals, best, refusal_usd)
    for group in segment.groups_in(here):
        span = slice(segment.starts[group], segment.ends[group])
        rows = segment.rows[span]
        each = horizon * costs.rows[span] + overlap_usd
        if rules.state_gib:
            each = each + rules.state_gib * market.transfer_to_zone(origin)[columns.zone[rows]]
        if barred is not None:
            each = np.where(rows == barred, np.inf, each)
        at = int(np.argmin(each))
        totals[group], best[group] = each[at], int(rows[at])
    return Ranking(segment, costs, totals, best, refusal_usd)
