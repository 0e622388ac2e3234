"""What ``benchmarks runs`` claims, from what it measured."""

from __future__ import annotations

from benchmarks.runs import AT_ONCE, claims, others

SECONDS = {("ours", "create"): 2.0, ("plain", "create"): 9.0, ("automation_api", "create"): 10.0}
RATES = {(side, number): rate * number for number in AT_ONCE for side, rate in (("ours", 0.4), ("plain", 0.1), ("automation_api", 0.08))}


def test_the_claims_are_the_design_s_and_come_from_the_sides_that_they_name() -> None:
    assert claims(SECONDS, RATES) == {"update_seconds": 2.0, "spawned_ratio": 4.5, "automation_api_throughput_ratio": 5.0}


def test_all_that_was_measured_is_told_besides() -> None:
    told = others(SECONDS, RATES)
    assert (told["plain_create_seconds"], told["ours_updates_per_second_8"], told["throughput_ratio_1"]) == (9.0, 3.2, 5.0)
