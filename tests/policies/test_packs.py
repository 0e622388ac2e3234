"""Each pack reports its own rules, the merged pack reports them all, and the documents say what there is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import PolicyCustomTimeouts, PolicyResource, PolicyResourceOptions, ResourceValidationArgs, StackValidationArgs
from pulumi_policy.proxy import UnknownValueError, unknown_checking_proxy

from policies.documents import DOCS, documents
from policies.packs.catalogue import BY_NAME, EVERYTHING, PACKS, RULES, rules_of
from policies.packs.configuration import JUDGES
from policies.packs.policies import ON_DEMAND_TAG, judge_stack, policies_of, remediate
from tests.policies.resources import AWS_INSTANCE, AZURE_MACHINE, GCP_INSTANCE, STRICT, UNKNOWN, changed, judged

Declared = tuple[str, dict[str, Any]]
CAPPED = {**STRICT, "spend": {"usdPerHour": 0.05}}
_OPTIONS = PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [], None)


def policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def bid(price: str | None) -> Declared:
    return changed(AWS_INSTANCE, instanceMarketOptions={"marketType": "spot", "spotOptions": {"maxPrice": price} if price else {}})


def ingress(port: int, cidr: str = "0.0.0.0/0") -> Declared:
    return "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", {"region": "eu-west-1", "cidrIpv4": cidr, "fromPort": port, "toPort": port}


ROLE = "aws:iam/role:Role"
CASES: list[tuple[str, str, Declared]] = [
    ("tenant-isolation", "tenant-tag", changed(AWS_INSTANCE, tags={"tenant": "globex"})),
    ("tenant-isolation", "tenant-tag", changed(GCP_INSTANCE, labels={"tenant": "globex"})),
    ("tenant-isolation", "account", changed(AWS_INSTANCE, iamInstanceProfile="arn:aws:iam::210987654321:instance-profile/x")),
    ("tenant-isolation", "identity-wildcard", ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(Action="*", Resource="*")})),
    ("tenant-isolation", "identity-wildcard", ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(Action=["s3:Get*", "*:*"], Resource="a")})),
    ("tenant-isolation", "identity-wildcard", ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(NotAction="iam:*", Resource="*")})),
    ("tenant-isolation", "identity-wildcard", ("aws:iam/policy:Policy", {"policy": "not JSON"})),
    ("tenant-isolation", "identity-wildcard", (ROLE, {"assumeRolePolicy": policy(Principal="*", Action="sts:AssumeRole")})),
    ("tenant-isolation", "identity-wildcard", (ROLE, {"assumeRolePolicy": policy(Principal={"AWS": ["*"]}, Action="sts:AssumeRole")})),
    ("tenant-isolation", "identity-wildcard", (ROLE, {"managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]})),
    ("tenant-isolation", "identity-wildcard", ("azure-native:authorization:RoleDefinition", {"permissions": [{"actions": ["*"]}]})),
    ("tenant-isolation", "identity-wildcard", ("gcp:projects/iAMMember:IAMMember", {"project": "acme-1", "role": "roles/editor", "member": "user:a"})),
    ("tenant-isolation", "identity-wildcard", ("gcp:projects/iAMMember:IAMMember", {"project": "acme-1", "role": "roles/viewer", "member": "allUsers"})),
    ("spend", "spot", changed(AZURE_MACHINE, priority="Regular")),
    ("spend", "price-cap", bid(None)),
    ("spend", "price-cap", bid("0.06")),
    ("spend", "price-cap", changed(AZURE_MACHINE, billingProfile={"maxPrice": -1})),
    ("hygiene", "imdsv2", changed(AWS_INSTANCE, metadataOptions=None)),
    ("hygiene", "disk-encryption", changed(AWS_INSTANCE, rootBlockDevice=None)),
    ("hygiene", "ownership", changed(AWS_INSTANCE, tags=None)),
    ("hygiene", "admin-port", ingress(22)),
    ("hygiene", "admin-port", ("gcp:compute/firewall:Firewall", {"allows": [{"protocol": "tcp", "ports": ["20-25"]}], "sourceRanges": ["0.0.0.0/0"]})),
    ("hygiene", "admin-port", ("azure-native:network:SecurityRule",
        {"access": "Allow", "direction": "Inbound", "sourceAddressPrefix": "*", "destinationPortRange": "3389"})),
    ("hygiene", "spot-fallback", changed(AWS_INSTANCE, instanceMarketOptions={"marketType": "spot", "spotOptions": {"spotInstanceType": "persistent"}})),
    ("hygiene", "spot-fallback", changed(AZURE_MACHINE, evictionPolicy="Deallocate")),
]  # fmt: skip


@pytest.mark.parametrize(("pack", "rule", "resource"), CASES, ids=[f"{pack} {rule} {number}" for number, (pack, rule, _) in enumerate(CASES)])
def test_a_pack_reports_its_rule(pack: str, rule: str, resource: Declared) -> None:
    messages = judged(resource, document=CAPPED, pack=pack, accounts={"aws": ["123456789012"]})
    assert rule in {message[1 : message.index("]")] for message in messages}
    assert {message[1 : message.index("]")] for message in messages} <= rules_of(pack)


@pytest.mark.parametrize(
    ("pack", "resource"),
    [
        ("tenant-isolation", AWS_INSTANCE),
        ("tenant-isolation", ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(Action=["ec2:*"], Resource="*")})),
        ("tenant-isolation", (ROLE, {"assumeRolePolicy": policy(Principal={"Service": "ec2.amazonaws.com"}, Action="sts:AssumeRole")})),
        ("spend", bid("0.05")),
        ("spend", changed(AZURE_MACHINE, billingProfile={"maxPrice": 0.04})),
        ("spend", GCP_INSTANCE),
        ("hygiene", ingress(443)),
        ("hygiene", ingress(22, "192.0.2.0/24")),
        ("hygiene", AWS_INSTANCE),
    ],
)
def test_what_is_as_it_should_be_passes(pack: str, resource: Declared) -> None:
    assert judged(resource, document=CAPPED, pack=pack) == []


def test_the_merged_pack_reports_what_the_three_report() -> None:
    resource = changed(bid("0.06"), region="us-east-1", tags={"tenant": "globex"}, rootBlockDevice=None)
    apart = {message for pack in ("boundary", "tenant-isolation", "spend") for message in judged(resource, document=CAPPED, pack=pack)}
    assert set(judged(resource, document=CAPPED, pack=EVERYTHING)) == apart
    assert {message[1 : message.index("]")] for message in apart} == {"residency", "tenant-tag", "price-cap", "encryption"}


@pytest.mark.parametrize(
    ("price", "hours_left", "refused"), [("0.05", 672, True), ("0.05", 600, False), ("0.06", 501, True), (None, 672, False), ("x", 672, False)]
)
def test_a_bid_that_alone_breaks_the_months_cap_is_refused_as_far_as_the_month_still_goes(price: str | None, hours_left: int, refused: bool) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC) - timedelta(hours=hours_left)
    found = judged(bid(price), document={**STRICT, "spend": {"usdPerMonth": 30}}, pack="spend", now=now)
    assert [message.startswith("[month-cap]") for message in found] == [True] * refused
    if refused:
        assert "may cost more than the boundary's 30 USD to the month's end" in found[0]


def test_an_unknown_bid_under_a_months_cap_is_left_to_the_update() -> None:
    with pytest.raises(UnknownValueError):
        judged(bid(UNKNOWN), document={**STRICT, "spend": {"usdPerMonth": 30}}, pack="spend")


def test_an_unknown_bid_is_left_to_the_update() -> None:
    with pytest.raises(UnknownValueError):
        judged(bid(UNKNOWN), document=CAPPED, pack="spend")


def test_no_message_of_any_pack_holds_a_value() -> None:
    secret = "hunter2"
    resource = changed(AWS_INSTANCE, tags={"tenant": secret, "Name": secret}, userData=secret, keyName=secret, instanceMarketOptions={"marketType": secret})
    role = ("aws:iam/rolePolicy:RolePolicy", {"policy": policy(Action="*", Resource=secret), "name": "r"})
    for pack in (*PACKS, EVERYTHING):
        assert secret not in "".join(judged(resource, document=CAPPED, pack=pack) + judged(role, document=CAPPED, pack=pack))


def stack(*resources: Declared, of: str = "placement.acme.web.1", pack: str = EVERYTHING) -> list[str]:
    messages: list[str] = []
    items = [
        PolicyResource(kind, unknown_checking_proxy(inputs), f"urn:pulumi:{of}::spotlane::{kind}::web{at}", f"web{at}", _OPTIONS, None, None, [], {})
        for at, (kind, inputs) in enumerate(resources)
    ]
    judge_stack(StackValidationArgs(items, None), lambda message, urn=None: messages.append(message), pack)
    return messages


def test_a_placement_without_its_network_is_refused() -> None:
    assert [text[:19] for text in stack(AWS_INSTANCE)] == ["[placement-network]"]
    assert stack(changed(AWS_INSTANCE, subnetId=UNKNOWN)) == []
    template = ("aws:ec2/launchTemplate:LaunchTemplate", {"instanceMarketOptions": {"marketType": "spot"}, "networkInterfaces": [{"subnetId": "subnet-1"}]})
    assert stack(template, changed(AWS_INSTANCE, launchTemplate={"id": "lt"})) == []
    assert stack(AWS_INSTANCE, of="region.acme.aws.eu-west-1") == []
    assert stack(changed(GCP_INSTANCE, networkInterfaces=[{"network": "default"}]))[0].startswith("[placement-network]")


def test_a_machine_on_demand_in_a_placement_is_refused_unless_its_stack_says_that_it_is_meant() -> None:
    bought = changed(AWS_INSTANCE, subnetId=UNKNOWN, instanceMarketOptions=None)
    assert [text[:6] for text in stack(bought)] == ["[spot]"]
    assert stack(changed(bought, tags={"tenant": "acme", ON_DEMAND_TAG: "fallback"})) == []


def test_remediation_mends_what_is_safe_and_only_that() -> None:
    props = unknown_checking_proxy({"region": "eu-west-1", "instanceType": "m5.large", "userData": "s"})
    args = ResourceValidationArgs(
        "aws:ec2/instance:Instance", props, "urn:pulumi:placement.acme.web.1::spotlane::aws:ec2/instance:Instance::web", "web", _OPTIONS, None
    )
    mended = remediate(args)
    assert mended is args.props
    assert mended["metadataOptions"]["httpTokens"] == "required"
    assert mended["rootBlockDevice"]["encrypted"] is True
    assert mended["tags"]["tenant"] == "acme"
    assert judged(("aws:ec2/instance:Instance", {key: mended[key] for key in mended}), pack="hygiene") == []
    assert remediate(ResourceValidationArgs("aws:ec2/vpc:Vpc", props, args.urn, "v", _OPTIONS, None)) is None


def test_every_rule_is_in_a_pack_has_a_case_and_maps_to_a_framework() -> None:
    assert all(rule.packs and rule.frameworks and rule.mend for rule in RULES)
    assert len(BY_NAME) == len(RULES)
    of_their_own = {"boundary", "placement-network", "month-cap"}
    assert {rule for _, rule, _ in CASES} == {rule.name for rule in RULES if set(rule.packs) - {"boundary"}} - of_their_own - JUDGES.keys()
    assert all(policies_of(pack)[0].name == pack for pack in (*PACKS, EVERYTHING))


@pytest.mark.parametrize("name", documents())
def test_the_documents_are_made_from_the_rules(name: str) -> None:
    assert (DOCS / name).read_text() == documents()[name], "run python -m policies.documents"


def test_each_pack_can_be_handed_to_the_engine() -> None:
    packs = Path(__file__).parents[2] / "policies" / "packs"
    assert {path.name.removesuffix(".pack") for path in packs.glob("*.pack")} == {*PACKS, EVERYTHING}
    assert all((path / "PulumiPolicy.yaml").is_file() for path in packs.glob("*.pack"))
