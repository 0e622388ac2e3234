"""The savings benchmark: the clairvoyant is the true optimum, the rivals do what they are said to do, ours runs the daemon's engine."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import savings
from benchmarks.recorded import Series
from benchmarks.savings import OVERLAP_HOURS, Ours, Paid, Window, carry, clairvoyant, greedy, once, threshold
from domain.catalog import Machine, OfferRef
from domain.offers import Floats
from domain.workload import Requirements

START = datetime(2023, 1, 1, tzinfo=UTC).timestamp() / 3600


def window(spot: list[list[float]], clouds: tuple[str, ...] = ("aws", "aws", "gcp"), hours_each: float = 6.0) -> Window:
    prices = np.array(spot, dtype=np.float64)
    hours = START + hours_each * np.arange(len(prices))
    return Window(START, hours, np.full(len(prices), hours_each), prices, np.full_like(prices, 9.0), clouds[: prices.shape[1]], 100.0)


def exhaustive(of: Window) -> float:
    """The least total over every sequence of pools."""
    found = float("inf")
    for way in itertools.product(range(of.spot.shape[1]), repeat=len(of.spot)):
        total = 0.0
        for moment, at in enumerate(way):
            if moment and at != way[moment - 1]:
                left = of.spot[moment, way[moment - 1]]
                total += carry(of.clouds[way[moment - 1]], of.clouds[at]) + OVERLAP_HOURS * (0.0 if np.isnan(left) else left)
            total += of.spot[moment, at] * of.weights[moment]
        found = min(found, total if not np.isnan(total) else float("inf"))
    return found


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.sampled_from([0.05, 0.2, 0.4, 1.0])] * 3), min_size=2, max_size=5), st.integers(0, 4))
def test_the_clairvoyant_pays_the_least_of_all_ways(rows: list[tuple[float, ...]], gone: int) -> None:
    of = window([list(row) for row in rows])
    if 0 < gone < len(rows):
        of.spot[gone, 0] = np.nan
    assert clairvoyant(of).usd == pytest.approx(exhaustive(of))


def test_a_pool_that_is_gone_costs_on_demand_to_who_chose_once_and_a_move_to_who_follows() -> None:
    of = window([[0.1, 0.2, 0.9], [np.nan, 0.2, 0.9]])
    assert once(of) == Paid(pytest.approx(6 * 0.1 + 6 * 9.0), 0)  # type: ignore[arg-type]  # an approximate figure
    assert greedy(of) == Paid(pytest.approx(6 * 0.1 + 0.4 + 6 * 0.2), 1)  # type: ignore[arg-type]  # as above


def test_the_threshold_waits_for_ten_per_cent_and_a_day() -> None:
    flat = [[0.20, 0.25, 0.9]] * 2 + [[0.20, 0.15, 0.9]] * 6
    assert threshold(window(flat)).moves == 1
    assert threshold(window(flat[:4])).moves == 0
    assert threshold(window([[0.20, 0.25, 0.9], *[[0.20, 0.185, 0.9]] * 9])).moves == 0


def series(spot: Floats, hours_each: float = 6.0) -> Series:
    pools = (OfferRef("aws", "us-east-1", "use1-az1", "m5.xlarge"), OfferRef("aws", "us-east-2", "use2-az1", "m5.xlarge"))
    machine = Machine("aws", "m5.xlarge", "m5", 4, 16)
    return Series(START + hours_each * np.arange(len(spot)), pools, (machine, machine), spot, np.full_like(spot, 0.2))


def test_ours_follows_a_lasting_gap_once_and_a_passing_one_never() -> None:
    lasting, passing = np.full((200, 2), 0.10), np.full((200, 2), 0.10)
    lasting[10:, 1] = passing[10:14, 1] = 0.05
    for prices, moves in ((lasting, 1), (passing, 0)):
        of = series(prices)
        one = Window(START, of.hours, np.full(200, 6.0), of.spot, of.on_demand, ("aws", "aws"), 100.0)
        found = Ours(of, Requirements(4, 16)).pay([one])[0]
        assert found.moves == moves
        assert clairvoyant(one).usd - 1e-9 <= found.usd <= once(one).usd + 1e-9


def test_a_recording_that_is_too_short_is_refused_with_its_length() -> None:
    with pytest.raises(SystemExit, match=r"covers 10 days of this scope; a window needs 90"):
        savings._starts(START, START + np.arange(0, 240.0, 6.0) + 6)


def test_nothing_is_told_of_the_future() -> None:
    known = series(np.tile([0.10, 0.08], (60, 1)))
    future = known.spot.copy()
    future[31:, 1] = 5.0
    changed = Series(known.hours, known.pools, known.machines, future, known.on_demand)
    half = slice(0, 30)
    one = Window(START, known.hours[half], np.full(30, 6.0), known.spot[half], known.on_demand[half], ("aws", "aws"), 100.0)
    assert Ours(known, Requirements(4, 16)).pay([one]) == Ours(changed, Requirements(4, 16)).pay([one])
