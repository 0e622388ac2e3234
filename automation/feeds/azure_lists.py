"""What Azure tells beside prices of machines: egress from the Retail Prices API (service "Bandwidth"), shapes from Resource Manager's Resource SKUs.

Shapes need the platform's own subscription and are the same in every region, so that one region is asked; without a subscription the embedded ones stand.
Egress meters are told by what they are named: within a continent, between continents, to the internet over Microsoft's network. All of it is asked for
once a day of the market's clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from automation.calls.fetch import FeedFault, Fetcher
from domain.catalog import CATALOG
from domain.told import AREA, INTERNET, WORLD, Egress, Shape

PRICES = "https://prices.azure.com/api/retail/prices"
ARM = "https://management.azure.com"
SKUS = "Microsoft.Compute/skus"
RARELY = timedelta(hours=24)
AGAIN = timedelta(hours=1)
"""A list that fails is asked for again after so long: what was told before stands."""
_SKUS_VERSION = "2021-07-01"
_PAGES = 200
_MIB_IN_GB = 2**20 / 10**9
"""More pages than any query of ours has; a chain of links that is longer runs in a circle."""
_METERS = (("Intra Continent Data Transfer Out", AREA), ("Inter Continent Data Transfer Out", WORLD))
_MODEL = re.compile(r"_(T4|A100|H100|H200)_v\d+")
"""NVIDIA's model as Azure's naming of sizes has it, ``Standard_NC24ads_A100_v4``. Where a size may have part of one (A10) or its name says none, it isn't told;
another maker's GPU would need an image of its own."""
_INTERNET = ("Rtn Preference: MGN", "Standard Data Transfer Out")
"""Product and meter of what leaves to the internet over Microsoft's own network, the default."""


def pages(
    fetcher: Fetcher, url: str, params: dict[str, str], headers: dict[str, str], items: str, link: str
) -> Iterator[tuple[list[dict[str, Any]], datetime]]:
    """Each page's entries under ``items``, with its time, following what ``link`` names; only on the same host. Raises :class:`FeedFault`."""
    host = url.split("/")[2]
    answer = fetcher.get(url, params, headers)
    for _ in range(_PAGES):
        page = answer.json()
        found = page.get(items)
        if not isinstance(found, list):
            raise FeedFault("malformed", f"{host} sent a page without {items}")
        yield [item for item in found if isinstance(item, dict)], answer.at
        following = page.get(link)
        if not following:
            return
        if not str(following).startswith((f"https://{host}/", f"https://{host}:443/")):
            raise FeedFault("malformed", f"{host} names a next page on another host")
        answer = fetcher.get(str(following), headers=headers)
    raise FeedFault("malformed", f"{host} goes on naming next pages")


