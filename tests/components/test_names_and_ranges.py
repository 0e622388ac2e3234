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
