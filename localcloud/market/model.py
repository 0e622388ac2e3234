"""The seeded market: prices as a pure function of seed and moment, calibrated to :mod:`localcloud.market.figures`.

AWS. A pool's level drifts: the market, its region, its family, its family there, its type there and the pool itself each swing slowly. The price is the
level as it was at the pool's last change; changes come at irregular moments, a few a day. GCP and Azure. A region's family keeps its ratio for whole
months; at a month's start it may be set anew.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CATALOG, OfferRef
from localcloud.market import figures
from localcloud.market.noise import Keys, Numbers, keys, normal, uniform
from localcloud.market.source import Change, Floats, catalog_pools, month_of, month_start
from localcloud.market.swings import Swing

Index = NDArray[np.intp]

_DAY = 86400.0
_SLOT = _DAY / figures.AWS_CHANGES_PER_DAY
_MONTHS_BACK = 36
_FACTORS = {"gcp": (figures.GCP_CHANGES_PER_MONTH, figures.GCP_FACTOR), "azure": (figures.AZURE_CHANGES_PER_MONTH, figures.AZURE_FACTOR)}
"""Chance of a change at a month's start, and the deviation of the log ratio that is then set."""
_CEILING = 0.95
"""No spot price goes above this share of the on-demand price."""


class ModelSource:
    """The market of one seed."""

    name = "model"
    starts_at = datetime(2026, 1, 15, tzinfo=UTC)
    ends_at = None

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._prepare = lru_cache(maxsize=None)(self._prepared)
        self._monthly = lru_cache(maxsize=4096)(self._month)

    def pools(self, cloud: str, region: str) -> tuple[OfferRef, ...]:
        return self._prepare(cloud, region).pools

    def spot(self, cloud: str, region: str, at: float) -> Floats:
        prepared = self._prepare(cloud, region)
        if cloud == "aws":
            slots = prepared.slots(at)
            return prepared.price(slots)
        return prepared.by_factor(self._monthly(cloud, region, month_of(at))[0])

    def since(self, cloud: str, region: str, at: float) -> Floats:
        prepared = self._prepare(cloud, region)
        if cloud == "aws":
            return prepared.moment(prepared.slots(at))
        months = self._monthly(cloud, region, month_of(at))[1]
        return np.array([month_start(int(month)) for month in months])[prepared.family]

    def on_demand(self, cloud: str, region: str, at: float) -> Floats:
        return self._prepare(cloud, region).on_demand

    def changes(self, cloud: str, region: str, start: float, end: float) -> list[Change]:
        prepared = self._prepare(cloud, region)
        found: list[Change] = []
        if cloud == "aws":
            first, last = int(start // _SLOT) - 1, int(end // _SLOT) + 1
            for slot in range(first, last + 1):
                slots = np.full(len(prepared.pools), slot, dtype=np.int64)
                moments, prices = prepared.moment(slots), prepared.price(slots)
                for at in np.flatnonzero((moments > start) & (moments <= end)):
                    found.append(Change(prepared.pools[at], float(moments[at]), float(prices[at])))
        else:
            for month in range(month_of(start) + 1, month_of(end) + 1):
                began = month_start(month)
                prices = self.spot(cloud, region, began)
                changed = self.since(cloud, region, began) == began
                found += [Change(prepared.pools[at], began, float(prices[at])) for at in np.flatnonzero(changed)]
        return sorted(found, key=lambda change: (change.at, change.pool))

    def _prepared(self, cloud: str, region: str) -> _Region:
        return _Region(self._seed, cloud, region)

    def _month(self, cloud: str, region: str, month: int) -> tuple[Floats, Floats]:
        """Per family of a region: the factor on its usual ratio, and the month since which it holds."""
        chance, deviation = _FACTORS[cloud]
        family_keys = self._prepare(cloud, region).family_keys
        months = np.arange(month - _MONTHS_BACK, month + 1)
        changed = uniform(family_keys[np.newaxis, :], months[:, np.newaxis], 1) < chance
        changed[0] = True
        held = months[len(months) - 1 - np.argmax(changed[::-1], axis=0)]
        factors = np.exp(deviation * normal(family_keys, held, 2))
        return factors, held.astype(np.float64)


class _Region:
    """What doesn't depend on the moment: keys, levels, on-demand prices."""

    def __init__(self, seed: int, cloud: str, region: str) -> None:
        self.cloud = cloud
        self.pools = catalog_pools(cloud, region)
        machines = [CATALOG.machine(cloud, pool.instance_type) for pool in self.pools]
        self.families: list[str] = list(dict.fromkeys(machine.family for machine in machines))
        self.family: Index = np.array([self.families.index(machine.family) for machine in machines], dtype=np.intp)
        self.family_keys: Keys = keys([f"{seed}|{cloud}|{region}|{family}" for family in self.families])
        self.keys: Keys = keys([f"{seed}|{pool.id}" for pool in self.pools])
        self.on_demand: Floats = np.array([on_demand(pool) for pool in self.pools], dtype=np.float64)
        usual = figures.REGIONS[cloud, region].spot if (cloud, region) in figures.REGIONS else 0.3
        own = np.exp(figures.OWN_RATIO[cloud] * normal(self.family_keys, 3))
        self.ratio: Floats = np.array([usual * figures.FAMILY_SPOT.get(family, 1.0) for family in self.families]) * own
        if cloud == "gcp":
            self.ratio = np.clip(self.ratio, *figures.GCP_RATIOS)
        apart = np.zeros(len(self.pools))
        self._swings: list[Swing] = []
        if cloud == "aws":
            of: dict[str, list[str]] = {
                "market": [f"{seed}|aws"] * len(self.pools),
                "region": [f"{seed}|aws|{region}"] * len(self.pools),
                "family": [f"{seed}|aws|{machine.family}" for machine in machines],
                "region's family": [f"{seed}|aws|{region}|{machine.family}" for machine in machines],
                "type": [f"{seed}|aws|{machine.name}" for machine in machines],
                "region's type": [f"{seed}|aws|{region}|{machine.name}" for machine in machines],
                "pool": [f"{seed}|{pool.id}" for pool in self.pools],
            }
            apart = np.sum([deviation * normal(keys(of[kind]), 4) for kind, deviation in figures.AWS_APART.items()], axis=0)
            self._swings = [Swing(keys(of[kind]), deviation, figures.AWS_BANDS) for kind, deviation in figures.AWS_SWINGS.items()]
        self.level: Floats = self.on_demand * self.ratio[self.family] * np.exp(apart)
        self._ceiling = _CEILING * self.on_demand

    def slots(self, at: float) -> Numbers:
        """The number of each pool's last change."""
        number = np.full(len(self.pools), int(at // _SLOT), dtype=np.int64)
        return np.asarray(np.where(self.moment(number) <= at, number, number - 1), dtype=np.int64)

    def moment(self, slots: Numbers) -> Floats:
        """When the change of that number comes: once in each slot of time, anywhere in it."""
        return np.asarray(np.floor((slots + 0.999 * uniform(self.keys, slots, 6)) * _SLOT), dtype=np.float64)

    def price(self, slots: Numbers) -> Floats:
        """The price set by the change of that number, to four decimals as AWS writes it."""
        days = self.moment(slots) / _DAY
        drift = figures.AWS_TREMBLE * np.clip(normal(self.keys, slots, 7), -3, 3)
        for swing in self._swings:
            drift = drift + swing.at(days)
        return np.asarray(np.maximum(np.round(np.minimum(self.level * np.exp(drift), self._ceiling), 4), 0.0005), dtype=np.float64)

    def by_factor(self, factors: Floats) -> Floats:
        """The prices under a month's factors: composed of cores and memory on GCP, to six decimals on Azure."""
        if self.cloud != "gcp":
            return np.asarray(np.round(np.minimum(self.level * factors[self.family], self._ceiling), 6), dtype=np.float64)
        prices = []
        for pool, family, listed in zip(self.pools, self.family, self.on_demand, strict=True):
            machine = CATALOG.machine("gcp", pool.instance_type)
            core, gib = figures.GCP_USD_PER_CORE_AND_GIB[machine.family]
            here = figures.REGIONS["gcp", pool.region].on_demand
            factor = float(self.ratio[family] * factors[family])
            prices.append(min(machine.vcpu * _nano(_nano(core * here) * factor) + machine.memory_gib * _nano(_nano(gib * here) * factor), listed))
        return np.array(prices, dtype=np.float64)


def on_demand(pool: OfferRef) -> float:
    """The list price of a pool's machine type on demand, USD/h."""
    machine = CATALOG.machine(pool.cloud, pool.instance_type)
    here = figures.REGIONS[pool.cloud, pool.region].on_demand
    if pool.cloud == "gcp":
        core, gib = figures.GCP_USD_PER_CORE_AND_GIB[machine.family]
        return machine.vcpu * _nano(core * here) + machine.memory_gib * _nano(gib * here)
    if pool.cloud == "azure":
        return round(figures.AZURE_USD_PER_VCPU[machine.family] * machine.vcpu * here, 6)
    home = figures.AWS_USD[machine.name] if machine.name in figures.AWS_USD else figures.AWS_USD_PER_VCPU[machine.family] * machine.vcpu
    return round(home * here, 4)


def _nano(usd: float) -> float:
    """To a billionth, as Google writes unit prices."""
    return round(usd, 9)
