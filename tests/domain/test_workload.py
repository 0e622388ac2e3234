"""What a workload asks for: figures that can't be are refused together, and what nothing can ever meet is said with its place."""

from __future__ import annotations

import math
from typing import Any

import pytest

from domain.catalog import CATALOG
from domain.errors import MalformedDemand
from domain.workload import PlacementRules, Requirements, unmet


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("vcpu", 0, "vcpu: 0 is not 1 or more"),
        ("vcpu", -2, "vcpu: -2 is not 1 or more"),
        ("memory_gib", 0.0, "memory_gib: 0 is not above 0"),
        ("memory_gib", math.inf, "memory_gib: inf is no number"),
        ("gpu", -1, "gpu: -1 is not 0 or more"),
    ],
)
def test_a_shape_that_cant_be_is_refused(field: str, value: Any, fault: str) -> None:
    with pytest.raises(MalformedDemand) as refused:
        Requirements(**{field: value})
    assert refused.value.faults == (fault,)


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("max_usd_per_hour", 0.0, "max_usd_per_hour: 0 is not above 0"),
        ("threshold", 1.0, "threshold: 1 is not 0 or more and below 1"),
        ("threshold", -0.1, "threshold: -0.1 is not 0 or more and below 1"),
        ("dwell_hours", math.nan, "dwell_hours: nan is no number"),
        ("moves_per_30_days", -1, "moves_per_30_days: -1 is not 0 or more"),
        ("egress_gib_per_hour", -5.0, "egress_gib_per_hour: -5 is not 0 or more"),
        ("state_gib", math.inf, "state_gib: inf is no number"),
    ],
)
def test_a_rule_that_cant_be_is_refused(field: str, value: Any, fault: str) -> None:
    with pytest.raises(MalformedDemand) as refused:
        PlacementRules(**{field: value})
    assert refused.value.faults == (fault,)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(MalformedDemand) as refused:
        Requirements(vcpu=0, memory_gib=-1.0, gpu=-1)
    assert [fault.partition(":")[0] for fault in refused.value.faults] == ["vcpu", "memory_gib", "gpu"]


def faults(rules: PlacementRules = PlacementRules(), **needs: Any) -> tuple[str, ...]:
    return unmet(Requirements(**needs), rules, CATALOG)


def test_what_a_machine_type_meets_has_no_fault() -> None:
    assert faults() == faults(vcpu=16, memory_gib=64.0) == faults(PlacementRules(frozenset({"gcp"}), frozenset({"us-west4"}))) == ()


@pytest.mark.parametrize(
    ("needs", "fault"),
    [
        ({"vcpu": 512}, "resources.vcpu: 512 is more than any x86_64 machine type of the catalogue has; the largest has 16"),
        ({"memory_gib": 4096.0}, "resources.memoryGib: 4096 is more than any x86_64 machine type of the catalogue has; the largest has 64"),
        ({"vcpu": 16, "memory_gib": 64.0, "arch": "arm64"}, "resources.vcpu: 16 is more than any arm64 machine type of the catalogue has; the largest has 8"),
        ({"gpu": 1, "gpu_type": "H100"}, "resources.gpuType: no x86_64 machine type has H100; there are T4"),
        ({"gpu": 8}, "resources.gpu: 8 is more than any x86_64 machine type of the catalogue has; the largest has 1"),
        ({"vcpu": 16, "memory_gib": 64.0, "gpu": 1}, "resources.vcpu: 16 is more than any x86_64 machine type of the catalogue has; the largest has 8"),
    ],
)
def test_a_shape_that_no_machine_type_has_names_what_is_too_much(needs: dict[str, Any], fault: str) -> None:
    assert faults(**needs)[0] == fault


def test_a_shape_whose_parts_exist_but_not_together_is_said_so() -> None:
    assert faults(PlacementRules(frozenset({"aws"})), vcpu=16, memory_gib=64.0, arch="x86_64") == ()
    assert faults(PlacementRules(frozenset({"azure"})), vcpu=16, memory_gib=64.0, gpu=0) == ()
    assert faults(PlacementRules(frozenset({"aws"})), vcpu=2, memory_gib=33.0, arch="arm64") == (
        "resources.memoryGib: 33 is more than any arm64 machine type of the catalogue has; the largest has 32",
    )
    assert faults(PlacementRules(frozenset({"gcp"})), vcpu=16, memory_gib=64.5) == (
        "resources.memoryGib: 64.5 is more than any x86_64 machine type of the catalogue has; the largest has 64",
    )


def test_an_unknown_region_and_one_of_another_cloud_are_named() -> None:
    found = faults(PlacementRules(frozenset({"aws"}), frozenset({"eu-wst-1", "europe-west4"})))
    assert found == (
        "placement.regions: no cloud has a region 'eu-wst-1'; did you mean eu-west-1 or us-west-1?",
        "placement.regions: europe-west4 is gcp's, and placement.clouds names only aws",
    )
    assert faults(PlacementRules(frozenset()))[0] == "placement.clouds: names no cloud; leave it out to allow all"
