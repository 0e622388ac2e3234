"""``cloudbilling.googleapis.com/v1/services/6F81-5844-456A/skus``: Google's Cloud Billing Catalog for Compute Engine over the market.

Machine types aren't priced: cores and GiB of a family are. Their rates are solved from the market's prices of the family's types.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from domain.catalog import CATALOG
from localcloud.market import figures
from localcloud.market.lists import gcp_transfers
from localcloud.market.market import Market
from localcloud.market.source import Floats

HOST = "cloudbilling.googleapis.com"
SERVICE = "6F81-5844-456A"
"""Compute Engine's id in the catalogue."""
LARGEST_PAGE = 5000
WORDS = {"n2": "N2 Instance", "n2d": "N2D AMD Instance", "e2": "E2 Instance", "c3": "C3 Instance", "t2a": "T2A Arm Instance"}
"""Family to the beginning of its SKUs' descriptions."""


_FAMILIES = {"GiBy": "Network"}
_UNITS: dict[str, dict[str, Any]] = {
    unit: {"usageUnitDescription": told, "baseUnit": base, "baseUnitDescription": base_told, "baseUnitConversionFactor": factor}
    for unit, told, base, base_told, factor in (
        ("h", "hour", "s", "second", 3600),
        ("GiBy.h", "gibibyte hour", "By.s", "byte second", 3600 * 2**30),
        ("GiBy", "gibibyte", "By", "byte", 2**30),
    )
}


class CatalogSkus:
    """Answers of the API; each region's SKUs are kept for as long as its prices hold."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._skus = lru_cache(maxsize=256)(self._built)

    def page(self, parameters: Mapping[str, str]) -> dict[str, Any] | None:
        """One page for a request's query; None while the feed is out."""
        found: list[dict[str, Any]] = []
        answered = False
        for region in CATALOG.regions("gcp"):
            at = self._market.feed_time("gcp", region.name)
            if at is not None:
                answered = True
                state = (self._market.spot("gcp", region.name, at), self._market.on_demand("gcp", region.name, at), self._market.since("gcp", region.name, at))
                found += self._skus(region.name, *(part.tobytes() for part in state))
        if not answered:
            return None
        size = min(int(parameters.get("pageSize") or LARGEST_PAGE) or LARGEST_PAGE, LARGEST_PAGE)
        start = int(parameters.get("pageToken") or 0)
        end = start + size
        return {"skus": found[start:end], "nextPageToken": str(end) if end < len(found) else ""}

    def _built(self, region: str, spot: bytes, on_demand: bytes, since: bytes) -> list[dict[str, Any]]:
        pools = self._market.pools("gcp", region)
        machines = [CATALOG.machine("gcp", pool.instance_type) for pool in pools]
        began = np.frombuffer(since, dtype=np.float64)
        skus: list[dict[str, Any]] = []
        for family, words in WORDS.items():
            rows = [row for row, machine in enumerate(machines) if machine.family == family]
            for usage, prefix, prices in (
                ("OnDemand", "", np.frombuffer(on_demand, dtype=np.float64)),
                ("Preemptible", "Spot Preemptible ", np.frombuffer(spot, dtype=np.float64)),
            ):
                known = [row for row in rows if not np.isnan(prices[row])]
                if not known:
                    continue
                shapes = np.array([(machines[row].vcpu, machines[row].memory_gib) for row in known], dtype=np.float64)
                core, gib = solve(family, shapes, prices[known])
                started = datetime.fromtimestamp(float(began[known[0]]), UTC)
                skus.append(_sku(f"{prefix}{words} Core running in {region}", "CPU", usage, region, "h", core, started))
                skus.append(_sku(f"{prefix}{words} Ram running in {region}", "RAM", usage, region, "GiBy.h", gib, started))
                if family == "n2":
                    # Custom machines have meters of their own, which a reader has to leave out.
                    skus.append(_sku(f"{prefix}N2 Custom Instance Core running in {region}", "CPU", usage, region, "h", core * 1.05, started))
        since_then = datetime(2023, 1, 1, tzinfo=UTC)
        skus += [_sku(description, group, "OnDemand", region, "GiBy", price, since_then) for description, group, price in gcp_transfers(region)]
        return skus


def solve(family: str, shapes: Floats, prices: Floats) -> tuple[float, float]:
    """USD/h of a core and of a GiB from the prices of machines of ``shapes`` (cores, GiB).

    Where all shapes have one ratio of memory to cores, only their sum is told, and the list prices' proportion divides it.
    """
    if np.linalg.matrix_rank(shapes) == 2:
        core, gib = np.linalg.lstsq(shapes, prices, rcond=None)[0]
    else:
        core, gib = np.array(figures.GCP_USD_PER_CORE_AND_GIB[family]) * prices[0] / (shapes[0] @ np.array(figures.GCP_USD_PER_CORE_AND_GIB[family]))
    return round(float(core), 9), round(float(gib), 9)


def _sku(description: str, group: str, usage: str, region: str, unit: str, price: float, started: datetime) -> dict[str, Any]:
    digest = hashlib.blake2b(f"{description}|{usage}|{region}".encode(), digest_size=6).hexdigest().upper()
    sku_id = f"{digest[:4]}-{digest[4:8]}-{digest[8:]}"
    units, nanos = divmod(round(price * 10**9), 10**9)
    return {
        "name": f"services/{SERVICE}/skus/{sku_id}",
        "skuId": sku_id,
        "description": description,
        "category": {"serviceDisplayName": "Compute Engine", "resourceFamily": _FAMILIES.get(unit, "Compute"), "resourceGroup": group, "usageType": usage},
        "serviceRegions": [region],
        "pricingInfo": [
            {
                "summary": "",
                "pricingExpression": {
                    "usageUnit": unit,
                    "displayQuantity": 1,
                    "tieredRates": [{"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "units": str(units), "nanos": nanos}}],
                    **_UNITS[unit],
                },
                "currencyConversionRate": 1,
                "effectiveTime": f"{started:%Y-%m-%dT%H:%M:%SZ}",
            }
        ],
        "serviceProviderName": "Google",
        "geoTaxonomy": {"type": "REGIONAL", "regions": [region]},
    }
