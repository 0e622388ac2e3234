"""Placement, policy pack and inline proxy are of one mind: about every region of every cloud, and about calls with expected findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.boundary.compiled import compile
from domain.boundary.decide import Findings, decide
from domain.boundary.model import CLOUDS, load
from domain.boundary.regions import regions
from policies.facts.reading import Inputs
from policies.facts.resource import Resource
from policies.packs.policies import translate
from policies.proxy.books import Books
from policies.proxy.hosts import classify
from policies.proxy.judge import Verdict, judge
from policies.proxy.request import ApiRequest
from tests.contracts.boundaries import BOUNDARIES, NOT_PUBLIC
from tests.contracts.calls import ACCOUNTS, SUBSCRIPTION, THINGS, Case, _arm, _compute, _ec2, cases
from tests.policies.resources import judged

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PLACES = [*regions(), *((cloud, name) for cloud, names in NOT_PUBLIC.items() for name in names.split())]
CASES = list(cases())

SUBNETS: dict[str, tuple[str, str]] = {
    "aws": ("aws:ec2/subnet:Subnet", "region"),
    "azure": ("azure-native:network:VirtualNetwork", "location"),
    "gcp": ("gcp:compute/subnetwork:Subnetwork", "region"),
}

Admit = Callable[[dict[str, Any]], Books]


@pytest.fixture
def admit(tmp_path: Path) -> Iterator[Admit]:
    """Writes the tenant's file with a boundary and gives the proxy's books."""
    tenants = tmp_path / "tenants"
    tenants.mkdir()

    def books(document: dict[str, Any]) -> Books:
        (tenants / "acme.json").write_text(json.dumps({"tenant": "acme", "boundary": document, "accounts": ACCOUNTS}))
        found = Books(tmp_path)
        found.learn_session("ASIATENANT", "123456789012")
        return found

    yield books


def _subnet(cloud: str, region: str) -> ApiRequest:
    """The API call that makes a network in the region."""
    if cloud == "aws":
        return _ec2({"@region": region, "Action": "CreateSubnet", "VpcId": "vpc-1", "CidrBlock": "10.0.0.0/24"})
    if cloud == "azure":
        return _arm("Microsoft.Network/virtualNetworks/web")({"location": region, "properties": {}})
    return _compute({"@path": f"regions/{region}/subnetworks", "name": "web", "ipCidrRange": "10.0.0.0/24"})


def _asked(request: ApiRequest, books: Books) -> Verdict:
    host = classify(request.host)
    assert host is not None
    return judge(request, host, "platform", books, NOW)


@pytest.mark.parametrize(("document", "count"), BOUNDARIES, ids=[str(document["name"]) for document, _ in BOUNDARIES])
def test_placement_pack_and_proxy_agree_on_every_region(admit: Admit, document: dict[str, Any], count: int) -> None:
    compiled = compile(load(document))
    books = admit(document)
    verdicts: dict[tuple[str, str], tuple[bool, bool, bool]] = {}
    for cloud, region in PLACES:
        kind, field = SUBNETS[cloud]
        verdicts[cloud, region] = (
            compiled.allows(cloud, region, NOW),
            judged((kind, {field: region}), document=document, now=NOW) == [],
            _asked(_subnet(cloud, region), books).allowed,
        )
    assert {place: verdict for place, verdict in verdicts.items() if len(set(verdict)) > 1} == {}
    assert sum(placement for placement, _, _ in verdicts.values()) == count
    assert not any(verdicts[cloud, name][0] for cloud, names in NOT_PUBLIC.items() for name in names.split())


def test_the_suite_is_as_wide_as_it_says() -> None:
    assert len(BOUNDARIES) >= 12
    assert len(PLACES) == 226
    assert len(CASES) >= 300
    assert len({case.id for case in CASES}) == len(CASES)
    assert {case.thing.cloud for case in CASES} == set(CLOUDS)


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.name)
def test_pack_and_proxy_find_the_same_in_what_is_declared_and_in_what_is_asked(admit: Admit, thing: Any) -> None:
    wrong: list[str] = []
    books: dict[str, Books] = {}
    for case in (case for case in CASES if case.thing is thing):
        key = json.dumps(case.boundary)
        if key not in books:
            books.clear()
            books[key] = admit(case.boundary)
        inputs, request = case.thing.changed(*case.changes)
        verdict = _asked(request, books[key])
        wrong += [
            f"{case.id}: {who} {said}, expected {expected}"
            for who, said, expected in (
                ("pack decides", _said(_declared(case, inputs)), (case.refused, case.exempted)),
                ("proxy decides", _said(verdict.findings), (case.refused, case.exempted)),
                ("pack reports", _reported(case, inputs), case.refused),
                ("proxy answers", verdict.allowed, not case.refused),
                ("placement filters", _filtered(case, inputs), case.refused & {"residency", "cloud"}),
            )
            if said != expected
        ]  # fmt: skip
    assert wrong == []


def _declared(case: Case, inputs: dict[str, Any]) -> Findings:
    call = translate(Resource(case.thing.type, "logical", Inputs(inputs)), "acme")
    assert call is not None
    return decide(compile(load(case.boundary)), call, NOW, {cloud: frozenset(names) for cloud, names in ACCOUNTS.items()})


def _reported(case: Case, inputs: dict[str, Any]) -> set[str]:
    messages = judged((case.thing.type, inputs), document=case.boundary, now=NOW, accounts=ACCOUNTS)
    return {text[1 : text.index("]")] for text in messages}


def _said(findings: Findings | None) -> tuple[frozenset[str], frozenset[str]]:
    assert findings is not None
    return frozenset(finding.rule for finding in findings.refused), frozenset(one.finding.rule for one in findings.exempted)


def _filtered(case: Case, inputs: dict[str, Any]) -> frozenset[str]:
    """What placement says of the regions that the declaration names, for a workload of its data class."""
    call = translate(Resource(case.thing.type, "logical", Inputs(inputs)), "acme")
    assert call is not None
    document = load(case.boundary)
    data_class = call.data_class.value if call.data_class else None
    inside = compile(document, data_class if data_class in document.data_classes else None)
    found = [inside.refusal(call.cloud, named.value, NOW) for named in call.regions if named.value]
    return frozenset(finding.rule for finding in found if finding)


def test_a_call_outside_names_the_digest_that_refused_it(admit: Admit) -> None:
    document = {"name": "eu", "residency": {"regimes": ["gdpr"]}}
    verdict = _asked(_subnet("aws", "us-east-1"), admit(document))
    assert verdict.digest == load(document).digest()
    assert verdict.digest.removeprefix("sha256:")[:12] in judged(("aws:ec2/subnet:Subnet", {"region": "us-east-1"}), document=document, now=NOW)[0]


def test_the_same_account_counts_in_pack_and_proxy(admit: Admit) -> None:
    document = {"name": "any", "accounts": {"azure": ["ffffffff-0000-0000-0000-000000000000"]}}
    request = _arm("Microsoft.Network/virtualNetworks/web")({"location": "westeurope"})
    assert _asked(request, admit(document)).rule == "account"
    provider = {"subscriptionId": SUBSCRIPTION}
    messages = judged(("azure-native:network:VirtualNetwork", {"location": "westeurope"}), document=document, now=NOW, provider=provider)
    assert [text[:9] for text in messages] == ["[account]"]
