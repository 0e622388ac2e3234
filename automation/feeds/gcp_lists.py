"""What Google tells beside rates of cores and memory: egress, among the SKUs of Compute Engine, and shapes, from ``machineTypes.aggregatedList``.

Shapes are read in the platform's own project, once a day of the market's clock; without one the embedded ones stand. Egress SKUs name continents. To
users the dearest destination but China and Australia counts, as the list prices have it; within an area the cheapest other region, beyond it the dearest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from automation.calls.fetch import FeedFault, Fetcher
from domain.catalog import CATALOG
from domain.told import AREA, INTERNET, WORLD, Egress, Shape

_COMPUTE = "https://compute.googleapis.com/compute/v1"
SOURCE = "compute:machineTypes.aggregatedList"
RARELY = timedelta(hours=24)
AGAIN = timedelta(hours=1)
"""A list that fails is asked for again after so long: it is megabytes, and what was told before stands."""
_PAGES = 100
_GROUPS = {"PremiumInternetEgress": INTERNET, "InterregionEgress": WORLD}
_APART = ("China", "Australia", "Hong Kong")
GPU_MODELS = {"nvidia-l4": "L4", "nvidia-tesla-a100": "A100"}
"""GPUs whose rates are read, as Compute Engine names them, to the models that users ask for."""
_ARCHES = {"X86_64": "x86_64", "ARM64": "arm64"}


class EgressSkus:
    """Gathers egress of the SKUs that pass by."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: dict[tuple[str, str], list[Decimal]] = {}
        self.foreign: set[str] = set()
        """Currencies other than USD that were met; what is priced in them is left out."""

    def take(self, sku: dict[str, Any]) -> bool:
        """Whether the SKU was one of egress; then it is kept if its price can be read."""
        category = sku.get("category") or {}
        to = _GROUPS.get(str(category.get("resourceGroup")))
        if category.get("resourceFamily") != "Network" or to is None:
            return False
        description = str(sku.get("description", ""))
        destination = description.rpartition(" to ")[2]
        if to == INTERNET and any(word in destination for word in _APART):
            return True
        self.foreign |= _currencies(sku) - {"USD"}
        if (price := _first_paid(sku)) is not None:
            for region in sku.get("serviceRegions") or ():
                self._found.setdefault((str(region), to), []).append(price)
        return True

    def told(self, regions: set[str], at: datetime) -> tuple[Egress, ...]:
        """What was gathered of ``regions``."""
        found = []
        for (region, to), prices in sorted(self._found.items()):
            if region in regions:
                found.append(Egress("gcp", region, to, float(max(prices)), self._source, at))
                if to == WORLD:
                    found.append(Egress("gcp", region, AREA, float(min(prices)), self._source, at))
        return tuple(found)


class GcpShapes:
    """Asks once a day. ``headers`` gives the authorization; ``families`` are those whose rates are read, so that a new type of them has a price."""

    def __init__(self, fetcher: Fetcher, headers: Callable[[], dict[str, str]], project: str | None, families: Collection[str] = ()) -> None:
        self._fetcher, self._headers, self._project, self._families = fetcher, headers, project, frozenset(families)
        self._next: datetime | None = None

    def refreshed(self, at: datetime) -> tuple[Shape, ...]:
        """The shapes, where they were asked for anew. Raises :class:`FeedFault`."""
        if self._project is None or (self._next is not None and at < self._next):
            return ()
        self._next = at + AGAIN
        found: dict[str, Shape] = {}
        zones: dict[str, set[str]] = {}
        url, params = f"{_COMPUTE}/projects/{self._project}/aggregated/machineTypes", {"maxResults": "500", "returnPartialSuccess": "true"}
        for _ in range(_PAGES):
            answer = self._fetcher.get(url, params, self._headers())
            page = answer.json()
            scopes = page.get("items")
            if not isinstance(scopes, dict):
                raise FeedFault("malformed", "compute.googleapis.com sent machine types without items")
            if page.get("unreachables"):
                # A type's regions are told by all of its zones.
                raise FeedFault("unavailable", f"compute.googleapis.com can't reach {', '.join(map(str, page['unreachables'][:3]))} to list machine types")
            for place, scope in scopes.items():
                for one in (scope or {}).get("machineTypes") or ():
                    if (shape := _shape(one, self._families, answer.at)) is not None:
                        found[shape.name] = shape
                        zones.setdefault(shape.name, set()).add(str(place).rpartition("/")[2])
            if not page.get("nextPageToken"):
                self._next = at + RARELY
                return tuple(replace(shape, only=_regions(zones[shape.name])) for shape in found.values())
            params = {**params, "pageToken": str(page["nextPageToken"])}
        raise FeedFault("malformed", "compute.googleapis.com goes on naming next pages of machine types")


