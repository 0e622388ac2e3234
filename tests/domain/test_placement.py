"""The placement engine: against brute force, and each reason on its own."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import network
from domain.catalog import CATALOG, OfferRef
from domain.offers import Offers
from domain.placement import Current, Demand, Deploy, Move, NoOffer, Problem, Reason, Settings, Stay, Trigger, plan
from domain.placement.capacity import Record, chance
from domain.placement.switching import Regret
from domain.placement.volatility import MEASURED
from domain.prices import Quote, Unknown
from domain.workload import PlacementRules, Requirements
from tests.domain import strategies
from tests.domain.strategies import NOW, anywhere, european

SETTINGS = Settings()
LIMIT = SETTINGS.price_limit
DEAR = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
CHEAP = OfferRef("gcp", "europe-west4", "europe-west4-a", "e2-standard-2")
ASKED = PlacementRules(threshold=0.10, dwell_hours=24)
AMERICAN = OfferRef("gcp", "us-west4", "us-west4-a", "e2-standard-2")


def quote(ref: OfferRef, spot: float, **fields: object) -> Quote:
    return replace(Quote(ref, spot, 0.1, "test", NOW, 0.0), **fields)  # type: ignore[arg-type]  # the fields of Quote, by name


def verdict(demand: Demand, *quotes: Quote) -> object:
    return plan(Problem(NOW, Offers.quoted(quotes), (demand,))).verdicts[0]


def running(**fields: object) -> Demand:
    """A workload that has served at DEAR for three days; its owner asks for 10 % and a day's stay."""
    demand = Demand("w-t", Requirements(2, 4), ASKED, european, Current("t_w_1", DEAR, NOW - timedelta(days=3)))
    return replace(demand, **fields)  # type: ignore[arg-type]  # the fields of Demand, by name


def brute(demand: Demand, quotes: list[Quote], answered: dict[OfferRef, Record]) -> tuple[float, set[OfferRef]]:
    """Least total and the offers that reach it, computed one by one in plain Python; (inf, {}) if there is none."""
    rules, current = demand.rules, demand.current
    held = {one.offer: one for one in quotes}
    fresh: dict[OfferRef, float] = {}
    old: dict[OfferRef, float] = {}

    def rate(one: Quote) -> float:
        return SETTINGS.interruptions_when_unknown if isinstance(one.interruptions_per_hour, Unknown) else one.interruptions_per_hour

    def expected(one: Quote) -> float:
        assert not isinstance(one.spot, Unknown)
        internet = network.tariff(one.offer.cloud, one.offer.region).internet
        return one.spot + rules.egress_gib_per_hour * internet + rate(one) * (rules.state_gib * internet + SETTINGS.overlap_hours * one.spot)

    present = held.get(current.offer) if current is not None else None
    priced = present is not None and not isinstance(present.spot, Unknown)
    horizon = SETTINGS.reign_hours
    if priced and demand.trigger not in (Trigger.INTERRUPTION, Trigger.UNHEALTHY) and present is not None and rate(present) > 0:
        horizon = min(horizon, 1 / rate(present))
    totals: dict[OfferRef, float] = {}
    stale: dict[OfferRef, float] = {}
    for one in quotes:
        place = one.offer
        if (
            isinstance(one.spot, Unknown)
            or not demand.needs.fits(CATALOG.machine(place.cloud, place.instance_type))
            or demand.boundary(place.cloud, place.region) is not None
            or not rules.asks_for(place.cloud, place.region)
            or place in demand.excluded
            or (rules.max_usd_per_hour is not None and one.spot > rules.max_usd_per_hour)
        ):
            continue
        (fresh if one.is_fresh(NOW, LIMIT) else old)[place] = one.spot
        if current is not None and place == current.offer and demand.trigger is not Trigger.UNHEALTHY:
            continue
        total = horizon * expected(one)
        if current is not None:
            total += rules.state_gib * network.transfer(current.offer[:3], place[:3])
            total += SETTINGS.overlap_hours * (expected(present) if priced and present is not None else 0.0)
        (totals if one.is_fresh(NOW, LIMIT) else stale)[place] = total
    lost = current is None or demand.trigger in (Trigger.INTERRUPTION, Trigger.UNHEALTHY)
    least_spot = min((fresh or old).values(), default=0.0)
    hour = 100 * least_spot if lost else present.spot if priced and present is not None else least_spot
    for pool in (totals, stale):
        for ref in pool:
            refused = chance(None if (score := held[ref].score) is None else score.grade, answered.get(ref, Record()))
            pool[ref] += SETTINGS.refusal_hours * hour * refused / (1 - refused)  # type: ignore[operator]  # a known price
    pool = totals or (stale if demand.trigger in (Trigger.INTERRUPTION, Trigger.UNHEALTHY) and current is not None else {})
    least = min(pool.values(), default=float("inf"))
    return least, {ref for ref, total in pool.items() if total <= least + 1e-9}


