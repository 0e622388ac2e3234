"""The clients of placement scores, capacity advice, shapes and egress over answers in the documented form of each API, and over recorded ones (``--data DIR``).

Written after the references: EC2 GetSpotPlacementScores, Price List GetProducts, Azure Resource Graph and Retail Prices, Compute Engine advice.capacity and
machineTypes.aggregatedList, Cloud Billing skus.list. None of them takes conditional requests; the Spot Advisor's document alone has an ETag.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials

from automation.calls.fetch import FeedFault, Fetcher
from automation.feeds.aws_lists import AwsLists
from automation.feeds.aws_scores import AwsScores
from automation.feeds.azure import AzureFeed
from automation.feeds.azure_lists import AzureLists
from automation.feeds.azure_placement import AzurePlacement
from automation.feeds.azure_scores import AzureScores
from automation.feeds.gcp import GcpFeed
from automation.feeds.gcp_lists import GcpShapes
from automation.feeds.gcp_scores import GcpScores
from domain.catalog import Machine
from domain.ports import Scope
from domain.scores import Scores
from domain.told import AREA, INTERNET, WORLD, Grade
from tests.automation.feeds.wire import START, Answers, Wire

KEY = Credentials("key", "secret")
FIXTURES = Path("market") / "fixtures"


# Recorded


def test_a_recorded_score_of_a_single_zone_is_none_of_its_region(data: Path) -> None:
    answer = httpx.Response(200, content=(data / FIXTURES / "aws_spot_placement_scores.xml").read_bytes())
    assert AwsScores(Wire(lambda _: answer).fetcher).refreshed(KEY, ["us-east-2"], ["m5.large"], START) == ((), ())


def test_recorded_rows_of_resource_graph_without_a_rate_say_nothing(data: Path) -> None:
    answer = httpx.Response(200, content=(data / FIXTURES / "azure_resource_graph_response.json").read_bytes())
    assert AzureScores(Wire(lambda _: answer).fetcher, lambda: "token").refreshed(["eastus"], ["Standard_D4s_v4"], START) == ()


def test_the_recorded_advisor_is_asked_for_by_its_etag(data: Path) -> None:
    body = (data / FIXTURES / "aws_spot_advisor.json").read_bytes()

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(304) if request.headers.get("if-none-match") == '"v1"' else httpx.Response(200, content=body, headers={"etag": '"v1"'})

    wire = Wire(answer)
    first, again = (wire.fetcher.get_if_changed("https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json") for _ in range(2))
    assert first.body == again.body == body and "if-none-match" not in wire.asked[0].headers and len(wire.asked) == 2


# EC2 GetSpotPlacementScores


def scores_page(items: str, token: str = "<nextToken/>") -> httpx.Response:
    return httpx.Response(
        200,
        text='<?xml version="1.0" encoding="UTF-8"?><GetSpotPlacementScoresResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>5f2f8a1e-0000</requestId><spotPlacementScoreSet>{items}</spotPlacementScoreSet>{token}</GetSpotPlacementScoresResponse>",
    )


def test_ec2s_scores_of_two_pages_stand_for_their_regions_at_ec2s_own_time() -> None:
    first = "<item><region>eu-west-1</region><score>8</score></item>"
    zone = "<item><region>eu-west-2</region><availabilityZoneId>euw2-az1</availabilityZoneId><score>9</score></item>"
    second = "<item><region>eu-west-3</region><score>2</score></item>" + zone

    def answer(request: httpx.Request) -> httpx.Response:
        page = scores_page(second) if b"NextToken=T2" in request.content else scores_page(first, "<nextToken>T2</nextToken>")
        page.headers["date"] = "Mon, 09 Mar 2026 07:30:00 GMT"
        return page

    scores, faults = AwsScores(Wire(answer).fetcher).refreshed(KEY, ["eu-west-1", "eu-west-2", "eu-west-3"], ["m5.large"], START)
    assert faults == () and {one.offer.region: one.grade for one in scores} == {"eu-west-1": Grade.HIGH, "eu-west-3": Grade.LOW}
    assert {one.observed_at for one in scores} == {START - timedelta(hours=24, minutes=30)}
    told = Scores().told(scores)
    assert told.of(scores[0].offer, START) is None and told.of(scores[0].offer, START - timedelta(hours=1)) == scores[0]


def test_a_score_without_a_time_counts_for_nothing() -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: scores_page("<item><region>eu-west-1</region><score>1</score></item>")))
    scores, _ = AwsScores(Fetcher(client)).refreshed(KEY, ["eu-west-1"], ["m5.large"], START)
    assert len(scores) == 1 and Scores().told(scores).of(scores[0].offer, START) is None


# How each cloud says that it was asked too often, and how long is waited

EC2_LIMIT = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors></Response>"
GOOGLE_LIMIT = {
    "error": {
        "code": 403,
        "message": "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com'. " + "x" * 800,
        "errors": [{"message": "Rate Limit Exceeded", "domain": "usageLimits", "reason": "rateLimitExceeded"}],
    }
}
ARM_LIMIT = {"error": {"code": "RateLimiting", "message": "Please provide below info when asking for support"}}


def a_scores_client(cloud: str, wire: Wire) -> Callable[[], object]:
    if cloud == "aws":
        return lambda: AwsScores(wire.fetcher).refreshed(KEY, ["eu-west-1"], ["m5.large"], START)[1]
    if cloud == "azure":
        return lambda: AzurePlacement(wire.fetcher, lambda: "t", "s").refreshed(["westeurope"], ["Standard_D2s_v5"], START)[1]
    return lambda: [fault for _, fault in GcpScores(wire.fetcher, dict, "p").refreshed(["us-west4"], ["n2-standard-2"], START)[1]]


@pytest.mark.parametrize(
    ("cloud", "refusal", "pauses"),
    [
        ("aws", lambda: httpx.Response(503, text=EC2_LIMIT), [0.2, 0.4]),
        ("aws", lambda: httpx.Response(503, text=EC2_LIMIT.replace("RequestLimitExceeded", "EC2ThrottledException")), [0.2, 0.4]),
        ("azure", lambda: httpx.Response(429, json=ARM_LIMIT, headers={"retry-after": "4"}), [4.0, 4.0]),
        ("azure", lambda: httpx.Response(429, json=ARM_LIMIT, headers={"x-ms-user-quota-resets-after": "00:00:03"}), [3.0, 3.0]),
        ("azure", lambda: httpx.Response(429, json=ARM_LIMIT, headers={"retry-after": "Tue, 10 Mar 2026 08:00:05 GMT"}), [5.0, 5.0]),
        ("gcp", lambda: httpx.Response(403, json=GOOGLE_LIMIT), [0.2, 0.4]),
        ("gcp", lambda: httpx.Response(429, json={"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, headers={"retry-after": "soon"}), [0.2, 0.4]),
    ],
)
def test_who_is_throttled_tries_again_after_the_pause_that_it_was_told_or_a_growing_one(
    cloud: str, refusal: Callable[[], httpx.Response], pauses: list[float]
) -> None:
    wire = Wire(lambda _: refusal())
    [fault] = a_scores_client(cloud, wire)()  # type: ignore[misc]  # a sequence
    assert isinstance(fault, FeedFault) and (fault.reason, wire.pauses) == ("throttled", pauses)


@pytest.mark.parametrize("cloud", ["azure", "gcp"])
@pytest.mark.parametrize("told", [{"retry-after": "60"}, {"x-ms-user-quota-resets-after": "00:01:00"}, {"retry-after": "Tue, 10 Mar 2026 08:02:00 GMT"}])
def test_who_is_told_to_come_much_later_does_not_come_sooner(cloud: str, told: dict[str, str]) -> None:
    wire = Wire(lambda _: httpx.Response(429, headers=told))
    [fault] = a_scores_client(cloud, wire)()  # type: ignore[misc]  # a sequence
    assert (fault.reason, wire.pauses, len(wire.asked)) == ("throttled", [], 1)


# Compute Engine advice.capacity


def test_googles_advice_of_several_zones_is_that_of_the_best_and_an_empty_one_says_nothing() -> None:
    def recommended(zone: str, obtainability: float, uptime: str) -> dict[str, Any]:
        shard = {"machineType": "n2-standard-2", "zone": f"zones/{zone}", "instanceCount": 1, "provisioningModel": "SPOT"}
        return {"scores": {"obtainability": obtainability, "estimatedUptime": uptime}, "shards": [shard]}

    several = {"recommendations": [recommended("us-west4-a", 0.3, "600s"), recommended("us-west4-b", 0.8, "10800s")]}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=several if "us-west4" in request.url.path else {"recommendations": []})

    [score], faults = GcpScores(Wire(answer).fetcher, dict, "p").refreshed(["us-east1", "us-west4"], ["n2-standard-2"], START)
    assert (score.offer.region, score.offer.zone, score.grade, faults) == ("us-west4", "-", Grade.HIGH, ())
    assert score.says == "obtainability 0.8, most run 180 minutes at least"


# Price List GetProducts: data transfer


def transfer(kind: str, to: str, tiers: list[tuple[str, str]], currency: str = "USD", unit: str = "GB", code: str = "") -> str:
    attributes = {
        "servicecode": "AWSDataTransfer", "transferType": kind, "fromLocation": "EU (Ireland)", "fromLocationType": "AWS Region", "fromRegionCode": "eu-west-1",
        "toLocation": to, "toLocationType": "AWS Region" if code else "Other", "usagetype": "EU-DataTransfer-Out-Bytes", "operation": "",
        **({"toRegionCode": code} if code else {}),
    }  # fmt: skip
    dimensions = {
        f"SKU.T.{number}": {"unit": unit, "beginRange": begin, "endRange": "Inf", "description": "", "appliesTo": [], "pricePerUnit": {currency: price}}
        for number, (begin, price) in enumerate(tiers)
    }
    term = {"priceDimensions": dimensions, "sku": "SKU", "effectiveDate": "2026-03-01T00:00:00Z", "offerTermCode": "JRTCKXETXF", "termAttributes": {}}
    product = {"productFamily": "Data Transfer", "attributes": attributes, "sku": "SKU"}
    return json.dumps({"product": product, "serviceCode": "AWSDataTransfer", "terms": {"OnDemand": {"SKU.T": term}}, "version": "2026", "publicationDate": ""})


def machine(currency: str) -> str:
    document = json.loads(transfer("", "", [("0", "0.107")], currency, "Hrs"))
    document["product"]["attributes"] = {
        "instanceType": "m5.large",
        "vcpu": "2",
        "memory": "8 GiB",
        "physicalProcessor": "Intel Xeon",
        "regionCode": "eu-west-1",
    }
    return json.dumps(document)


def listing(*pages: list[str], machines: str = machine("USD")) -> Answers:
    """GetProducts: machines on one page, data transfer on ``pages``."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        if asked["ServiceCode"] == "AmazonEC2":
            return httpx.Response(200, json={"FormatVersion": "aws_v1", "PriceList": [machines]})
        at = int(asked.get("NextToken", "0"))
        return httpx.Response(200, json={"FormatVersion": "aws_v1", "PriceList": pages[at], **({"NextToken": str(at + 1)} if at + 1 < len(pages) else {})})

    return answer


