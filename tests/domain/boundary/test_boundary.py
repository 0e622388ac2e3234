"""Documents, their digests, and what they allow where."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.boundary.call import Call, Named, Trait
from domain.boundary.compiled import compile
from domain.boundary.decide import decide
from domain.boundary.export import azure_allowed_locations, gcp_resource_locations, service_control_policy, service_control_policy_json
from domain.boundary.model import BoundaryDocumentError, load, parse
from domain.boundary.regions import find, of_zone, regions

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def _call(**fields: object) -> Call:
    base: dict[str, object] = {
        "point": "api", "principal": "platform", "tenant": "acme", "cloud": "aws", "service": "ec2", "action": "RunInstances", "access": "write",
        "scope": "regional", "resource": "web", "account": "1", "regions": (Named("eu-west-1", "host"),),
    }  # fmt: skip
    return Call(**{**base, **fields})  # type: ignore[arg-type]  # the fields are those of Call


def _rules(document: str, call: Call) -> list[str]:
    return [finding.rule for finding in decide(compile(parse(document)), call, NOW, {"aws": frozenset({"1"})}).refused]


def test_all_faults_of_a_document_come_together_with_their_paths() -> None:
    with pytest.raises(BoundaryDocumentError) as raised:
        load({"nam": 1, "residency": {"countries": ["Germany"], "deny": ["9_"]}, "exemptions": [{"rule": "residency"}]})
    assert [fault.split(":")[0] for fault in raised.value.faults] == [
        "name", "residency.countries[0]", "residency.deny", "exemptions[0].rule", "exemptions[0].resource", "exemptions[0].owner", "exemptions[0].reason",
        "exemptions[0].expires", "nam",
    ]  # fmt: skip


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(BoundaryDocumentError, match="line 2"):
        parse("name: eu\nresidency: [")


def test_the_digest_is_of_what_the_document_says() -> None:
    one = parse("{name: eu, residency: {countries: [FR, DE, FR]}}")
    other = parse("residency: {countries: [DE, FR]}\nversion: 1\nname: eu\n")
    assert one.digest() == other.digest()
    assert one.digest() != parse("{name: eu, residency: {countries: [DE]}}").digest()
    assert load(one.model_dump(by_alias=True, mode="json")).digest() == one.digest()


def test_a_region_must_satisfy_regime_country_and_deny() -> None:
    inside = compile(parse("{name: b, residency: {regimes: [gdpr], allow: [aws/eu-west-2], deny: [IE, gcp/europe-west1]}}"))
    assert inside.allows("aws", "eu-central-1")
    assert inside.allows("azure", "West Europe")
    assert inside.allows("aws", "eu-west-2")
    assert not inside.allows("aws", "eu-west-1")
    assert not inside.allows("gcp", "europe-west1")
    assert not inside.allows("gcp", "moon-west1")
    assert not inside.allows("oracle", "eu-west-1")


def test_a_data_class_narrows_and_an_unknown_one_leaves_nothing() -> None:
    boundary = parse("{name: b, dataClasses: {health: {countries: [AU]}}}")
    assert {regions()["aws", name].country for name in compile(boundary, "health").allowed("aws")} == {"AU"}
    assert compile(boundary, "cards").count() == 0


def test_government_and_china_partitions_are_named_on_purpose() -> None:
    assert not compile(parse("name: b")).allows("aws", "us-gov-west-1")
    assert compile(parse("{name: b, partitions: [aws-us-gov]}")).allowed("aws") == ("us-gov-east-1", "us-gov-west-1")


def test_zones_and_display_names_lead_to_their_region() -> None:
    assert [of_zone("aws", "eu-west-1a"), of_zone("gcp", "europe-west1-b"), of_zone("aws", "eu-west-1")] == ["eu-west-1", "europe-west1", "eu-west-1"]
    found = find("azure", "Germany West Central")
    assert found is not None
    assert found.country == "DE"


@pytest.mark.parametrize(
    ("document", "fields", "rules"),
    [
        ("{name: b, residency: {regimes: [gdpr]}}", {"regions": (Named("eu-west-1", "host"), Named("us-east-1", "SourceRegion"))}, ["residency"]),
        ("name: b", {"regions": ()}, ["residency"]),
        ("name: b", {"regions": (Named(None, "region"),)}, ["residency"]),
        ("name: b", {"account": "2"}, ["account"]),
        ("{name: b, clouds: [gcp]}", {}, ["cloud"]),
        ("{name: b, spotOnly: true}", {"traits": (Trait("spot", False, "p"),)}, ["spot"]),
        ("name: b", {"traits": (Trait("spot", False, "p"),)}, []),
        ("{name: b, network: {publicAddresses: none}}", {"traits": (Trait("public-address", True, "p"),)}, ["network"]),
        ("{name: b, requiredTags: [Tenant]}", {"tags": frozenset({"tenant"})}, []),
        ("{name: b, residency: {regimes: [gdpr]}}", {"access": "delete", "regions": (Named("us-east-1", "host"),)}, []),
        ("{name: b, residency: {regimes: [gdpr]}}", {"access": "read", "resource": "", "regions": (Named("us-east-1", "host"),)}, ["residency"]),
    ],
)
def test_each_rule_refuses_its_own_fault(document: str, fields: dict[str, object], rules: list[str]) -> None:
    assert _rules(document, _call(**fields)) == rules


def test_an_exemption_ends_with_its_last_day() -> None:
    document = "{name: b, spotOnly: true, exemptions: [{rule: spot, resource: 'web*', owner: o, reason: r, expires: %s}]}"
    call = _call(traits=(Trait("spot", False, "p"),))
    assert _rules(document % "2026-11-24", call) == []
    assert _rules(document % "2026-11-23", call) == ["spot"]


def test_what_is_unknown_is_a_notice_in_the_plan_and_a_refusal_at_the_api() -> None:
    boundary = compile(parse("{name: b, spotOnly: true}"))
    traits = (Trait("spot", None, "p"),)
    assert decide(boundary, _call(point="plan", traits=traits), NOW, {}).allowed
    assert not decide(boundary, _call(traits=traits), NOW, {"aws": frozenset({"1"})}).allowed


def test_the_exports_name_exactly_the_allowed_regions() -> None:
    inside = compile(parse("{name: b, residency: {countries: [CH]}}"))
    (statement,) = service_control_policy(inside)["Statement"]
    assert statement["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-2"]}}
    assert azure_allowed_locations(inside) == ["switzerlandnorth", "switzerlandwest"]
    assert gcp_resource_locations(inside) == ["in:europe-west6-locations"]
    assert "Condition" not in service_control_policy(compile(parse("{name: b, clouds: [gcp]}")))["Statement"][0]
    assert len(service_control_policy_json(compile(parse("name: b")))) < 5120