@settings(max_examples=300)
@given(strategies.quotes(), strategies.demands(), strategies.answered())
def test_the_choice_is_the_least_total_of_what_may_be_used(quotes: list[Quote], demand: Demand, answered: dict[OfferRef, Record]) -> None:
    if demand.current is not None and (
        demand.boundary(*demand.current.offer[:2]) is not None
        or not demand.rules.asks_for(*demand.current.offer[:2])
        or not demand.needs.fits(CATALOG.machine(demand.current.offer.cloud, demand.current.offer.instance_type))
    ):
        return  # a forced move, tested on its own
    if demand.trigger in (Trigger.REDEPLOY, Trigger.RENEWAL):
        return  # its own offer first, whatever others cost: tested on its own
    found = plan(Problem(NOW, Offers.quoted(quotes), (demand,), answered=answered)).verdicts[0]
    _, best = brute(demand, quotes, answered)
    if isinstance(found, Deploy | Move):
        assert found.offer in best
    elif isinstance(found, NoOffer):
        assert best == set()
    elif found.reason in (Reason.BELOW_THRESHOLD, Reason.DWELL, Reason.MOVE_BUDGET):  # type: ignore[attr-defined]  # a Stay
        assert found.evidence.alternatives[0].offer in best  # type: ignore[attr-defined]  # a Stay
        assert demand.trigger is Trigger.PRICE


@settings(max_examples=60)
@given(strategies.quotes(), strategies.demands(), st.integers(0, 1000))
def test_the_order_of_the_offers_changes_nothing(quotes: list[Quote], demand: Demand, seed: int) -> None:
    shuffled = random.Random(seed).sample(quotes, len(quotes))
    assert verdict(demand, *quotes) == verdict(demand, *shuffled)


@settings(max_examples=100)
@given(strategies.quotes(), strategies.demands())
def test_nothing_is_ever_placed_outside_its_boundary_or_moved_by_price_on_a_stale_quote(quotes: list[Quote], demand: Demand) -> None:
    found = verdict(demand, *quotes)
    if isinstance(found, Deploy | Move):
        assert demand.boundary(found.offer.cloud, found.offer.region) is None
        if demand.trigger is Trigger.PRICE and found.reason is Reason.CHEAPEST:
            assert found.evidence.quote.is_fresh(NOW, LIMIT)
            assert found.evidence.current_quote is not None and found.evidence.current_quote.is_fresh(NOW, LIMIT)


def test_a_move_states_its_net_saving_after_egress_and_overlap() -> None:
    found = verdict(running(rules=replace(ASKED, state_gib=10)), quote(DEAR, 0.05), quote(CHEAP, 0.02))
    assert isinstance(found, Move)
    evidence = found.evidence
    present, target = 0.05, 0.02  # no interruptions, no egress of the service
    move = 10 * 0.09 + 0.25 * present
    assert (found.offer, evidence.horizon_hours) == (CHEAP, 720.0)
    refusals = 30 / 3600 * present * 0.45 / 0.55  # nothing is told of its capacity, and the old machine is paid for meanwhile
    assert evidence.move_cost_usd == move
    assert evidence.asking is not None and evidence.asking.usd == pytest.approx(refusals)
    assert evidence.net_saving_usd == pytest.approx(720 * (present - target) - move - refusals)


