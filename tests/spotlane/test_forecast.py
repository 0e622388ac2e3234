"""The forecast of a month: the ledger's own hours, then the mean rate of its last day."""

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
from spotlane.forecast import forecast
from tests.spotlane.test_ledger_export import HOUR

BEGIN, END = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)


def hours(count: int, paid: str = "0.1", begin: datetime = BEGIN) -> list[wire.LedgerHour]:
    return [HOUR.model_copy(update={"hour": begin + timedelta(hours=n), "paid_usd": Decimal(paid)}) for n in range(count)]


def test_what_is_left_of_the_month_costs_the_mean_of_the_last_24_hours() -> None:
    told = forecast(hours(24) + hours(24, "0.3", BEGIN + timedelta(hours=24)), BEGIN, END)
    assert (told.as_of, told.paid_usd, told.usd_per_hour) == (BEGIN + timedelta(hours=48), Decimal("9.6"), Decimal("0.3"))
    assert told.forecast_usd == Decimal("9.6") + Decimal("0.3") * (720 - 48)


def test_a_younger_ledger_gives_its_rate_by_the_hours_it_has() -> None:
    assert forecast(hours(6), BEGIN, END).usd_per_hour == Decimal("0.1")


def test_a_month_that_is_over_forecasts_what_was_paid() -> None:
    assert forecast(hours(721), BEGIN, END).forecast_usd == Decimal("72.0")


def test_without_an_hour_no_rate_and_no_forecast_is_known() -> None:
    told = forecast([], BEGIN, END)
    assert (told.as_of, told.usd_per_hour, told.forecast_usd) == (None, None, None)


def test_the_command_prints_the_figures_and_refuses_what_is_no_month(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spend, "edge", lambda: SimpleNamespace(ledger_hours=lambda tenant, workload: hours(24)))
    shown = CliRunner().invoke(cli, ["forecast", "--month", "2026-04"])
    assert shown.output == "2026-04: paid 2.40 USD up to 2026-04-02 00:00 UTC\nby its end: 72.00 USD, at 0.1000 USD/h\n"
    told = json.loads(CliRunner().invoke(cli, ["forecast", "--month", "2026-04", "--json"]).output)
    assert told.pop("unknownHours") == 0
    assert told == {"month": "2026-04", "asOf": "2026-04-02T00:00:00+00:00", "paidUsd": "2.4", "usdPerHour": "0.1000", "forecastUsd": "72.0000"}
    refused = CliRunner().invoke(cli, ["forecast", "--month", "2026-13"])
    assert refused.exit_code == 2
    assert "YYYY-MM" in refused.output
