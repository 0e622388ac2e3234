"""What a program passes becomes a component's arguments, or one error with every fault and its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
import pytest
from pulumi.errors import InputPropertiesError
from pulumi.output import UNKNOWN

from provider.shape import Shape, arguments, outputs, shape_of
from provider.values import build


@dataclass(frozen=True)
class Gpu:
    kind: str
    count: int = 1


@dataclass(frozen=True)
class Args:
    machine_name: str
    subnet_id: pulumi.Input[str]
    mode: Literal["spot", "on-demand"] = "spot"
    zones: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    max_usd_per_hour: float | None = None
    disk_key_id: pulumi.Input[str | None] = None
    gpu: Gpu | None = None
    blueprint: object = None


class Component(pulumi.ComponentResource):
    machine_id: pulumi.Output[str]
    subnet_ids: dict[str, pulumi.Output[str]]
    children: list[pulumi.Resource]


GIVEN = {"blueprint": "made here"}


def passed(**changes: Any) -> dict[str, Any]:
    return {"machineName": "web", "subnetId": "subnet-1"} | changes


def built(**changes: Any) -> Args:
    made = build(Args, arguments(Args, GIVEN), {key: value for key, value in passed(**changes).items() if value is not None}, GIVEN)
    assert isinstance(made, Args)
    return made


def faults(**changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(InputPropertiesError) as raised:
        built(**changes)
    assert raised.value.errors is not None
    return [(one["property_path"], one["reason"]) for one in raised.value.errors]


def test_what_is_left_out_takes_its_default() -> None:
    assert built() == Args("web", "subnet-1", blueprint="made here")


def test_numbers_come_as_floats_and_objects_as_maps() -> None:
    assert built(gpu={"kind": "nvidia-l4", "count": 2.0}, maxUsdPerHour=1, zones=["a"], tags={"tenant": "acme"}) == Args(
        "web", "subnet-1", zones=["a"], tags={"tenant": "acme"}, max_usd_per_hour=1.0, gpu=Gpu("nvidia-l4", 2), blueprint="made here"
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"machineName": None}, ("machineName", "is missing")),
        ({"machineName": 7.0}, ("machineName", "must be a text, not float")),
        ({"mode": "Spot"}, ("mode", "'Spot' is none of spot, on-demand")),
        ({"zones": "a"}, ("zones", "must be a list, not str")),
        ({"zones": ["a", 1.0]}, ("zones[1]", "must be a text, not float")),
        ({"tags": {"n": 1.0}}, ("tags.n", "must be a text, not float")),
        ({"maxUsdPerHour": True}, ("maxUsdPerHour", "must be a number, not bool")),
        ({"gpu": {"kind": "l4", "count": 1.5}}, ("gpu.count", "must be a whole number, not float")),
        ({"gpu": {}}, ("gpu.kind", "is missing")),
        ({"machineName": UNKNOWN}, ("machineName", "must be known when the program runs, and not be another resource's output")),
    ],
)
def test_a_fault_names_its_place(changes: dict[str, Any], fault: tuple[str, str]) -> None:
    assert faults(**changes) == [fault]


def test_an_argument_that_does_not_exist_is_told_with_those_that_do() -> None:
    ((path, reason),) = faults(subnet="subnet-1")
    assert path == "subnet" and "subnetId" in reason and "blueprint" not in reason


def test_all_faults_are_told_at_once() -> None:
    assert [path for path, _ in faults(machineName=None, mode="x", zones="a")] == ["machineName", "mode", "zones"]


def test_what_may_come_later_passes_as_it_is() -> None:
    assert built(subnetId=UNKNOWN).subnet_id is UNKNOWN


def test_inputs_need_not_be_known_early_and_what_has_a_default_is_optional() -> None:
    shapes = arguments(Args, GIVEN)
    assert {name for name, shape in shapes.items() if not shape.plain} == {"subnet_id", "disk_key_id"}
    assert {name for name, shape in shapes.items() if not shape.optional} == {"machine_name", "subnet_id"}


def test_a_components_outputs_are_what_it_annotates_as_outputs() -> None:
    assert outputs(Component) == {"machine_id": Shape("string", plain=False), "subnet_ids": Shape("map", plain=False, of=Shape("string"))}


def test_an_annotation_without_a_form_in_the_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="has no form in Pulumi's schema"):
        shape_of(str | int)
