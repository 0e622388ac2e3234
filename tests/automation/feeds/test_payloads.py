"""The feeds over recorded payloads of the providers' own APIs (``--data DIR``: market/fixtures), with the traps that these are known for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from botocore.credentials import Credentials

from automation.calls.fetch import Fetcher
from automation.feeds.aws import AwsFeed
from automation.feeds.azure import AzureFeed
from automation.feeds.gcp import GcpFeed
from domain.ports import FeedReport, Scope
from domain.prices import Quote, Unknown, known

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
DATE = {"date": "Tue, 10 Mar 2026 08:00:00 GMT"}
EMPTY = b"<DescribeSpotPriceHistoryResponse><spotPriceHistorySet/><nextToken/></DescribeSpotPriceHistoryResponse>"


def fetcher(answer: Callable[[httpx.Request], bytes]) -> Fetcher:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, headers=DATE, content=answer(request)))
    return Fetcher(httpx.Client(transport=transport), sleep=lambda _: None)


def by_region(report: FeedReport) -> dict[str, Quote]:
    return {quote.offer.region: quote for quote in report.quotes}


def test_gcp_composes_a_machine_from_the_skus_of_two_pages(data: Path) -> None:
    fixtures = data / "market" / "fixtures"

    def answer(request: httpx.Request) -> bytes:
        return (fixtures / f"gcp_skus_page{2 if request.url.params.get('pageToken') == 'PAGE-2' else 1}.json").read_bytes()

    report = GcpFeed(fetcher(answer), {"GOOGLE_API_KEY": "key"}, Scope(frozenset({"us-central1"}), frozenset({"n2-standard-4"}))).collect(NOW)
    assert (report.errors, report.quarantined) == ((), ())
    for quote in report.quotes:
        assert (known(quote.on_demand), known(quote.spot)) == (pytest.approx(0.194236), pytest.approx(0.05024))
    assert {quote.offer.zone for quote in report.quotes} == {f"us-central1-{letter}" for letter in "abcf"}


def test_azure_takes_linux_by_the_hour_and_leaves_low_priority_windows_reservations_and_test_prices(data: Path) -> None:
    fixtures = data / "market" / "fixtures"

    def answer(request: httpx.Request) -> bytes:
        return (fixtures / f"azure_retail_prices_page{2 if '$skip' in str(request.url) else 1}.json").read_bytes()

    scope = Scope(frozenset({"eastus2", "northeurope"}), frozenset({"Standard_D16s_v5"}))
    found = by_region(AzureFeed(fetcher(answer), scope).collect(NOW))
    assert (found["eastus2"].spot, found["eastus2"].on_demand) == (0.186931, 0.768)
    assert (found["northeurope"].spot, found["northeurope"].on_demand) == (0.221019, Unknown("not listed"))


def test_aws_reads_every_page_and_gives_each_pool_the_price_in_force(data: Path) -> None:
    fixtures = data / "market" / "fixtures"

    def answer(request: httpx.Request) -> bytes:
        if request.url.host.startswith("ec2."):
            return EMPTY if b"NextToken=PAGE-2-TOKEN" in request.content else (fixtures / "aws_spot_price_history.xml").read_bytes()
        return (fixtures / "aws_spot_advisor.json").read_bytes() if "advisor" in request.url.host else b'{"PriceList": []}'

    scope = Scope(frozenset({"us-east-1"}), frozenset({"m5.xlarge"}))
    report = AwsFeed(fetcher(answer), lambda: Credentials("key", "secret"), scope).collect(NOW)
    assert report.errors == ()
    assert {quote.offer.zone: quote.spot for quote in report.quotes} == {"us-east-1c": 0.0744, "us-east-1d": 0.0717, "us-east-1a": 0.0709}
    assert {quote.observed_at for quote in report.quotes} == {NOW}
