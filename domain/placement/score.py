"""What an offer is expected to cost, all in, and which offers may be used: one array operation for the whole market."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from domain.offers import Columns, Floats, Index, Mask
from domain.placement import capacity
from domain.placement.capacity import Record
from domain.placement.plan import Demand, Parts, Problem, Reason, ZoneRef
from domain.told import Grade
from domain.workload import PlacementRules, Requirements

Codes = NDArray[np.int8]

REFUSALS: tuple[Reason, ...] = (
    # The order in which an offer that fails several tests is told why. What can never serve comes first, what may change by the next tick last.
    Reason.TOO_SMALL,
    Reason.OUTSIDE_BOUNDARY,
    Reason.OUTSIDE_RULES,
    Reason.PEER,
    Reason.EXCLUDED,
    Reason.NO_CAPACITY,
    Reason.UNKNOWN_PRICE,
    Reason.OVER_CAP,
    Reason.OVER_MONTH_CAP,
    Reason.STALE_PRICE,
)
USABLE = np.int8(len(REFUSALS))
"""The code of an offer that passes every test."""
STALE = np.int8(REFUSALS.index(Reason.STALE_PRICE))
"""The code of an offer that passes all tests but its age: good enough where a move can't wait."""
TOO_SMALL = np.int8(REFUSALS.index(Reason.TOO_SMALL))
_MONTH = np.int8(REFUSALS.index(Reason.OVER_MONTH_CAP))
_SHAPES_KEPT = 256


