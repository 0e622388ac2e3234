"""AWS's Price List API (JSON protocol, GetProducts): on-demand prices and shapes of machine types, and what data costs that leaves a region.

All of it changes a few times a year and is asked for once a day of the market's clock, a region at a time; where it can't be had, on-demand prices of the
last days stand in for a week.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from botocore.credentials import Credentials

from automation.calls.fetch import FeedFault, Fetcher
from automation.calls.signing import JSON, signed
from domain.catalog import CATALOG
from domain.prices import Told
from domain.told import INTERNET, Egress, Shape

URL = "https://api.pricing.us-east-1.amazonaws.com/"
SOURCE = "pricing:GetProducts"
RARELY = timedelta(hours=24)
AGAIN = timedelta(hours=1)
"""Egress that fails is asked for again after so long; on-demand prices with the next collection, since quotes carry them."""
AT_MOST = timedelta(days=7)
"""So old may on-demand prices and interruption rates be while their source is away: the first change a few times a year, the others are monthly means."""
_PAGES = 200
_NAMED = 50
"""Machine types named in one filter; its value is one text."""
_TARGET = "AWSPriceListService.GetProducts"


@dataclass(frozen=True, slots=True)
class Listed:
    """Of one region: on-demand prices in USD/h by type and who told them when; what was told anew; what failed, by what it was of."""

    on_demand: dict[str, float]
    told: Told | None
    shapes: tuple[Shape, ...] = ()
    egress: tuple[Egress, ...] = ()
    faults: tuple[tuple[str, FeedFault], ...] = ()


@dataclass(slots=True)
class _Kept:
    """What a region's lists said last. The regions are asked by threads of their own, so that none shares an entry."""

    on_demand: dict[str, float] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    priced_at: datetime | None = None
    egress_next: datetime | None = None