def test_aws_data_costs_its_first_paid_tier_over_all_pages_and_what_is_not_data_by_the_gb_is_left_out() -> None:
    first = [
        transfer("AWS Outbound", "External", [("0", "0.0000000000"), ("1", "0.0900000000"), ("10240", "0.0850000000")]),
        transfer("AWS Outbound", "Amazon CloudFront", [("0", "0.0500000000")]),
        transfer("InterRegion Outbound", "US East (Ohio)", [("0", "0.0200000000")], code="us-east-2"),
    ]
    second = [
        transfer("InterRegion Outbound", "Nowhere", [("0", "0.5")], code="eu-nowhere-1"),
        transfer("InterRegion Outbound", "EU (Paris)", [("0", "0.02")], code="eu-west-3"),
        transfer("InterRegion Outbound", "EU (London)", [("0", "3.0")], unit="Requests", code="eu-west-2"),
        "{broken",
    ]
    listed = AwsLists(Wire(listing(first, second)).fetcher).refreshed(KEY, "eu-west-1", START)
    assert {one.to: one.usd_per_gib for one in listed.egress} == {INTERNET: 0.09, "us-east-2": 0.02, "eu-west-3": 0.02} and listed.faults == ()
    assert listed.on_demand == {"m5.large": 0.107}


