"""The availability benchmark: readiness, the rivals and the optimum, on records small enough to be reckoned by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.availability import COLD, load, optimum, ours, ready, round_robin, score, spothedge
from domain.placement.fleet import Goal

ALWAYS = np.full((3, 60), 4)
NEVER = np.zeros((3, 60), dtype=np.int64)


def test_a_machine_is_ready_once_it_was_held_for_the_cold_start() -> None:
    held = np.array([1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1])
    assert ready(held).tolist() == [1, 0, 0, 0, 0, 0, 1]


def test_where_spot_is_always_had_the_optimum_is_three_spot_machines() -> None:
    assert optimum(ALWAYS) == pytest.approx(1 / 3)
    assert optimum(NEVER) == pytest.approx(1.0)


def test_the_optimum_pays_the_cold_start_of_a_successor() -> None:
    window = np.array([[3] * 30 + [0] * 30, [0] * 20 + [3] * 40])
    steps = 60 - COLD
    assert optimum(window) == pytest.approx((3 * steps + 3 * COLD) / (9 * steps))


@pytest.mark.parametrize("policy", [round_robin, spothedge, lambda window, dice: ours(window, Goal(3))])
def test_every_policy_is_always_available_where_capacity_is(policy: object) -> None:
    available, cost = score(*policy(ALWAYS, random.Random(1)))  # type: ignore[operator]  # a policy
    assert available == 1.0 and cost < 0.6


def test_without_spot_only_on_demand_serves() -> None:
    assert score(*round_robin(NEVER, random.Random(1))) == (0.0, 0.0)
    assert score(*spothedge(NEVER, random.Random(1))) == (1.0, 1.0)
    assert score(*ours(NEVER, Goal(3))) == (1.0, 1.0)


def test_a_file_that_is_no_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(json.dumps({"metadata": {"gap_seconds": 300}, "data": [1, -2]}))
    with pytest.raises(SystemExit, match=r"zone\.json is no record of capacity"):
        load(tmp_path)
