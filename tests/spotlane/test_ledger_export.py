"""The ledger for other tools: every mandatory column of FOCUS 1.2 filled as it asks, sums that are the ledger's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from spotlane import wire
from spotlane.cli import spend
from spotlane.cli.main import cli
from spotlane.ledger_export import FOCUS, MANDATORY, PLAIN, focus, period, plain, whole

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


def test_an_hour_on_demand_is_one_at_a_standard_price() -> None:
    row = focus(HOUR.model_copy(update={"capacity": "on-demand"}))
    assert (row["PricingCategory"], row["ResourceType"], row["SkuPriceId"]) == ("Standard", "On-demand machine", "aws/eu-west-1/m7g.large/on-demand")
    assert row["ChargeDescription"] == "m7g.large in eu-west-1, on demand, for web-acme"


def test_costs_are_the_ledgers_and_unit_prices_times_quantity_give_them_again() -> None:
    row = {name: Decimal(value) for name, value in focus(HOUR).items() if name.endswith(("Cost", "Price", "Quantity"))}
    assert (row["BilledCost"], row["EffectiveCost"], row["x_OnDemandCost"], row["x_StayedCost"]) == (
        HOUR.paid_usd,
        HOUR.paid_usd,
        HOUR.on_demand_usd,
        HOUR.stayed_usd,
    )
    assert row["ContractedUnitPrice"] * row["PricingQuantity"] == row["ContractedCost"]
    assert row["ListUnitPrice"] * row["PricingQuantity"] == row["ListCost"] == Decimal("0.1") * 900 / 3600


@pytest.mark.parametrize("seconds", [1.0, 1234.5, 3599.0])
def test_a_part_of_an_hour_costs_its_unit_price_times_its_quantity_to_a_millionth(seconds: float) -> None:
    row = {name: Decimal(value) for name, value in focus(HOUR.model_copy(update={"seconds": seconds})).items() if name.endswith(("Cost", "Price", "Quantity"))}
    for cost, price in (("ContractedCost", "ContractedUnitPrice"), ("ListCost", "ListUnitPrice")):
        assert abs(row[price] * row["PricingQuantity"] - row[cost]) < Decimal("0.000001")


def test_a_price_of_a_list_has_one_sku_and_the_list_price_is_that_of_the_machine_that_ran() -> None:
    row = focus(HOUR)
    assert (row["SkuId"], row["SkuPriceId"], Decimal(row["ListUnitPrice"])) == ("m7g.large", "aws/eu-west-1/m7g.large/spot", Decimal("0.1"))


def test_an_hour_of_unknown_cost_has_no_row_in_focus_and_an_empty_field_in_the_plain_form() -> None:
    unpaid = HOUR.model_copy(update={"paid_usd": None})
    unlisted = HOUR.model_copy(update={"quote": HOUR.quote.model_copy(update={"on_demand_usd_per_hour": None})})
    assert [whole(one) for one in (HOUR, unpaid, unlisted)] == [True, False, False]
    with pytest.raises(ValueError, match="acme_web_3 at 2026-12-31T23:00:00Z: FOCUS has no row for an hour of unknown cost"):
        focus(unpaid)
    assert (plain(unpaid)["paid_usd"], plain(unpaid)["on_demand_usd"]) == ("", "0.025000")


def test_focus_on_the_command_line_leaves_unknown_hours_out_and_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = [HOUR, HOUR.model_copy(update={"paid_usd": None})]
    monkeypatch.setattr(spend, "edge", lambda: SimpleNamespace(ledger_hours=lambda tenant, workload, month: hours))
    shown = CliRunner().invoke(cli, ["ledger", "--format", "focus"])
    assert (len(shown.stdout.splitlines()), shown.exit_code) == (2, 0)
    assert len(CliRunner().invoke(cli, ["ledger", "--format", "csv"]).stdout.splitlines()) == 3


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
