"""``prices.azure.com/api/retail/prices``: the Azure Retail Prices API (learn.microsoft.com/rest/api/cost-management/retail-prices) over the market."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import numpy as np

from domain.catalog import CATALOG
from localcloud.market.lists import azure_bandwidth
from localcloud.market.market import Market
from localcloud.market.odata import compile_filter

HOST = "prices.azure.com"
PAGE_SIZE = 1000
"""Items on a page, as the API has had it since version 2023-01-01-preview."""
_ALIASES = {"priceType": "type"}
"""Fields whose name in filters isn't their name in items."""
_PRODUCTS = {
    "Dsv5": "Virtual Machines Dsv5 Series",
    "Dasv5": "Virtual Machines Dasv5 Series",
    "Dpsv5": "Virtual Machines Dpsv5 Series",
    "Esv5": "Virtual Machines Esv5 Series",
    "FSv2": "Virtual Machines FSv2 Series",
    "NCasT4_v3": "Virtual Machines NCasT4 v3 Series",
}
_TWIN_VCPU = 2
"""Types of this size have their Windows and Low Priority meters listed as well, which a reader has to leave out."""


class RetailPrices:
    """Answers of the API, cached for as long as no price changes."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._items = lru_cache(maxsize=256)(self._built)
        self._found = lru_cache(maxsize=256)(self._filtered)

    def page(self, parameters: Mapping[str, str]) -> dict[str, Any] | None:
        """One page for a request's query; None while the feed is out. Raises :class:`FilterError`."""
        moments = {region.name: self._market.feed_time("azure", region.name) for region in CATALOG.regions("azure")}
        if all(moment is None for moment in moments.values()):
            return None
        skip = int(parameters.get("$skip", "0") or 0)
        found = self._found(parameters.get("$filter", ""), tuple((name, self._state(name, at)) for name, at in moments.items() if at is not None))
        shown = found[skip : skip + PAGE_SIZE]
        more = skip + PAGE_SIZE < len(found)
        return {
            "BillingCurrency": "USD",
            "CustomerEntityId": "Default",
            "CustomerEntityType": "Retail",
            "Items": shown,
            "NextPageLink": _link(parameters, skip + PAGE_SIZE) if more else None,
            "Count": len(shown),
        }

    def _state(self, region: str, at: float) -> tuple[bytes, bytes, bytes]:
        """What the region's items depend on: prices and the dates since which they hold."""
        market = self._market
        return market.spot("azure", region, at).tobytes(), market.on_demand("azure", region, at).tobytes(), market.since("azure", region, at).tobytes()

    def _filtered(self, text: str, regions: tuple[tuple[str, tuple[bytes, bytes, bytes]], ...]) -> list[dict[str, Any]]:
        items = [item for name, state in regions for item in self._items(name, state)]
        if "Bandwidth" in text:
            items += [item for name, _ in regions for item in azure_bandwidth(name)]
        return items if not text.strip() else list(filter(compile_filter(text, _ALIASES), items))

    def _built(self, region: str, state: tuple[bytes, bytes, bytes]) -> list[dict[str, Any]]:
        spot, on_demand, since = (np.frombuffer(part, dtype=np.float64) for part in state)
        items: list[dict[str, Any]] = []
        for pool, spot_price, listed, began in zip(self._market.pools("azure", region), spot, on_demand, since, strict=True):
            machine = CATALOG.machine("azure", pool.instance_type)
            product = _PRODUCTS[machine.family]
            meter = pool.instance_type.removeprefix("Standard_").replace("_", " ")
            if not np.isnan(spot_price):
                started = datetime.fromtimestamp(float(began), UTC)
                items.append(_item(region, pool.instance_type, product, meter, " Spot", float(spot_price), started))
                if machine.vcpu == _TWIN_VCPU:
                    items.append(_item(region, pool.instance_type, f"{product} Windows", meter, " Spot", float(spot_price) * 1.9, started))
                    items.append(_item(region, pool.instance_type, product, meter, " Low Priority", float(listed) * 0.2, started))
            if not np.isnan(listed):
                items.append(_item(region, pool.instance_type, product, meter, "", float(listed), datetime(2021, 11, 1, tzinfo=UTC)))
        return items


def _item(region: str, sku: str, product: str, meter: str, kind: str, price: float, started: datetime) -> dict[str, Any]:
    name = f"{meter}{kind}"
    product_id = "DZH318Z" + hashlib.blake2b(product.encode(), digest_size=3).hexdigest().upper()[:5]
    rounded = round(price, 6)
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": rounded,
        "unitPrice": rounded,
        "armRegionName": region,
        "location": region,
        "effectiveStartDate": f"{started:%Y-%m-%dT%H:%M:%SZ}",
        "meterId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{region}|{product}|{name}")),
        "meterName": name,
        "productId": product_id,
        "skuId": f"{product_id}/{hashlib.blake2b(name.encode(), digest_size=2).hexdigest().upper()}",
        "productName": product,
        "skuName": f"{sku}{kind}",
        "serviceName": "Virtual Machines",
        "serviceId": "DZH313Z7MMC8",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": sku,
    }


def _link(parameters: Mapping[str, str], skip: int) -> str:
    query = "&".join(f"{name}={quote(value)}" for name, value in {**parameters, "$skip": str(skip)}.items())
    return f"https://{HOST}:443/api/retail/prices?{query}"
