"""Capacity in a choice: the chance of a refusal, what one costs, and that the order in which offers are asked is the best of all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog import OfferRef
from domain.offers import Offers
from domain.placement import Current, Demand, Deploy, Move, Problem, Reason, Stay, Trigger, Verdict, plan
from domain.placement.capacity import HALF_LIFE, Answer, Record, chance, odds, remembered
from domain.prices import Quote
from domain.told import Grade, Score
from domain.workload import PlacementRules, Requirements
from tests.domain.strategies import NOW, anywhere

HERE = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
PLENTY = OfferRef("gcp", "europe-west4", "europe-west4-a", "e2-standard-2")
SCARCE = PLENTY._replace(zone="europe-west4-b")


def quote(ref: OfferRef, spot: float, grade: Grade | None = None) -> Quote:
    return Quote(ref, spot, 0.1, "test", NOW, 0.0, score=grade and Score(ref, grade, f"says {grade.value}", "advice", NOW))


def verdict(demand: Demand, *quotes: Quote, answered: dict[OfferRef, Record] | None = None) -> Verdict:
    return plan(Problem(NOW, Offers.quoted(quotes), (demand,), answered=answered or {})).verdicts[0]


def first(**fields: object) -> Demand:
    return replace(Demand("w-t", Requirements(2, 4), PlacementRules(), anywhere), **fields)  # type: ignore[arg-type]  # the fields of Demand, by name


def running(trigger: Trigger) -> Demand:
    return first(current=Current("t_w_1", HERE, NOW - timedelta(days=3)), trigger=trigger, rules=PlacementRules(threshold=0.0, dwell_hours=0.0))


# The chance


def test_the_clouds_word_stands_until_the_platform_has_an_answer_of_its_own() -> None:
    assert [chance(grade) for grade in (Grade.HIGH, Grade.MEDIUM, Grade.LOW, None)] == pytest.approx([0.15, 0.45, 0.8, 0.45])
    assert chance(Grade.HIGH, Record(refused=1.0)) == pytest.approx((0.15 + 1) / 2)
    assert chance(Grade.LOW, Record(launched=3.0)) == pytest.approx(0.8 / 4)


def test_an_answer_weighs_half_after_a_day_and_the_order_in_which_answers_are_told_doesnt_matter() -> None:
    answers = [Answer(NOW - HALF_LIFE, SCARCE, True), Answer(NOW, SCARCE, True), Answer(NOW - 2 * HALF_LIFE, SCARCE, False), Answer(NOW, PLENTY, False)]
    found = remembered(answers, NOW)
    assert found == {SCARCE: Record(1.5, 0.25), PLENTY: Record(0.0, 1.0)} == remembered(answers[::-1], NOW)
    assert remembered([Answer(NOW + HALF_LIFE, SCARCE, True)], NOW) == {SCARCE: Record(1.0, 0.0)}
    assert remembered([Answer(NOW, SCARCE, True)] * 2, NOW) == {SCARCE: Record(1.0, 0.0)}  # told twice, given once
    assert timedelta(hours=24) == HALF_LIFE


# The order


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.01, 0.95)), min_size=2, max_size=5),
    st.floats(0.001, 20),
    st.floats(0, 100),
)
def test_by_cost_and_odds_offers_are_asked_in_the_best_of_all_orders(offers: list[tuple[float, float]], refusal: float, at_last: float) -> None:
    def expected(order: tuple[tuple[float, float], ...]) -> float:
        total, reached = 0.0, 1.0
        for cost, refused in order:
            total += reached * ((1 - refused) * cost + refused * refusal)
            reached *= refused
        return total + reached * at_last

    ours = tuple(sorted(offers, key=lambda one: one[0] + refusal * odds(one[1])))
    assert expected(ours) <= min(map(expected, permutations(offers))) * (1 + 1e-9)


# What it does to choices


@pytest.mark.parametrize("demand", [first(), *(running(trigger) for trigger in Trigger)], ids=["first", *Trigger])
def test_of_equal_prices_what_is_likelier_to_be_had_is_asked_whatever_the_reason(demand: Demand) -> None:
    told = {PLENTY._replace(zone="b"): Grade.HIGH, PLENTY._replace(zone="a"): Grade.LOW}
    own = quote(HERE, 5.0) if demand.trigger in (Trigger.REDEPLOY, Trigger.RENEWAL) else quote(HERE, 0.5)
    barred = {HERE: "refused"} if demand.trigger in (Trigger.REDEPLOY, Trigger.RENEWAL) else {}
    found = verdict(replace(demand, excluded=barred), own, *(quote(ref, 0.02, grade) for ref, grade in told.items()))
    assert isinstance(found, Deploy | Move) and found.offer.zone == "b"


def test_a_rescue_and_a_first_placement_pay_for_capacity_what_a_move_by_price_does_not() -> None:
    # A refusal comes to 30 s; there are 4 at low grade and 0.18 at high for each machine that is had. 0.01 dearer over a day is 0.0048 USD more; without a
    # machine an hour is worth a hundred of it, so that the refusals saved are worth 3.82 * 30 s * 100 * 0.02 USD/h = 0.064 USD; else some 0.0016.
    market = (quote(HERE, 0.05), quote(SCARCE, 0.02, Grade.LOW), quote(PLENTY, 0.0202, Grade.HIGH))
    day = NOW + timedelta(hours=24)
    waiting = [first(ends_at=day), *(replace(running(trigger), ends_at=day) for trigger in (Trigger.INTERRUPTION, Trigger.UNHEALTHY))]
    for demand in waiting:
        found = verdict(demand, *market)
        assert isinstance(found, Deploy | Move) and found.offer == PLENTY
    calm = verdict(replace(running(Trigger.PRICE), ends_at=day), *market)
    assert isinstance(calm, Move) and calm.offer == SCARCE


def test_over_a_month_a_price_that_is_lower_by_a_hundredth_outweighs_a_refusal_or_two() -> None:
    found = verdict(first(), quote(SCARCE, 0.02, Grade.MEDIUM), quote(PLENTY, 0.0202, Grade.HIGH))
    assert isinstance(found, Deploy) and found.offer == SCARCE


def test_what_was_refused_of_late_is_asked_after_its_twin_and_what_was_had_before_it() -> None:
    market = (quote(PLENTY, 0.02), quote(SCARCE, 0.02))
    for answered in ({PLENTY: Record(refused=0.5)}, {SCARCE: Record(launched=0.5)}):
        found = verdict(first(), *market, answered=answered)
        assert isinstance(found, Deploy) and found.offer == SCARCE
    untold = verdict(first(), *market)
    assert isinstance(untold, Deploy) and untold.offer == PLENTY  # by its id


def test_the_evidence_says_what_refusals_are_expected_to_cost_and_which_cheaper_offer_lost_for_them() -> None:
    there = PLENTY._replace(region="us-west4", zone="us-west4-a")
    market = (quote(SCARCE, 0.02, Grade.LOW), quote(there, 0.0202, Grade.HIGH))
    found = verdict(first(ends_at=NOW + timedelta(hours=24)), *market, answered={SCARCE: Record(refused=1.0)})
    assert isinstance(found, Deploy) and found.offer == there
    asking = found.evidence.asking
    assert asking is not None and (asking.chance, asking.record) == (pytest.approx(0.15), Record())
    assert asking.refusal_usd == pytest.approx(30 / 3600 * 100 * 0.02)
    assert asking.usd == pytest.approx(asking.refusal_usd * 0.15 / 0.85)
    [lost] = found.evidence.alternatives
    assert (lost.offer, lost.reason) == (SCARCE, Reason.SCARCER)
    assert "refused 90% of the times, for its cloud says says low, low (advice), and of late it was refused 1.0 times and had 0.0 times" in lost.detail
    dearer = asking.refusal_usd * (9.0 - 0.15 / 0.85) / 24
    assert f"likelier refusals {dearer:.2g} USD/h more" in lost.detail


def test_what_stays_asks_for_nothing() -> None:
    found = verdict(running(Trigger.PRICE), quote(HERE, 0.02), quote(PLENTY, 0.05, Grade.HIGH))
    assert isinstance(found, Stay) and found.evidence is not None and found.evidence.asking is None
    assert [one.reason for one in found.evidence.alternatives] == [Reason.DEARER]


def test_a_move_that_a_person_asks_for_is_told_with_what_refusals_are_expected_to_cost() -> None:
    asked = replace(running(Trigger.REQUESTED), requested=SCARCE, ends_at=NOW + timedelta(hours=24))
    market = (quote(HERE, 0.05), quote(SCARCE, 0.02, Grade.LOW))
    plain, refused = verdict(asked, *market), verdict(asked, *market, answered={SCARCE: Record(refused=1.0)})
    assert isinstance(plain, Move) and isinstance(refused, Move)
    assert plain.evidence.net_saving_usd is not None and plain.evidence.asking is not None
    assert refused.evidence.net_saving_usd == pytest.approx(plain.evidence.net_saving_usd - plain.evidence.asking.refusal_usd * (9.0 - 4.0))
