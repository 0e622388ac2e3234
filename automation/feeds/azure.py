"""Azure's prices, from the Retail Prices API (learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices); needs no credential.

A query a group of regions, for all types asked for, followed page by page by the link that each page names. A group whose pages can't all be read gives
no quote, since the page that is missing may hold the dearer of two meters; the other groups' quotes count. Prices are by region; the API tells no eviction
rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from automation.calls.fetch import FeedFault, Fetcher
from automation.feeds.quarantine import price_or_fault
from domain.catalog import CATALOG, CloudName, OfferRef
from domain.ports import FeedError, FeedReport, Quarantined, Scope
from domain.prices import Price, Quote, Unknown

URL = "https://prices.azure.com/api/retail/prices"
_HOST = "prices.azure.com"
_PAGES = 200
"""More pages than any query of ours has; a chain of links that is longer runs in a circle."""
_GROUP = 8
"""Regions named in one filter: more would make the URL longer than servers take (the types are named as well)."""
_AT_ONCE = 3
"""Queries at a time; the API is for all the world and has no key to bill."""


class AzureFeed:
    """Keeps :class:`domain.ports.PriceFeed`."""

    cloud: CloudName = "azure"

    def __init__(self, fetcher: Fetcher, scope: Scope = Scope()) -> None:  # a frozen value
        self._fetcher = fetcher
        self.scope = scope

    def collect(self, now: datetime) -> FeedReport:
        regions = {one.name for one in CATALOG.regions("azure") if self.scope.regions is None or one.name in self.scope.regions}
        types = {one.name for one in CATALOG.machines("azure") if self.scope.instance_types is None or one.name in self.scope.instance_types}
        if not regions or not types:
            return FeedReport("azure", None)
        names = sorted(regions)
        groups = [frozenset(names[start : start + _GROUP]) for start in range(0, len(names), _GROUP)]
        with ThreadPoolExecutor(min(_AT_ONCE, len(groups)), thread_name_prefix="azure-feed") as pool:
            found = list(pool.map(lambda group: self._group(group, types), groups))
        return FeedReport(
            "azure",
            max((one.observed_at for one in found if one.observed_at is not None), default=None),
            tuple(quote for one in found for quote in one.quotes),
            tuple(fault for one in found for fault in one.quarantined),
            tuple(error for one in found for error in one.errors),
        )

    def _group(self, regions: frozenset[str], types: set[str]) -> FeedReport:
        """What one group of regions costs; its failure is its own."""
        spot: dict[OfferRef, Price] = {}
        listed: dict[OfferRef, Price] = {}
        faults: list[Quarantined] = []
        observed: datetime | None = None
        try:
            for items, at in self._pages(regions, types):
                observed = at if observed is None else min(observed, at)
                for item in items:
                    offer = OfferRef("azure", str(item.get("armRegionName")), "-", str(item.get("armSkuName")))
                    if offer.region not in regions or offer.instance_type not in types or not _is_linux_hour(item):
                        continue
                    prices = spot if str(item.get("meterName", "")).endswith(" Spot") else listed
                    price = price_or_fault(item.get("retailPrice"), offer, at) if item.get("currencyCode") == "USD" else _currency(item, offer, at)
                    if isinstance(price, Quarantined):
                        faults.append(price)
                    else:
                        held = prices.get(offer)
                        # Two meters for one machine are the old and the new of a transition: the dearer is never too low.
                        prices[offer] = price if held is None or isinstance(held, Unknown) else max(held, price)
        except FeedFault as fault:
            return FeedReport("azure", None, errors=tuple(FeedError("azure", region, fault.reason, fault.detail) for region in sorted(regions)))
        if observed is None:
            return FeedReport("azure", None)
        quotes = tuple(Quote(offer, price, listed.get(offer, Unknown("not listed")), URL, observed) for offer, price in sorted(spot.items()))
        return FeedReport("azure", observed, quotes, tuple(faults))

    def _pages(self, regions: frozenset[str], types: set[str]) -> Iterator[tuple[list[dict[str, Any]], datetime]]:
        clauses = ["serviceName eq 'Virtual Machines'", "priceType eq 'Consumption'", _one_of("armSkuName", types), _one_of("armRegionName", regions)]
        answer = self._fetcher.get(URL, {"api-version": "2023-01-01-preview", "currencyCode": "'USD'", "$filter": " and ".join(clauses)})
        for _ in range(_PAGES):
            page = answer.json()
            items = page.get("Items")
            if not isinstance(items, list):
                raise FeedFault("malformed", f"{_HOST} sent a page without Items")
            yield [item for item in items if isinstance(item, dict)], answer.at
            link = page.get("NextPageLink")
            if not link:
                return
            if not str(link).startswith((f"https://{_HOST}/", f"https://{_HOST}:443/")):
                raise FeedFault("malformed", f"{_HOST} names a next page on another host")
            answer = self._fetcher.get(str(link))
        raise FeedFault("malformed", f"{_HOST} goes on naming next pages")


def _is_linux_hour(item: dict[str, Any]) -> bool:
    name = f"{item.get('meterName', '')} {item.get('skuName', '')}"
    return (
        item.get("type") == "Consumption"
        and item.get("unitOfMeasure") == "1 Hour"
        and not item.get("tierMinimumUnits")
        and "Windows" not in str(item.get("productName", ""))
        and "Low Priority" not in name
        and "Expired" not in name
    )


def _one_of(field: str, values: Iterable[str]) -> str:
    return "(" + " or ".join(f"{field} eq '{value}'" for value in sorted(values)) + ")"


def _currency(item: dict[str, Any], offer: OfferRef, at: datetime) -> Quarantined:
    return Quarantined(offer, "currency", f"priced in {item.get('currencyCode')!r}, USD was asked for", at)