def test_a_price_list_in_another_currency_is_a_fault_and_no_price() -> None:
    listed = AwsLists(Wire(listing([], machines=machine("CNY"))).fetcher).refreshed(KEY, "eu-west-1", START)
    assert (listed.on_demand, [(what, fault.reason, fault.detail) for what, fault in listed.faults]) == (
        {}, [("on-demand prices", "malformed", "priced in CNY where USD was expected")],
    )  # fmt: skip
    foreign = listing([transfer("AWS Outbound", "External", [("0", "0.933")], "CNY")])
    assert AwsLists(Wire(foreign).fetcher).refreshed(KEY, "eu-west-1", START).egress == ()


def test_a_region_of_the_price_list_that_fails_leaves_the_others_and_its_own_prices_of_yesterday() -> None:
    away = {"on": False}
    good = listing([transfer("AWS Outbound", "External", [("0", "0.09")])])
    wire = Wire(lambda request: httpx.Response(500) if away["on"] and b"eu-west-1" in request.content else good(request))
    lists = AwsLists(wire.fetcher)
    lists.refreshed(KEY, "eu-west-1", START)
    away["on"] = True
    failed, well = (lists.refreshed(KEY, region, START + timedelta(days=1)) for region in ("eu-west-1", "us-east-2"))
    assert failed.on_demand == well.on_demand == {"m5.large": 0.107} and failed.told is not None and failed.told.observed_at == START
    assert [what for what, _ in failed.faults] == ["on-demand prices"] and well.faults == ()


