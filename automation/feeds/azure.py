"""Azure's prices, from the Retail Prices API (learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices); needs no credential.

A query a group of regions and of types, followed page by page by the link that each page names. A group whose pages can't all be read gives
no quote, since the page that is missing may hold the dearer of two meters; the other groups' quotes count. Prices are by region; the API tells no eviction
rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from automation.calls.fetch import FeedFault, Fetcher
from automation.feeds.azure_lists import PRICES as URL
from automation.feeds.azure_lists import AzureLists, pages
from automation.feeds.azure_placement import AzurePlacement
from automation.feeds.azure_scores import AzureScores
from automation.feeds.quarantine import price_or_fault
from domain.catalog import CATALOG, CloudName, OfferRef
from domain.ports import FeedError, FeedReport, Quarantined, Scope
from domain.prices import Price, Quote, Unknown
from domain.told import Egress, Score, Shape

_GROUP = 8
"""Regions named in one filter: more would make the URL longer than servers take (the types are named as well)."""
_NAMED = 20
"""Types named in one filter, for the same reason."""
_AT_ONCE = 3
"""Queries at a time; the API is for all the world and has no key to bill."""


class AzureFeed:
    """Keeps :class:`domain.ports.PriceFeed`."""

    cloud: CloudName = "azure"

    def __init__(
        self,
        fetcher: Fetcher,
        scope: Scope = Scope(),  # a frozen value
        lists: AzureLists | None = None,
        scores: AzureScores | None = None,
        placement: AzurePlacement | None = None,
    ) -> None:
        self._fetcher = fetcher
        self.scope = scope
        self._lists = lists
        self._scores = scores
        self._placement = placement

    def collect(self, now: datetime) -> FeedReport:
        regions = {one.name for one in CATALOG.regions("azure") if self.scope.regions is None or one.name in self.scope.regions}
        types = {one.name for one in CATALOG.machines("azure") if self.scope.instance_types is None or one.name in self.scope.instance_types}
        new = {one.name for one in self.scope.new_types}
        if not regions or not (types or new):
            return FeedReport("azure", None)
        groups = [(places, names) for places in _parts(regions, _GROUP) for some in (types, new) for names in _parts(some, _NAMED)]
        with ThreadPoolExecutor(min(_AT_ONCE, len(groups)), thread_name_prefix="azure-feed") as pool:
            found = list(pool.map(lambda group: self._group(*group), groups))
        observed = max((one.observed_at for one in found if one.observed_at is not None), default=None)
        errors = [error for one in found for error in one.errors]
        shapes: tuple[Shape, ...] = ()
        egress: tuple[Egress, ...] = ()
        if self._lists is not None and observed is not None:
            shapes, egress, faults = self._lists.refreshed(regions, observed)
            errors += [FeedError("azure", "*", fault.reason, f"{what}: {fault.detail}") for what, fault in faults]
        scores: tuple[Score, ...] = ()
        if self._scores is not None and observed is not None:
            try:
                scores = self._scores.refreshed(regions, types | new, observed)
            except FeedFault as fault:
                errors.append(FeedError("azure", "*", fault.reason, f"eviction rates: {fault.detail}"))
        if self._placement is not None and observed is not None:
            placed, refused = self._placement.refreshed(regions, types, observed)
            scores += placed
            errors += [FeedError("azure", "*", fault.reason, f"placement scores: {fault.detail}") for fault in refused]
        return FeedReport(
            "azure",
            observed,
            tuple(quote for one in found for quote in one.quotes),
            tuple(fault for one in found for fault in one.quarantined),
            tuple(errors),
            shapes,
            egress,
            scores,
        )

    def _group(self, regions: frozenset[str], types: frozenset[str]) -> FeedReport:
        """What one group of regions and types costs; its failure is its own."""
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

    def _pages(self, regions: frozenset[str], types: frozenset[str]) -> Iterator[tuple[list[dict[str, Any]], datetime]]:
        clauses = ["serviceName eq 'Virtual Machines'", "priceType eq 'Consumption'", _one_of("armSkuName", types), _one_of("armRegionName", regions)]
        params = {"api-version": "2023-01-01-preview", "currencyCode": "'USD'", "$filter": " and ".join(clauses)}
        return pages(self._fetcher, URL, params, {}, "Items", "NextPageLink")


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


def _parts(names: Iterable[str], size: int) -> list[frozenset[str]]:
    ordered = sorted(names)
    return [frozenset(ordered[start : start + size]) for start in range(0, len(ordered), size)]


def _one_of(field: str, values: Iterable[str]) -> str:
    return "(" + " or ".join(f"{field} eq '{value}'" for value in sorted(values)) + ")"


def _currency(item: dict[str, Any], offer: OfferRef, at: datetime) -> Quarantined:
    return Quarantined(offer, "currency", f"priced in {item.get('currencyCode')!r}, USD was asked for", at)
