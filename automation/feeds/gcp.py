"""Google's prices, from the Cloud Billing Catalog (cloudbilling.googleapis.com v1, services.skus.list); an API key or an access token is enough.

Machine types aren't priced: a machine costs its cores times the family's core rate plus its GiB times the memory rate, and of a family with GPUs those times
the rate of their model; spot is usageType "Preemptible".
Prices are by region and hold in every zone of it; the API tells no preemption rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from automation.calls.fetch import FeedFault, Fetcher
from automation.calls.google_token import GoogleToken
from automation.feeds.gcp_lists import EgressSkus, GcpShapes
from automation.feeds.gcp_scores import GcpScores
from automation.feeds.quarantine import price_or_fault
from domain.catalog import CATALOG, CloudName, Machine, OfferRef
from domain.ports import FeedError, FeedReport, Quarantined, Scope
from domain.prices import Price, Quote, Unknown
from domain.told import Egress, Shape

URL = "https://cloudbilling.googleapis.com/v1/services/6F81-5844-456A/skus"
"""6F81-5844-456A is Compute Engine."""
_PAGES = 100
_PREFIXES = {
    "N2 Instance": "n2", "N2D AMD Instance": "n2d", "E2 Instance": "e2", "C3 Instance": "c3", "T2A Arm Instance": "t2a",
    "A2 Instance": "a2", "G2 Instance": "g2",
}  # fmt: skip
"""Beginning of a SKU's description to the family; "Custom", "Sole Tenancy" and the like stand between or before, and so don't match."""
_UNITS = {"Core": "h", "Ram": "GiBy.h"}
_GPUS = {"Nvidia L4 GPU": "L4", "Nvidia Tesla A100 GPU": "A100"}
"""Description of a GPU's SKU to the model (``gcp_lists.GPU_MODELS``); its unit is the hour."""
_SPOT_GPU = " attached to Spot Preemptible VMs"


@dataclass(frozen=True, slots=True)
class _Rate:
    """Of a family's ``Core`` or ``Ram``, or of a GPU's model (part ``Gpu``)."""

    family: str
    part: str
    spot: bool


class GcpFeed:
    """Keeps :class:`domain.ports.PriceFeed`. Without a GOOGLE_API_KEY in ``environment`` it asks by a token of the platform's identity."""

    cloud: CloudName = "gcp"

    def __init__(self, fetcher: Fetcher, environment: Mapping[str, str], scope: Scope = Scope()) -> None:  # a frozen value
        self._fetcher = fetcher
        self._environment = environment
        self._token = GoogleToken(environment)
        self.scope = scope
        self._told: dict[str, Shape] = {}
        self._shapes = GcpShapes(fetcher, self._bearer, environment.get("SPOTLANE_GCP_PROJECT"), _PREFIXES.values())
        self._scores = GcpScores(fetcher, self._bearer, environment.get("SPOTLANE_GCP_PROJECT"))

    def collect(self, now: datetime) -> FeedReport:
        regions = [one for one in CATALOG.regions("gcp") if self.scope.regions is None or one.name in self.scope.regions]
        machines = [one for one in CATALOG.machines("gcp") if self.scope.instance_types is None or one.name in self.scope.instance_types]
        if not regions or not (machines or self.scope.new_types):
            return FeedReport("gcp", None)
        rates: dict[tuple[str, _Rate], Decimal | str] = {}
        observed: datetime | None = None
        errors: tuple[FeedError, ...] = ()
        tariffs: tuple[Egress, ...] = ()
        wanted = {one.name for one in regions}
        egress = EgressSkus(URL)
        try:
            for skus, at in self._pages():
                observed = at if observed is None else min(observed, at)
                for sku in skus:
                    if egress.take(sku):
                        continue
                    if (rate := _rate_of(sku)) is not None:
                        price = _unit_price(sku, _UNITS.get(rate.part, "h"))
                        for region in wanted.intersection(sku.get("serviceRegions") or ()):
                            rates[region, rate] = price
        except FeedFault as fault:
            errors = (FeedError("gcp", "*", fault.reason, fault.detail),)
        if observed is None:
            return FeedReport("gcp", None, errors=errors)
        if not errors:
            # Of some pages only, the dearest destination might be missing.
            tariffs = egress.told(wanted, observed)
            if egress.foreign:
                errors = (FeedError("gcp", "*", "malformed", f"egress prices: {', '.join(sorted(egress.foreign))} where USD was asked for"),)
        shapes: tuple[Shape, ...] = ()
        try:
            shapes = self._shapes.refreshed(observed)
        except FeedFault as fault:
            errors = (*errors, FeedError("gcp", "*", fault.reason, f"machine shapes: {fault.detail}"))
        scores, refused = self._scores.refreshed(wanted, [one.name for one in machines], observed)
        errors = (*errors, *(FeedError("gcp", region, fault.reason, f"capacity advice: {fault.detail}") for region, fault in refused))
        self._told.update((shape.name, shape) for shape in shapes)
        quotes: list[Quote] = []
        faults: list[Quarantined] = []
        for place in regions:
            for machine in (*machines, *self.scope.new_types):
                if machine.only is not None and place.name not in machine.only:
                    continue
                shape: Machine | Shape = self._told.get(machine.name, machine)
                prices: list[Price | Quarantined] = []
                for is_spot in (True, False):
                    core, gib = (rates.get((place.name, _Rate(machine.family, part, is_spot))) for part in _UNITS)
                    parts = [(shape.vcpu, core), (shape.memory_gib, gib)]
                    if machine.gpu:
                        parts.append((machine.gpu, rates.get((place.name, _Rate(machine.gpu_type or "", "Gpu", is_spot)))))
                    prices.append(_composed(OfferRef("gcp", place.name, "-", machine.name), parts, observed))
                faults += [price for price in prices if isinstance(price, Quarantined)]
                spot, listed = (Unknown("quarantined") if isinstance(price, Quarantined) else price for price in prices)
                if not isinstance(spot, Unknown):
                    quotes += [Quote(OfferRef("gcp", place.name, zone, machine.name), spot, listed, URL, observed) for zone in place.zones]
        return FeedReport("gcp", observed, tuple(quotes), tuple(faults), errors, shapes, tariffs, scores)

    def _bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token()}"}

    def _pages(self) -> Iterator[tuple[list[dict[str, Any]], datetime]]:
        params = {"currencyCode": "USD", "pageSize": "5000"}
        headers: dict[str, str] = {}
        if key := self._environment.get("GOOGLE_API_KEY"):
            headers["x-goog-api-key"] = key
        else:
            headers |= self._bearer()
        for _ in range(_PAGES):
            answer = self._fetcher.get(URL, params, headers)
            page = answer.json()
            skus = page.get("skus", [])
            if not isinstance(skus, list):
                raise FeedFault("malformed", "the catalogue sent a page whose skus are no list")
            yield [sku for sku in skus if isinstance(sku, dict)], answer.at
            token = page.get("nextPageToken")
            if not token:
                return
            params = {**params, "pageToken": str(token)}
        raise FeedFault("malformed", "the catalogue goes on naming next pages")


