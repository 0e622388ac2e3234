"""AWS's prices: spot from EC2 DescribeSpotPriceHistory of each region, interruption rates from the Spot Advisor, placement scores
(``automation.feeds.aws_scores``), new machine types from DescribeInstanceTypes (``automation.feeds.aws_types``), all else from the Price List API
(``automation.feeds.aws_lists``).

Requests are signed by botocore with the credentials of its own chain and sent by our HTTP stack: the wire format of the EC2 query protocol (2016-11-15)
without the megabytes of its client model. The Advisor's document changes rarely and is asked for once a day of the market's clock, and sent only if it
has changed (ETag); where it can't be had, that of the last days stands in for a week.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.credentials import Credentials

from automation.calls.fetch import Answer, FeedFault, Fetcher
from automation.calls.signing import signed
from automation.feeds.aws_lists import AT_MOST, RARELY, AwsLists
from automation.feeds.aws_scores import AwsScores
from automation.feeds.aws_types import AwsTypes
from automation.feeds.quarantine import price_or_fault
from domain.catalog import CATALOG, CloudName, OfferRef
from domain.ports import FeedError, FeedReport, Quarantined, Scope
from domain.prices import Price, Quote, Rate, Told, Unknown
from domain.told import Score

SPOT_SOURCE = "ec2:DescribeSpotPriceHistory"
ADVISOR_URL = "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json"
_LINUX = "Linux/UNIX"
_AT_ONCE = 6
_PAGES = 200
_FILTERED = 100
"""New types named in one filter; EC2 takes 200 values. As a parameter of its own, a type that a region doesn't know would be an error there."""
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
        self._lists = AwsLists(fetcher)
        self._scores = AwsScores(fetcher)
        self._types = AwsTypes(fetcher)
        self._advisor: tuple[datetime, dict[tuple[str, str], float]] | None = None
        self._clock: datetime | None = None
        self._lock = threading.Lock()

    def collect(self, now: datetime) -> FeedReport:
        regions = [one.name for one in CATALOG.regions("aws") if self.scope.regions is None or one.name in self.scope.regions]
        types = [one.name for one in CATALOG.machines("aws") if self.scope.instance_types is None or one.name in self.scope.instance_types]
        new = [one.name for one in self.scope.new_types]
        if not regions or not (types or new):
            return FeedReport("aws", None)
        credentials = self._credentials()
        if credentials is None:
            return FeedReport("aws", None, errors=(FeedError("aws", "*", "denied", "no AWS credentials; set AWS_ACCESS_KEY_ID or a profile"),))
        with ThreadPoolExecutor(min(_AT_ONCE, len(regions)), thread_name_prefix="aws-feed") as pool:
            found = list(pool.map(lambda region: self._region(credentials, region, types, new, now), regions))
        latest = max((one.observed_at for one in found if one.observed_at is not None), default=None)
        errors = [error for one in found for error in one.errors]
        scores: tuple[Score, ...] = ()
        shapes = {shape.name: shape for one in found for shape in one.shapes}
        if latest is not None:
            self._clock = latest
            try:
                shapes |= {shape.name: shape for shape in self._types.refreshed(credentials, latest)}
            except FeedFault as fault:
                errors.append(FeedError("aws", "*", fault.reason, f"new machine types: {fault.detail}"))
            scores, refused = self._scores.refreshed(credentials, regions, types, latest)
            errors += [FeedError("aws", "*", fault.reason, f"placement scores: {fault.detail}") for fault in refused]
        return FeedReport(
            "aws",
            latest,
            tuple(quote for one in found for quote in one.quotes),
            tuple(fault for one in found for fault in one.quarantined),
            tuple(errors),
            tuple(shapes.values()),
            tuple(rate for one in found for rate in one.egress),
            scores,
        )

    def _region(self, credentials: Credentials, region: str, types: list[str], new: list[str], now: datetime) -> FeedReport:
        """One region's quotes; its failure is its own."""
        errors: list[FeedError] = []
        try:
            spot, faults, at = self._spot(credentials, region, types, new, now)
        except FeedFault as fault:
            return FeedReport("aws", None, errors=(FeedError("aws", region, fault.reason, fault.detail),))
        lists = self._lists.refreshed(credentials, region, at, new)
        errors += (FeedError("aws", region, fault.reason, f"{what}: {fault.detail}") for what, fault in lists.faults)
        rates = None
        try:
            rates = self._rates(at)
        except FeedFault as fault:
            rates = self._advisor if self._advisor is not None and at - self._advisor[0] <= AT_MOST else None
            errors.append(FeedError("aws", region, fault.reason, f"interruption rates: {fault.detail}"))
        quotes = []
        for offer, price in sorted(spot.items()):
            on_demand: Price = lists.on_demand.get(offer.instance_type, Unknown("not listed"))
            rate: Rate = (
                Unknown("not in the Spot Advisor") if rates is None else rates[1].get((region, offer.instance_type), Unknown("not in the Spot Advisor"))
            )
            advised = None if rates is None or isinstance(rate, Unknown) else Told(ADVISOR_URL, rates[0])
            quotes.append(
                Quote(
                    offer,
                    price,
                    on_demand,
                    SPOT_SOURCE,
                    at,
                    rate,
                    on_demand_told=None if isinstance(on_demand, Unknown) else lists.told,
                    interruptions_told=advised,
                )
            )
        return FeedReport("aws", at, tuple(quotes), tuple(faults), tuple(errors), lists.shapes, lists.egress)

    def _spot(
        self, credentials: Credentials, region: str, types: list[str], new: list[str], now: datetime
    ) -> tuple[dict[OfferRef, float], list[Quarantined], datetime]:
        """The prices in force: of each pool the latest change, whatever the order of the pages. EC2 tells the one in force before the start time as well."""
        since = (self._clock or now) - _SKEW
        asked = {
            "Action": "DescribeSpotPriceHistory",
            "Version": "2016-11-15",
            "ProductDescription.1": _LINUX,
            "StartTime": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "MaxResults": "1000",
        }
        forms = [asked | {f"InstanceType.{number}": name for number, name in enumerate(types, 1)}] if types else []
        for start in range(0, len(new), _FILTERED):
            values = {f"Filter.1.Value.{number}": name for number, name in enumerate(new[start : start + _FILTERED], 1)}
            forms.append(asked | {"Filter.1.Name": "instance-type"} | values)
        latest: dict[OfferRef, tuple[datetime, str]] = {}
        first = min([self._history(credentials, region, form, latest) for form in forms])
        prices: dict[OfferRef, float] = {}
        faults: list[Quarantined] = []
        wanted = {*types, *new}
        for offer, (_, text) in latest.items():
            if offer.instance_type in wanted:
                price = price_or_fault(text, offer, first)
                if isinstance(price, Quarantined):
                    faults.append(price)
                else:
                    prices[offer] = price
        return prices, faults, first

    def _history(self, credentials: Credentials, region: str, form: dict[str, str], latest: dict[OfferRef, tuple[datetime, str]]) -> datetime:
        """Takes all pages of one question into ``latest``; when its first page was true. Raises :class:`FeedFault`."""
        first: datetime | None = None
        for _ in range(_PAGES):
            answer = self._page(credentials, region, form)
            first = answer.at if first is None else min(first, answer.at)
            token = _read_page(answer.body, region, latest)
            if not token:
                return first
            form = {**form, "NextToken": token}
        raise FeedFault("malformed", f"EC2 of {region} goes on naming next pages")

    def _page(self, credentials: Credentials, region: str, form: dict[str, str]) -> Answer:
        return self._fetcher.send(lambda: signed(credentials, "ec2", region, f"https://ec2.{region}.amazonaws.com/", urlencode(form)))

    def _rates(self, at: datetime) -> tuple[datetime, dict[tuple[str, str], float]]:
        """Interruptions per hour by region and type, and when they were told."""
        with self._lock:
            if self._advisor is None or at - self._advisor[0] >= RARELY:
                self._advisor = (at, _advice(self._fetcher.get_if_changed(ADVISOR_URL).json()))
            return self._advisor


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