def test_egress_of_aws_that_fails_is_asked_for_again_in_an_hour_and_costs_no_on_demand_price() -> None:
    wire = Wire(lambda request: httpx.Response(500) if b"AWSDataTransfer" in request.content else listing([])(request))
    lists = AwsLists(wire.fetcher)
    told = []
    for hours in (0.0, 0.9, 1.0):
        listed = lists.refreshed(KEY, "eu-west-1", START + timedelta(hours=hours))
        told.append([what for what, _ in listed.faults])
        assert listed.on_demand == {"m5.large": 0.107}
    assert told == [["egress prices"], [], ["egress prices"]]


# Azure: Bandwidth, SKUs


def bandwidth(meter: str, price: float, currency: str = "USD", unit: str = "1 GB", begin: float = 0.0) -> dict[str, Any]:
    return {
        "currencyCode": currency, "tierMinimumUnits": begin, "retailPrice": price, "unitPrice": price, "armRegionName": "westeurope", "location": "EU West",
        "effectiveStartDate": "2023-05-01T00:00:00Z", "meterId": "m", "meterName": meter, "productId": "DZH318Z09TQP", "skuId": "DZH318Z09TQP/0023",
        "productName": "Bandwidth Inter-Region", "skuName": "Standard", "serviceName": "Bandwidth", "serviceId": "DZH314HC0WV9", "serviceFamily": "Networking",
        "unitOfMeasure": unit, "type": "Consumption", "isPrimaryMeterRegion": True, "armSkuName": "",
    }  # fmt: skip