def test_data_gravity_keeps_a_heavy_workload_where_it_is() -> None:
    found = verdict(running(rules=replace(ASKED, state_gib=1000)), quote(DEAR, 0.05), quote(CHEAP, 0.02))
    assert isinstance(found, Stay) and found.reason is Reason.CHEAPEST


def test_a_saving_below_the_threshold_is_no_move() -> None:
    found = verdict(running(), quote(DEAR, 0.021), quote(CHEAP, 0.020))
    assert isinstance(found, Stay) and found.reason is Reason.BELOW_THRESHOLD
    assert found.evidence is not None and found.evidence.alternatives[0].reason is Reason.BELOW_THRESHOLD


def test_dwell_and_budget_hold_a_price_move_back_but_no_interruption() -> None:
    young = running(current=Current("t_w_1", DEAR, NOW - timedelta(hours=2)))
    spent = running(moves_in_30_days=12)
    prices = (quote(DEAR, 0.05), quote(CHEAP, 0.02))
    assert [verdict(one, *prices).reason for one in (young, spent)] == [Reason.DWELL, Reason.MOVE_BUDGET]  # type: ignore[attr-defined]  # both stay
    forced = verdict(replace(young, moves_in_30_days=12, trigger=Trigger.INTERRUPTION), *prices)
    assert isinstance(forced, Move) and forced.reason is Reason.INTERRUPTED


def test_an_interruption_moves_on_stale_quotes_and_marks_it() -> None:
    old = NOW - timedelta(days=2)
    found = verdict(running(trigger=Trigger.INTERRUPTION), quote(DEAR, 0.05, observed_at=old), quote(CHEAP, 0.02, observed_at=old))
    assert isinstance(found, Move) and found.evidence.stale
    assert found.evidence.quote_age_seconds == 2 * 86400


def test_a_cheaper_offer_outside_the_boundary_is_shown_with_its_reason() -> None:
    found = verdict(running(), quote(DEAR, 0.05), quote(CHEAP, 0.02), quote(AMERICAN, 0.001))
    assert isinstance(found, Move) and found.offer == CHEAP
    [american] = [one for one in found.evidence.alternatives if one.offer == AMERICAN]
    assert (american.reason, american.detail) == (Reason.OUTSIDE_BOUNDARY, "us-west4 is outside the EU")


def test_a_boundary_that_changed_moves_what_runs_outside_at_once() -> None:
    demand = running(current=Current("t_w_1", AMERICAN, NOW), moves_in_30_days=99)
    found = verdict(demand, quote(AMERICAN, 0.001), quote(CHEAP, 0.02))
    assert isinstance(found, Move) and (found.offer, found.reason) == (CHEAP, Reason.OUTSIDE_BOUNDARY)


def test_a_requested_offer_outside_the_boundary_is_refused_by_name() -> None:
    found = verdict(running(trigger=Trigger.REQUESTED, requested=AMERICAN), quote(DEAR, 0.05), quote(AMERICAN, 0.001))
    assert isinstance(found, NoOffer) and found.reason is Reason.OUTSIDE_BOUNDARY


def left_to_the_rule(regret: Regret | None, **fields: object) -> Demand:
    """A workload of whose moves its owner asks nothing."""
    return running(rules=PlacementRules(state_gib=10), current=Current("t_w_1", DEAR, NOW - timedelta(hours=1), regret), **fields)


