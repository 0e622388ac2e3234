"""Azure's prices, from the Retail Prices API (learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices); needs no credential.

One query for all types asked for, followed page by page by the link that each page names. Prices are by region; the API tells no eviction rates.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from automation.feeds.fetch import FeedFault, Fetcher
from automation.feeds.quarantine import price_or_fault
from domain.catalog import CATALOG, CloudName, OfferRef
from domain.ports import FeedError, FeedReport, Quarantined, Scope
from domain.prices import Price, Quote, Unknown

URL = "https://prices.azure.com/api/retail/prices"
_HOST = "prices.azure.com"
_PAGES = 200
"""More pages than any query of ours has; a chain of links that is longer runs in a circle."""
_NAMED_REGIONS = 12
"""Up to so many regions are named in the filter; more would make the URL too long, and all are asked for."""


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
        spot: dict[OfferRef, Price] = {}
        listed: dict[OfferRef, Price] = {}
        faults: list[Quarantined] = []
        observed: datetime | None = None
        errors: tuple[FeedError, ...] = ()
        try:
            for item, at in self._items(regions, types):
                observed = at if observed is None else min(observed, at)
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
            errors = (FeedError("azure", "*", fault.reason, fault.detail),)
        if observed is None:
            return FeedReport("azure", None, errors=errors)
        quotes = tuple(Quote(offer, price, listed.get(offer, Unknown("not listed")), URL, observed) for offer, price in sorted(spot.items()))
        return FeedReport("azure", observed, quotes, tuple(faults), errors)

    def _items(self, regions: set[str], types: set[str]) -> Iterator[tuple[dict[str, Any], datetime]]:
        clauses = ["serviceName eq 'Virtual Machines'", "priceType eq 'Consumption'", _one_of("armSkuName", types)]
        if len(regions) <= _NAMED_REGIONS:
            clauses.append(_one_of("armRegionName", regions))
        answer = self._fetcher.get(URL, {"api-version": "2023-01-01-preview", "currencyCode": "'USD'", "$filter": " and ".join(clauses)})
        for _ in range(_PAGES):
            page = answer.json()
            items = page.get("Items")
            if not isinstance(items, list):
                raise FeedFault("malformed", f"{_HOST} sent a page without Items")
            yield from ((item, answer.at) for item in items if isinstance(item, dict))
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


def _one_of(field: str, values: set[str]) -> str:
    return "(" + " or ".join(f"{field} eq '{value}'" for value in sorted(values)) + ")"


def _currency(item: dict[str, Any], offer: OfferRef, at: datetime) -> Quarantined:
    return Quarantined(offer, "currency", f"priced in {item.get('currencyCode')!r}, USD was asked for", at)
