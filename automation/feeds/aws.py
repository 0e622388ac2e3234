"""AWS's prices: spot from EC2 DescribeSpotPriceHistory of each region, on demand from the Price List API, interruption rates from the Spot Advisor.

Requests are signed by botocore with the credentials of its own chain and sent by our HTTP stack: the wire format of the EC2 query protocol (2016-11-15)
without the megabytes of its client model. On-demand prices and the Advisor change rarely and are asked for once a day of the market's clock, the
Advisor's document only if it has changed (ETag); where they can't be had, those of the last days stand in for a week.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.credentials import Credentials

from automation.calls.fetch import Answer, FeedFault, Fetcher
from automation.calls.signing import FORM, JSON, signed
from automation.feeds.quarantine import price_or_fault
from domain.catalog import CATALOG, CloudName, OfferRef
from domain.ports import FeedError, FeedReport, Quarantined, Scope
from domain.prices import Price, Quote, Rate, Unknown

T = TypeVar("T")
SPOT_SOURCE = "ec2:DescribeSpotPriceHistory"
PRICING_URL = "https://api.pricing.us-east-1.amazonaws.com/"
ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
_LINUX = "Linux/UNIX"
_AT_ONCE = 6
_PAGES = 200
_RARELY = timedelta(hours=24)
_AT_MOST = timedelta(days=7)
"""So old may on-demand prices and interruption rates be while their source is away: the first change a few times a year, the others are monthly means."""
_SKEW = timedelta(minutes=5)
"""How far EC2's clock may lag behind the one that we know, before a start time lies in its future and nothing but an error comes."""
_HOURS_A_MONTH = 720.0
_BUCKETS = (0.025, 0.075, 0.125, 0.175, 0.25)
"""Chance of an interruption within a month that each of the Advisor's ranges stands for: its middle, a quarter for the open one."""


class AwsFeed:
    """Keeps :class:`domain.ports.PriceFeed`. ``credentials`` is asked before every collection, so that short-lived ones are renewed."""

    cloud: CloudName = "aws"

    def __init__(self, fetcher: Fetcher, credentials: Callable[[], Credentials | None], scope: Scope = Scope()) -> None:  # a frozen value
        self._fetcher = fetcher
        self._credentials = credentials
        self.scope = scope
        self._on_demand: dict[str, tuple[datetime, dict[str, float]]] = {}
        self._advisor: tuple[datetime, dict[tuple[str, str], float]] | None = None
        self._clock: datetime | None = None
        self._lock = threading.Lock()

    def collect(self, now: datetime) -> FeedReport:
        regions = [one.name for one in CATALOG.regions("aws") if self.scope.regions is None or one.name in self.scope.regions]
        types = [one.name for one in CATALOG.machines("aws") if self.scope.instance_types is None or one.name in self.scope.instance_types]
        if not regions or not types:
            return FeedReport("aws", None)
        credentials = self._credentials()
        if credentials is None:
            return FeedReport("aws", None, errors=(FeedError("aws", "*", "denied", "no AWS credentials; set AWS_ACCESS_KEY_ID or a profile"),))
        with ThreadPoolExecutor(min(_AT_ONCE, len(regions)), thread_name_prefix="aws-feed") as pool:
            found = list(pool.map(lambda region: self._region(credentials, region, types, now), regions))
        quotes = [quote for part, _, _, _ in found for quote in part]
        moments = [at for _, _, _, at in found if at is not None]
        if moments:
            self._clock = max(moments)
        return FeedReport(
            "aws",
            max(moments, default=None),
            tuple(quotes),
            tuple(one for _, part, _, _ in found for one in part),
            tuple(one for _, _, part, _ in found for one in part),
        )

    def _region(
        self, credentials: Credentials, region: str, types: list[str], now: datetime
    ) -> tuple[list[Quote], list[Quarantined], list[FeedError], datetime | None]:
        """One region's quotes; its failure is its own."""
        errors: list[FeedError] = []
        try:
            spot, faults, at = self._spot(credentials, region, types, now)
        except FeedFault as fault:
            return [], [], [FeedError("aws", region, fault.reason, fault.detail)], None
        listed, rates = {}, {}
        try:
            listed = self._listed(credentials, region, at)
        except FeedFault as fault:
            listed = _recent(self._on_demand.get(region), at) or {}
            errors.append(FeedError("aws", region, fault.reason, f"on-demand prices: {fault.detail}"))
        try:
            rates = self._rates(at)
        except FeedFault as fault:
            rates = _recent(self._advisor, at) or {}
            errors.append(FeedError("aws", region, fault.reason, f"interruption rates: {fault.detail}"))
        quotes = []
        for offer, price in sorted(spot.items()):
            on_demand: Price = listed.get(offer.instance_type, Unknown("not listed"))
            rate: Rate = rates.get((region, offer.instance_type), Unknown("not in the Spot Advisor"))
            quotes.append(Quote(offer, price, on_demand, SPOT_SOURCE, at, rate))
        return quotes, faults, errors, at

    def _spot(self, credentials: Credentials, region: str, types: list[str], now: datetime) -> tuple[dict[OfferRef, float], list[Quarantined], datetime]:
        """The prices in force: of each pool the latest change, whatever the order of the pages. EC2 tells the one in force before the start time as well."""
        since = (self._clock or now) - _SKEW
        form = {
            "Action": "DescribeSpotPriceHistory",
            "Version": "2016-11-15",
            "ProductDescription.1": _LINUX,
            "StartTime": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "MaxResults": "1000",
            **{f"InstanceType.{number}": name for number, name in enumerate(types, 1)},
        }
        latest: dict[OfferRef, tuple[datetime, str]] = {}
        first: datetime | None = None
        for _ in range(_PAGES):
            answer = self._signed(credentials, "ec2", region, f"https://ec2.{region}.amazonaws.com/", urlencode(form))
            first = answer.at if first is None else min(first, answer.at)
            token = _read_page(answer.body, region, latest)
            if not token:
                break
            form = {**form, "NextToken": token}
        else:
            raise FeedFault("malformed", f"EC2 of {region} goes on naming next pages")
        prices: dict[OfferRef, float] = {}
        faults: list[Quarantined] = []
        wanted = set(types)
        for offer, (_, text) in latest.items():
            if offer.instance_type in wanted:
                price = price_or_fault(text, offer, first)
                if isinstance(price, Quarantined):
                    faults.append(price)
                else:
                    prices[offer] = price
        return prices, faults, first

    def _listed(self, credentials: Credentials, region: str, at: datetime) -> dict[str, float]:
        """On-demand prices of the catalogue's types in a region."""
        kept = self._on_demand.get(region)
        if kept is not None and at - kept[0] < _RARELY:
            return kept[1]
        asked = {"regionCode": region, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in asked.items()]
        names = ",".join(machine.name for machine in CATALOG.machines("aws"))
        request: dict[str, Any] = {"ServiceCode": "AmazonEC2", "Filters": [*filters, {"Type": "ANY_OF", "Field": "instanceType", "Value": names}]}
        prices: dict[str, float] = {}
        for _ in range(_PAGES):
            answer = self._signed(credentials, "pricing", "us-east-1", PRICING_URL, json.dumps(request), JSON, "AWSPriceListService.GetProducts")
            page = answer.json()
            for text in page.get("PriceList", []):
                name, price = _product(text)
                if name is not None and price is not None:
                    prices[name] = price
            if not page.get("NextToken"):
                break
            request = {**request, "NextToken": page["NextToken"]}
        self._on_demand[region] = (at, prices)
        return prices

    def _rates(self, at: datetime) -> dict[tuple[str, str], float]:
        """Interruptions per hour by region and type."""
        with self._lock:
            return self._advised(at)

    def _advised(self, at: datetime) -> dict[tuple[str, str], float]:
        if self._advisor is None or at - self._advisor[0] >= _RARELY:
            self._advisor = (at, _advice(self._fetcher.get_if_changed(ADVISOR_URL).json()))
        return self._advisor[1]

    def _signed(self, credentials: Credentials, service: str, region: str, url: str, body: str, content_type: str = FORM, target: str | None = None) -> Answer:
        return self._fetcher.send(lambda: signed(credentials, service, region, url, body, content_type, target))