def retail(*items: dict[str, Any], link: str | None = None) -> httpx.Response:
    envelope = {"BillingCurrency": "USD", "CustomerEntityId": "Default", "CustomerEntityType": "Retail"}
    return httpx.Response(200, json={**envelope, "Items": list(items), "NextPageLink": link, "Count": len(items)})


def test_azures_egress_is_by_continent_over_two_pages_and_counts_gb_only() -> None:
    first = bandwidth("Intra Continent Data Transfer Out", 0.02), bandwidth("Intra Continent Data Transfer Out", 9.0, unit="1 TB/Month")
    second = bandwidth("Inter Continent Data Transfer Out - NAM or EU To Any", 0.05), bandwidth("Standard Data Transfer In", 0.0)
    link = "https://prices.azure.com:443/api/retail/prices?$skip=1000"
    wire = Wire(lambda request: retail(*second) if "skip" in str(request.url) else retail(*first, link=link))
    _, egress, faults = AzureLists(wire.fetcher, lambda: "t", None).refreshed(["westeurope"], START)
    assert ({one.to: one.usd_per_gib for one in egress}, faults, len(wire.asked)) == ({AREA: 0.02, WORLD: 0.05}, (), 2)


def test_azures_egress_in_another_currency_is_a_fault_and_no_tariff() -> None:
    wire = Wire(lambda _: retail(bandwidth("Intra Continent Data Transfer Out", 0.018, "EUR")))
    _, egress, [(what, fault)] = AzureLists(wire.fetcher, lambda: "t", None).refreshed(["westeurope"], START)
    assert (egress, what, fault.reason, fault.detail) == ((), "egress prices", "malformed", "priced in EUR where USD was asked for")


def test_a_page_of_azures_egress_that_is_missing_leaves_all_of_it_as_it_was_and_is_asked_for_again_in_an_hour() -> None:
    link = "https://prices.azure.com:443/api/retail/prices?$skip=1000"
    wire = Wire(lambda request: httpx.Response(503) if "skip" in str(request.url) else retail(bandwidth("Intra Continent Data Transfer Out", 0.02), link=link))
    lists = AzureLists(wire.fetcher, lambda: "t", None)
    for hours, fails in ((0.0, True), (0.9, False), (1.0, True)):
        before = len(wire.asked)
        _, egress, faults = lists.refreshed(["westeurope"], START + timedelta(hours=hours))
        assert egress == () and [(what, fault.reason) for what, fault in faults] == [("egress prices", "unavailable")] * fails
        assert (len(wire.asked) > before) is fails


def test_a_next_page_on_another_host_is_not_followed() -> None:
    wire = Wire(lambda _: retail(link="https://prices.azure.example/api/retail/prices?$skip=1000"))
    _, _, [(_, fault)] = AzureLists(wire.fetcher, lambda: "t", None).refreshed(["westeurope"], START)
    assert fault.reason == "malformed" and {request.url.host for request in wire.asked} == {"prices.azure.com"}


def test_azures_spot_price_in_another_currency_is_held_back_by_its_name() -> None:
    item = bandwidth("D2s v5 Spot", 0.02, "EUR", "1 Hour") | {"armSkuName": "Standard_D2s_v5", "skuName": "D2s v5 Spot", "productName": "Virtual Machines Dsv5"}
    report = AzureFeed(Wire(lambda _: retail(item)).fetcher, Scope(frozenset({"westeurope"}), frozenset({"Standard_D2s_v5"}))).collect(START)
    assert report.quotes == () and [(one.reason, one.quote_offer.region) for one in report.quarantined] == [("currency", "westeurope")]


# Google: SKUs, machine types


