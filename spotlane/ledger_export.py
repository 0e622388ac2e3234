"""The ledger's hours as rows for other tools: our own columns, or those of FOCUS 1.2. Pure.

FOCUS: the FinOps Open Cost and Usage Specification, version 1.2 (focus.finops.org). All its mandatory columns are there, and the conditional ones that the
ledger knows; ours begin with ``x_``, as it asks. What the ledger can't know: invoices (the clouds' own bills have them), taxes, credits, commitments. So
``BillingAccountId`` is the tenant, whose cost this is here, and an hour is ``Usage`` at a ``Dynamic`` price; ``ListCost`` is the on-demand price of that
very machine then, as the column asks; what the ledger compares with, on-demand where the workload began, is ``x_OnDemandCost``.
Costs may not be null there, and an unknown one is not 0: an hour whose paid or list price nobody knew has no row (:func:`whole`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotlane.wire import LedgerHour, OfferRef

PLAIN = (
    *("hour", "tenant", "workload", "placement", "cloud", "region", "zone", "instance_type", "seconds", "spot_usd_per_hour"),
    *("paid_usd", "on_demand_usd", "stayed_usd", "stayed_offer", "before_usd", "before_offer", "quote_source", "quote_observed_at"),
)
MANDATORY = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
)
CONDITIONAL = (
    *("AvailabilityZone", "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "RegionId"),
    *("RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceSubcategory", "SkuId", "SkuPriceId", "SubAccountId", "SubAccountName", "Tags"),
)
OWN = ("x_OnDemandCost", "x_StayedCost", "x_StayedOffer", "x_QuoteSource", "x_QuoteObservedAt")
FOCUS = (*sorted((*MANDATORY, *CONDITIONAL)), *OWN)
"""Header of the FOCUS form."""

_PROVIDERS = {
    "aws": ("AWS", "Amazon Elastic Compute Cloud"),
    "azure": ("Microsoft", "Virtual Machines"),
    "gcp": ("Google Cloud", "Compute Engine"),
}
_HOUR = timedelta(hours=1)


def period(month: str) -> tuple[datetime, datetime]:
    """Beginning and end (excluded) of a calendar month ``YYYY-MM``, in UTC. Raises ValueError for what is no month."""
    return _month(datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC))


def plain(hour: LedgerHour) -> dict[str, str]:
    """An hour by :data:`PLAIN`; empty where a figure is unknown."""
    offer, quote = hour.quote.offer, hour.quote
    spot = quote.spot_usd_per_hour
    values = (
        *(_time(hour.hour), hour.tenant, hour.workload, hour.placement, offer.cloud, offer.region, _known(offer.zone), offer.instance_type),
        *(f"{hour.seconds:g}", "" if spot is None else f"{spot:.6f}", _usd(hour.paid_usd), _usd(hour.on_demand_usd), _usd(hour.stayed_usd)),
        *(_offer(hour.stayed_offer), _usd(hour.before_usd), _offer(hour.before_offer), quote.source, _time(quote.observed_at)),
    )
    return dict(zip(PLAIN, values, strict=True))


def whole(hour: LedgerHour) -> bool:
    """Whether FOCUS can hold the hour: its costs must be known."""
    return hour.paid_usd is not None and hour.quote.on_demand_usd_per_hour is not None


def focus(hour: LedgerHour) -> dict[str, str]:
    """An hour by :data:`FOCUS`; empty is the specification's null. Raises ``ValueError`` for one that isn't :func:`whole`."""
    offer, paid, listed = hour.quote.offer, hour.paid_usd, hour.quote.on_demand_usd_per_hour
    if paid is None or listed is None:
        raise ValueError(f"{hour.placement} at {_time(hour.hour)}: FOCUS has no row for an hour of unknown cost")
    provider, service = _PROVIDERS[offer.cloud]
    quantity = Decimal(str(hour.seconds)) / 3600
    month_start, month_end = _month(hour.hour)
    row = dict.fromkeys(FOCUS, "")
    row |= dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost"), _usd(paid)) | {"ListCost": _unit(Decimal(str(listed)) * quantity)}
    row |= dict.fromkeys(("ContractedUnitPrice",), _unit(paid / quantity)) | {"ListUnitPrice": _unit(Decimal(str(listed)))}
    row |= dict.fromkeys(("PricingQuantity", "ConsumedQuantity"), _unit(quantity)) | dict.fromkeys(("PricingUnit", "ConsumedUnit"), "Hours")
    row |= {"BillingAccountId": hour.tenant, "BillingAccountName": hour.tenant, "BillingCurrency": "USD", "SubAccountId": hour.workload}
    row |= {"BillingPeriodStart": _time(month_start), "BillingPeriodEnd": _time(month_end), "SubAccountName": hour.workload}
    row |= {"ChargePeriodStart": _time(hour.hour), "ChargePeriodEnd": _time(hour.hour + _HOUR), "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based"}
    bought, category = ("spot", "Dynamic") if hour.capacity == "spot" else ("on demand", "Standard")
    row |= {"ChargeDescription": f"{offer.instance_type} in {offer.region}, {bought}, for {hour.workload}", "PricingCategory": category}
    row |= dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), provider)
    row |= {
        "ServiceCategory": "Compute",
        "ServiceName": service,
        "ServiceSubcategory": "Virtual Machines",
        "SkuId": offer.instance_type,
        "SkuPriceId": f"{offer.cloud}/{offer.region}/{offer.instance_type}/{hour.capacity}",
    }
    row |= {"RegionId": offer.region, "RegionName": offer.region, "AvailabilityZone": _known(offer.zone)}
    row |= {"ResourceId": hour.placement, "ResourceName": hour.placement, "ResourceType": "Spot machine" if hour.capacity == "spot" else "On-demand machine"}
    row |= {"Tags": json.dumps({"managed-by": "spotlane", "placement": hour.placement, "tenant": hour.tenant, "workload": hour.workload})}
    return row | {
        "x_OnDemandCost": _usd(hour.on_demand_usd),
        "x_StayedCost": _usd(hour.stayed_usd),
        "x_StayedOffer": _offer(hour.stayed_offer),
        "x_QuoteSource": hour.quote.source,
        "x_QuoteObservedAt": _time(hour.quote.observed_at),
    }


def _month(moment: datetime) -> tuple[datetime, datetime]:
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _usd(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:.6f}"


def _unit(figure: Decimal) -> str:
    """With so many digits that a unit's price times the quantity is the cost again, to a millionth."""
    return f"{figure:.12f}"


def _known(zone: str) -> str:
    return "" if zone == "-" else zone


def _offer(one: OfferRef | None) -> str:
    return "" if one is None else f"{one.cloud}/{one.region}/{one.zone}/{one.instance_type}"
