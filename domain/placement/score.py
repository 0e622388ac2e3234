"""What an offer is expected to cost, all in, and which offers may be used: one array operation for the whole market."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from domain import network
from domain.offers import Columns, Floats, Index, Mask
from domain.placement.plan import Demand, Parts, Problem, Reason
from domain.workload import PlacementRules

Codes = NDArray[np.int8]
T = TypeVar("T")

REFUSALS: tuple[Reason, ...] = (
    # The order in which an offer that fails several tests is told why. What can never serve comes first, what may change by the next tick last.
    Reason.TOO_SMALL,
    Reason.OUTSIDE_BOUNDARY,
    Reason.OUTSIDE_RULES,
    Reason.EXCLUDED,
    Reason.NO_CAPACITY,
    Reason.UNKNOWN_PRICE,
    Reason.OVER_CAP,
    Reason.STALE_PRICE,
)
USABLE = np.int8(len(REFUSALS))
"""The code of an offer that passes every test."""
STALE = np.int8(REFUSALS.index(Reason.STALE_PRICE))
"""The code of an offer that passes all tests but its age: good enough where a move can't wait."""


@dataclass(frozen=True)
class Market:
    """A problem's offers with what all demands share. Answers are kept per distinct question, for the life of one plan."""

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
        """USD per GiB sent to users from each offer's region."""
        rates = np.array([network.tariff(cloud, region).internet for cloud, region in self.columns.places], dtype=np.float64)
        return rates[self.columns.place] if self.size else np.zeros(0)

    @cached_property
    def rates(self) -> Floats:
        """Interruptions per hour; the platform's figure where nobody publishes one."""
        rates = self.columns.interruptions
        return np.where(np.isnan(rates), self.problem.settings.interruptions_when_unknown, rates)

    @cached_property
    def _kept(self) -> dict[tuple[object, ...], object]:
        return {}

    def _once(self, key: tuple[object, ...], answer: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = answer()
        return self._kept[key]  # type: ignore[return-value]  # the key names the question, and one question has one type of answer

    def egress(self, rules: PlacementRules) -> Floats:
        """USD/h for what the service sends to its users."""
        return self._once(("egress", rules.egress_gib_per_hour), lambda: rules.egress_gib_per_hour * self.internet)

    def risk(self, rules: PlacementRules) -> Floats:
        """USD/h: the rate of interruptions times the cost of one, which carries the state to another cloud and pays the overlap."""
        overlap = self.problem.settings.overlap_hours
        return self._once(("risk", rules.state_gib), lambda: self.rates * (rules.state_gib * self.internet + overlap * self.columns.spot))

    def expected(self, rules: PlacementRules) -> Floats:
        """USD/h all in; NaN where the spot price isn't known."""
        key = ("expected", rules.egress_gib_per_hour, rules.state_gib)
        return self._once(key, lambda: self.columns.spot + self.egress(rules) + self.risk(rules))

    def parts(self, rules: PlacementRules, at: int) -> Parts:
        """What the expected cost of offer ``at`` is made of."""
        return Parts(float(self.columns.spot[at]), float(self.egress(rules)[at]), float(self.risk(rules)[at]))

    def transfer(self, origin: tuple[str, str, str]) -> Floats:
        """USD per GiB from ``origin`` to each offer."""
        return self._once(("transfer", origin), lambda: self._transfer(origin))

    def _transfer(self, origin: tuple[str, str, str]) -> Floats:
        by_place = np.array([network.transfer(origin, (cloud, region, "")) for cloud, region in self.columns.places], dtype=np.float64)
        rates = by_place[self.columns.place]
        for at in np.flatnonzero(self.columns.place == self._place_of(origin)):
            rates[at] = network.transfer(origin, self.columns.offers[at].ref[:3])
        return rates

    def _place_of(self, origin: tuple[str, str, str]) -> int:
        return self.columns.places.index(origin[:2]) if origin[:2] in self.columns.places else -1

    def codes(self, demand: Demand) -> Codes:
        """For each offer the position in :data:`REFUSALS` of the first test that it fails, or :data:`USABLE`."""
        columns, rules = self.columns, demand.rules
        codes = self._once(("shape", demand.needs, id(demand.boundary), rules.clouds, rules.regions), lambda: self._lasting(demand))
        if demand.excluded or rules.max_usd_per_hour is not None:
            codes = codes.copy()
        if demand.excluded:
            rows = [columns.positions[ref] for ref in demand.excluded if ref in columns.positions]
            excluded = np.int8(REFUSALS.index(Reason.EXCLUDED))
            codes[rows] = np.minimum(codes[rows], excluded)
        if rules.max_usd_per_hour is not None:
            over = columns.spot > rules.max_usd_per_hour
            codes[over] = np.minimum(codes[over], np.int8(REFUSALS.index(Reason.OVER_CAP)))
        return codes

    def _lasting(self, demand: Demand) -> Codes:
        """The tests whose outcome workloads of one shape, boundary and wish share."""
        columns, rules, boundary = self.columns, demand.rules, demand.boundary
        codes = np.full(self.size, USABLE, dtype=np.int8)
        passed: dict[Reason, Mask] = {
            Reason.STALE_PRICE: self.fresh,
            Reason.UNKNOWN_PRICE: self.priced,
            Reason.NO_CAPACITY: columns.available,
            Reason.OUTSIDE_RULES: columns.mask_of_places(rules.asks_for),
            Reason.OUTSIDE_BOUNDARY: self._once(
                ("boundary", id(boundary)), lambda: columns.mask_of_places(lambda cloud, region: boundary(cloud, region) is None)
            ),
            Reason.TOO_SMALL: columns.mask_of_machines(demand.needs.fits),
        }
        for code in reversed(range(len(REFUSALS))):
            mask = passed.get(REFUSALS[code])
            if mask is not None:
                codes[~mask] = code
        return codes
