"""Failing feeds, an edge that comes and goes, crashes: no move on stale prices, no missed close of the ledger, memory that stays flat."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

from tests.automation.simulated_day import Chances, Day, held_bytes

MIB = 1024 * 1024


def test_an_hour_with_failures_moves_on_no_stale_price_and_closes_the_ledger(tmp_path: Path) -> None:
    day = Day(tmp_path, 5, chances=Chances(crashes=0.03, call_fails=0.08, edge_fails=0.02, edge_minutes=4, feed_fails=0.03, feed_minutes=10))
    for _ in range(75):
        day.step()
    day.settle()
    assert day.edge.faults == []
    assert day.crashed and day.failed and day.cycles > 20
    assert {hour for _, hour in day.edge.ledger} >= {day.now.replace(minute=0) - timedelta(hours=1)}


def test_hours_of_which_nobody_tells_the_price_are_closed_as_unknown_and_none_is_missed(tmp_path: Path) -> None:
    day = Day(tmp_path, 2, workloads=12, chances=Chances(feed_fails=0.0, edge_fails=0.0, call_fails=0.0, crashes=0.01, interruptions=0.01, unsold=0.004))
    for _ in range(9 * 60):
        day.step()
    unknown = [one for one in day.edge.ledger.values() if one.paid_usd is None]
    assert day.edge.faults == []
    assert day.crashed and unknown and len(unknown) < len(day.edge.ledger) / 2
    assert all(one.quote.spot_usd_per_hour is None for one in unknown)


@pytest.mark.parametrize("dark", [False, True], ids=["while the feeds answer", "while none does"])
def test_what_the_prices_would_move_stays_while_no_feed_answers_and_what_is_interrupted_moves(tmp_path: Path, dark: bool) -> None:
    day = Day(tmp_path, 1, workloads=6, chances=Chances(feed_fails=0.0, edge_fails=0.0, call_fails=0.0, crashes=0.0, interruptions=0.0, price_changes=0.0))
    for _ in range(3):
        day.step()
    for feed in day.feeds.values():  # every other offer is to be had for a tenth
        here = {one.placement.offer.zone for one in day.edge.held.values() if one.placement}
        feed.spot = {ref: spot if ref.zone in here else 0.011 for ref, spot in feed.spot.items()}
    day.step()
    if dark:
        day.chances.interruptions = 0.005
        for feed in day.feeds.values():
            feed.outages.until = day.now + timedelta(hours=48)
    for _ in range(8 * 60):
        day.step()
    assert day.edge.faults == []
    assert ("move" in day.edge.kinds, "interruption" in day.edge.kinds) == (not dark, dark)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("seed", "crashes"), [(1, 0.003), (2, 0.003), (3, 0.0)], ids=["crashing", "crashing otherwise", "in one life"])
def test_a_day_with_failures_moves_on_no_stale_price_closes_the_ledger_and_holds_its_memory(tmp_path: Path, seed: int, crashes: float) -> None:
    day = Day(tmp_path, seed, chances=Chances(crashes=crashes, unsold=0.0005))
    tracemalloc.start()
    for _ in range(4 * 60):
        day.step()
    early = held_bytes()
    for _ in range(20 * 60):
        day.step()
    late = held_bytes()
    tracemalloc.stop()
    day.settle()
    outages = {cloud: feed.outages.count for cloud, feed in day.feeds.items()}
    print(f"seed {seed}: {day.cycles} cycles, {day.failed} failed, {day.crashed} crashes, outages {outages}, decisions {day.edge.kinds}", flush=True)
    print(f"ledger {len(day.edge.ledger)} rows; the service held {early / MIB:.2f} MiB after 4 h, {late / MIB:.2f} MiB after 24 h", flush=True)
    assert day.edge.faults == []
    assert day.edge.kinds["move"] > 0 and day.edge.kinds["interruption"] > 0
    assert late < early + MIB
