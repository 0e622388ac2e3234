"""What a boundary costs, now and over a history: by hand on small markets, and what must hold on any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog import OfferRef
from domain.network import LIST_PRICES
from domain.offers import Offers
from domain.placement import Demand
from domain.placement.whatif import Course, Moment, anywhere, courses, moments, premium
from domain.prices import Quote, Unknown
from domain.spend import Cap, Month, Spending
from domain.workload import PlacementRules, Requirements
from tests.domain.strategies import NOW, REFS, european

HOUR = timedelta(hours=1)
IRISH, IRISH_TOO = REFS[0], REFS[1]
AMERICAN = next(ref for ref in REFS if ref.region == "us-east-1" and ref.instance_type == "m5.large")
EAGER = PlacementRules(threshold=0.0, dwell_hours=0.0)


def quote(ref: OfferRef, spot: float | None, hours: float = 0.0) -> Quote:
    return Quote(ref, Unknown("not sold") if spot is None else spot, 0.5, "test", NOW + hours * HOUR, 0.0)


def demand(**fields: object) -> Demand:
    return replace(Demand("web-acme", Requirements(), EAGER, european), **fields)  # type: ignore[arg-type]  # its fields, by name


def course(changes: Sequence[Quote], one: Demand, hours: float = 10, step: float = 1) -> Course:
    end = NOW + hours * HOUR
    return courses(moments(changes, NOW, end, step * HOUR, [one.needs]), end, [one])[0]


def test_moments_hold_the_price_in_force_and_leave_out_what_is_not_sold_or_serves_nobody() -> None:
    small = OfferRef("aws", "eu-west-1", "eu-west-1a", "t3.nano")
    changes = [quote(IRISH, 0.05, -100), quote(small, 0.001, -5), quote(AMERICAN, 0.03, 1), quote(IRISH, 0.06, 1.5), quote(AMERICAN, None, 3)]
    found = list(moments(changes, NOW, NOW + 5 * HOUR, HOUR, [Requirements()]))
    told = [{one.offer: one.spot for one in moment.quotes} for moment in found]
    assert told == [{IRISH: 0.05}, {IRISH: 0.05, AMERICAN: 0.03}, {IRISH: 0.06, AMERICAN: 0.03}, {IRISH: 0.06}, {IRISH: 0.06}]
    assert [moment.at for moment in found] == [NOW + hours * HOUR for hours in range(5)]


def test_what_stays_pays_its_price_and_its_services_egress() -> None:
    busy = demand(rules=replace(EAGER, egress_gib_per_hour=2.0))
    found = course([quote(IRISH, 0.05), quote(IRISH, 0.04, 4)], busy)
    assert (found.hours, found.moves, found.unplaced_hours) == (10, 0, 0)
    assert found.machine_usd == pytest.approx(4 * 0.05 + 6 * 0.04)
    assert found.egress_usd == pytest.approx(10 * 2.0 * LIST_PRICES.internet("aws", "eu-west-1"))


def test_a_move_is_paid_once_and_the_new_price_from_then_on() -> None:
    found = course([quote(IRISH, 0.05), quote(IRISH_TOO, 0.06), quote(IRISH_TOO, 0.01, 4)], demand())
    assert (found.moves, found.hours) == (1, 10)
    assert found.machine_usd == pytest.approx(4 * 0.05 + 6 * 0.01)
    assert found.moves_usd == pytest.approx(0.25 * 0.05)  # a quarter of an hour of the old machine; both in one region, nothing to carry


def test_what_is_no_longer_sold_is_left_at_once_and_without_an_offer_nothing_is_paid() -> None:
    found = course([quote(IRISH, 0.05), quote(IRISH, None, 2), quote(IRISH_TOO, 0.08, 6)], demand())
    assert (found.hours, found.unplaced_hours, found.moves) == (6, 4, 0)
    assert found.machine_usd == pytest.approx(2 * 0.05 + 4 * 0.08)
    assert found.usd_per_hour == pytest.approx(found.usd / 6)
    assert course([], demand()).usd_per_hour is None


def test_each_moves_budget_holds_over_the_history() -> None:
    changes = [quote(ref, price, at) for at in range(0, 40, 2) for ref, price in ((IRISH, 0.05 if at % 4 else 0.01), (IRISH_TOO, 0.01 if at % 4 else 0.05))]
    budget = demand(rules=replace(EAGER, moves_per_30_days=3))
    assert course(changes, budget, hours=40).moves == 3
    assert course(changes, demand(), hours=40).moves == 12


def test_a_boundary_keeps_a_workload_from_the_cheap_region_for_the_whole_history() -> None:
    changes = [quote(IRISH, 0.05), quote(AMERICAN, 0.02)]
    inside, free = (course(changes, demand(boundary=where)) for where in (european, anywhere))
    assert (inside.usd, free.usd) == (pytest.approx(0.5), pytest.approx(0.2))


def test_the_premium_now_is_the_cheapest_inside_less_the_cheapest_of_all() -> None:
    offers = Offers.quoted([quote(IRISH, 0.05), quote(AMERICAN, 0.02)])
    [found] = premium(NOW, offers, [demand()], [european])
    assert (found.free_offer, found.bound_offer, found.usd_per_hour) == (AMERICAN, IRISH, pytest.approx(0.03))
    [nothing] = premium(NOW, Offers.quoted([quote(AMERICAN, 0.02)]), [demand()], [european])
    assert (nothing.bound_offer, nothing.usd_per_hour, nothing.free_offer) == (None, None, AMERICAN)


def test_a_caps_or_a_machine_of_now_count_for_nothing_in_another_history() -> None:
    poor = Cap(Spending("acme", Month.of(NOW), 0.01, 5.0, 0.0, 100.0))
    assert course([quote(IRISH, 0.05)], demand(caps=(poor,))) == course([quote(IRISH, 0.05)], demand())


@st.composite
def histories(draw: st.DrawFn) -> list[Quote]:
    """Some days of the little market: prices change, come and go."""
    price = st.sampled_from([0.01, 0.02, 0.03, 0.05, 0.08, None])
    found = [quote(ref, draw(price), 0) for ref in draw(st.lists(st.sampled_from(REFS), unique=True, max_size=8))]
    for _ in range(draw(st.integers(0, 12))):
        found.append(quote(draw(st.sampled_from(REFS)), draw(price), draw(st.integers(1, 95))))
    return sorted(found, key=lambda one: one.observed_at)


@settings(max_examples=60)
@given(histories(), st.sampled_from([PlacementRules(), EAGER, PlacementRules(state_gib=20.0, egress_gib_per_hour=0.1)]))
def test_each_hour_is_placed_or_unplaced_and_what_is_placed_keeps_the_boundary(changes: list[Quote], rules: PlacementRules) -> None:
    end = NOW + 96 * HOUR
    one = demand(rules=rules)
    steps = list(moments(changes, NOW, end, 6 * HOUR, [one.needs]))
    bound = courses(steps, end, [one])[0]
    assert bound.hours + bound.unplaced_hours == pytest.approx(96)
    # Over what the boundary admits alone the course is the same: nothing outside was ever used or paid.
    inside = [Moment(step.at, tuple(quote for quote in step.quotes if european(*quote.offer[:2]) is None)) for step in steps]
    assert courses(inside, end, [one])[0] == bound
    sold = sum(6 for step in inside if any(quote.offer for quote in step.quotes))
    assert bound.hours == pytest.approx(sold)


@settings(max_examples=60)
@given(histories())
def test_a_boundary_never_costs_less_now_than_none(changes: list[Quote]) -> None:
    [step] = moments(changes, NOW, NOW + HOUR, HOUR, [Requirements()])
    [found] = premium(NOW, Offers.quoted(step.quotes), [demand()], [european])
    assert found.usd_per_hour is None or found.usd_per_hour >= 0
    if found.bound_offer is not None:
        assert found.free_offer is not None and european(*found.bound_offer[:2]) is None


@settings(max_examples=40)
@given(histories())
def test_workloads_side_by_side_cost_what_each_costs_alone(changes: list[Quote]) -> None:
    end = NOW + 96 * HOUR
    demands = [demand(workload="a-t"), demand(workload="b-t", boundary=anywhere), demand(workload="c-t", rules=PlacementRules())]
    steps = list(moments(changes, NOW, end, 6 * HOUR, [Requirements()]))
    assert courses(steps, end, demands) == tuple(courses(steps, end, [one])[0] for one in demands)
