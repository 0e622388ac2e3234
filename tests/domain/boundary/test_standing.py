"""What a boundary's rules are said to ask: each by itself, and nothing where the boundary asks nothing."""

from __future__ import annotations

from typing import Any

import pytest

from domain.boundary.model import load
from domain.boundary.standing import standing

PLAIN = {"name": "acme"}


def asks(**document: Any) -> dict[str, str | None]:
    return {one.rule: one.asks for one in standing(load({**PLAIN, **document}))}


def test_a_boundary_that_asks_little_says_so() -> None:
    silent = {rule for rule, sentence in asks().items() if sentence is None}
    assert silent == {"residency", "data-class", "spot", "encryption", "network", "instance-metadata", "tags", "price-cap", "month-cap"}


@pytest.mark.parametrize(
    ("rule", "document", "sentence"),
    [
        (
            "residency",
            {"residency": {"regimes": ["gdpr"], "countries": ["DE", "FR"], "deny": ["aws/eu-west-3"]}},
            "data stays in the jurisdiction of gdpr; a country of DE, FR; never in aws/eu-west-3",
        ),
        ("residency", {"residency": {"deny": ["CN"]}}, "data stays in any region; never in CN"),
        ("replication", {"residency": {"replication": "none"}}, "no copy goes to another region"),
        ("data-class", {"dataClasses": {"pii": {"countries": ["DE"]}, "logs": {}}}, "logs: as the boundary; pii: data stays in a country of DE"),
        ("cloud", {"clouds": ["aws"]}, "only aws, in the partitions AzureCloud, aws, google"),
        ("account", {"accounts": {"aws": ["222222222222"]}}, "only the tenant's own accounts: aws 222222222222"),
        ("spot", {"spotOnly": True}, "every machine is a spot machine"),
        ("encryption", {"encryption": {"disks": True}}, "disks are encrypted"),
        ("encryption", {"encryption": {"customerKeys": True}}, "disks are encrypted by the customer's keys"),
        (
            "network",
            {"network": {"publicAddresses": "none", "openIngress": False, "openEgress": False}},
            "no public address; no firewall admits the whole internet; no firewall lets machines reach the whole internet",
        ),
        ("instance-metadata", {"network": {"instanceMetadataV2": True}}, "AWS machines answer metadata to session tokens only"),
        ("tags", {"requiredTags": ["team", "cost-center"]}, "what can be tagged carries cost-center, team"),
        ("price-cap", {"spend": {"usdPerHour": 0.5}}, "no machine costs more than $0.5000 an hour"),
        ("month-cap", {"spend": {"usdPerMonth": 1200}}, "all machines together cost no more than $1,200.00 a month"),
    ],
)
def test_what_a_boundary_asks_is_a_sentence_of_its_rule_and_of_no_other(rule: str, document: dict[str, Any], sentence: str) -> None:
    before, after = asks(), asks(**document)
    assert after[rule] == sentence
    assert {name for name in after if after[name] != before[name]} == {rule}


def test_what_can_be_exempted_is_told_apart() -> None:
    assert {one.rule for one in standing(load(PLAIN)) if not one.exemptible} == {"data-class", "cloud", "account", "price-cap", "month-cap"}
