"""Documents, their digests, and what they allow where."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml

from domain.boundary.call import Call, Named, Trait
from domain.boundary.compiled import compile
from domain.boundary.decide import decide
from domain.boundary.export import azure_allowed_locations, gcp_resource_locations, service_control_policy, service_control_policy_json
from domain.boundary.model import BoundaryDocumentError, json_schema, load, parse
from domain.boundary.regions import find, of_zone, paired, regions

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def _call(**fields: object) -> Call:
    base: dict[str, object] = {
        "point": "api", "principal": "platform", "tenant": "acme", "cloud": "aws", "service": "ec2", "action": "RunInstances", "access": "write",
        "scope": "regional", "resource": "web", "names": ("web",), "account": "1", "regions": (Named("eu-west-1", "host"),),
    }  # fmt: skip
    return Call(**{**base, **fields})  # type: ignore[arg-type]  # the fields are those of Call


def _rules(document: str, call: Call) -> list[str]:
    return [finding.rule for finding in decide(compile(parse(document)), call, NOW, {"aws": frozenset({"1"})}).refused]


def test_all_faults_of_a_document_come_together_with_their_paths() -> None:
    with pytest.raises(BoundaryDocumentError) as raised:
        load({"nam": 1, "residency": {"countries": ["Germany"], "deny": ["9_"]}, "exemptions": [{"rule": "account"}]})
    assert [fault.split(":")[0] for fault in raised.value.faults] == [
        "name", "residency.countries[0]", "residency.deny", "exemptions[0].rule", "exemptions[0].owner", "exemptions[0].reason",
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


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("{name: b, residency: {allow: [DE], deny: [DE]}}", "DE stands in allow and in deny"),
        ("{name: b, residency: {regions: [eu-wst-1]}}", "'eu-wst-1' matches no listed region"),
        ("{name: b, partitions: [aws-moon]}", "aws-moon is none of"),
        ("{name: b, exemptions: [{rule: account, resource: a, owner: o, reason: r, expires: 2027-01-01}]}", "exemptions[0].rule"),
        ("{name: b, exemptions: [{rule: residency, resource: web, owner: o, reason: r, expires: 2027-01-01}]}", "names regions and no resource"),
        ("{name: b, exemptions: [{rule: spot, owner: o, reason: r, expires: 2027-01-01}]}", "name the resources"),
        ("{name: b, exemptions: [{rule: spot, resource: web, reason: r, expires: 2027-01-01}]}", "exemptions[0].owner"),
        ("{name: b, exemptions: [{rule: spot, resource: web, owner: o, expires: 2027-01-01}]}", "exemptions[0].reason"),
        ("{name: b, exemptions: [{rule: spot, resource: web, owner: o, reason: r}]}", "exemptions[0].expires"),
        ("[1]", "expected a mapping"),
    ],
)
def test_a_contradiction_or_a_misspelling_is_a_fault_of_the_document(document: str, fault: str) -> None:
    with pytest.raises(BoundaryDocumentError) as raised:
        parse(document)
    assert fault in str(raised.value)


def test_an_exemption_from_residency_opens_its_regions_until_its_end() -> None:
    text = "{name: b, residency: {countries: [DE]}, exemptions: [{rule: residency, regions: [aws/us-east-1], owner: o, reason: r, expires: 2026-11-24}]}"
    inside = compile(parse(text))
    assert inside.allows("aws", "us-east-1", NOW)
    assert not inside.allows("aws", "us-east-1")
    assert not inside.allows("aws", "us-east-1", NOW + timedelta(days=1))
    assert not inside.allows("aws", "us-west-2", NOW)
    assert inside.allowed("aws", NOW) == ("eu-central-1", "us-east-1")


def test_what_an_ended_exemption_covered_is_refused_with_its_owner_and_end() -> None:
    document = "{name: b, spotOnly: true, exemptions: [{rule: spot, resource: web, owner: ops@acme, reason: r, expires: 2026-01-31}]}"
    (finding,) = decide(compile(parse(document)), _call(traits=(Trait("spot", False, "p"),)), NOW, {"aws": frozenset({"1"})}).refused
    assert finding.mend.endswith("The exemption of ops@acme ended 2026-01-31 23:59 UTC.")


def test_an_exemption_can_be_narrowed_to_clouds_and_regions() -> None:
    document = "{name: b, spotOnly: true, exemptions: [{rule: spot, resource: web, regions: [aws/eu-*], owner: o, reason: r, expires: 2027-01-31}]}"
    on_demand = (Trait("spot", False, "p"),)
    assert _rules(document, _call(traits=on_demand)) == []
    assert _rules(document, _call(traits=on_demand, regions=(Named("us-east-1", "host"),))) == ["spot"]
    assert _rules(document.replace("regions: [aws/eu-*]", "clouds: [gcp]"), _call(traits=on_demand)) == ["spot"]


@pytest.mark.parametrize(
    ("replication", "copy", "rules"),
    [
        ("inside", "eu-central-1", []),
        ("inside", "us-east-1", ["residency"]),
        ("domestic", "eu-central-1", ["replication"]),
        ("none", "eu-central-1", ["replication"]),
        ("none", "eu-west-1", []),
    ],
)
def test_copies_stay_where_the_boundary_lets_copies_go(replication: str, copy: str, rules: list[str]) -> None:
    document = f"{{name: b, residency: {{regimes: [gdpr], replication: {replication}}}}}"
    assert _rules(document, _call(regions=(Named("eu-west-1", "host"), Named(copy, "replica", copy=True)))) == rules


@pytest.mark.parametrize(
    ("region", "pair", "crosses"),
    [
        ("northeurope", "westeurope", True), ("westeurope", "northeurope", True), ("brazilsouth", "southcentralus", True),
        ("eastasia", "southeastasia", True), ("southeastasia", "eastasia", True), ("francecentral", "francesouth", False), ("italynorth", None, False),
    ],
)  # fmt: skip
def test_azures_pairs_that_cross_a_border_are_known(region: str, pair: str | None, crosses: bool) -> None:
    assert paired("azure", region) == pair
    if pair:
        assert (regions()["azure", region].country != regions()["azure", pair].country) is crosses


def test_the_boundarys_accounts_narrow_what_stack_and_proxy_know() -> None:
    assert _rules("{name: b, accounts: {aws: ['2']}}", _call()) == ["account"]
    assert _rules("{name: b, accounts: {aws: ['1', '2']}}", _call()) == []
    assert _rules("{name: b, accounts: {azure: ['2']}}", _call()) == []


def test_a_control_policy_closes_an_exempted_region_by_itself() -> None:
    text = "{name: b, residency: {countries: [CH]}, exemptions: [{rule: residency, regions: [GB], owner: o, reason: r, expires: 2027-01-31}]}"
    first, second = service_control_policy(compile(parse(text)))["Statement"]
    assert first["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-2", "eu-west-2"]}}
    assert second["Condition"] == {"StringEquals": {"aws:RequestedRegion": ["eu-west-2"]}, "DateGreaterThan": {"aws:CurrentTime": "2027-01-31T23:59:59Z"}}


def test_the_published_schema_is_the_models_and_admits_the_example() -> None:
    published = json.loads((Path(__file__).parents[3] / "docs" / "boundary.schema.json").read_text())
    assert published == json_schema(), "run python -m policies.documents"
    jsonschema.validate(yaml.safe_load("{name: eu, residency: {regimes: [gdpr]}, spotOnly: true}"), published)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "eu", "residency": {"regimes": ["moon"]}}, published)


def test_the_exports_name_exactly_the_allowed_regions() -> None:
    inside = compile(parse("{name: b, residency: {countries: [CH]}}"))
    (statement,) = service_control_policy(inside)["Statement"]
    assert statement["Condition"] == {"StringNotEquals": {"aws:RequestedRegion": ["eu-central-2"]}}
    assert azure_allowed_locations(inside) == ["switzerlandnorth", "switzerlandwest"]
    assert gcp_resource_locations(inside) == ["in:europe-west6-locations"]
    assert "Condition" not in service_control_policy(compile(parse("{name: b, clouds: [gcp]}")))["Statement"][0]
    assert len(service_control_policy_json(compile(parse("name: b")))) < 5120