def _currencies(sku: dict[str, Any]) -> set[str]:
    try:
        return {str(tier["unitPrice"].get("currencyCode", "USD")) for tier in sku["pricingInfo"][-1]["pricingExpression"]["tieredRates"]}
    except (KeyError, IndexError, TypeError, AttributeError):
        return set()


def _first_paid(sku: dict[str, Any]) -> Decimal | None:
    """USD per GiB of the first tier that costs something (the first GiB may be free); None where the price isn't one of that unit."""
    try:
        expression = sku["pricingInfo"][-1]["pricingExpression"]
        if expression["usageUnit"] != "GiBy":
            return None
        prices = []
        for tier in sorted(expression["tieredRates"], key=lambda one: float(one.get("startUsageAmount") or 0)):
            unit = tier["unitPrice"]
            if unit.get("currencyCode", "USD") != "USD":
                return None
            prices.append(Decimal(unit.get("units") or 0) + Decimal(unit.get("nanos") or 0) / Decimal(10**9))
        return next((price for price in prices if price > 0), None)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, InvalidOperation):
        return None


def _regions(zones: set[str]) -> frozenset[str]:
    """The regions all of whose zones are among ``zones``: prices are by region and don't tell a zone that lacks the type."""
    return frozenset(region.name for region in CATALOG.regions("gcp") if zones.issuperset(region.zones))


def _shape(one: Any, families: frozenset[str], at: datetime) -> Shape | None:
    """A machine type; None for one without its figures and for a new one that isn't made of what has a price here (:func:`_serves`)."""
    if not isinstance(one, dict) or not (CATALOG.has_machine("gcp", str(one.get("name"))) or _serves(one, families)):
        return None
    try:
        name = str(one["name"])
        gpus = one.get("accelerators") or ()
        gpu = sum(int(each.get("guestAcceleratorCount") or 0) for each in gpus)
        arch = _ARCHES.get(str(one.get("architecture")))
        return Shape(
            "gcp",
            name,
            int(one["guestCpus"]),
            int(one["memoryMb"]) / 1024,
            arch,  # type: ignore[arg-type]  # of the two
            gpu,
            SOURCE,
            at,
            family=name.partition("-")[0],
            gpu_type=GPU_MODELS.get(str(gpus[0].get("guestAcceleratorType"))) if gpus else None,
            local_disk_gb=0.0,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _serves(one: dict[str, Any], families: frozenset[str]) -> bool:
    """Whether a new type's price is that of its cores, memory and GPUs of one model: of a family whose rates are read, as are those of the model, with no
    shared core, local disk or bare metal."""
    name = str(one.get("name"))
    kinds = {str(each.get("guestAcceleratorType")) if isinstance(each, dict) else "" for each in one.get("accelerators") or ()}
    return (
        name.partition("-")[0] in families
        and not one.get("isSharedCpu")
        and kinds <= GPU_MODELS.keys()
        and len(kinds) < 2
        and not one.get("bundledLocalSsds")
        and not one.get("deprecated")
        and not name.endswith(("-metal", "-lssd"))
    )