def _recent(kept: tuple[datetime, T] | None, at: datetime) -> T | None:
    """What was told last, unless that is too long ago."""
    return kept[1] if kept is not None and at - kept[0] <= _AT_MOST else None


def _advice(document: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Interruptions per hour by region and type, from the Advisor's document. Raises :class:`FeedFault`."""
    rates = {}
    try:
        for region, systems in document["spot_advisor"].items():
            for name, entry in systems.get("Linux", {}).items():
                if (bucket := entry.get("r")) in range(len(_BUCKETS)):
                    rates[region, name] = -math.log(1.0 - _BUCKETS[bucket]) / _HOURS_A_MONTH
    except (KeyError, AttributeError) as error:
        raise FeedFault("malformed", f"the Spot Advisor's document has another form ({type(error).__name__}: {error})") from error
    return rates


def _read_page(body: bytes, region: str, latest: dict[OfferRef, tuple[datetime, str]]) -> str:
    """Takes a page's items into ``latest`` (offer to the moment of its last change and the price, as text) and returns the token of the next page.

    Raises :class:`FeedFault`.
    """
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise FeedFault("malformed", f"EC2 of {region} sent no XML") from error
    token = ""
    for child in root:
        name = child.tag.rpartition("}")[2]
        if name == "nextToken":
            token = (child.text or "").strip()
        elif name == "spotPriceHistorySet":
            for item in child:
                parts = {part.tag.rpartition("}")[2]: (part.text or "").strip() for part in item}
                if parts.get("productDescription") not in (_LINUX, f"{_LINUX} (Amazon VPC)"):
                    continue
                offer = OfferRef("aws", region, parts.get("availabilityZone", ""), parts.get("instanceType", ""))
                try:
                    changed = datetime.fromisoformat(parts.get("timestamp", "")).astimezone(UTC)
                except ValueError as error:
                    raise FeedFault("malformed", f"EC2 of {region} sent a price of {parts.get('timestamp')!r}, which is no moment") from error
                if offer.zone and offer.instance_type and (offer not in latest or changed >= latest[offer][0]):
                    latest[offer] = (changed, parts.get("spotPrice", ""))
    return token


def _product(text: str) -> tuple[str | None, float | None]:
    """Type and on-demand price of one product of the price list; None where it isn't a plain hourly price in USD."""
    try:
        document = json.loads(text)
        name = str(document["product"]["attributes"]["instanceType"])
        dimensions: Iterable[dict[str, Any]] = (
            one for term in document["terms"]["OnDemand"].values() for one in term["priceDimensions"].values() if one["unit"] == "Hrs"
        )
        price = max(float(one["pricePerUnit"]["USD"]) for one in dimensions)
    except (KeyError, TypeError, ValueError):
        return None, None
    return (name, price) if price > 0 else (None, None)
