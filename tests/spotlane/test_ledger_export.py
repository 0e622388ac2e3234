"""The ledger for other tools: every mandatory column of FOCUS 1.2 filled as it asks, sums that are the ledger's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spotlane import wire
from spotlane.ledger_export import FOCUS, MANDATORY, PLAIN, focus, period, plain

OFFER = wire.OfferRef(cloud="aws", region="eu-west-1", zone="eu-west-1a", instance_type="m7g.large")
HOUR = wire.LedgerHour(
    placement="acme_web_3",
    workload="web-acme",
    tenant="acme",
    hour=datetime(2026, 12, 31, 23, tzinfo=UTC),
    seconds=900,
    paid_usd=Decimal("0.0100"),
    on_demand_usd=Decimal("0.0250"),
    stayed_usd=Decimal("0.0125"),
    quote=wire.Quote(
        offer=OFFER,
        spot_usd_per_hour=0.04,
        on_demand_usd_per_hour=0.1,
        source="ec2:DescribeSpotPriceHistory",
        observed_at=datetime(2026, 12, 31, 22, 50, tzinfo=UTC),
    ),
    stayed_offer=OFFER.model_copy(update={"region": "eu-central-1"}),
)


def test_mandatory_columns_are_all_there_and_only_the_class_of_a_correction_is_null() -> None:
    row = focus(HOUR)
    assert tuple(row) == FOCUS
    assert [name for name in MANDATORY if not row[name]] == ["ChargeClass"]


def test_an_hour_is_usage_at_a_dynamic_price_with_its_period_and_month() -> None:
    row = focus(HOUR)
    assert (row["ChargeCategory"], row["PricingCategory"], row["ServiceCategory"], row["ServiceSubcategory"]) == (
        "Usage",
        "Dynamic",
        "Compute",
        "Virtual Machines",
    )
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == ("2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z")
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")


def test_costs_are_the_ledgers_and_unit_prices_times_quantity_give_them_again() -> None:
    row = {name: Decimal(value) for name, value in focus(HOUR).items() if name.endswith(("Cost", "Price", "Quantity"))}
    assert (row["BilledCost"], row["EffectiveCost"], row["ListCost"], row["x_StayedCost"]) == (
        HOUR.paid_usd,
        HOUR.paid_usd,
        HOUR.on_demand_usd,
        HOUR.stayed_usd,
    )
    assert row["ContractedUnitPrice"] * row["PricingQuantity"] == row["ContractedCost"]
    assert row["ListUnitPrice"] * row["PricingQuantity"] == row["ListCost"]


def test_tags_are_json_and_a_zone_that_is_not_known_is_null() -> None:
    anywhere = HOUR.model_copy(update={"quote": HOUR.quote.model_copy(update={"offer": OFFER.model_copy(update={"zone": "-"})})})
    assert (focus(HOUR)["AvailabilityZone"], focus(anywhere)["AvailabilityZone"]) == ("eu-west-1a", "")
    assert json.loads(focus(HOUR)["Tags"])["workload"] == "web-acme"


def test_the_plain_form_says_an_unknown_price_by_an_empty_field() -> None:
    unknown = HOUR.model_copy(update={"quote": HOUR.quote.model_copy(update={"spot_usd_per_hour": None})})
    assert tuple(plain(HOUR)) == PLAIN
    assert (plain(HOUR)["spot_usd_per_hour"], plain(unknown)["spot_usd_per_hour"], plain(HOUR)["stayed_offer"]) == (
        "0.040000",
        "",
        "aws/eu-central-1/eu-west-1a/m7g.large",
    )


def test_a_month_is_whole_in_utc_and_anything_else_is_refused() -> None:
    start, end = period("2026-12")
    assert (start, end - start) == (datetime(2026, 12, 1, tzinfo=UTC), timedelta(days=31))
    with pytest.raises(ValueError, match=r"month must be in 1\.\.12"):
        period("2026-13")
