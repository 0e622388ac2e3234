"""Which zones fail together: the rule on plain cases, and what holds for all of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.offers import Offers
from domain.placement import plan
from domain.placement.domains import WINDOW, Domains, Failure, learn
from domain.placement.plan import Current, Demand, Move, Problem, Reason, ZoneRef
from domain.prices import Quote
from domain.workload import PlacementRules, Requirements
from tests.domain.strategies import NOW, REFS, anywhere

A, B, C = ("aws", "eu-west-1", "eu-west-1a"), ("aws", "eu-west-1", "eu-west-1b"), ("aws", "eu-west-1", "eu-west-1c")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def failed(*told: tuple[ZoneRef, timedelta]) -> list[Failure]:
    return [Failure(BEGIN + after, zone) for zone, after in told]


def twice(one: ZoneRef, other: ZoneRef, apart: timedelta = 5 * MINUTE) -> list[Failure]:
    """Two shortages, a day apart, that took both."""
    return failed((one, DAY), (other, DAY + apart), (one, 2 * DAY), (other, 2 * DAY + apart))


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        (failed((A, DAY), (B, DAY)), {A}),
        (twice(A, B), {A, B}),
        (twice(A, B, WINDOW), {A, B}),
        (twice(A, B, WINDOW + MINUTE), {A}),
        (twice(A, B) + failed((A, 5 * DAY), (B, 8 * DAY)), {A}),
        (failed(*((zone, DAY + number * MINUTE) for number in range(9) for zone in (A, B))), {A}),
        (failed(*((zone, number * DAY) for number in range(6) for zone in ((A, B) if number < 3 else (B, C)))), {A, B}),
    ],
    ids=["once-is-chance", "twice-isnt", "at-the-window", "past-it", "half-of-them-alone", "one-long-shortage-is-one", "not-from-zone-to-zone"],
)
def test_zones_fail_together_where_more_than_half_of_their_spells_are_shared(failures: list[Failure], expected: set[ZoneRef]) -> None:
    assert learn(failures).around(A) == expected


ZONES = [A, B, C, ("gcp", "europe-west4", "europe-west4-a")]
FAILURES = st.lists(st.builds(lambda zone, minutes: Failure(BEGIN + minutes * MINUTE, zone), st.sampled_from(ZONES), st.integers(0, 600)), max_size=30)


@given(FAILURES, st.randoms(use_true_random=False))
def test_the_order_and_the_repetition_of_what_is_told_change_nothing(failures: list[Failure], dice: random.Random) -> None:
    again = failures + failures[: len(failures) // 2]
    dice.shuffle(again)
    assert learn(again) == learn(failures)


@given(FAILURES)
def test_to_fail_together_is_mutual_and_a_zone_always_fails_with_itself(failures: list[Failure]) -> None:
    domains = learn(failures)
    for one in ZONES:
        assert one in domains.around(one)
        for other in ZONES:
            assert (other in domains.around(one)) == (one in domains.around(other))


@given(FAILURES, st.sampled_from(ZONES), st.integers(1, 5))
def test_a_failure_alone_never_brings_zones_together(failures: list[Failure], zone: ZoneRef, days: int) -> None:
    alone = Failure(BEGIN + timedelta(days=days), zone)
    before, after = learn(failures), learn([*failures, alone])
    assert all(after.around(one) <= before.around(one) for one in ZONES)


@given(FAILURES, st.timedeltas(timedelta(0), timedelta(days=900)))
def test_only_the_time_between_failures_counts(failures: list[Failure], later: timedelta) -> None:
    assert learn([Failure(one.at + later, one.zone) for one in failures]) == learn(failures)


def test_a_machine_that_stands_where_its_other_one_fails_leaves_for_another_domain() -> None:
    here = REFS[0]
    near = next(ref for ref in REFS if ref[:2] == here[:2] and ref.zone != here.zone)
    far = next(ref for ref in REFS if ref.cloud == "gcp")
    quotes = [Quote(ref, spot, 0.1, "test", NOW, 0.0) for ref, spot in ((here, 0.01), (near, 0.02), (far, 0.05))]
    domains = Domains({here[:3]: frozenset({near[:3]})})
    standby = Demand("w-t", Requirements(2, 4.0), PlacementRules(), anywhere, Current("t_w_2", near, NOW), apart=domains.around(here[:3]))
    [verdict] = plan(Problem(NOW, Offers.quoted(quotes), (standby,))).verdicts
    assert isinstance(verdict, Move)
    assert (verdict.offer, verdict.reason) == (far, Reason.PEER)
    assert {one.offer: one.reason for one in verdict.evidence.alternatives}[here] is Reason.PEER