class AwsLists:
    """Keeps each region's lists for a day."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._kept: dict[str, _Kept] = {}

    def refreshed(self, credentials: Credentials, region: str, at: datetime, new: Iterable[str] = ()) -> Listed:
        """The region's lists at a moment of the market's clock, of the embedded types and of ``new`` ones; faults are told, never raised."""
        names = frozenset(machine.name for machine in CATALOG.machines("aws")) | frozenset(new)
        kept = self._kept.setdefault(region, _Kept())
        shapes: tuple[Shape, ...] = ()
        egress: tuple[Egress, ...] = ()
        faults: list[tuple[str, FeedFault]] = []
        if kept.priced_at is None or at - kept.priced_at >= RARELY or names - kept.asked:
            try:
                kept.on_demand, shapes = self._machines(credentials, region, sorted(names), at)
                kept.priced_at, kept.asked = at, names
            except FeedFault as fault:
                faults.append(("on-demand prices", fault))
        if not faults and (kept.egress_next is None or at >= kept.egress_next):
            kept.egress_next = at + AGAIN
            try:
                egress = self._egress(credentials, region, at)
                kept.egress_next = at + RARELY
            except FeedFault as fault:
                faults.append(("egress prices", fault))
        if kept.priced_at is None or at - kept.priced_at > AT_MOST:
            return Listed({}, None, shapes, egress, tuple(faults))
        return Listed(kept.on_demand, Told(SOURCE, kept.priced_at), shapes, egress, tuple(faults))

    def _machines(self, credentials: Credentials, region: str, names: list[str], at: datetime) -> tuple[dict[str, float], tuple[Shape, ...]]:
        asked = {"regionCode": region, "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
        prices: dict[str, float] = {}
        foreign: set[str] = set()
        shapes: dict[str, Shape] = {}
        for start in range(0, len(names), _NAMED):
            for product in self._products(credentials, "AmazonEC2", asked, ("instanceType", ",".join(names[start : start + _NAMED]))):
                name = str(product["product"]["attributes"].get("instanceType", ""))
                if (price := _first_tier(product, "Hrs")) is not None and name:
                    prices[name] = price
                else:
                    foreign |= _currencies(product) - {"USD"}
                # A new type's shape is told whole by DescribeInstanceTypes.
                if CATALOG.has_machine("aws", name) and (shape := _shape(product["product"]["attributes"], at)) is not None:
                    shapes[name] = shape
        if foreign and not prices:
            raise FeedFault("malformed", f"priced in {', '.join(sorted(foreign))} where USD was expected")
        return prices, tuple(shapes.values())

    def _egress(self, credentials: Credentials, region: str, at: datetime) -> tuple[Egress, ...]:
        """To users and to each other region; the first paid tier, so that a move is never thought cheaper than it is. AWS bills a GB of 2^30 bytes."""
        found: dict[str, float] = {}
        for product in self._products(credentials, "AWSDataTransfer", {"fromRegionCode": region}, ("transferType", "AWS Outbound,InterRegion Outbound")):
            attributes = product["product"]["attributes"]
            to = INTERNET if attributes.get("transferType") == "AWS Outbound" else str(attributes.get("toRegionCode", ""))
            if to == INTERNET and attributes.get("toLocation") != "External":
                continue
            price = _first_tier(product, "GB")
            if price is not None and (to == INTERNET or CATALOG.has_region("aws", to)):
                found[to] = max(price, found.get(to, 0.0))
        return tuple(Egress("aws", region, to, price, SOURCE, at) for to, price in sorted(found.items()))

    def _products(self, credentials: Credentials, service: str, asked: Mapping[str, str], any_of: tuple[str, str]) -> Iterator[dict[str, Any]]:
        filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in asked.items()]
        request: dict[str, Any] = {"ServiceCode": service, "Filters": [*filters, {"Type": "ANY_OF", "Field": any_of[0], "Value": any_of[1]}]}
        for _ in range(_PAGES):
            page = self._page(credentials, json.dumps(request))
            for text in page.get("PriceList", []):
                if (product := _product(text)) is not None:
                    yield product
            if not page.get("NextToken"):
                return
            request = {**request, "NextToken": page["NextToken"]}
        raise FeedFault("malformed", f"the price list of {service} goes on naming next pages")

    def _page(self, credentials: Credentials, body: str) -> dict[str, Any]:
        return self._fetcher.send(lambda: signed(credentials, "pricing", "us-east-1", URL, body, JSON, _TARGET)).json()


def _product(text: object) -> dict[str, Any] | None:
    """A product, each a JSON text of its own; None for one without attributes."""
    try:
        document = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("product"), dict) or not isinstance(document["product"].get("attributes"), dict):
        return None
    return document


def _currencies(product: dict[str, Any]) -> set[str]:
    try:
        return {name for term in product["terms"]["OnDemand"].values() for one in term["priceDimensions"].values() for name in one["pricePerUnit"]}
    except (KeyError, AttributeError, TypeError):
        return set()


def _first_tier(product: dict[str, Any], unit: str) -> float | None:
    """USD per ``unit`` of the first tier that costs something; None where it isn't a price of that unit."""
    tiers: list[tuple[float, float]] = []
    try:
        for term in product["terms"]["OnDemand"].values():
            for one in term["priceDimensions"].values():
                if one["unit"] == unit and (price := float(one["pricePerUnit"]["USD"])) > 0:
                    tiers.append((float(one.get("beginRange") or 0), price))
    except (KeyError, AttributeError, TypeError, ValueError):
        return None
    least = min((begin for begin, _ in tiers), default=0.0)
    return max((price for begin, price in tiers if begin == least), default=None)


def _shape(attributes: dict[str, Any], at: datetime) -> Shape | None:
    try:
        memory = float(str(attributes["memory"]).replace(",", "").removesuffix(" GiB"))
        vcpu, gpu = int(attributes["vcpu"]), int(attributes.get("gpu") or 0)
    except (KeyError, TypeError, ValueError):
        return None
    processor = str(attributes.get("physicalProcessor", ""))
    return Shape("aws", str(attributes.get("instanceType", "")), vcpu, memory, _arch(processor), gpu, SOURCE, at)


def _arch(processor: str) -> Literal["x86_64", "arm64"] | None:
    if "Graviton" in processor:
        return "arm64"
    return "x86_64" if "Intel" in processor or "AMD" in processor else None