def sku(description: str, family: str, group: str, usage: str, unit: str, nanos: list[tuple[float, int]], currency: str = "USD") -> dict[str, Any]:
    rates = [{"startUsageAmount": begin, "unitPrice": {"currencyCode": currency, "units": "0", "nanos": price}} for begin, price in nanos]
    expression = {"usageUnit": unit, "displayQuantity": 1, "tieredRates": rates, "baseUnit": "By.s", "baseUnitConversionFactor": 3600.0}
    return {
        "name": "services/6F81-5844-456A/skus/0000", "skuId": "0000", "description": description,
        "category": {"serviceDisplayName": "Compute Engine", "resourceFamily": family, "resourceGroup": group, "usageType": usage},
        "serviceRegions": ["us-west4"], "pricingInfo": [{"summary": "", "effectiveTime": "2026-03-10T00:00:00Z", "pricingExpression": expression}],
        "serviceProviderName": "Google", "geoTaxonomy": {"type": "REGIONAL", "regions": ["us-west4"]},
    }  # fmt: skip


def egress_skus(currency: str = "USD") -> list[dict[str, Any]]:
    return [
        sku(
            "Network Internet Data Transfer Out from Americas to Americas",
            "Network",
            "PremiumInternetEgress",
            "OnDemand",
            "GiBy",
            [(0, 0), (1, 120_000_000)],
            currency,
        ),
        sku("Network Internet Data Transfer Out from Americas to China", "Network", "PremiumInternetEgress", "OnDemand", "GiBy", [(0, 230_000_000)], currency),
        sku(
            "Network Inter Region Data Transfer Out from Americas to Americas", "Network", "InterregionEgress", "OnDemand", "GiBy", [(0, 20_000_000)], currency
        ),
        sku("Network Inter Region Data Transfer Out from Americas to APAC", "Network", "InterregionEgress", "OnDemand", "GiBy", [(0, 80_000_000)], currency),
    ]


def rates(currency: str = "USD") -> list[dict[str, Any]]:
    return [
        sku(f"{spot}N2 Instance {part} running in Las Vegas", "Compute", group, usage, unit, [(0, 10_000_000)], currency)
        for part, group, unit in (("Core", "CPU", "h"), ("Ram", "RAM", "GiBy.h"))
        for spot, usage in (("", "OnDemand"), ("Spot Preemptible ", "Preemptible"))
    ]


def google(*pages: list[dict[str, Any]] | int) -> GcpFeed:
    def answer(request: httpx.Request) -> httpx.Response:
        at = int(request.url.params.get("pageToken", "0"))
        page = pages[at]
        if isinstance(page, int):
            return httpx.Response(page)
        return httpx.Response(200, json={"skus": page, "nextPageToken": str(at + 1) if at + 1 < len(pages) else ""})

    return GcpFeed(Wire(answer).fetcher, {"GOOGLE_API_KEY": "key"}, Scope(frozenset({"us-west4"}), frozenset({"n2-standard-2"})))


def test_googles_egress_is_the_dearest_destination_but_china_and_by_area_over_two_pages() -> None:
    skus = egress_skus()
    report = google([*rates(), *skus[:2]], skus[2:]).collect(START)
    assert {one.to: one.usd_per_gib for one in report.egress} == {INTERNET: 0.12, AREA: 0.02, WORLD: 0.08} and report.errors == ()


def test_a_missing_page_of_googles_skus_gives_no_egress_that_its_other_half_would_belie() -> None:
    report = google([*rates(), *egress_skus()[:3]], 500).collect(START)
    assert report.egress == () and [error.reason for error in report.errors] == ["unavailable"] and len(report.quotes) == 3


def test_googles_egress_and_rates_in_another_currency_are_named_and_not_used() -> None:
    report = google([*rates(), *egress_skus("EUR")]).collect(START)
    assert report.egress == () and [error.detail for error in report.errors] == ["egress prices: EUR where USD was asked for"] and len(report.quotes) == 3
    report = google([*rates("EUR"), *egress_skus()]).collect(START)
    assert report.quotes == () and {one.reason for one in report.quarantined} == {"currency"} and len(report.egress) == 3


