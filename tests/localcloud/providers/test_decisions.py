"""What replaces, what is no change, which name a resource gets: all pure."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.providers import diff, implied, naming, replacement
from localcloud.providers.values import from_struct, to_struct, unknown


def verdict(token: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[tuple[str, ...], bool]:
    decided = replacement.decide(token, diff.changes(old, new), old, new)
    return decided.replaces, decided.delete_first


TEMPLATE_1, TEMPLATE_2 = ({"launchTemplate": {"id": "a", "version": version}} for version in "12")


@pytest.mark.parametrize(
    ("token", "old", "new", "expected"),
    [
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"}, (("cidrBlock",), False)),
        ("aws:ec2/vpc:Vpc", {"enableDnsSupport": True}, {"enableDnsSupport": False}, ((), False)),
        ("aws:ec2/instance:Instance", {"instanceType": "m7g.large"}, {"instanceType": "m7g.xlarge"}, ((), False)),
        ("aws:ec2/instance:Instance", {"instanceType": "m7g.large"}, {"instanceType": "m7i.large"}, (("instanceType",), False)),
        (
            "aws:ec2/instance:Instance",
            {"launchTemplate": {"id": "a", "version": "1"}},
            {"launchTemplate": {"id": "a", "version": "2"}},
            (("launchTemplate.version",), False),
        ),
        ("aws:iam/role:Role", {"name": "a", "path": "/"}, {"name": "a", "path": "/b/"}, (("path",), True)),
        ("gcp:compute/subnetwork:Subnetwork", {"ipCidrRange": "10.0.1.0/24"}, {"ipCidrRange": "10.0.0.0/16"}, ((), False)),
        ("gcp:compute/subnetwork:Subnetwork", {"ipCidrRange": "10.0.0.0/16"}, {"ipCidrRange": "10.0.1.0/24"}, (("ipCidrRange",), False)),
        ("azure-native:network:PublicIPAddress", {"sku": {"name": "Basic"}}, {"sku": {"name": "Standard"}}, (("sku.name",), True)),
        ("azure-native:compute:VirtualMachine", {"zones": ["1"]}, {"zones": ["2"]}, ((), False)),
        ("cloudflare:index/dnsRecord:DnsRecord", {"type": "A"}, {"type": "AAAA"}, (("type",), False)),
    ],
)
def test_replacement_follows_the_real_providers(token: str, old: dict[str, Any], new: dict[str, Any], expected: tuple[tuple[str, ...], bool]) -> None:
    if token.startswith("azure-native:network:PublicIPAddress"):
        old, new = {"publicIpAddressName": "a", "resourceGroupName": "g", **old}, {"publicIpAddressName": "a", "resourceGroupName": "g", **new}
    assert verdict(token, old, new) == expected


def test_a_type_without_facts_is_judged_by_an_estimate_that_says_so() -> None:
    decided = replacement.decide("aws:sqs/queue:Queue", [diff.Change("name", "update")], {"name": "a"}, {"name": "b"})
    assert (decided.replaces, decided.estimated) == (("name",), True)


def test_documents_sets_and_links_are_compared_by_meaning() -> None:
    old = {"policy": '{"a": 1, "b": [2]}', "groups": ["b", "a"], "network": "projects/p/global/networks/n"}
    new = {"policy": '{"b":[2],"a":1}', "groups": ["a", "b"], "network": "https://www.googleapis.com/compute/v1/projects/p/global/networks/n"}
    assert diff.changes(old, new) == []


def test_an_unknown_value_is_a_change() -> None:
    assert diff.changes({"vpcId": "vpc-1"}, {"vpcId": unknown}) == [diff.Change("vpcId", "update")]


def test_leaving_out_a_default_is_no_change_but_another_value_is() -> None:
    token = "aws:ec2/vpc:Vpc"
    old: dict[str, Any] = {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "default"}
    assert implied.meant(token, diff.changes(old, {"cidrBlock": "10.0.0.0/16"}), old, {"cidrBlock": "10.0.0.0/16"}) == []
    new = {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "dedicated"}
    assert implied.meant(token, diff.changes(old, new), old, new) == [diff.Change("instanceTenancy", "update")]


def test_drift_is_told_for_what_the_program_set_only() -> None:
    inputs = {"tags": {"Name": "a"}, "sku": {"name": "Standard"}, "cidrBlock": "10.0.0.0/16", "userData": "kept"}
    state = {"tags": {"Name": "a", "by": "hand"}, "sku": {"name": "Standard", "tier": "Regional"}, "cidrBlock": "10.1.0.0/16", "ownerId": "1"}
    assert diff.drifted(inputs, state, frozenset({"tags"})) == {
        "tags": {"Name": "a", "by": "hand"},
        "sku": {"name": "Standard"},
        "cidrBlock": "10.1.0.0/16",
        "userData": "kept",
    }


def test_a_name_is_made_from_the_seed_and_kept_afterwards() -> None:
    token = "aws:iam/role:Role"
    made = naming.with_name(token, "worker", {}, {}, b"seed")
    assert made["name"].startswith("worker-") and len(made["name"]) == len("worker-") + 7
    assert naming.with_name(token, "worker", {}, {}, b"seed") == made
    assert naming.with_name(token, "worker", {}, made, b"other seed") == made
    assert naming.with_name(token, "worker", {"name": "mine"}, {}, b"seed") == {"name": "mine"}


def test_values_survive_the_wire() -> None:
    values = {"text": "a", "number": 1.5, "count": 2, "flag": False, "list": [1, {"deep": unknown}]}
    assert from_struct(to_struct(values)) == values
