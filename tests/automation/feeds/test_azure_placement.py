"""Azure's placement scores in their wire format: what is asked, how often, and what is made of the answers."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from automation.calls.fetch import Fetcher
from automation.feeds.azure_placement import AT_A_TIME, REGIONS, SIZES, AzurePlacement
from domain.catalog import CATALOG, OfferRef
from domain.told import Grade
from localcloud.market import Market, MarketSettings
from localcloud.market.http import app
from tests.automation.feeds.wire import START, Answers, Wire
from tests.localcloud.market.transport import AppTransport

PLATFORM = "00000000-0000-0000-0000-00000000aaaa"
ONE = (["westeurope"], ["Standard_D2s_v5"])
EVERYWHERE = [region.name for region in CATALOG.regions("azure")], [machine.name for machine in CATALOG.machines("azure")]


def row(score: str, **changed: Any) -> dict[str, Any]:
    return {"sku": "Standard_D2s_v5", "region": "westeurope", "score": score, "isQuotaAvailable": True, **changed}


def scored(*rows: Any) -> httpx.Response:
    question = {"desiredLocations": ["westeurope"], "desiredSizes": [{"sku": "Standard_D2s_v5"}], "desiredCount": 1, "availabilityZones": False}
    return httpx.Response(200, json={**question, "placementScores": list(rows)})


def feed(answers: Answers, subscription: str | None = PLATFORM) -> tuple[AzurePlacement, Wire]:
    wire = Wire(answers)
    return AzurePlacement(wire.fetcher, lambda: "token", subscription), wire


def test_one_machine_of_each_size_in_each_region_is_asked_for_under_the_platforms_subscription() -> None:
    placement, wire = feed(lambda _: scored(row("High")))
    [score], faults = placement.refreshed(*ONE, START)
    assert (score.offer, score.grade, score.says, score.observed_at) == (
        OfferRef("azure", "westeurope", "-", "Standard_D2s_v5"), Grade.HIGH, "placement score High", START,
    )  # fmt: skip
    [request] = wire.asked
    base = f"https://management.azure.com/subscriptions/{PLATFORM}/providers/Microsoft.Compute/locations/westeurope"
    assert (faults, request.method, str(request.url)) == ((), "POST", f"{base}/placementScores/spot/generate?api-version=2025-06-05")
    assert json.loads(request.content) == {
        "desiredLocations": ["westeurope"], "desiredSizes": [{"sku": "Standard_D2s_v5"}], "desiredCount": 1, "availabilityZones": False,
    }  # fmt: skip
    assert request.headers["authorization"] == "Bearer token"


def test_a_collection_asks_two_questions_and_all_are_asked_once_in_six_hours() -> None:
    placement, wire = feed(lambda _: scored())
    asked = []
    for minute in range(20):
        placement.refreshed(*EVERYWHERE, START + timedelta(minutes=minute))
        asked.append(len(wire.asked))
    questions = [json.loads(request.content) for request in wire.asked]
    places = {(region, size["sku"]) for one in questions for region in one["desiredLocations"] for size in one["desiredSizes"]}
    assert asked[0] == AT_A_TIME and asked[-1] == asked[-2] == len({request.content for request in wire.asked})
    assert places == {(region, name) for region in EVERYWHERE[0] for name in EVERYWHERE[1]}
    assert max(len(one["desiredLocations"]) for one in questions) == REGIONS and max(len(one["desiredSizes"]) for one in questions) == SIZES
    placement.refreshed(*EVERYWHERE, START + timedelta(hours=6))
    assert len(wire.asked) == asked[-1] + AT_A_TIME


@pytest.mark.parametrize("word", ["DataNotFoundOrStale", "RestrictedSkuNotAvailable", "", "high"])
def test_a_word_that_is_no_grade_says_nothing(word: str) -> None:
    assert feed(lambda _: scored(row(word), row("Medium", sku="Standard_D4s_v5")))[0].refreshed(*ONE, START)[0][0].offer.instance_type == "Standard_D4s_v5"


@pytest.mark.parametrize("odd", [row("Low", availabilityZone="1"), row("Low", region="moon"), row("Low", sku="Standard_X"), "Low", {}])
def test_a_zones_score_and_rows_of_what_the_catalogue_does_not_list_are_left_out(odd: Any) -> None:
    assert feed(lambda _: scored(odd))[0].refreshed(*ONE, START) == ((), ())


def test_a_quota_that_is_used_up_is_the_platforms_and_no_word_on_capacity() -> None:
    assert feed(lambda _: scored(row("High", isQuotaAvailable=False)))[0].refreshed(*ONE, START)[0][0].grade is Grade.HIGH


@pytest.mark.parametrize(("status", "reason"), [(429, "throttled"), (403, "denied")])
def test_where_azure_throttles_or_refuses_nothing_more_is_asked_for_an_hour(status: int, reason: str) -> None:
    placement, wire = feed(lambda _: httpx.Response(status, headers={"retry-after": "3"}, json={"error": {"code": "x"}}))
    [fault] = placement.refreshed(*EVERYWHERE, START)[1]
    assert fault.reason == reason and len({request.content for request in wire.asked}) == 1
    assert wire.pauses == ([3.0, 3.0] if status == 429 else [])
    before = len(wire.asked)
    assert placement.refreshed(*EVERYWHERE, START + timedelta(minutes=59)) == ((), ()) and len(wire.asked) == before
    placement.refreshed(*EVERYWHERE, START + timedelta(hours=1))
    assert len(wire.asked) > before


def test_a_question_that_fails_leaves_the_others_and_is_asked_again_in_an_hour() -> None:
    placement, wire = feed(lambda request: httpx.Response(500) if b"austriaeast" in request.content else scored(row("Low")))
    scores, faults = placement.refreshed(EVERYWHERE[0], ["Standard_D2s_v5"], START)
    assert [one.grade for one in scores] == [Grade.LOW] and [fault.reason for fault in faults] == ["unavailable"]
    for minute in range(1, 60):
        placement.refreshed(EVERYWHERE[0], ["Standard_D2s_v5"], START + timedelta(minutes=minute))
    before = len(wire.asked)
    [again] = placement.refreshed(EVERYWHERE[0], ["Standard_D2s_v5"], START + timedelta(hours=1))[1]
    assert again.reason == "unavailable" and {b"austriaeast" in request.content for request in wire.asked[before:]} == {True}


@pytest.mark.parametrize("answer", [httpx.Response(200, json={}), httpx.Response(200, json={"placementScores": {}}), httpx.Response(200, text="<html>")])
def test_an_answer_of_another_form_is_malformed(answer: httpx.Response) -> None:
    scores, [fault] = feed(lambda _: answer)[0].refreshed(*ONE, START)
    assert scores == () and fault.reason == "malformed"


def test_without_a_subscription_nothing_is_asked() -> None:
    placement, wire = feed(lambda _: scored(row("Low")), None)
    assert placement.refreshed(*ONE, START) == ((), ()) and wire.asked == []


def test_the_market_grades_by_its_capacity_and_refuses_a_question_that_is_too_long(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    market.inject({"kind": "outage", "cloud": "azure", "region": "westeurope"})
    client = httpx.Client(transport=AppTransport(app(market)))
    placement = AzurePlacement(Fetcher(client, sleep=lambda _: None), lambda: "token", PLATFORM)
    scores, faults = placement.refreshed(["westeurope", "uksouth"], ["Standard_D2s_v5"], START)
    assert {one.offer.region: one.grade for one in scores} == {"westeurope": Grade.LOW, "uksouth": Grade.HIGH} and faults == ()
    url = f"https://management.azure.com/subscriptions/{PLATFORM}/providers/Microsoft.Compute/locations/uksouth/placementScores/spot/generate"
    question = {"desiredLocations": EVERYWHERE[0][: REGIONS + 1], "desiredSizes": [{"sku": "Standard_D2s_v5"}], "desiredCount": 1, "availabilityZones": False}
    assert client.post(url, json=question).status_code == 400
