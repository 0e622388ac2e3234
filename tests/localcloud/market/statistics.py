"""What a seeded market does over a year, by the definitions of the figures that real markets were measured by."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CATALOG
from localcloud.market import figures
from localcloud.market.figures import Measured
from localcloud.market.model import ModelSource

Floats = NDArray[np.float64]
HOME = {"aws": "us-east-1", "gcp": "us-central1", "azure": "eastus"}
DAY = 86400.0
AZURE_US = tuple(region.name for region in CATALOG.regions("azure") if region.name.endswith(("us", "us2", "us3")))


def statistics(model: ModelSource, cloud: str, days: int, every: float) -> Measured:
    """Over the regions that were measured, looking every so many seconds: a region's price is that of its cheapest zone, figures are medians over types."""
    regions = [region.name for region in CATALOG.regions(cloud) if figures.REGIONS[cloud, region.name].measured]
    start = model.starts_at.timestamp()
    moments = np.arange(start, start + days * DAY, every)
    prices: dict[str, dict[str, Floats]] = {}
    listed: dict[str, float] = {}
    seen: dict[str, list[Floats]] = {}
    for region in regions:
        pools = model.pools(cloud, region)
        series = np.array([model.spot(cloud, region, at) for at in moments])
        changes = (np.diff(series, axis=0) != 0).sum(axis=0) / days
        for name in dict.fromkeys(pool.instance_type for pool in pools):
            rows = [row for row, pool in enumerate(pools) if pool.instance_type == name]
            prices.setdefault(name, {})[region] = series[:, rows].min(axis=1)
            seen.setdefault(name, []).append(changes[rows])
            if region == HOME[cloud]:
                listed[name] = float(model.on_demand(cloud, region, start)[rows[0]])
    per_type = [astuple(_of_type(prices[name], listed[name], float(np.concatenate(seen[name]).mean()), days, cloud)) for name in listed]
    return Measured(*(float(figure) for figure in np.median(np.array(per_type), axis=0)))


def _of_type(by_region: dict[str, Floats], listed: float, seen: float, days: int, cloud: str) -> Measured:
    table = np.array(list(by_region.values())).T
    averages, cheapest, oracle = table.mean(axis=0), table.argmin(axis=1), float(table.min(axis=1).mean())
    return Measured(
        spread_of_averages=float(averages.max() / averages.min()),
        spread_at_a_moment=float(np.median(table.max(axis=1) / table.min(axis=1))),
        changes_seen_per_pool_day=seen,
        cheapest_region_changes_per_day=float((cheapest[1:] != cheapest[:-1]).sum() / days),
        home_spot_below_on_demand=1 - float(by_region[HOME[cloud]].mean()) / listed,
        oracle_below_home_on_demand=1 - oracle / listed,
        oracle_below_first_choice=1 - oracle / float(averages[cheapest[0]]),
    )
