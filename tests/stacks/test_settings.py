"""Stack names and settings: parsed, checked whole, every fault reported."""

from __future__ import annotations

import pytest

from stacks.settings import SettingsError, StackName, load_settings, parse_stack_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("edge", StackName("edge")),
        ("tenant.acme", StackName("tenant", tenant="acme")),
        ("region.acme.aws.eu-west-1", StackName("region", tenant="acme", cloud="aws", region="eu-west-1")),
        ("address.acme.my-web", StackName("address", tenant="acme", workload="my-web")),
        ("placement.acme.my-web.12", StackName("placement", tenant="acme", workload="my-web", generation=12)),
    ],
)
def test_a_stacks_name_tells_its_kind_and_parts(text: str, name: StackName) -> None:
    assert parse_stack_name(text) == name


@pytest.mark.parametrize("text", ["prod", "tenant", "tenant.a-b", "region.acme.oracle.x", "placement.acme.web.0", "placement.acme.web--x.1", "edge.x"])
def test_a_name_of_no_kind_is_refused_with_the_forms_that_exist(text: str) -> None:
    with pytest.raises(SettingsError, match=r"placement\.<tenant>\.<workload>\.<generation>"):
        parse_stack_name(text)


def test_every_fault_is_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings("region.acme.aws.eu-west-1", {"cidr": 5, "zone": ["a"]})
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["cidr", "zones", "zone"]


def test_missing_settings_name_the_example_to_copy() -> None:
    with pytest.raises(SettingsError, match="copy the example of stacks/config for a tenant stack"):
        load_settings("tenant.acme", None)


@pytest.mark.parametrize(
    ("cidr", "fault"),
    [("10.16.0.0/28", "use /16 to /24"), ("10.16.0.1/16", "not an IPv4 range"), ("8.8.0.0/16", "not a private range")],
)
def test_a_range_that_holds_no_region_is_refused(cidr: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        load_settings("region.acme.aws.eu-west-1", {"cidr": cidr, "zones": ["eu-west-1a"]})


def test_a_cloud_account_is_either_new_or_existing() -> None:
    with pytest.raises(SettingsError, match="aws: give email"):
        load_settings("tenant.acme", {"boundary": {"name": "x"}, "aws": {}})


def test_a_placements_secrets_are_not_shown() -> None:
    machine = {
        "artifactUrl": "u", "artifactDigest": "sha256:" + "0" * 64, "command": ["x"], "incidentUrl": "i", "placementToken": "hunter2", "httpPort": 1,
        "originKey": "ab" * 32,
    }  # fmt: skip
    place = {"cloud": "aws", "region": "r", "zone": "z", "instanceType": "t", "zoneName": "n", "cloudflareZoneId": "i", "cloudflareAccountId": "a"}
    shown = repr(load_settings("placement.acme.web.1", {**place, "machine": machine}))
    assert "hunter2" not in shown and "abab" not in shown
