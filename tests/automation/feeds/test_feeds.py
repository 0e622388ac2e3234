"""One contract for the three feeds (``domain.ports.PriceFeed``), over the market's answers in the clouds' own wire formats."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from botocore.credentials import Credentials

from automation.calls.fetch import Fetcher
from automation.feeds.aws import ADVISOR_URL, AwsFeed
from automation.feeds.azure import AzureFeed
from automation.feeds.book import Book
from automation.feeds.collection import Collection, ScopedFeed
from automation.feeds.gcp import GcpFeed
from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import parse
from domain.catalog import CATALOG
from domain.ports import Scope
from domain.prices import Unknown
from domain.workload import Requirements
from localcloud.market import Market, MarketSettings
from localcloud.market.http import app
from tests.localcloud.market.transport import AppTransport, Tamper

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
REGIONS = {"aws": frozenset({"eu-west-1", "us-east-2"}), "azure": frozenset({"westeurope", "eastus"}), "gcp": frozenset({"europe-west4", "us-west4"})}
TYPES = {"aws": frozenset({"m5.large", "m7g.large"}), "azure": frozenset({"Standard_D2s_v5"}), "gcp": frozenset({"n2-standard-4", "e2-standard-2"})}
Made = tuple[ScopedFeed, Market, AppTransport]


@pytest.fixture(params=["aws", "azure", "gcp"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Made]:
    def made(tamper: Tamper = lambda _, response: response) -> Made:
        market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
        transport = AppTransport(app(market), tamper)
        fetcher = Fetcher(httpx.Client(transport=transport), sleep=lambda _: None)
        scope = Scope(REGIONS[request.param], TYPES[request.param])
        feeds: dict[str, ScopedFeed] = {
            "aws": AwsFeed(fetcher, lambda: Credentials("key", "secret"), scope),
            "azure": AzureFeed(fetcher, scope),
            "gcp": GcpFeed(fetcher, {"GOOGLE_API_KEY": "key"}, scope),
        }
        return feeds[request.param], market, transport

    return made


def test_every_quote_is_the_markets_price_at_the_markets_time_and_in_scope(make: Callable[..., Made]) -> None:
    feed, market, _ = make()
    report = feed.collect(datetime.now(UTC))
    assert (report.errors, report.quarantined) == ((), ())
    expected = {ref for ref in CATALOG.offers([feed.cloud]) if ref.region in REGIONS[feed.cloud] and ref.instance_type in TYPES[feed.cloud]}
    assert {quote.offer for quote in report.quotes} == expected
    for quote in report.quotes:
        assert quote.spot == pytest.approx(market.spot_price(*quote.offer), abs=2e-6)
        assert quote.on_demand == pytest.approx(market.on_demand_price(*quote.offer), abs=2e-6)
        assert quote.observed_at == START == report.observed_at


def test_a_repricing_is_seen_by_the_next_collection(make: Callable[..., Made]) -> None:
    feed, market, _ = make()
    before = {quote.offer: quote.spot for quote in feed.collect(datetime.now(UTC)).quotes if isinstance(quote.spot, float)}
    region = min(REGIONS[feed.cloud])
    market.inject({"kind": "repricing", "cloud": feed.cloud, "region": region, "factor": 2.0})
    for quote in feed.collect(datetime.now(UTC)).quotes:
        assert quote.spot == pytest.approx(before[quote.offer] * (2.0 if quote.offer.region == region else 1.0), abs=2e-6)


def test_an_outage_of_the_api_is_an_error_and_never_an_exception(make: Callable[..., Made]) -> None:
    feed, market, transport = make()
    market.inject({"kind": "feed_outage", "cloud": feed.cloud})
    report = feed.collect(datetime.now(UTC))
    assert (report.quotes, report.observed_at) == ((), None)
    assert {error.reason for error in report.errors} == {"unavailable"}
    assert len(transport.seen) >= 3


def test_a_lagging_api_gives_old_quotes_their_old_time(make: Callable[..., Made]) -> None:
    feed, market, _ = make()
    market.inject({"kind": "feed_delay", "cloud": feed.cloud})
    market.advance(7200)
    assert {quote.observed_at for quote in feed.collect(datetime.now(UTC)).quotes} == {START}


def test_throttling_is_tried_again(make: Callable[..., Made]) -> None:
    refused: list[str] = []

    def first_refused(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if str(request.url) in refused:
            return response
        refused.append(str(request.url))
        return httpx.Response(429, headers=response.headers)

    feed, _, _ = make(first_refused)
    report = feed.collect(datetime.now(UTC))
    assert report.errors == () and len(report.quotes) > 0


def test_an_answer_that_is_no_document_is_malformed(make: Callable[..., Made]) -> None:
    feed, _, _ = make(lambda _, response: httpx.Response(200, headers={"date": response.headers["date"]}, content=b"<html>"))
    report = feed.collect(datetime.now(UTC))
    assert report.quotes == () and {error.reason for error in report.errors} == {"malformed"}


def spot_prices(change: Callable[[float], object]) -> Tamper:
    """Every spot price, changed on the wire of each cloud; Google's are made of two rates."""

    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.url.host.startswith("ec2."):
            content = re.sub(rb"<spotPrice>([^<]*)", lambda found: f"<spotPrice>{change(float(found[1]))}".encode(), response.content)
        elif request.url.host == "prices.azure.com":
            document = response.json()
            for item in document["Items"]:
                if item["meterName"].endswith(" Spot"):
                    item["retailPrice"] = change(item["retailPrice"])
            content = json.dumps(document).encode()
        elif request.url.host == "cloudbilling.googleapis.com":
            document = response.json()
            for sku in document["skus"]:
                if sku["category"]["usageType"] == "Preemptible":
                    unit = sku["pricingInfo"][-1]["pricingExpression"]["tieredRates"][0]["unitPrice"]
                    price = change(int(unit.get("units") or 0) + (unit.get("nanos") or 0) / 1e9)
                    unit |= {"units": price, "nanos": 0} if not isinstance(price, float) else {"units": "0", "nanos": round(price * 1e9)}
            content = json.dumps(document).encode()
        else:
            return response
        return httpx.Response(response.status_code, headers={"date": response.headers["date"]}, content=content)

    return tamper


