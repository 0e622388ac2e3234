"""What clouds tell of shapes and egress: in force over the embedded tables, with source and time, and held back where it can't be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.catalog import CATALOG, Machine
from domain.network import LIST_PRICES
from domain.reference import Reference
from domain.told import AREA, INTERNET, WORLD, Egress, Shape
from domain.unknown import Unknown

AT = datetime(2026, 3, 10, 8, tzinfo=UTC)
SHAPE = Shape("aws", "m5.large", 2, 7.5, "x86_64", 0, "pricing", AT)
RATE = Egress("aws", "eu-west-1", INTERNET, 0.07, "pricing", AT)


def told(*entries: Shape | Egress, onto: Reference = Reference()) -> Reference:
    shapes, egress = [one for one in entries if isinstance(one, Shape)], [one for one in entries if isinstance(one, Egress)]
    found, held_back = onto.told(shapes, egress)
    assert held_back == []
    return found


def test_a_shape_that_is_told_is_the_catalogues_and_the_others_stay() -> None:
    catalog = told(SHAPE).catalog
    assert catalog.machine("aws", "m5.large").memory_gib == 7.5
    assert catalog.machine("aws", "m5.xlarge") == CATALOG.machine("aws", "m5.xlarge")
    assert told(replace(SHAPE, arch=None)).catalog.machine("aws", "m5.large").arch == "x86_64"


NEW = Shape("aws", "m8g.large", 2, 8.0, "arm64", 0, "ec2", AT, family="m8g", local_disk_gb=0.0, network_gbps=12.5)


def test_a_new_type_is_the_catalogues_once_it_is_told_whole() -> None:
    found = told(NEW)
    assert found.catalog.machine("aws", "m8g.large") == Machine("aws", "m8g.large", "m8g", 2, 8.0, "arm64", local_disk_gb=0.0, network_gbps=12.5)
    assert found.new_machines == (found.catalog.machine("aws", "m8g.large"),) and found.latest() == {("aws", "types"): ("ec2", AT, 1)}
    assert not CATALOG.has_machine("aws", "m8g.large") and len(found.catalog.machine_list) == len(CATALOG.machine_list) + 1


@pytest.mark.parametrize("lacking", [{"family": None}, {"arch": None}, {"local_disk_gb": None}, {"network_gbps": None}, {"gpu": 1}], ids=str)
def test_a_new_type_that_lacks_a_figure_is_no_news(lacking: dict[str, Any]) -> None:
    assert told(replace(NEW, **lacking)) == Reference()


def test_a_network_that_a_clouds_list_doesnt_tell_is_unknown_and_hinders_nothing() -> None:
    found = told(replace(NEW, cloud="azure", name="Standard_D2ps_v6", network_gbps=None))
    assert isinstance(found.catalog.machine("azure", "Standard_D2ps_v6").network_gbps, Unknown)


@pytest.mark.parametrize(
    "wrong",
    [
        {"vcpu": 0}, {"vcpu": 8192}, {"memory_gib": 8192.0}, {"memory_gib": 0.008}, {"gpu": 64, "gpu_type": "L4"}, {"local_disk_gb": -1.0},
        {"network_gbps": 1e5},
    ],
    ids=str,
)  # fmt: skip
def test_a_new_type_that_cant_be_is_held_back_and_not_used(wrong: dict[str, Any]) -> None:
    found, [fault] = Reference().told([replace(NEW, **wrong)], [])
    assert found == Reference() and (fault.reason, fault.quote_offer.id) == ("shape", "aws/*/*/m8g.large")
    assert "where machine types have" in fault.detail


def test_a_new_type_that_changes_its_shape_is_held_back_as_a_listed_one_is() -> None:
    found, [fault] = told(NEW).told([replace(NEW, memory_gib=64.0, observed_at=AT + timedelta(days=1))], [])
    assert found == told(NEW) and "where the catalogue has 8" in fault.detail


@pytest.mark.parametrize(
    "wrong", [replace(SHAPE, vcpu=0), replace(SHAPE, memory_gib=8192.0), replace(SHAPE, memory_gib=-8.0), replace(SHAPE, gpu=1)], ids=lambda one: str(one)[-60:]
)
def test_a_shape_that_cant_be_is_held_back_with_both_figures(wrong: Shape) -> None:
    found, [fault] = Reference().told([wrong], [])
    assert found == Reference() and (fault.reason, fault.quote_offer.id) == ("shape", "aws/*/*/m5.large")
    assert "where the catalogue has" in fault.detail


@pytest.mark.parametrize("usd", [0.0, -0.07, 0.5, 70.0])
def test_a_tariff_of_nothing_or_far_off_the_list_price_is_held_back(usd: float) -> None:
    found, [fault] = Reference().told([], [replace(RATE, usd_per_gib=usd)])
    assert found == Reference() and (fault.reason, fault.quote_offer.id) == ("egress", "aws/eu-west-1/*/egress")


def test_an_unknown_region_is_held_back() -> None:
    _, [fault] = Reference().told([], [replace(RATE, region="eu-wst-1")])
    assert "no region 'eu-wst-1'" in fault.detail


def test_data_costs_what_was_told_to_that_region_else_to_that_part_of_the_world_else_the_list_price() -> None:
    ireland, frankfurt, ohio, gcp = (("aws", "eu-west-1", "a"), ("aws", "eu-central-1", "a"), ("aws", "us-east-2", "a"), ("gcp", "us-west4", "a"))
    tariffs = told(
        RATE, replace(RATE, to="us-east-2", usd_per_gib=0.015), replace(RATE, to=AREA, usd_per_gib=0.01), replace(RATE, to=WORLD, usd_per_gib=0.03)
    ).tariffs
    assert [tariffs.transfer(ireland, to) for to in (frankfurt, ohio, ("aws", "us-west-1", "a"), gcp)] == [0.01, 0.015, 0.03, 0.07]
    assert tariffs.internet("aws", "eu-west-1") == 0.07
    assert tariffs.transfer(ohio, frankfurt) == LIST_PRICES.transfer(ohio, frankfurt)
    assert tariffs.transfer(ireland, ("aws", "eu-west-1", "b")) == LIST_PRICES.transfer(ireland, ("aws", "eu-west-1", "b"))


def test_an_older_answer_changes_nothing_and_the_latest_is_named_with_its_source() -> None:
    newer = replace(RATE, usd_per_gib=0.08, observed_at=AT + timedelta(days=1), source="new")
    found = told(RATE, SHAPE, onto=told(newer))
    assert found.tariffs.internet("aws", "eu-west-1") == 0.08
    assert found.latest() == {("aws", "shapes"): ("pricing", AT, 1), ("aws", "egress"): ("new", AT + timedelta(days=1), 1)}
