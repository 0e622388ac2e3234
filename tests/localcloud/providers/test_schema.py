from __future__ import annotations

from typing import Any

import pytest

from localcloud.providers.check import Fault, faults
from localcloud.providers.implied import IMPLIED
from localcloud.providers.naming import RULES as NAMES
from localcloud.providers.replacement import RULES as REPLACEMENTS
from localcloud.providers.schema import Schemas, UnknownResourceType
from localcloud.providers.values import unknown

SUBNET = "aws:ec2/subnet:Subnet"


@pytest.fixture(scope="module")
def schemas() -> dict[str, Schemas]:
    return {package: Schemas(package) for package in ("aws", "azure-native", "gcp", "cloudflare")}


def found(schemas: dict[str, Schemas], token: str, inputs: dict[str, Any]) -> list[Fault]:
    return faults(schemas[token.split(":")[0]], token, inputs)


def test_valid_inputs_have_no_fault_and_unknown_ones_are_taken(schemas: dict[str, Schemas]) -> None:
    assert found(schemas, SUBNET, {"vpcId": unknown, "cidrBlock": "10.0.0.0/24", "tags": {"Name": "one"}}) == []


def test_all_faults_come_together_with_their_paths(schemas: dict[str, Schemas]) -> None:
    inputs = {"cidr_block": "10.0.0.0/24", "mapPublicIpOnLaunch": "maybe", "tags": {"Name": 1}}
    assert found(schemas, SUBNET, inputs) == [
        Fault("cidr_block", "unknown property; did you mean 'cidrBlock'?"),
        Fault("mapPublicIpOnLaunch", "expected a boolean, got a string"),
        Fault("tags.Name", "expected a string, got a number"),
        Fault("vpcId", "missing required property"),
    ]


@pytest.mark.parametrize(
    ("token", "inputs", "fault"),
    [
        (
            "aws:ec2/instance:Instance",
            {"instanceMarketOptions": {"spotOptions": {"maxPrice": 1}}},
            Fault("instanceMarketOptions.spotOptions.maxPrice", "expected a string, got a number"),
        ),
        (
            "azure-native:network:VirtualNetwork",
            {"resourceGroupName": "one", "subnets": [{"name": "a"}, {"nam": "b"}]},
            Fault("subnets[1].nam", "unknown property; did you mean 'name'?"),
        ),
        (
            "gcp:compute/router:Router",
            {"network": 7},
            Fault("network", "expected a string, got a number"),
        ),
        (
            "cloudflare:index/workersScript:WorkersScript",
            {"accountId": "a", "scriptName": "b", "bindings": [{"name": "KV"}]},
            Fault("bindings[0].type", "missing required property"),
        ),
    ],
)
def test_nested_types_are_checked(schemas: dict[str, Schemas], token: str, inputs: dict[str, Any], fault: Fault) -> None:
    assert found(schemas, token, inputs) == [fault]


def test_a_type_that_the_sdk_does_not_have_is_named(schemas: dict[str, Schemas]) -> None:
    with pytest.raises(UnknownResourceType, match="aws:ec2/vpcs:Vpcs"):
        schemas["aws"].resource("aws:ec2/vpcs:Vpcs")


def test_every_rule_names_inputs_that_the_sdk_has(schemas: dict[str, Schemas]) -> None:
    wrong = []
    for token in {*REPLACEMENTS, *IMPLIED, *NAMES}:
        inputs = set(schemas[token.split(":")[0]].resource(token).inputs)
        named: set[str] = set()
        if token in REPLACEMENTS:
            rule = REPLACEMENTS[token]
            named |= {path.split(".")[0].removesuffix("[]") for path in {*rule.paths, *rule.when}} | set(rule.identity)
        if token in IMPLIED:
            named |= set(IMPLIED[token].defaults) | IMPLIED[token].computed
        if token in NAMES:
            named.add(NAMES[token].field)
        wrong += [f"{token}: {name}" for name in sorted(named - inputs)]
    assert wrong == []