@pytest.mark.parametrize(
    ("change", "reason"),
    [(lambda _: 0.0, "zero"), (lambda price: -price, "negative"), (lambda _: "n/a", "malformed")],
    ids=["zero", "negative", "no number"],
)
def test_a_price_that_cannot_be_is_quarantined_with_its_reason(make: Callable[..., Made], change: Callable[[float], object], reason: str) -> None:
    feed, _, _ = make(spot_prices(change))
    report = feed.collect(datetime.now(UTC))
    assert report.quotes == ()
    assert {one.reason for one in report.quarantined} == {reason}


@pytest.mark.parametrize(("factor", "reason"), [(1000.0, "above-on-demand"), (0.001, "below-on-demand")])
def test_a_thousandfold_price_is_in_doubt_and_the_last_good_one_stays(make: Callable[..., Made], factor: float, reason: str) -> None:
    scale = {"by": 1.0}
    feed, market, _ = make(spot_prices(lambda price: price * scale["by"]))
    collection = Collection([feed], Book())
    good = {quote.offer: quote.spot for quote in collection.collect().told}
    scale["by"] = factor
    for _ in range(4):
        market.advance(60)
        report = collection.collect()
        assert {one.reason for one in report.quarantined} == {reason} and len(report.quarantined) == len(good)
    assert {quote.offer: quote.spot for quote in collection.book.quotes()} == good
    assert all(quote.doubtful for quote in collection.book.quotes())


def test_a_cloud_that_is_missing_is_a_fault_of_its_own_and_the_others_prices_count(tmp_path: Path) -> None:
    away: set[str] = set()

    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(503) if request.url.host in away else response

    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    fetcher = Fetcher(httpx.Client(transport=AppTransport(app(market), tamper)), sleep=lambda _: None)
    small = Scope(frozenset({"westeurope", "europe-west4"}), frozenset({"Standard_D2s_v5", "n2-standard-2"}))
    collection = Collection([AzureFeed(fetcher, small), GcpFeed(fetcher, {"GOOGLE_API_KEY": "key"}, small)], Book())
    collection.collect()
    away.add("cloudbilling.googleapis.com")
    market.advance(60)
    report = collection.collect()
    assert (report.answered, {(one.cloud, one.reason) for one in report.faults}) == ({"azure"}, {("gcp", "unavailable")})
    ages = {quote.offer.cloud: collection.book.market_now - quote.observed_at for quote in collection.book.quotes() if collection.book.market_now is not None}
    assert {cloud: age.total_seconds() for cloud, age in ages.items()} == {"azure": 0.0, "gcp": 60.0}
    assert not any(quote.doubtful for quote in collection.book.quotes())


