"""The clouds' placement scores in their wire formats: paging, throttling, a part that fails, and how often what is asked."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from botocore.credentials import Credentials

from automation.calls.fetch import Fetcher
from automation.feeds.aws_scores import AwsScores
from automation.feeds.azure_scores import AzureScores
from automation.feeds.gcp_scores import AT_A_TIME, GcpScores
from domain.catalog import CATALOG, OfferRef
from domain.told import Grade
from localcloud.market import Market, MarketSettings
from localcloud.market.http import app
from tests.automation.feeds.wire import START, Answers, Wire
from tests.localcloud.market.transport import AppTransport

KEY = Credentials("key", "secret")


def aws_page(scores: dict[str, int], token: str = "") -> httpx.Response:
    items = "".join(f"<item><region>{region}</region><score>{score}</score></item>" for region, score in scores.items())
    space = "http://ec2.amazonaws.com/doc/2016-11-15/"
    text = f'<GetSpotPlacementScoresResponse xmlns="{space}"><spotPlacementScoreSet>{items}</spotPlacementScoreSet><nextToken>{token}</nextToken>'
    return httpx.Response(200, text=f"{text}</GetSpotPlacementScoresResponse>")


def test_aws_asks_for_types_of_one_size_together_and_reads_every_page() -> None:
    wire = Wire(lambda request: aws_page({"us-east-2": 3}) if b"NextToken=more" in request.content else aws_page({"eu-west-1": 9}, "more"))
    scores, faults = AwsScores(wire.fetcher).refreshed(KEY, ["us-east-2", "eu-west-1"], ["m5.large", "r5.large", "c5.large"], START)
    form = parse_qs(wire.asked[0].content.decode())
    assert [form[name] for name in ("Action", "InstanceType.1", "InstanceType.3", "RegionName.1", "TargetCapacity")] == [
        ["GetSpotPlacementScores"], ["c5.large"], ["r5.large"], ["eu-west-1"], ["1"],
    ]  # fmt: skip
    assert faults == () and len(wire.asked) == 2 and "/us-east-1/ec2/aws4_request" in wire.asked[0].headers["authorization"]
    grades = {(one.offer.region, one.offer.instance_type): (one.grade, one.says) for one in scores}
    assert grades["eu-west-1", "m5.large"] == (Grade.HIGH, "9 of 10") and grades["us-east-2", "r5.large"] == (Grade.LOW, "3 of 10")


def test_aws_asks_the_same_configurations_again_after_six_hours_only() -> None:
    wire = Wire(lambda _: aws_page({"eu-west-1": 9}))
    feed = AwsScores(wire.fetcher)
    asked = []
    for hours in (0, 5, 6):
        feed.refreshed(KEY, ["eu-west-1"], ["m5.large"], START + timedelta(hours=hours))
        asked.append(len(wire.asked))
    assert asked == [1, 1, 2] and wire.asked[0].content == wire.asked[1].content


def test_aws_says_that_there_were_too_many_configurations_and_is_left_alone_for_a_day() -> None:
    wire = Wire(lambda _: httpx.Response(400, text="<Code>MaxConfigLimitExceeded</Code>"))
    feed = AwsScores(wire.fetcher)
    types = ["m5.large", "m5.xlarge", "m6g.large"]
    [fault] = feed.refreshed(KEY, ["eu-west-1"], types, START)[1]
    assert (fault.reason, len(wire.asked)) == ("throttled", 1)
    assert feed.refreshed(KEY, ["eu-west-1"], types, START + timedelta(hours=23)) == ((), ()) and len(wire.asked) == 1
    feed.refreshed(KEY, ["eu-west-1"], types, START + timedelta(hours=24))
    assert len(wire.asked) == 2


def test_aws_is_asked_again_after_a_pause_where_it_throttles_and_one_configurations_failure_leaves_the_others() -> None:
    refused: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if b"m5.xlarge" in request.content:
            return httpx.Response(503, text="<Code>Unavailable</Code>")
        if not refused:
            refused.append(1)
            return httpx.Response(503, text="<Code>RequestLimitExceeded</Code>", headers={"retry-after": "2"})
        return aws_page({"eu-west-1": 5})

    wire = Wire(answer)
    scores, faults = AwsScores(wire.fetcher).refreshed(KEY, ["eu-west-1"], ["m5.large", "m5.xlarge"], START)
    assert wire.pauses[0] == 2.0 and [one.offer.instance_type for one in scores] == ["m5.large"] and [fault.reason for fault in faults] == ["unavailable"]


@pytest.mark.parametrize("score", ["0", "11", "high", ""])
def test_a_score_that_is_none_of_awss_is_malformed(score: str) -> None:
    text = f"<x><spotPlacementScoreSet><item><region>eu-west-1</region><score>{score}</score></item></spotPlacementScoreSet></x>"
    scores, [fault] = AwsScores(Wire(lambda _: httpx.Response(200, text=text)).fetcher).refreshed(KEY, ["eu-west-1"], ["m5.large"], START)
    assert scores == () and fault.reason == "malformed"


def graph(rows: list[dict[str, str]], token: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"data": rows, **({"$skipToken": token} if token else {})})


def test_azure_reads_every_page_of_its_table_of_evictions() -> None:
    first, second = (
        {"skuName": "standard_d2s_v5", "location": "westeurope", "evictionRate": "20+"},
        {"skuName": "standard_d4s_v5", "location": "WestEurope", "evictionRate": "0-5"},
    )
    odd = [{"skuName": "standard_x", "location": "westeurope", "evictionRate": "0-5"}, {**first, "evictionRate": "unknown"}, {**first, "location": "moon"}]
    wire = Wire(lambda request: graph([second]) if b"NEXT" in request.content else graph([first, *odd], "NEXT"))
    feed = AzureScores(wire.fetcher, lambda: "token")
    scores = feed.refreshed(["westeurope"], ["Standard_D2s_v5", "Standard_D4s_v5"], START)
    assert [(one.offer.instance_type, one.grade, one.says) for one in scores] == [
        ("Standard_D2s_v5", Grade.LOW, "20+ % evicted an hour"), ("Standard_D4s_v5", Grade.HIGH, "0-5 % evicted an hour"),
    ]  # fmt: skip
    assert json.loads(wire.asked[1].content)["options"] == {"resultFormat": "objectArray", "$top": 1000, "$skipToken": "NEXT"}
    assert feed.refreshed(["westeurope"], ["Standard_D2s_v5", "Standard_D4s_v5"], START + timedelta(hours=11)) == () and len(wire.asked) == 2


def advice(obtainability: float, uptime: str | None = "3600s") -> httpx.Response:
    scores = {"obtainability": obtainability} | ({} if uptime is None else {"estimatedUptime": uptime})
    return httpx.Response(200, json={"recommendations": [{"scores": scores, "shards": []}]})


def google(answers: Answers, project: str | None = "platform") -> tuple[GcpScores, Wire]:
    wire = Wire(answers)
    return GcpScores(wire.fetcher, lambda: {"authorization": "Bearer token"}, project), wire


def test_google_is_asked_for_one_spot_machine_of_each_type_in_each_region() -> None:
    feed, wire = google(lambda _: advice(0.5))
    [score], faults = feed.refreshed(["us-west4"], ["n2-standard-2"], START)
    assert (score.offer, score.grade, score.observed_at, faults) == (OfferRef("gcp", "us-west4", "-", "n2-standard-2"), Grade.MEDIUM, START, ())
    assert str(wire.asked[0].url) == "https://compute.googleapis.com/compute/beta/projects/platform/regions/us-west4/advice/capacity"
    document = json.loads(wire.asked[0].content)
    assert document["instanceProperties"] == {"scheduling": {"provisioningModel": "SPOT"}} and document["size"] == 1
    assert document["instanceFlexibilityPolicy"]["instanceSelections"]["one"]["machineTypes"] == ["n2-standard-2"]


def test_google_is_asked_few_questions_at_a_time_and_each_once_in_six_hours() -> None:
    feed, wire = google(lambda _: advice(0.9))
    types = [machine.name for machine in CATALOG.machines("gcp")]
    asked = []
    for _ in range(2):
        feed.refreshed(["us-west4"], types, START)
        asked.append(len(wire.asked))
    assert asked[0] == AT_A_TIME < asked[1] < 2 * AT_A_TIME
    assert len({(request.url.path, request.content) for request in wire.asked}) == asked[1]


def test_a_region_of_google_that_fails_leaves_the_others_and_is_asked_again_in_an_hour() -> None:
    feed, wire = google(lambda request: httpx.Response(500) if "us-east1" in request.url.path else advice(0.9))
    scores, faults = feed.refreshed(["us-east1", "us-west4"], ["n2-standard-2"], START)
    assert [one.offer.region for one in scores] == ["us-west4"] and [(region, fault.reason) for region, fault in faults] == [("us-east1", "unavailable")]
    before = len(wire.asked)
    assert feed.refreshed(["us-east1", "us-west4"], ["n2-standard-2"], START + timedelta(minutes=59)) == ((), ()) and len(wire.asked) == before
    assert len(feed.refreshed(["us-east1", "us-west4"], ["n2-standard-2"], START + timedelta(hours=1))[1]) == 1


def test_google_that_throttles_is_asked_no_more_this_time_and_without_a_project_nothing_is_asked() -> None:
    feed, wire = google(lambda _: httpx.Response(429))
    _, faults = feed.refreshed(["us-east1", "us-west4", "us-west1"], [machine.name for machine in CATALOG.machines("gcp")], START)
    assert {fault.reason for _, fault in faults} == {"throttled"} and len({(request.url.path, request.content) for request in wire.asked}) == 6
    assert google(lambda _: advice(0.9), None)[0].refreshed(["us-east1"], ["n2-standard-2"], START) == ((), ())


def test_googles_short_uptime_and_its_odd_answers() -> None:
    assert google(lambda _: advice(0.9, "600s"))[0].refreshed(["us-west4"], ["n2-standard-2"], START)[0][0].grade is Grade.LOW
    assert google(lambda _: httpx.Response(200, json={}))[0].refreshed(["us-west4"], ["n2-standard-2"], START) == ((), ())
    for odd in (advice(1.5), advice(0.5, "long"), httpx.Response(200, json={"recommendations": [{}]})):
        [(_, fault)] = google(lambda _, odd=odd: odd)[0].refreshed(["us-west4"], ["n2-standard-2"], START)[1]  # type: ignore[misc]  # bound as it is
        assert fault.reason == "malformed"


def test_the_market_answers_each_clouds_question(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    fetcher = Fetcher(httpx.Client(transport=AppTransport(app(market))), sleep=lambda _: None)
    market.inject({"kind": "outage", "cloud": "gcp", "region": "us-west4"})
    market.inject({"kind": "outage", "cloud": "aws", "region": "eu-west-1"})
    aws, _ = AwsScores(fetcher).refreshed(KEY, ["eu-west-1", "us-east-2"], ["m5.large"], START)
    azure = AzureScores(fetcher, lambda: "token").refreshed(["westeurope"], ["Standard_D2s_v5"], START)
    gcp, _ = GcpScores(fetcher, dict, "platform").refreshed(["us-west4", "us-east4"], ["n2-standard-2"], START)
    assert {one.offer.region: one.grade for one in (*aws, *azure, *gcp)} == {
        "eu-west-1": Grade.LOW, "us-east-2": Grade.MEDIUM, "westeurope": Grade.HIGH, "us-west4": Grade.LOW, "us-east4": Grade.HIGH,
    }  # fmt: skip
    assert {one.observed_at for one in (*aws, *azure, *gcp)} == {START}
