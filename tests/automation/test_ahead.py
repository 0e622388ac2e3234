"""Regions made ahead: the next best ones of each workload, once, within what is asked for."""

from __future__ import annotations

from datetime import date
from typing import Any

from automation.service.ahead import RegionsAhead, wanted
from spotlane import wire
from tests.spotlane.test_explain import EVIDENCE, QUOTE


def offer(cloud: str, region: str) -> dict[str, str]:
    return {"cloud": cloud, "region": region, "zone": "-", "instanceType": "x"}


def lost(cloud: str, region: str, reason: str = "dearer") -> dict[str, Any]:
    return {"offer": offer(cloud, region), "usdPerHour": 0.1, "reason": reason, "detail": reason}


def item(workload: str = "web-acme", **changed: Any) -> wire.PlanItem:
    """A workload that stays in gcp/europe-west4, with these offers beside."""
    beside = [lost("gcp", "europe-west4"), lost("aws", "us-east-1", "outside-boundary"), lost("azure", "westeurope"), lost("aws", "eu-west-1")]
    evidence = EVIDENCE | {"alternatives": beside} | changed
    return wire.PlanItem.model_validate({"workload": workload, "verdict": "stay", "reason": "cheapest", "decision": None, "evidence": evidence})


def test_the_next_best_regions_that_could_be_taken_are_wanted_in_the_order_of_their_price() -> None:
    assert wanted([item()], {}, 2) == [("acme", "azure", "westeurope"), ("acme", "aws", "eu-west-1")]
    assert wanted([item()], {}, 1) == [("acme", "azure", "westeurope")]


def test_what_stands_already_counts_and_is_not_made_again() -> None:
    assert wanted([item()], {"acme": {("azure", "westeurope")}}, 1) == []


def test_two_workloads_of_a_tenant_want_a_region_once_and_another_tenant_its_own() -> None:
    assert wanted([item(), item("api-acme"), item("web-globex")], {}, 1) == [("acme", "azure", "westeurope"), ("globex", "azure", "westeurope")]


def test_a_workload_that_has_no_place_yet_gets_the_best_offers_region_first() -> None:
    best = EVIDENCE["quote"] | {"offer": offer("aws", "eu-west-3")}
    assert wanted([item(quote=best, currentQuote=None)], {}, 1) == [("acme", "aws", "eu-west-3")]


class Runs:
    """Keeps what was submitted, by its key."""

    def __init__(self) -> None:
        self.known: dict[str, wire.RunRequest] = {}

    def submit(self, request: wire.RunRequest) -> tuple[wire.Run, bool]:
        new = request.idempotency_key not in self.known
        self.known[request.idempotency_key] = request
        return wire.Run.model_construct(id=request.idempotency_key), new


def ahead(runs: Runs, each: int, standing: list[wire.StackRef] | None = None) -> RegionsAhead:
    plan = wire.Plan.model_validate({"marketNow": QUOTE["observedAt"], "items": [item().model_dump(by_alias=True)], "savingUsdPer30Days": 0})
    return RegionsAhead(lambda: plan, lambda tenant: standing or [], runs, each, lambda: date(2026, 3, 10))


def test_each_region_is_asked_for_once_a_day_as_the_least_urgent_run() -> None:
    runs = Runs()
    for _ in range(2):
        ahead(runs, 1).prepare()
    (request,) = runs.known.values()
    assert (request.stack.name, request.operation, request.priority) == ("region.acme.azure.westeurope", "up", "drift")


def test_nothing_is_asked_for_where_the_region_stands_or_none_is_to_be_made_ahead() -> None:
    runs = Runs()
    assert ahead(runs, 0).prepare() == []
    assert ahead(runs, 1, [wire.StackRef(kind="region", tenant="acme", cloud="azure", region="westeurope")]).prepare() == []
    assert runs.known == {}
