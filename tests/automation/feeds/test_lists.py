"""What feeds tell beside prices: shapes and egress in the clouds' own forms, once a day, each list's failure its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials

from automation.calls.fetch import Fetcher
from automation.feeds.aws import AwsFeed
from automation.feeds.azure import AzureFeed
from automation.feeds.azure_lists import AzureLists
from automation.feeds.book import Book
from automation.feeds.collection import Collection, ScopedFeed
from automation.feeds.gcp import GcpFeed
from domain.catalog import CATALOG
from domain.network import LIST_PRICES
from domain.ports import Scope
from domain.prices import Told
from domain.reference import Reference
from domain.told import INTERNET, Egress
from localcloud.market import Market, MarketSettings
from localcloud.market.http import app
from tests.localcloud.market.transport import AppTransport, Tamper

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
DATE = {"date": "Tue, 10 Mar 2026 08:00:00 GMT"}
SCOPES = {
    "aws": Scope(frozenset({"eu-west-1"}), frozenset({"m5.large", "m7g.large"})),
    "azure": Scope(frozenset({"westeurope"}), frozenset({"Standard_D2s_v5"})),
    "gcp": Scope(frozenset({"europe-west4"}), frozenset({"n2-standard-4"})),
}
Made = tuple[ScopedFeed, Market, AppTransport]


@pytest.fixture(params=["aws", "azure", "gcp"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Made]:
    def made(tamper: Tamper = lambda _, response: response) -> Made:
        market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
        transport = AppTransport(app(market), tamper)
        fetcher = Fetcher(httpx.Client(transport=transport), sleep=lambda _: None)
        scope = SCOPES[request.param]
        feeds: dict[str, ScopedFeed] = {
            "aws": AwsFeed(fetcher, lambda: Credentials("key", "secret"), scope),
            "azure": AzureFeed(fetcher, scope, AzureLists(fetcher, lambda: "token", "subscription")),
            "gcp": GcpFeed(fetcher, {"GOOGLE_OAUTH_ACCESS_TOKEN": "token", "SPOTLANE_GCP_PROJECT": "platform"}, scope),
        }
        return feeds[request.param], market, transport

    return made


def test_shapes_and_egress_are_the_catalogues_and_the_list_prices_with_source_and_time(make: Callable[..., Made]) -> None:
    feed, _, _ = make()
    report = feed.collect(START)
    assert report.errors == ()
    [region] = SCOPES[feed.cloud].regions or ()
    shapes = {one.name: one for one in report.shapes}
    for name in SCOPES[feed.cloud].instance_types or ():
        machine = CATALOG.machine(feed.cloud, name)
        assert (shapes[name].vcpu, shapes[name].memory_gib, shapes[name].arch, shapes[name].gpu) == (
            machine.vcpu,
            machine.memory_gib,
            machine.arch,
            machine.gpu,
        )
    assert {one.observed_at for one in (*report.shapes, *report.egress)} == {START} and all(one.source for one in (*report.shapes, *report.egress))
    found, held_back = Reference().told(report.shapes, report.egress)
    assert held_back == [] and {(one.region, one.to) for one in report.egress} >= {(region, INTERNET)}
    for other in CATALOG.regions(feed.cloud):
        pair = ((feed.cloud, region, "x"), (feed.cloud, other.name, "y"))
        assert found.tariffs.transfer(*pair) == pytest.approx(LIST_PRICES.transfer(*pair))
    assert found.tariffs.internet(feed.cloud, region) == pytest.approx(LIST_PRICES.internet(feed.cloud, region))


def test_lists_of_their_own_are_asked_for_once_a_day(make: Callable[..., Made]) -> None:
    feed, market, transport = make()
    feed.collect(START)
    asked = len(transport.seen)
    market.advance(3600)
    assert feed.collect(START).shapes == ()
    usual = len(transport.seen) - asked
    market.advance(86400)
    assert len(feed.collect(START).shapes) > 0
    assert usual < len(transport.seen) - asked - usual


def test_a_list_that_fails_is_an_error_and_costs_no_quote(make: Callable[..., Made]) -> None:
    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        asked = f"{request.url.host}{request.url.path} {request.content.decode()}"
        lists = any(word in asked for word in ("AWSDataTransfer", "management.azure.com", "machineTypes"))
        return httpx.Response(503) if lists else response

    feed, _, _ = make(tamper)
    report = feed.collect(START)
    assert len(report.quotes) > 0
    told = [error.detail for error in report.errors if not error.detail.startswith("capacity advice")]
    assert len(told) == 1 and told[0].startswith(("egress prices: ", "machine shapes: "))


def test_the_collection_uses_what_was_told_and_holds_back_what_cant_be(make: Callable[..., Made]) -> None:
    feed, _, _ = make(_dearer)
    collection = Collection([feed], Book())
    report = collection.collect()
    assert collection.reference.latest().keys() >= {(feed.cloud, "shapes")}
    assert {one.reason for one in report.quarantined} == {"egress"}


def _dearer(_: httpx.Request, response: httpx.Response) -> httpx.Response:
    """Egress a thousandfold: as a feed has it that takes cents for dollars, or a TB for a GB."""
    if not any(word in response.text for word in ("AWSDataTransfer", '"serviceName":"Bandwidth"', '"usageUnit":"GiBy",')):
        return response
    document = response.json()
    _scale(document)
    return httpx.Response(200, headers={"date": response.headers["date"]}, json=document)


def _scale(document: dict[str, Any]) -> None:
    products = document.get("PriceList")
    if isinstance(products, list):
        for at, text in enumerate(products):
            product = json.loads(text)
            for term in product["terms"]["OnDemand"].values():
                for one in term["priceDimensions"].values():
                    one["pricePerUnit"]["USD"] = str(float(one["pricePerUnit"]["USD"]) * 1000)
            products[at] = json.dumps(product)
    items = document.get("Items")
    if isinstance(items, list):
        for item in items:
            item["retailPrice"] *= 1000
    skus = document.get("skus")
    if isinstance(skus, list):
        for sku in skus:
            expression = sku["pricingInfo"][-1]["pricingExpression"]
            if expression["usageUnit"] == "GiBy":
                expression["tieredRates"][0]["unitPrice"]["units"] = "90"


def test_a_quote_says_who_told_its_on_demand_price_and_its_rate_and_when(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    fetcher = Fetcher(httpx.Client(transport=AppTransport(app(market))), sleep=lambda _: None)
    feed = AwsFeed(fetcher, lambda: Credentials("key", "secret"), SCOPES["aws"])
    feed.collect(START)
    market.advance(7200)
    quote = feed.collect(START).quotes[0]
    assert quote.on_demand_told == Told("pricing:GetProducts", START)
    assert quote.interruptions_told == Told("https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json", START)
    assert (quote.observed_at - START).total_seconds() == 7200


def answering(documents: Callable[[httpx.Request], dict[str, object]]) -> Fetcher:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=DATE, json=documents(request)))
    return Fetcher(httpx.Client(transport=transport), sleep=lambda _: None)


def meter(product: str, name: str, begin: float, usd: float, currency: str = "USD") -> dict[str, object]:
    return {
        "productName": product, "meterName": name, "tierMinimumUnits": begin, "retailPrice": usd, "currencyCode": currency, "armRegionName": "westeurope",
        "unitOfMeasure": "1 GB",
    }  # fmt: skip


def test_azures_egress_is_the_first_paid_tier_of_its_own_network_over_all_pages() -> None:
    first = [meter("Rtn Preference: MGN", "Standard Data Transfer Out", begin, usd) for begin, usd in ((0, 0.0), (10335, 0.083), (100, 0.087))]
    other = [
        meter("Bandwidth - Routing Preference: Internet", "Standard Data Transfer Out", 100, 0.08),
        meter("Rtn Preference: MGN", "Standard Data Transfer In", 0, 0.05),
        meter("Rtn Preference: MGN", "Standard Data Transfer Out", 50, 9.0, "EUR"),
    ]
    more = {"Items": other, "NextPageLink": None}
    fetcher = answering(lambda request: more if "page=2" in str(request.url) else {"Items": first, "NextPageLink": "https://prices.azure.com/x?page=2"})
    _, egress, faults = AzureLists(fetcher, lambda: "token", None).refreshed(["westeurope"], START)
    assert (egress, faults) == ((Egress("azure", "westeurope", INTERNET, 0.087, "https://prices.azure.com/api/retail/prices", START),), ())


def test_azures_sizes_without_figures_and_other_resources_are_left_out() -> None:
    size = {"resourceType": "virtualMachines", "name": "Standard_D2s_v5", "capabilities": [{"name": "vCPUs", "value": "2"}, {"name": "MemoryGB", "value": "8"}]}
    values = [size, {**size, "name": "Standard_D4s_v5", "capabilities": []}, {**size, "name": "Standard_D8s_v5", "resourceType": "disks"}]
    fetcher = answering(lambda request: {"Items": [], "value": values, "nextLink": None})
    shapes, _, faults = AzureLists(fetcher, lambda: "token", "subscription").refreshed(["westeurope"], START)
    assert [(one.name, one.vcpu, one.memory_gib, one.arch) for one in shapes] == [("Standard_D2s_v5", 2, 8.0, None)] and faults == ()
