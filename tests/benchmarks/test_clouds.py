from __future__ import annotations

import pytest

from benchmarks.clouds import CODES, PLACES, planned


@pytest.mark.parametrize("seed", range(20))
def test_a_tenth_of_each_clouds_cycles_meets_a_fault_of_its_own(seed: int) -> None:
    plan = planned(300, seed)
    assert sorted(number for cycles in plan.values() for number, _ in cycles) == list(range(2, 302))
    for cloud in PLACES:
        met = [code for _, code in plan[cloud] if code is not None]
        assert (len(plan[cloud]), len(met)) == (100, 10)
        assert set(met) == set(CODES[cloud])


def test_the_same_seed_draws_the_same_faults_and_another_others() -> None:
    assert planned(100, 5) == planned(100, 5)
    assert planned(100, 5) != planned(100, 6)