def test_ec2_is_asked_from_a_little_before_its_own_time_whatever_ours_is(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    transport = AppTransport(app(market))
    feed = AwsFeed(Fetcher(httpx.Client(transport=transport)), lambda: Credentials("key", "secret"), AWS_SCOPE)
    for ours in (START + timedelta(minutes=4), START + timedelta(days=400)):
        feed.collect(ours)
    asked = [parse_qs(one.content.decode())["StartTime"][0] for one in transport.seen if b"DescribeSpotPriceHistory" in one.content]
    assert asked == ["2026-03-10T07:59:00Z", "2026-03-10T07:55:00Z"]


def test_one_regions_failure_leaves_the_other_regions_quotes(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(start=START, running=False))
    market.inject({"kind": "feed_outage", "cloud": "aws", "region": "us-east-2"})
    fetcher = Fetcher(httpx.Client(transport=AppTransport(app(market))), sleep=lambda _: None)
    report = AwsFeed(fetcher, lambda: Credentials("key", "secret"), Scope(REGIONS["aws"], TYPES["aws"])).collect(datetime.now(UTC))
    assert {quote.offer.region for quote in report.quotes} == {"eu-west-1"}
    assert [(error.region, error.reason) for error in report.errors] == [("us-east-2", "unavailable")]


def test_a_group_of_azures_regions_that_fails_gives_no_quote_and_leaves_the_others(tmp_path: Path) -> None:
    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(500) if "eastus2" in str(request.url) else response

    market = Market.open(tmp_path, MarketSettings(start=START, running=False))
    fetcher = Fetcher(httpx.Client(transport=AppTransport(app(market), tamper)), sleep=lambda _: None)
    report = AzureFeed(fetcher).collect(datetime.now(UTC))
    failed = {error.region for error in report.errors}
    assert "eastus2" in failed and {error.reason for error in report.errors} == {"unavailable"}
    assert {quote.offer.region for quote in report.quotes} == {region.name for region in CATALOG.regions("azure")} - failed


def test_a_calls_signature_names_its_region_and_a_missing_credential_is_an_error(tmp_path: Path) -> None:
    transport = AppTransport(app(Market.open(tmp_path, MarketSettings(start=START, running=False))))
    fetcher = Fetcher(httpx.Client(transport=transport), sleep=lambda _: None)
    scope = Scope(frozenset({"eu-west-1"}), TYPES["aws"])
    AwsFeed(fetcher, lambda: Credentials("AKID", "secret"), scope).collect(datetime.now(UTC))
    assert "/eu-west-1/ec2/aws4_request" in transport.seen[0].headers["authorization"]
    [error] = AwsFeed(fetcher, lambda: None, scope).collect(datetime.now(UTC)).errors
    assert (error.region, error.reason) == ("*", "denied")


AWS_SCOPE = Scope(frozenset({"eu-west-1"}), frozenset({"m5.large"}))


def aws(tmp_path: Path, tamper: Tamper) -> tuple[AwsFeed, Market, AppTransport]:
    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    transport = AppTransport(app(market), tamper)
    return AwsFeed(Fetcher(httpx.Client(transport=transport), sleep=lambda _: None), lambda: Credentials("key", "secret"), AWS_SCOPE), market, transport


def test_the_advisors_document_is_sent_again_only_if_it_has_changed(tmp_path: Path) -> None:
    told: list[int] = []

    def watched(_: httpx.Request, response: httpx.Response) -> httpx.Response:
        told.append(response.status_code)
        return response

    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    fetcher = Fetcher(httpx.Client(transport=AppTransport(app(market), watched)), sleep=lambda _: None)
    first, again = fetcher.get_if_changed(ADVISOR_URL), fetcher.get_if_changed(ADVISOR_URL)
    market.inject({"kind": "repricing", "cloud": "aws", "region": "eu-west-1", "factor": 0.5})
    changed = fetcher.get_if_changed(ADVISOR_URL)
    assert told == [200, 304, 200]
    assert again.json() == first.json() != changed.json()


def test_while_the_price_list_is_away_the_on_demand_prices_of_the_last_days_stand_in_for_a_week(tmp_path: Path) -> None:
    away = {"on": False}

    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(503) if away["on"] and request.url.host.startswith("api.pricing") else response

    feed, market, _ = aws(tmp_path, tamper)
    before = {one.offer: one.on_demand for one in feed.collect(START).quotes}
    away["on"] = True
    market.advance(2 * 86400)
    late = feed.collect(START)
    assert {one.offer: one.on_demand for one in late.quotes} == before
    assert [(one.region, one.reason) for one in late.errors] == [("eu-west-1", "unavailable")] and "on-demand" in late.errors[0].detail
    market.advance(6 * 86400)
    assert {type(one.on_demand) for one in feed.collect(START).quotes} == {Unknown}


def page(*items: tuple[str, str, str], token: str = "") -> bytes:
    rows = "".join(
        f"<item><instanceType>m5.large</instanceType><productDescription>{product}</productDescription><spotPrice>{price}</spotPrice>"
        f"<timestamp>{at}</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>"
        for at, price, product in items
    )
    return (
        '<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<spotPriceHistorySet>{rows}</spotPriceHistorySet><nextToken>{token}</nextToken></DescribeSpotPriceHistoryResponse>"
    ).encode()


def spot_of(tmp_path: Path, *pages: bytes) -> list[float | Unknown]:
    """What the feed takes from these pages, the next one for each request."""
    left = list(pages)

    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        asked = request.url.host.startswith("ec2.") and b"DescribeSpotPriceHistory" in request.content
        return httpx.Response(200, headers={"date": response.headers["date"]}, content=left.pop(0)) if asked else response

    feed, _, _ = aws(tmp_path, tamper)
    found = [one.spot for one in feed.collect(START).quotes]
    assert left == []
    return found


LINUX = "Linux/UNIX"


def test_the_latest_change_is_in_force_whatever_the_order_the_fraction_of_the_second_or_the_page(tmp_path: Path) -> None:
    old, new = ("2026-03-10T07:00:00Z", "0.0500", LINUX), ("2026-03-10T07:00:00.500Z", "0.0600", LINUX)
    assert spot_of(tmp_path / "1", page(old, new)) == [0.06]
    assert spot_of(tmp_path / "2", page(new, old)) == [0.06]
    assert spot_of(tmp_path / "3", page(old, token="more"), page(token="still"), page(new)) == [0.06]


def test_other_operating_systems_are_left_out_and_the_classic_name_is_not(tmp_path: Path) -> None:
    at = "2026-03-10T07:00:00Z"
    assert spot_of(tmp_path / "1", page((at, "0.09", "Windows"), (at, "0.08", "SUSE Linux"), (at, "0.05", f"{LINUX} (Amazon VPC)"))) == [0.05]


def test_a_change_of_no_moment_makes_its_region_malformed(tmp_path: Path) -> None:
    assert spot_of(tmp_path, page(("yesterday", "0.05", LINUX))) == []


def test_only_news_is_passed_on_and_a_jump_starts_in_doubt(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(start=START, running=False))
    feed = AzureFeed(Fetcher(httpx.Client(transport=AppTransport(app(market)))))
    collection = Collection([feed], Book())
    first, second = collection.collect(), collection.collect()
    assert (len(first.quotes), len(second.quotes), second.confirmed) == (first.confirmed, 0, first.confirmed)
    market.inject({"kind": "repricing", "cloud": "azure", "region": "eastus", "instance_type": "Standard_D2s_v5", "factor": 12.0})
    held = collection.collect()
    [doubted] = [quote for quote in held.quotes if quote.doubtful]
    assert ([one.reason for one in held.quarantined], doubted.offer.id) == (["jump"], "azure/eastus/-/Standard_D2s_v5")
    collection.collect()
    assert len(collection.collect().quarantined) == 1  # the market's clock stood still: the same answer again proves nothing
    for _ in range(2):
        market.advance(60)
        told = collection.collect()
    [confirmed] = [quote for quote in told.quotes if quote.offer == doubted.offer]
    assert confirmed.doubtful is None and confirmed.spot == pytest.approx(market.spot_price(*confirmed.offer), abs=2e-6)


def test_an_answer_without_a_price_is_a_fault_and_what_is_known_stays(tmp_path: Path) -> None:
    emptied = {"on": False}

    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(200, headers={"date": response.headers["date"]}, json={"Items": [], "NextPageLink": None}) if emptied["on"] else response

    market = Market.open(tmp_path, MarketSettings(start=START, running=False))
    collection = Collection([AzureFeed(Fetcher(httpx.Client(transport=AppTransport(app(market), tamper))))], Book())
    known = collection.collect().confirmed
    emptied["on"] = True
    report = collection.collect()
    assert ([(one.cloud, one.reason) for one in report.faults], report.confirmed, len(collection.book.quotes())) == ([("azure", "empty")], 0, known)


def test_the_collection_asks_all_three_clouds_through_the_fetcher_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    transport = AppTransport(app(Market.open(tmp_path, MarketSettings(start=START, running=False))))
    fetcher = Fetcher(httpx.Client(transport=transport), sleep=lambda _: None)
    collection = Collection.of_all_clouds(fetcher, {"GOOGLE_API_KEY": "key"})
    report = collection.collect([compile_boundary(parse("name: alps\nversion: 1\nresidency: {regimes: [ch]}"))], [Requirements(2, 8)])
    assert report.answered == {"aws", "azure", "gcp"} and report.errors == []
    assert {"ec2.eu-central-2.amazonaws.com", "prices.azure.com", "cloudbilling.googleapis.com"} <= {request.url.host for request in transport.seen}


def test_needs_that_no_machine_type_meets_leave_the_markets_time_known(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(start=START, running=False))
    collection = Collection([AzureFeed(Fetcher(httpx.Client(transport=AppTransport(app(market)))))], Book())
    assert collection.collect(needs=[Requirements(vcpu=512)]).answered == {"azure"}
    asked = collection.collect(needs=[Requirements(vcpu=512), Requirements(16, 64)])
    assert collection.book.market_now == START and {quote.offer.instance_type for quote in asked.told} == {"Standard_D16s_v5", "Standard_D16as_v5"}
