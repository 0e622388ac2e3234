"""The ledger's hours as rows for other tools: our own columns, or those of FOCUS 1.2. Pure.

FOCUS: the FinOps Open Cost and Usage Specification, version 1.2 (focus.finops.org). All its mandatory columns are there, and the conditional ones that the
ledger knows; ours begin with ``x_``, as it asks. What the ledger can't know: invoices (the clouds' own bills have them), taxes, credits, commitments. So
``BillingAccountId`` is the tenant, whose cost this is here, and an hour is ``Usage`` at a ``Dynamic`` price; ``ListCost`` is the on-demand price in force.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from spotlane.wire import LedgerHour

PLAIN = (
    *("hour", "tenant", "workload", "placement", "cloud", "region", "zone", "instance_type", "seconds", "spot_usd_per_hour"),
    *("paid_usd", "on_demand_usd", "stayed_usd", "stayed_offer", "quote_source", "quote_observed_at"),
)
MANDATORY = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
)
CONDITIONAL = (
    *("AvailabilityZone", "ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "RegionId"),
    *("RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceSubcategory", "SkuId", "SubAccountId", "SubAccountName", "Tags"),
)
OWN = ("x_StayedCost", "x_StayedOffer", "x_QuoteSource", "x_QuoteObservedAt")
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
        *(_offer(hour), quote.source, _time(quote.observed_at)),
    )
    return dict(zip(PLAIN, values, strict=True))


def focus(hour: LedgerHour) -> dict[str, str]:
    """An hour by :data:`FOCUS`; empty is the specification's null."""
    offer = hour.quote.offer
    provider, service = _PROVIDERS[offer.cloud]
    quantity = Decimal(str(hour.seconds)) / 3600
    month_start, month_end = _month(hour.hour)
    row = dict.fromkeys(FOCUS, "")
    row |= dict.fromkeys(("BilledCost", "EffectiveCost", "ContractedCost"), _usd(hour.paid_usd)) | {"ListCost": _usd(hour.on_demand_usd)}
    row |= dict.fromkeys(("ContractedUnitPrice",), _usd(hour.paid_usd / quantity)) | {"ListUnitPrice": _usd(hour.on_demand_usd / quantity)}
    row |= dict.fromkeys(("PricingQuantity", "ConsumedQuantity"), f"{quantity:.6f}") | dict.fromkeys(("PricingUnit", "ConsumedUnit"), "Hours")
    row |= {"BillingAccountId": hour.tenant, "BillingAccountName": hour.tenant, "BillingCurrency": "USD", "SubAccountId": hour.workload}
    row |= {"BillingPeriodStart": _time(month_start), "BillingPeriodEnd": _time(month_end), "SubAccountName": hour.workload}
    row |= {"ChargePeriodStart": _time(hour.hour), "ChargePeriodEnd": _time(hour.hour + _HOUR), "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based"}
    row |= {"ChargeDescription": f"{offer.instance_type} in {offer.region}, spot, for {hour.workload}", "PricingCategory": "Dynamic"}
    row |= dict.fromkeys(("InvoiceIssuerName", "ProviderName", "PublisherName"), provider)
    row |= {"ServiceCategory": "Compute", "ServiceName": service, "ServiceSubcategory": "Virtual Machines", "SkuId": offer.instance_type}
    row |= {"RegionId": offer.region, "RegionName": offer.region, "AvailabilityZone": _known(offer.zone)}
    row |= {"ResourceId": hour.placement, "ResourceName": hour.placement, "ResourceType": "Spot machine"}
    row |= {"Tags": json.dumps({"managed-by": "spotlane", "placement": hour.placement, "tenant": hour.tenant, "workload": hour.workload})}
    return row | {
        "x_StayedCost": _usd(hour.stayed_usd),
        "x_StayedOffer": _offer(hour),
        "x_QuoteSource": hour.quote.source,
        "x_QuoteObservedAt": _time(hour.quote.observed_at),
    }


def _month(moment: datetime) -> tuple[datetime, datetime]:
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _usd(amount: Decimal) -> str:
    return f"{amount:.6f}"


def _known(zone: str) -> str:
    return "" if zone == "-" else zone


def _offer(hour: LedgerHour) -> str:
    one = hour.stayed_offer
    return f"{one.cloud}/{one.region}/{one.zone}/{one.instance_type}"