def gpu_skus(model: str = "Nvidia L4 GPU") -> list[dict[str, Any]]:
    parts = [
        sku(f"{spot}G2 Instance {part} running in Las Vegas", "Compute", group, usage, unit, [(0, nanos)])
        for part, group, unit, nanos in (("Core", "CPU", "h", 20_000_000), ("Ram", "RAM", "GiBy.h", 3_000_000))
        for spot, usage in (("", "OnDemand"), ("Spot Preemptible ", "Preemptible"))
    ]
    beside = [
        (f"{model} running in Las Vegas", "OnDemand", 560_000_000),
        (f"{model} attached to Spot Preemptible VMs running in Las Vegas", "Preemptible", 220_000_000),
    ]
    return [*parts, *(sku(name, "Compute", "GPU", usage, "h", [(0, nanos)]) for name, usage, nanos in beside)]


def priced(model: str) -> list[tuple[Any, Any]]:
    """Spot and on demand of two L4 beside 24 cores and 96 GiB, where SKUs of GPUs name ``model``."""
    feed = google(gpu_skus(model))
    feed.scope = Scope(frozenset({"us-west4"}), frozenset(), (Machine("gcp", "g2-standard-24", "g2", 24, 96, gpu=2, gpu_type="L4"),))
    return [(one.spot, one.on_demand) for one in feed.collect(START).quotes]


def test_a_machine_of_google_with_gpus_costs_what_they_cost_too_and_has_no_price_without_their_rate() -> None:
    parts = 24 * 0.02 + 96 * 0.003
    assert priced("Nvidia L4 GPU") == [pytest.approx((parts + 2 * 0.22, parts + 2 * 0.56))] * 3
    assert priced("Nvidia Tesla T4 GPU") == []


def types_page(zones: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    def one(name: str, zone: str) -> dict[str, Any]:
        return {
            "kind": "compute#machineType", "id": "801002", "creationTimestamp": "2019-12-03T00:00:00.000-08:00", "name": name, "description": "2 vCPUs",
            "guestCpus": 2, "memoryMb": 8192, "imageSpaceGb": 0, "maximumPersistentDisks": 128, "maximumPersistentDisksSizeGb": "263168", "zone": zone,
            "selfLink": f"https://www.googleapis.com/compute/v1/projects/p/zones/{zone}/machineTypes/{name}", "isSharedCpu": False, "architecture": "X86_64",
        }  # fmt: skip

    empty = {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results for scope 'zones/x' on this page.", "data": []}}
    items = {f"zones/{zone}": {"machineTypes": [one(name, zone) for name in names]} if names else empty for zone, names in zones.items()}
    return {"kind": "compute#machineTypeAggregatedList", "id": "projects/p/aggregated/machineTypes", "items": items, "selfLink": "", **more}


def google_types(*pages: dict[str, Any]) -> tuple[GcpShapes, Wire]:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=pages[int(request.url.params.get("pageToken", "0"))])

    wire = Wire(answer)
    return GcpShapes(wire.fetcher, dict, "p", {"n2"}), wire


def test_googles_machine_types_are_gathered_over_pages_some_of_whose_zones_are_empty() -> None:
    first = types_page({"us-west4-a": ["n2-new-2"], "us-west4-b": [], "us-west1-a": ["n2-standard-2"]}, nextPageToken="1")
    shapes = google_types(first, types_page({"us-west4-b": ["n2-new-2"], "us-west4-c": ["n2-new-2"]}))[0].refreshed(START)
    assert {one.name: (one.vcpu, one.memory_gib, one.only) for one in shapes} == {
        "n2-new-2": (2, 8.0, frozenset({"us-west4"})), "n2-standard-2": (2, 8.0, frozenset()),
    }  # fmt: skip


def test_a_list_that_lacks_a_zone_that_google_cannot_reach_changes_nothing() -> None:
    shapes, wire = google_types(types_page({"us-west4-a": ["n2-new-2"]}, unreachables=["zones/us-west4-b"]))
    for hours in (0, 1):
        with pytest.raises(FeedFault, match="can't reach zones/us-west4-b"):
            shapes.refreshed(START + timedelta(hours=hours))
        assert shapes.refreshed(START + timedelta(hours=hours, minutes=59)) == () and len(wire.asked) == hours + 1
