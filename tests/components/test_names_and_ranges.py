"""Names stay within every cloud's limits; subnets are disjoint, inside their range and stable."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import cidr, naming
from components.azure.ssh import keyless_public_key
from components.gcp.offering import disk_type
from domain.catalog import CATALOG
from domain.errors import UnknownRegion
from domain.region_numbers import region_number

KEPT = [0, 31, 77, 119]
PARTS = st.lists(st.text(alphabet="abcXYZ019-_. ", min_size=1, max_size=60), min_size=1, max_size=4)
KINDS = st.sampled_from(sorted(naming.LIMITS))
RANGES = st.builds(lambda second, prefix: str(ipaddress.ip_network(f"10.{second}.0.0/{prefix}")), st.integers(0, 255), st.integers(cidr.WIDEST, cidr.NARROWEST))
ZONES = st.lists(st.sampled_from([f"zone-{letter}" for letter in "abcdefghijklmno"]), unique=True, max_size=15)


@given(KINDS, PARTS)
def test_a_name_is_legal_in_every_cloud(kind: str, parts: list[str]) -> None:
    name = naming.fit(kind, *parts)
    assert len(name) <= naming.LIMITS[kind]
    assert re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", name)
    assert len(name) >= 6  # the least of a service account


@given(KINDS, PARTS, PARTS)
def test_names_cut_to_the_limit_stay_distinct(kind: str, one: list[str], other: list[str]) -> None:
    long_one, long_other = naming.fit(kind, "x" * 300, *one), naming.fit(kind, "x" * 300, *other)
    same = naming.fit("aws:security-group", *one) == naming.fit("aws:security-group", *other)
    assert same or "-".join(one).lower() == "-".join(other).lower() or long_one != long_other or _plain(one) == _plain(other)


def _plain(parts: list[str]) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", "-".join(parts).lower()).strip("-")


@given(st.dictionaries(st.text(min_size=1, max_size=80), st.text(max_size=80), max_size=5))
def test_labels_are_legal_on_gcp(tags: dict[str, str]) -> None:
    for key, value in naming.labels(tags).items():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key)
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", value)


@given(st.text(max_size=120), st.text(max_size=120))
def test_labels_of_different_tags_differ_but_for_their_case(one: str, other: str) -> None:
    made = naming.labels({"a": one, "b": other})
    assert made["a"] != made["b"] or one.lower() == other.lower()


@given(st.dictionaries(st.text(min_size=1, max_size=120), st.just("x"), max_size=8))
def test_no_tag_is_lost_on_its_way_to_a_label(tags: dict[str, str]) -> None:
    assert len({key.lower() for key in tags}) <= len(naming.labels(tags)) <= len(tags)


POOLS = st.builds(lambda second, prefix: str(ipaddress.ip_network(f"10.{second}.0.0/{prefix}", strict=False)), st.integers(0, 255), st.integers(8, 16))


@given(POOLS, st.integers(0, 255), st.integers(0, 255))
def test_each_region_has_a_range_of_its_own_inside_the_pool(pool: str, one: int, other: int) -> None:
    first, second = (ipaddress.ip_network(cidr.of_region(pool, number)) for number in (one, other))
    assert first.subnet_of(ipaddress.ip_network(pool))
    assert first.overlaps(second) == (one == other)
    assert cidr.plan(str(first), ["a", "b", "c"]).whole == str(first)


@pytest.mark.parametrize(
    ("pool", "number", "fault"),
    [
        ("10.0.0.0/8", 256, "is exhausted: it holds 256 regions, this is number 256"),
        ("10.0.0.0/20", 0, "can't be divided"),
        ("8.0.0.0/8", 0, "use a private one"),
        ("10.0.0.0/7", 0, "not an IPv4 range|can't be divided"),
        ("ten", 0, "not an IPv4 range"),
    ],
)
def test_a_pool_that_holds_no_such_region_is_refused(pool: str, number: int, fault: str) -> None:
    with pytest.raises(cidr.CidrError, match=fault):
        cidr.of_region(pool, number)


@given(RANGES, st.dictionaries(st.sampled_from("abc"), RANGES))
def test_a_clash_names_a_range_that_overlaps_and_none_where_none_does(own: str, others: dict[str, str]) -> None:
    found = cidr.clash(own, others)
    overlapping = {name for name, other in others.items() if ipaddress.ip_network(own).overlaps(ipaddress.ip_network(other))}
    assert (found in overlapping) if overlapping else found is None


def test_every_region_of_the_catalogue_has_a_number_and_the_first_ones_stay_as_they_were() -> None:
    numbers = {(one.cloud, one.name): region_number(one.cloud, one.name) for one in CATALOG.region_list}
    assert len(set(numbers.values())) == len(numbers)
    # Standing networks count on these: a region that is added comes after the last.
    assert [numbers[name] for name in (("aws", "af-south-1"), ("aws", "us-west-2"), ("azure", "westus3"), ("gcp", "us-west4"))] == KEPT
    with pytest.raises(UnknownRegion):
        region_number("aws", "moon-1")


def test_our_own_tags_win() -> None:
    assert naming.tags("acme", "web", "acme_web_1", {"tenant": "other", "team": "x"}) == {
        "managed-by": "spotlane",
        "placement": "acme_web_1",
        "team": "x",
        "tenant": "acme",
        "workload": "web",
    }


@given(RANGES, ZONES)
def test_subnets_are_disjoint_and_inside(text: str, zones: list[str]) -> None:
    plan = cidr.plan(text, zones)
    blocks = [ipaddress.ip_network(block) for block in (plan.public, *plan.zones.values())]
    assert list(plan.zones) == zones
    assert all(block.subnet_of(ipaddress.ip_network(text)) and block.prefixlen <= 28 for block in blocks)
    assert not any(one.overlaps(other) for index, one in enumerate(blocks) for other in blocks[index + 1 :])


@given(RANGES, ZONES)
def test_a_zone_added_at_the_end_moves_no_subnet(text: str, zones: list[str]) -> None:
    before = cidr.plan(text, zones[:-1])
    after = cidr.plan(text, zones)
    assert {zone: after.zones[zone] for zone in before.zones} == before.zones


@pytest.mark.parametrize("zones", [["a", "a"], [f"z{number}" for number in range(16)]])
def test_zones_that_do_not_fit_are_refused(zones: list[str]) -> None:
    with pytest.raises(cidr.CidrError):
        cidr.plan("10.0.0.0/16", zones)


def test_the_key_that_opens_nothing_is_a_well_formed_point() -> None:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    key = keyless_public_key("web-acme-1")
    load_ssh_public_key(key.encode())
    assert key == keyless_public_key("web-acme-1")
    assert key != keyless_public_key("web-acme-2")


@pytest.mark.parametrize(
    ("machine_type", "kind"), [("n2-standard-2", "pd-balanced"), ("c4-standard-2", "hyperdisk-balanced"), ("n4a-highcpu-2", "hyperdisk-balanced")]
)
def test_a_gcp_boot_disk_is_of_a_type_that_the_family_takes(machine_type: str, kind: str) -> None:
    assert disk_type(machine_type) == kind
