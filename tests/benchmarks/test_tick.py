"""What the benchmark of a cycle measures is the service's own cycle, whole."""

from __future__ import annotations

import argparse

from benchmarks import tick


def test_a_cycle_is_measured_in_all_its_parts() -> None:
    result = tick.run(1, argparse.Namespace(workloads=20, offers=2000))
    shares = {name: figure for name, figure in result.others.items() if name.startswith("share_of_")}
    assert (result.claims["workloads"], result.claims["offers"]) == (20.0, 2000.0)
    assert all(figure > 0.0 for figure in shares.values()) and sum(shares.values()) <= 1.0
    assert result.others["decisions"] > 0.0