def _rate_of(sku: dict[str, Any]) -> _Rate | None:
    """Which rate a SKU states; None for all that no machine of the catalogue is made of."""
    usage = sku.get("category", {}).get("usageType")
    if usage not in ("OnDemand", "Preemptible"):
        return None
    head, _, _ = str(sku.get("description", "")).removeprefix("Spot Preemptible ").partition(" running in ")
    if (gpu := _GPUS.get(head.removesuffix(_SPOT_GPU))) is not None:
        return _Rate(gpu, "Gpu", usage == "Preemptible")
    words, _, part = head.rpartition(" ")
    family = _PREFIXES.get(words)
    return None if family is None or part not in _UNITS else _Rate(family, part, usage == "Preemptible")


def _unit_price(sku: dict[str, Any], unit: str) -> Decimal | str:
    """USD per unit, or what is wrong with it. The last ``pricingInfo`` is in force; ``units`` is text, ``nanos`` a number, either may be absent."""
    try:
        expression = sku["pricingInfo"][-1]["pricingExpression"]
        if expression["usageUnit"] != unit:
            return f"unit {expression['usageUnit']!r} where {unit!r} was expected"
        first = next(tier for tier in expression["tieredRates"] if not tier.get("startUsageAmount"))
        price = first["unitPrice"]
        if price.get("currencyCode", "USD") != "USD":
            return f"currency {price['currencyCode']!r}"
        return Decimal(price.get("units") or 0) + Decimal(price.get("nanos") or 0) / Decimal(10**9)
    except (KeyError, IndexError, TypeError, StopIteration, InvalidOperation):
        return "no readable price"


def _composed(offer: OfferRef, parts: Sequence[tuple[float, Decimal | str | None]], at: datetime) -> float | Unknown | Quarantined:
    """The price of a machine of ``parts``, each a number and the rate of one."""
    total = Decimal(0)
    if any(rate is None for _, rate in parts):
        return Unknown("not sold")
    for number, rate in parts:
        if rate is None or isinstance(rate, str):
            return Quarantined(offer, "currency" if str(rate).startswith("currency") else "malformed", str(rate), at)
        if rate <= 0:
            return Quarantined(offer, "zero" if rate == 0 else "negative", f"a rate of {rate} USD", at)
        total += Decimal(str(number)) * rate
    return price_or_fault(total, offer, at)