@dataclass(frozen=True)
class Market:
    """A problem's offers with what all demands share."""

    problem: Problem

    @cached_property
    def columns(self) -> Columns:
        """The offers in columns. The selection of ``problem.offers`` is honoured by :attr:`selected`."""
        return self.problem.offers.columns

    @cached_property
    def selected(self) -> Index:
        """Positions of the offers that take part."""
        return self.problem.offers.index

    @cached_property
    def size(self) -> int:
        """Number of columns' rows."""
        return len(self.columns.offers)

    @cached_property
    def fresh(self) -> Mask:
        """Quotes that may start a move."""
        return self.columns.mask_of_fresh(self.problem.market_now, self.problem.settings.price_limit)

    @cached_property
    def priced(self) -> Mask:
        """Quotes with a known spot price."""
        return ~np.isnan(self.columns.spot)

    @cached_property
    def internet(self) -> Floats:
        """USD per GiB sent to users, by region (:attr:`Columns.places`)."""
        return np.array([self.problem.tariffs.internet(cloud, region) for cloud, region in self.columns.places], dtype=np.float64)

    @cached_property
    def rates(self) -> Floats:
        """Interruptions per hour; the platform's figure where nobody publishes one."""
        rates = self.columns.interruptions
        return np.where(np.isnan(rates), self.problem.settings.interruptions_when_unknown, rates)

    @cached_property
    def machine(self) -> Floats:
        """USD/h of the machine and of the overlap at its interruptions; infinite where the spot price isn't known."""
        spot = self.columns.spot
        return np.where(self.priced, spot + self.rates * self.problem.settings.overlap_hours * spot, np.inf)

    @cached_property
    def evacuation(self) -> Floats:
        """USD/h for each GiB of state: an interruption carries it to another cloud."""
        return np.asarray(self.rates * self.internet[self.columns.place], dtype=np.float64) if self.size else np.zeros(0)

    @cached_property
    def odds(self) -> Floats:
        """Of each offer the refusals for each machine that is had of it."""
        by_grade = {grade: capacity.odds(capacity.chance(grade)) for grade in (None, *Grade)}
        found = np.array([by_grade[grade] for grade in self.columns.grades], dtype=np.float64)
        for ref in self.problem.answered:
            if (at := self.columns.positions.get(ref)) is not None:
                found[at] = capacity.odds(self.chance(at))
        return found

    def chance(self, at: int) -> float:
        """Of a refusal of offer ``at``."""
        return capacity.chance(self.columns.grades[at], self.record(at))

    def record(self, at: int) -> Record:
        """What is remembered of offer ``at``."""
        return self.problem.answered.get(self.columns.offers[at].ref, Record())

    def expected(self, rules: PlacementRules, rows: Index | slice) -> Floats:
        """USD/h all in, of the offers at ``rows``; infinite where the spot price isn't known."""
        figures = self.machine[rows]
        if rules.egress_gib_per_hour:
            figures = figures + rules.egress_gib_per_hour * self.internet[self.columns.place[rows]]
        if rules.state_gib:
            figures = figures + rules.state_gib * self.evacuation[rows]
        return figures

    def parts(self, rules: PlacementRules, at: int) -> Parts:
        """What the expected cost of offer ``at`` is made of."""
        spot, egress = float(self.columns.spot[at]), rules.egress_gib_per_hour * float(self.internet[self.columns.place[at]])
        risk = float(self.rates[at]) * self.problem.settings.overlap_hours * spot + rules.state_gib * float(self.evacuation[at])
        return Parts(spot, egress, risk)

    def transfer(self, origin: ZoneRef) -> Floats:
        """USD per GiB from ``origin`` to each region (:attr:`Columns.places`); its own region's zones differ and are asked for one by one."""
        found = self._transfers.get(origin)
        if found is None:
            found = np.array([self.problem.tariffs.transfer(origin, (cloud, region, "")) for cloud, region in self.columns.places], dtype=np.float64)
            self._transfers[origin] = found
        return found

    def transfer_to_zone(self, origin: ZoneRef) -> Floats:
        """USD per GiB from ``origin`` to each zone of its own region (:attr:`Columns.zones`); not a number elsewhere."""
        found = self._zone_transfers.get(origin)
        if found is None:
            near = [self.problem.tariffs.transfer(origin, zone) if zone[:2] == origin[:2] else np.nan for zone in self.columns.zones]
            found = self._zone_transfers[origin] = np.array(near, dtype=np.float64)
        return found

    @cached_property
    def _zone_transfers(self) -> dict[ZoneRef, Floats]:
        return {}

    @cached_property
    def _transfers(self) -> dict[ZoneRef, Floats]:
        return {}

    def codes(self, demand: Demand) -> Codes:
        """For each offer the position in :data:`REFUSALS` of the first test that it fails, or :data:`USABLE`.

        Monthly caps are not among them: see :meth:`over`.
        """
        columns, rules, boundary = self.columns, demand.rules, demand.boundary
        codes = np.full(self.size, USABLE, dtype=np.int8)
        passed: dict[Reason, Mask] = {
            Reason.STALE_PRICE: self.fresh,
            Reason.UNKNOWN_PRICE: self.priced,
            Reason.NO_CAPACITY: columns.available,
            Reason.OUTSIDE_RULES: columns.mask_of_places(rules.asks_for),
            Reason.OUTSIDE_BOUNDARY: columns.mask_of_places(lambda cloud, region: boundary(cloud, region) is None),
            Reason.TOO_SMALL: self._fitting(demand.needs),
        }
        if rules.max_usd_per_hour is not None:
            passed[Reason.OVER_CAP] = ~(columns.spot > rules.max_usd_per_hour)
        if demand.excluded:
            passed[Reason.EXCLUDED] = self._without([columns.positions[ref] for ref in demand.excluded if ref in columns.positions])
        if demand.apart:
            taken = [at for at, offer in enumerate(columns.offers) if offer.ref[:3] in demand.apart]
            passed[Reason.PEER] = self._without(taken)
        for code in reversed(range(len(REFUSALS))):
            mask = passed.get(REFUSALS[code])
            if mask is not None:
                codes[~mask] = code
        if len(self.selected) != self.size:
            outside = np.ones(self.size, dtype=np.bool_)
            outside[self.selected] = False
            codes[outside] = TOO_SMALL
        return codes

    def over(self, codes: Codes, month_usd_per_hour: float) -> Codes:
        """``codes`` under monthly caps that leave so much: what passed every test before theirs and costs more falls to them."""
        found = codes.copy()
        found[(codes > _MONTH) & (self.columns.spot > month_usd_per_hour)] = _MONTH
        return found

    def _fitting(self, needs: Requirements) -> Mask:
        """Asked once for each shape of machine: workloads differ more in boundary and cap than in shape."""
        found = self._fits.get(needs)
        if found is None:
            if len(self._fits) >= _SHAPES_KEPT:
                self._fits.clear()
            found = self._fits[needs] = self.columns.mask_of_machines(needs.fits)
        return found

    @cached_property
    def _fits(self) -> dict[Requirements, Mask]:
        return {}

    def _without(self, rows: list[int]) -> Mask:
        mask = np.ones(self.size, dtype=np.bool_)
        mask[rows] = False
        return mask
