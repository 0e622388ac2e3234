"""Replicas under changing capacity: what is asked for, what stands in, and what is learnt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.placement.fleet import Belief, FleetPlan, Goal, Outcome, Replica, Seen, _Case, decide, observe

GOAL = Goal(3)
PRICES = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}
NOON = 12.0


def three(*zones: str, since: float = 0.0) -> tuple[Replica, ...]:
    return tuple(Replica(zone, since) for zone in zones)


def decided(replicas: tuple[Replica, ...], seen: Seen | None = None, prices: dict[str, float] | None = None, on_demand_ready: int = 0) -> FleetPlan:
    return decide(GOAL, replicas, on_demand_ready, PRICES if prices is None else prices, 3.0, seen or Seen(hours=NOON), NOON)


def seen_of(**zones: Belief) -> Seen:
    return Seen(zones, NOON)


QUIET = Belief((1.0, 30.0), (0.0, 0.0))
RESTLESS = Belief((1.0, 30.0), (0.0, 6.0))
BURST = Belief((1.0, 30.0), (2.0, 2.0))


def test_who_has_enough_in_quiet_zones_buys_neither_spare_nor_on_demand() -> None:
    plan = decided(three("a", "b", "c"), seen_of(a=QUIET, b=QUIET, c=QUIET, d=QUIET))
    assert (len(plan.keep), dict(plan.launch), plan.on_demand) == (3, {}, 0)


def test_who_is_short_asks_everywhere_and_lets_on_demand_stand_in() -> None:
    plan = decided(three("a", "b"))
    assert set(plan.launch) == set(PRICES) and plan.on_demand == 1


def test_on_demand_stays_until_the_spot_machine_is_ready() -> None:
    young = (*three("a", "b"), Replica("c", NOON - GOAL.cold_start_hours / 2))
    assert decided(young, seen_of(a=QUIET, b=QUIET, c=QUIET)).on_demand == 1
    assert decided(three("a", "b", "c"), seen_of(a=QUIET, b=QUIET, c=QUIET), on_demand_ready=1).on_demand == 0


def test_restless_zones_are_given_a_spare_elsewhere() -> None:
    plan = decided(three("a", "b", "c"), seen_of(a=RESTLESS, b=RESTLESS, c=RESTLESS, d=QUIET))
    assert dict(plan.launch) == {"d": 1} and len(plan.keep) == 3


def test_where_all_is_lost_again_and_again_on_demand_takes_over_before_spot_is_given_up() -> None:
    doomed = Seen({"a": BURST}, NOON, further_staked=10, further_lost=10)
    cold = decided(three("a", "a", "a"), doomed, {"a": 1.0})
    assert (len(cold.keep), cold.on_demand) == (3, 3)
    warm = decided(three("a", "a", "a"), doomed, {"a": 1.0}, on_demand_ready=3)
    assert (len(warm.keep), warm.on_demand) == (0, 3)


def test_a_refusal_sets_a_ceiling_that_is_believed_for_a_while() -> None:
    seen = observe(Seen(hours=NOON), [Outcome("a", 2, 3, 2)], NOON + GOAL.step_hours, GOAL)
    assert (seen.zones["a"].ceiling, seen.zones["a"].refused_at) == (2, NOON + GOAL.step_hours)
    again = observe(seen, [Outcome("a", 2, 3, 3)], NOON + 2 * GOAL.step_hours, GOAL)
    assert again.zones["a"].ceiling is None


def test_what_another_zone_lost_just_now_is_a_reason_to_buy_a_spare() -> None:
    alone = decided(three("a", "b", "c"), seen_of(a=QUIET, b=QUIET, c=QUIET))
    together = decided(three("a", "b", "c"), seen_of(a=QUIET, b=QUIET, c=QUIET, d=Belief((1.0, 30.0), (3.0, 3.0))))
    assert dict(alone.launch) == {} and sum(together.launch.values()) == 1
    assert together.usd_per_hour + together.risk_usd_per_hour > alone.usd_per_hour + alone.risk_usd_per_hour


def test_a_machine_moves_to_a_safer_zone_and_the_old_one_stays_until_the_new_one_is_ready() -> None:
    seen = seen_of(a=QUIET, b=QUIET, c=Belief((1.0, 30.0), (0.0, 2.5)))
    held = three("a", "b", "c")
    prices = {zone: PRICES[zone] for zone in "abc"}
    first = decided(held, seen, prices)
    assert list(first.launch.values()) == [1] and "c" not in first.launch
    successor = Replica(next(iter(first.launch)), NOON)
    second = decide(GOAL, (*held, successor), 0, prices, 3.0, seen, NOON + GOAL.step_hours)
    assert set(second.keep) == {*held, successor}
    last = decide(GOAL, (*held, successor), 0, prices, 3.0, seen, NOON + 2 * GOAL.cold_start_hours)
    assert "c" not in {one.zone for one in last.keep} and len(last.keep) == 3


def test_a_zone_that_may_not_be_used_any_more_is_left() -> None:
    plan = decided(three("a", "b", "e"))
    assert {one.zone for one in plan.keep} == {"a", "b"} and "e" not in plan.launch


def test_the_dearer_of_two_equal_zones_is_not_asked() -> None:
    quiet = seen_of(a=QUIET, b=QUIET, c=QUIET, d=QUIET)
    plan = decide(Goal(1), (), 0, {"a": 2.0, "b": 1.0}, 3.0, quiet, NOON)
    assert plan.launch["b"] == 1


def test_a_zone_holds_no_more_than_it_may() -> None:
    goal = Goal(3, per_zone=1)
    plan = decide(goal, three("a"), 0, {"a": 1.0, "b": 2.0}, None, seen_of(a=QUIET, b=QUIET), NOON)
    assert (dict(plan.launch), plan.chosen.spot, plan.on_demand) == ({"b": 1}, 2, 0)
    full = decide(goal, three("a", "b"), 0, {"a": 1.0, "b": 2.0}, None, seen_of(a=QUIET, b=QUIET), NOON)
    assert (dict(full.launch), len(full.keep)) == ({}, 2)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 50), st.sampled_from([0.0001, 0.01, 1.0])), min_size=8, max_size=14), st.integers(1, 2), st.integers(0, 3))
def test_with_one_machine_a_zone_no_zone_that_was_left_out_would_have_been_chosen(told: list[tuple[int, float]], wanted: int, held: int) -> None:
    prices = {f"zone-{number:02}": usd / 50 for number, (usd, _) in enumerate(told)}
    rates = {f"zone-{number:02}": rate for number, (_, rate) in enumerate(told)}
    goal = Goal(wanted, per_zone=1)
    replicas = three(*sorted(prices)[:held])
    plan = decide(goal, replicas, 0, prices, None, Seen(hours=NOON), NOON, rates)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Case, "candidates", property(lambda case: tuple(case.spot)))
        assert decide(goal, replicas, 0, prices, None, Seen(hours=NOON), NOON, rates) == plan


def test_what_clouds_tell_of_a_zone_counts_before_anything_was_seen_there() -> None:
    calm, wild = dict.fromkeys(PRICES, 0.0001), dict.fromkeys(PRICES, 1.0)
    chosen = [decide(Goal(3), three("a", "b", "c"), 0, PRICES, 3.0, Seen(hours=NOON), NOON, told).chosen for told in (calm, wild)]
    assert [(one.spot, one.on_demand) for one in chosen] == [(3, 0), (4, 0)]


def test_a_machine_that_stands_by_makes_up_for_a_loss() -> None:
    seen = seen_of(a=RESTLESS, b=RESTLESS, c=RESTLESS, d=QUIET)
    goal = Goal(3, spare=0, standing_by=1)
    plan = decide(goal, three("a", "b", "c"), 0, PRICES, 3.0, seen, NOON)
    assert (plan.risk_usd_per_hour, dict(plan.launch)) == (0.0, {})
    assert decide(Goal(3, spare=0), three("a", "b", "c"), 0, PRICES, 3.0, seen, NOON).risk_usd_per_hour > 0


def test_the_plan_says_what_the_other_ways_would_have_cost() -> None:
    plan = decided(three("a", "b", "c"), seen_of(a=QUIET, b=QUIET, c=QUIET, d=QUIET))
    assert (plan.chosen.spot, plan.chosen.on_demand, plan.chosen.usd_per_hour) == (3, 0, 3.0)
    spare = next(one for one in plan.others if (one.spot, one.on_demand) == (4, 0))
    assert (spare.usd_per_hour, spare.risk_usd_per_hour) == (4.0, 0.0) and all(one.cost >= plan.chosen.cost for one in plan.others)
    assert set(plan.rates) == set(PRICES)


@settings(max_examples=100)
@given(st.lists(st.sampled_from("abcd"), max_size=6), st.integers(0, 3), st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 4)), max_size=4))
def test_a_plan_never_falls_short_by_its_own_doing(zones: list[str], standing: int, losses: list[tuple[str, int]]) -> None:
    replicas = three(*zones)
    seen = seen_of(**{zone: Belief((1.0, 20.0), (float(count), float(count))) for zone, count in losses})
    plan = decided(replicas, seen, on_demand_ready=standing)
    ready_before = min(len(replicas) + standing, GOAL.replicas)
    assert len(plan.keep) + min(plan.on_demand, standing) >= ready_before
    assert set(plan.launch) <= set(PRICES)
    assert decided(replicas, seen, on_demand_ready=standing) == plan
    assert plan.risk_usd_per_hour >= 0 and plan.usd_per_hour == pytest.approx(plan.usd_per_hour)