class AzureLists:
    """Asks for each list once a day. ``token`` gives a bearer token of Resource Manager; ``subscription`` is None where the platform has none of its own."""

    def __init__(self, fetcher: Fetcher, token: Callable[[], str], subscription: str | None) -> None:
        self._fetcher, self._token, self._subscription = fetcher, token, subscription
        self._next: dict[str, datetime] = {}

    def refreshed(self, regions: Iterable[str], at: datetime) -> tuple[tuple[Shape, ...], tuple[Egress, ...], tuple[tuple[str, FeedFault], ...]]:
        """What was told anew at a moment of the market's clock: shapes, egress, and what failed, by what it was of."""
        names = sorted(regions)
        shapes: tuple[Shape, ...] = ()
        egress: tuple[Egress, ...] = ()
        faults: list[tuple[str, FeedFault]] = []
        if self._due("egress", at):
            try:
                egress = self._egress(set(names))
                self._next["egress"] = at + RARELY
            except FeedFault as fault:
                faults.append(("egress prices", fault))
        if self._subscription is not None and names and self._due("shapes", at):
            try:
                shapes = self._shapes(self._subscription, names[0])
                self._next["shapes"] = at + RARELY
            except FeedFault as fault:
                faults.append(("machine shapes", fault))
        return shapes, egress, tuple(faults)

    def _due(self, what: str, at: datetime) -> bool:
        """Whether it is time for a list; if so, it is taken to fail until it hasn't."""
        if what in self._next and at < self._next[what]:
            return False
        self._next[what] = at + AGAIN
        return True

    def _egress(self, regions: set[str]) -> tuple[Egress, ...]:
        """Of each meter the first tier that costs something, the dearest of those that mean the same."""
        query = "serviceName eq 'Bandwidth' and priceType eq 'Consumption'"
        tiers: dict[tuple[str, str], dict[float, float]] = {}
        told: datetime | None = None
        foreign: set[str] = set()
        for items, at in pages(
            self._fetcher, PRICES, {"api-version": "2023-01-01-preview", "currencyCode": "'USD'", "$filter": query}, {}, "Items", "NextPageLink"
        ):
            told = at
            for item in items:
                region, to, price = str(item.get("armRegionName", "")), _direction(item), item.get("retailPrice")
                if to is not None and item.get("currencyCode") != "USD":
                    foreign.add(str(item.get("currencyCode")))
                if region in regions and to is not None and item.get("currencyCode") == "USD" and isinstance(price, int | float) and price > 0:
                    begin = float(item.get("tierMinimumUnits") or 0)
                    held = tiers.setdefault((region, to), {})
                    held[begin] = max(float(price), held.get(begin, 0.0))
        if told is None:
            return ()
        if foreign and not tiers:
            raise FeedFault("malformed", f"priced in {', '.join(sorted(foreign))} where USD was asked for")
        return tuple(Egress("azure", region, to, found[min(found)], PRICES, told) for (region, to), found in sorted(tiers.items()))

    def _shapes(self, subscription: str, region: str) -> tuple[Shape, ...]:
        url = f"{ARM}/subscriptions/{subscription}/providers/{SKUS}"
        headers = {"authorization": f"Bearer {self._token()}"}
        found = []
        for items, at in pages(self._fetcher, url, {"api-version": _SKUS_VERSION, "$filter": f"location eq '{region}'"}, headers, "value", "nextLink"):
            found += [shape for item in items if (shape := _shape(item, at)) is not None]
        return tuple(found)


def _direction(item: dict[str, Any]) -> str | None:
    meter, product = str(item.get("meterName", "")), str(item.get("productName", ""))
    if not str(item.get("unitOfMeasure", "")).endswith("GB"):
        return None
    if (product, meter) == _INTERNET:
        return INTERNET
    return next((to for name, to in _METERS if meter.startswith(name)), None)


def _shape(item: dict[str, Any], at: datetime) -> Shape | None:
    """A virtual machine's size; None for other resources, for those without their figures and for a new size that isn't one of ours (:func:`_serves`)."""
    name = str(item.get("name", ""))
    if item.get("resourceType") != "virtualMachines":
        return None
    told = {str(one.get("name")): str(one.get("value")) for one in item.get("capabilities") or () if isinstance(one, dict)}
    if not CATALOG.has_machine("azure", name) and not _serves(item, told):
        return None
    try:
        arch = {"x64": "x86_64", "Arm64": "arm64"}.get(told.get("CpuArchitectureType", ""))
        disk = float(told["MaxResourceVolumeMB"]) * _MIB_IN_GB if "MaxResourceVolumeMB" in told else None
        return Shape(
            "azure",
            name,
            int(told.get("vCPUsAvailable") or told["vCPUs"]),
            float(told["MemoryGB"]),
            arch,  # type: ignore[arg-type]  # of the two
            int(told.get("GPUs") or 0),
            SKUS,
            at,
            family=str(item.get("family") or "") or None,
            gpu_type=_gpu_type(name) if told.get("GPUs", "0") != "0" else None,
            local_disk_gb=disk,
        )
    except (KeyError, ValueError):
        return None


def _gpu_type(name: str) -> str | None:
    found = _MODEL.search(name)
    return None if found is None else found[1]


def _serves(item: dict[str, Any], told: Mapping[str, str]) -> bool:
    """Whether a new size can run what is placed here: sold as spot and to this subscription, with GPUs only where its name tells their model, from an image
    of generation 2, and not confidential, which takes images of its own."""
    return (
        told.get("LowPriorityCapable") == "True"
        and "V2" in told.get("HyperVGenerations", "").split(",")
        and not item.get("restrictions")
        and (told.get("GPUs", "0") == "0" or _gpu_type(str(item.get("name", ""))) is not None)
        and "ConfidentialComputingType" not in told
    )
