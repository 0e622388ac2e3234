"""What is recalled from the record is what would have been learnt step by step."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.placement.fleet import Goal, Outcome, Seen, decide, observe
from domain.placement.recall import Mark, Tenure, recall

GOAL = Goal(2, per_zone=1)
STEP = 1 / 120


def stepped(steps: int, lost_at: frozenset[int]) -> Seen:
    """One machine of zone a, held for so many steps; where it is lost, another one is there at the next step."""
    seen = Seen({}, 0.0)
    for step in range(steps):
        got = 0 if step in lost_at else 1
        seen = observe(seen, [Outcome("a", 1 if step and step - 1 not in lost_at else 0, 1, 1 if got else 0)], (step + 1) * STEP, GOAL)
    return seen


@settings(max_examples=25)
@given(st.integers(200, 4000), st.sets(st.integers(10, 199), max_size=4))
def test_it_is_what_steps_would_have_taught(steps: int, losses: set[int]) -> None:
    lost = frozenset(one for one in losses if one - 1 not in losses)
    learnt = stepped(steps, lost).zones["a"]
    moments = sorted((one + 1) * STEP for one in lost)
    edges = [0.0, *moments, steps * STEP]
    tenures = [Tenure("a", begin, end) for begin, end in pairwise(edges)]
    recalled = recall(tenures, [Mark("a", at) for at in moments], [], steps * STEP, GOAL).zones["a"]
    assert recalled.held == pytest.approx(learnt.held, abs=0.06)
    assert recalled.lost == pytest.approx(learnt.lost, abs=0.02)


def test_a_refusal_stands_until_a_machine_was_had_there_again() -> None:
    refused = [Mark("a", 9.0), Mark("a", 9.5)]
    stands = recall([Tenure("a", 1.0, 20.0)], [], refused, 10.0, GOAL).zones["a"]
    assert (stands.ceiling, stands.refused_at) == (0, 9.5)
    assert recall([Tenure("a", 9.6, 20.0)], [], refused, 10.0, GOAL).zones["a"].ceiling is None


def test_hours_and_losses_at_a_ceiling_are_those_within_an_hour_of_a_refusal() -> None:
    seen = recall([Tenure("a", 0.0, 8.25), Tenure("a", 8.5, 20.0)], [Mark("a", 8.25), Mark("a", 5.0)], [Mark("a", 8.0), Mark("a", 8.5)], 20.0, GOAL)
    assert (seen.ceiling_held, seen.ceiling_lost) == (pytest.approx(1.25), 1)


def test_what_comes_later_counts_for_nothing() -> None:
    known = recall([Tenure("a", 1.0, 4.0)], [Mark("a", 4.0)], [], 5.0, GOAL)
    assert recall([Tenure("a", 1.0, 4.0), Tenure("b", 6.0, 9.0)], [Mark("a", 4.0), Mark("a", 5.5)], [Mark("b", 7.0)], 5.0, GOAL) == known


def test_a_burst_buys_a_spare_and_a_quiet_day_gives_it_up() -> None:
    prices, told = dict.fromkeys("abc", 0.02), dict.fromkeys("abc", 0.0001)
    held = [Tenure("a", 0.0, 100.0), Tenure("b", 0.0, 100.0)]

    def spot(losses: list[Mark], hours: float) -> int:
        return decide(GOAL, (), 0, prices, None, recall(held, losses, [], hours, GOAL), hours, told).chosen.spot

    burst = [Mark("c", 49.9), Mark("d", 49.95)]
    assert (spot([], 50.0), spot(burst, 50.0), spot(burst, 74.0)) == (2, 3, 2)