def test_without_a_wish_of_the_owner_a_gap_must_be_as_wide_as_prices_are_restless() -> None:
    found = verdict(left_to_the_rule(Regret(1e6, 0, NOW)), quote(DEAR, 0.0214), quote(CHEAP, 0.020))
    assert isinstance(found, Stay) and found.reason is Reason.BELOW_THRESHOLD and found.evidence is not None and found.evidence.hurdle is not None
    move = 10 * 0.09 + 0.25 * 0.0214
    least = (1.5 * move * (MEASURED.of("aws") * 0.0214**2 + MEASURED.of("gcp") * 0.020**2)) ** (1 / 3)
    assert found.evidence.hurdle.gap_usd_per_hour == pytest.approx(least) and least > 0.0014


def test_a_gap_is_followed_once_staying_has_cost_five_times_the_move() -> None:
    prices = (quote(DEAR, 0.05), quote(CHEAP, 0.02))
    hurdle = 5 * (10 * 0.09 + 0.25 * 0.05)
    early = verdict(left_to_the_rule(Regret(hurdle - 0.03 * 11, 0.03, NOW - timedelta(hours=10))), *prices)
    assert isinstance(early, Stay) and early.reason is Reason.DWELL and early.evidence is not None and early.evidence.hurdle is not None
    assert early.evidence.hurdle.dwell_left_hours == pytest.approx(1.0)
    assert early.evidence.hurdle.regret == Regret(pytest.approx(hurdle - 0.03), pytest.approx(0.03), NOW)  # type: ignore[arg-type]  # approximate figures
    late = verdict(left_to_the_rule(Regret(hurdle - 0.03 * 9.9, 0.03, NOW - timedelta(hours=10))), *prices)
    assert isinstance(late, Move) and late.reason is Reason.CHEAPEST


def test_a_platform_that_makes_one_price_move_at_a_time_makes_the_most_saving_one() -> None:
    prices = (quote(DEAR, 0.05), quote(CHEAP, 0.02))
    light, heavy = running(workload="a-t", rules=replace(ASKED, state_gib=5)), running(workload="b-t")
    found = plan(Problem(NOW, Offers.quoted(prices), (light, heavy), Settings(price_moves=1))).verdicts
    assert [type(one) for one in found] == [Stay, Move]
    assert found[0].reason is Reason.MOVE_BUDGET  # type: ignore[union-attr]  # a Stay


def test_a_replica_stays_out_of_the_zones_of_its_peers() -> None:
    prices = (quote(DEAR, 0.05), quote(CHEAP, 0.02))
    demand = Demand("w-t", Requirements(2, 4), PlacementRules(), european, apart=frozenset({CHEAP[:3]}))
    found = verdict(demand, *prices)
    assert isinstance(found, Deploy) and found.offer == DEAR
    assert [(one.offer, one.reason) for one in found.evidence.alternatives] == [(CHEAP, Reason.PEER)]


def test_equal_offers_break_ties_by_id() -> None:
    zones = [OfferRef("aws", "eu-west-1", f"eu-west-1{letter}", "m5.large") for letter in "cab"]
    found = verdict(Demand("w-t", Requirements(2, 4), PlacementRules(), anywhere), *(quote(ref, 0.02) for ref in zones))
    assert isinstance(found, Deploy) and found.offer.zone == "eu-west-1a"


@pytest.mark.parametrize("trigger", [Trigger.REDEPLOY, Trigger.RENEWAL])
def test_a_redeploy_stays_on_its_offer_while_that_may_be_used(trigger: Trigger) -> None:
    demand = running(trigger=trigger, current=Current("t_w_1", DEAR, NOW - timedelta(hours=1)), moves_in_30_days=99)
    prices = (quote(DEAR, 0.05), quote(CHEAP, 0.02))
    found = verdict(demand, *prices)
    assert isinstance(found, Move) and (found.offer, found.from_placement, found.reason) == (DEAR, "t_w_1", Reason.REDEPLOY)
    elsewhere = verdict(replace(demand, excluded={DEAR: "it took a machine back within the last day"}), *prices)
    assert isinstance(elsewhere, Move) and (elsewhere.offer, elsewhere.trigger) == (CHEAP, trigger)
