"""The ledger's hours: frozen by the hour, at the quotes in force, in parts where a placement began or ended inside one."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from automation.service.history import QuoteHistory
from automation.service.ledger import close
from automation.service.restlessness import Restlessness
from domain.placement.volatility import MEASURED
from spotlane import wire

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOME = wire.OfferRef(cloud="aws", region="eu-west-1", zone="eu-west-1a", instance_type="m5.large")
AWAY = wire.OfferRef(cloud="gcp", region="europe-west1", zone="europe-west1-b", instance_type="n2-standard-2")


def quote(offer: wire.OfferRef, spot: float, on_demand: float, at: datetime = NOON - timedelta(days=1)) -> wire.Quote:
    return wire.Quote(offer=offer, spot_usd_per_hour=spot, on_demand_usd_per_hour=on_demand, source="test", observed_at=at)


def placement(generation: int, offer: wire.OfferRef, served_from: datetime | None, served_until: datetime | None = None) -> wire.Placement:
    return wire.Placement(
        id=f"acme_web_{generation}",
        workload="web-acme",
        tenant="acme",
        generation=generation,
        state=wire.PlacementState.SERVING,
        offer=offer,
        origin="https://web-acme-1.origins.example.com",
        tcp_origin=None,
        quote=quote(offer, 1, 1),
        created_at=NOON,
        market_created_at=NOON,
        market_served_from=served_from,
        market_served_until=served_until,
    )


def history(tmp_path, *quotes: wire.Quote) -> QuoteHistory:
    book = QuoteHistory(tmp_path / "quotes.sqlite")
    book.record(quotes)
    return book


def test_a_full_hour_is_charged_at_the_spot_price_in_force_at_its_beginning(tmp_path) -> None:
    book = history(tmp_path, quote(HOME, 0.06, 0.1), quote(HOME, 0.09, 0.1, NOON + timedelta(minutes=30)))
    closing = close([placement(1, HOME, NOON)], book.in_force, None, NOON + timedelta(hours=1))
    assert [(hour.hour, hour.seconds, hour.paid_usd, hour.on_demand_usd, hour.stayed_usd) for hour in closing.hours] == [
        (NOON, 3600, Decimal("0.060000"), Decimal("0.100000"), Decimal("0.060000"))
    ]


def test_an_hour_still_running_is_left_open(tmp_path) -> None:
    book = history(tmp_path, quote(HOME, 0.06, 0.1))
    assert close([placement(1, HOME, NOON)], book.in_force, None, NOON + timedelta(minutes=59)).hours == []


def test_a_move_inside_an_hour_gives_each_placement_its_part(tmp_path) -> None:
    book = history(tmp_path, quote(HOME, 0.06, 0.1), quote(AWAY, 0.03, 0.08))
    moved = NOON + timedelta(minutes=15)
    closing = close([placement(1, HOME, NOON, moved), placement(2, AWAY, moved)], book.in_force, None, NOON + timedelta(hours=1))
    assert [(hour.placement, hour.seconds, hour.paid_usd, hour.stayed_usd) for hour in closing.hours] == [
        ("acme_web_1", 900, Decimal("0.015000"), Decimal("0.015000")),
        ("acme_web_2", 2700, Decimal("0.022500"), Decimal("0.045000")),
    ]


def test_an_hour_whose_price_nobody_knows_is_closed_as_unknown_an_hour_late_and_never_as_zero(tmp_path) -> None:
    closing = close([placement(1, HOME, NOON)], history(tmp_path).in_force, None, NOON + timedelta(hours=2))
    [hour] = closing.hours
    assert (hour.hour, hour.seconds, closing.unpriced) == (NOON, 3600, ["acme_web_1"])
    assert (hour.paid_usd, hour.on_demand_usd, hour.stayed_usd, hour.quote.spot_usd_per_hour, hour.quote.source) == (None, None, None, None, "unknown")


def test_a_price_that_is_told_late_is_charged_and_an_unknown_figure_leaves_the_known_ones_alone(tmp_path) -> None:
    book = history(tmp_path, quote(HOME, 0.06, 0.1))
    moved = placement(2, AWAY, NOON)
    began = placement(1, HOME, NOON - timedelta(hours=1), NOON)
    assert [one.placement for one in close([began, moved], book.in_force, None, NOON + timedelta(minutes=119)).hours] == ["acme_web_1"]
    [_, late] = close([began, moved], book.in_force, None, NOON + timedelta(hours=2)).hours
    assert (late.paid_usd, late.on_demand_usd, late.stayed_usd) == (None, Decimal("0.100000"), Decimal("0.060000"))
    book.record([quote(AWAY, 0.03, 0.08)])
    known = close([began, moved], book.in_force, None, NOON + timedelta(minutes=119)).hours
    assert [one.paid_usd for one in known] == [Decimal("0.060000"), Decimal("0.030000")]


def test_each_hour_of_unknown_price_is_closed_once_however_often_the_service_looks(tmp_path) -> None:
    empty, served, mark, rows = history(tmp_path), placement(1, HOME, NOON), None, []
    for minutes in range(0, 601, 7):
        closing = close([served], empty.in_force, mark, NOON + timedelta(minutes=minutes))
        mark = NOON + timedelta(minutes=minutes)
        rows += [one.hour for one in closing.hours]
    assert rows == [NOON + timedelta(hours=hour) for hour in range(8)]


def test_an_hour_holds_what_the_machine_that_was_left_would_have_cost(tmp_path) -> None:
    book = history(tmp_path, quote(HOME, 0.06, 0.1), quote(AWAY, 0.03, 0.08), quote(HOME, 0.09, 0.1, NOON))
    closing = close([placement(1, HOME, NOON - timedelta(hours=1), NOON), placement(3, AWAY, NOON)], book.in_force, None, NOON + timedelta(hours=1))
    assert [(one.before_offer, one.before_usd) for one in closing.hours] == [(None, None), (HOME, Decimal("0.090000"))]


def test_hours_closed_before_are_not_closed_again(tmp_path) -> None:
    book = history(tmp_path, quote(HOME, 0.06, 0.1))
    closing = close([placement(1, HOME, NOON - timedelta(hours=30))], book.in_force, NOON + timedelta(minutes=5), NOON + timedelta(hours=1))
    assert [hour.hour for hour in closing.hours] == [NOON - timedelta(hours=1), NOON]


def test_the_history_answers_with_the_last_quote_before_the_time_asked_for(tmp_path) -> None:
    book = history(tmp_path, quote(HOME, 0.06, 0.1, NOON), quote(HOME, 0.07, 0.1, NOON + timedelta(hours=2)))
    assert [getattr(book.in_force(HOME, NOON + timedelta(hours=h)), "spot_usd_per_hour", None) for h in (-1, 0, 1, 2, 9)] == [0.06, 0.06, 0.06, 0.07, 0.07]
    assert book.in_force(AWAY, NOON) is None


def test_the_history_tells_the_changes_of_a_clouds_pools_from_the_price_in_force_on(tmp_path) -> None:
    prices = [quote(HOME, 0.05 + 0.01 * number, 0.1, NOON + timedelta(days=number)) for number in range(4)]
    book = history(tmp_path, *prices, quote(AWAY, 0.03, 0.1))
    [(moments, found)] = book.changes("aws", NOON + timedelta(days=1, hours=1), NOON + timedelta(days=2, hours=1), 10)
    assert (moments, found) == ([(NOON + timedelta(days=days)).timestamp() for days in (1, 2)], [0.060000000000000005, 0.07])


def test_restless_prices_are_measured_from_what_was_recorded(tmp_path) -> None:
    # Two per cent up each day, for thirty days: in a week 14 %, whose square over a week's hours is the variance.
    book = history(tmp_path, *[quote(HOME, 0.05 * 1.02**day, 0.1, NOON + timedelta(days=day)) for day in range(30)])
    measured = Restlessness(book).at(NOON + timedelta(days=29, hours=23))
    assert measured.of("aws") == pytest.approx((7 * math.log(1.02)) ** 2 / 168, rel=1e-6)
    assert measured.of("gcp") == MEASURED.of("gcp")
