"""On demand where no spot machine may be had: when it is bought, at what price it counts, and when it is left again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.ledger import close
from automation.service.rebalancer import Rebalancer
from automation.service.spend import Spend
from domain.prices import Quote, Unknown
from domain.windows import Hold
from spotlane import wire
from tests.automation.test_rebalancer import CHEAPER, HERE, NOW, Edge, Prices
from tests.automation.test_redeploys import QUOTE, placement, workload
from tests.automation.test_standbys import THIRD, Held, interrupted, migration

HOUR = timedelta(hours=1)
REFUSED = {"status": "failed", "error": "api error InsufficientInstanceCapacity: none left"}
SHORT = (migration("deploy", HERE, None, HOUR, id="acme_web_8", **REFUSED), migration("deploy", CHEAPER, None, HOUR, id="acme_web_9", **REFUSED))
"""Both offers of the little market were refused an hour ago."""


class Listed(Prices):
    """HERE costs 0.10 on demand, CHEAPER 0.08, THIRD, where it is sold, 0.09; ``spot`` is theirs."""

    def __init__(self, *spot: float) -> None:
        super().__init__()
        told = zip((HERE, CHEAPER, THIRD), spot, (0.1, 0.08, 0.09), strict=False)
        self.quotes = tuple(Quote(ref, paid, listed, "test", NOW, 0.0) for ref, paid, listed in told)


@pytest.fixture
def start(tmp_path: Path) -> Any:
    made: list[Any] = []

    def begin(edge: Edge, *spot: float, holds: dict[str, Hold] | None = None) -> Rebalancer:
        history, watch = QuoteHistory(tmp_path / "quotes.sqlite"), FeedWatch(tmp_path / "feeds.sqlite", 6 * HOUR)
        made.extend((history, watch))
        prices = Listed(*(spot or (0.05, 0.02)))
        service = Rebalancer(edge, prices, history, 6.0, watch, lambda: NOW, lambda: holds or {})  # type: ignore[arg-type]  # fakes with the calls in use
        service.tick()
        return service

    yield begin
    for one in made:
        one.close()


def asking(placed: wire.Placement | None = None, **changes: Any) -> wire.Workload:
    """A workload that may be placed on demand."""
    state = wire.WorkloadState.PENDING if placed is None else wire.WorkloadState.RUNNING
    one = workload("a", placed).model_copy(update={"state": state})
    rules = one.spec.placement.model_copy(update={"fallback": "on-demand"} | changes)
    return one.model_copy(update={"spec": one.spec.model_copy(update={"placement": rules})})


def bought() -> wire.Placement:
    """A machine on demand on HERE, an hour old."""
    return placement(1, "a").model_copy(update={"capacity": "on-demand", "market_served_from": NOW - HOUR})


def on_spot() -> wire.Placement:
    return placement(1, "a").model_copy(update={"market_served_from": NOW - HOUR})


def test_where_every_offer_was_refused_on_spot_the_cheapest_on_demand_is_taken(start: Any) -> None:
    edge = Held(asking(), *SHORT)
    start(edge)
    [decision] = edge.decisions
    assert (decision.kind, decision.capacity, decision.offer and decision.offer.zone) == ("deploy", "on-demand", CHEAPER.zone)
    assert decision.reason.endswith("on demand, for no spot machine may be had")
    evidence = decision.evidence
    assert evidence is not None and evidence.expected_usd_per_hour == pytest.approx(0.08)
    assert (evidence.quote.spot_usd_per_hour, evidence.quote.on_demand_usd_per_hour) == (0.02, 0.08)


def test_nobody_gets_one_who_didnt_ask_whose_boundary_forbids_it_or_who_is_paused(start: Any) -> None:
    silent, forbidden, paused = (Held(one, *SHORT) for one in (asking(fallback="none"), asking(), asking()))
    forbidden.boundary = forbidden.boundary | {"spotOnly": True}
    start(silent)
    start(forbidden)
    start(paused, holds={"": Hold(paused=True)})
    assert (silent.decisions, forbidden.decisions, paused.decisions) == ([], [], [])


def test_a_cap_on_the_machines_price_holds_on_demand_too(start: Any) -> None:
    edge = Held(asking(max_usd_per_hour=0.07), *SHORT)
    start(edge)
    assert edge.decisions == []


def test_while_spot_may_be_had_it_is_taken(start: Any) -> None:
    edge = Held(asking(), SHORT[1])
    start(edge)
    assert [(one.capacity, one.offer and one.offer.zone) for one in edge.decisions] == [("spot", HERE.zone)]


def test_an_interruption_that_was_refused_once_is_answered_on_demand(start: Any) -> None:
    first = Held(asking(on_spot()))
    start(first, 0.05, 0.02, 0.03).incident(interrupted("acme_web_1"))
    assert [(one.kind, one.capacity) for one in first.decisions] == [("interruption", "spot")]
    again = Held(asking(on_spot()), migration("interruption", CHEAPER, HERE, timedelta(0), **REFUSED))
    start(again, 0.05, 0.02, 0.03).incident(interrupted("acme_web_1"))
    assert [(one.kind, one.capacity, one.from_placement) for one in again.decisions] == [("interruption", "on-demand", "acme_web_1")]


def test_what_was_refused_on_demand_is_not_asked_for_again(start: Any) -> None:
    refused = migration("deploy", CHEAPER, None, HOUR, id="acme_web_10", **REFUSED)
    refused = refused.model_copy(update={"decision": refused.decision.model_copy(update={"capacity": "on-demand"})})
    edge = Held(asking(), *SHORT, refused)
    start(edge)
    assert [(one.capacity, one.offer and one.offer.zone) for one in edge.decisions] == [("on-demand", HERE.zone)]


def test_a_machine_on_demand_goes_back_to_spot_where_that_costs_less(start: Any) -> None:
    edge = Held(asking(bought()))
    start(edge)
    [decision] = edge.decisions
    assert (decision.kind, decision.capacity, decision.from_placement, decision.offer and decision.offer.zone) == ("move", "spot", "acme_web_1", CHEAPER.zone)
    assert decision.reason == "goes back from on demand to spot, for 0.0200 instead of 0.1000 USD/h"


@pytest.mark.parametrize(("spot", "before", "reason"), [((0.2, 0.2), (), "cheapest: "), ((0.05, 0.02), SHORT, "no-capacity: ")], ids=["dear", "refused"])
def test_it_stays_where_spot_is_dearer_or_refused(start: Any, spot: tuple[float, float], before: tuple[wire.Migration, ...], reason: str) -> None:
    edge = Held(asking(bought()), *before)
    [item] = start(edge, *spot).plan().items
    assert (edge.decisions, item.verdict, item.reason.startswith(reason)) == ([], "stay", True)


def test_a_changed_declaration_is_redeployed_on_demand_where_spot_is_refused(start: Any) -> None:
    edge = Held(asking(bought()).model_copy(update={"fingerprint": "b"}), *SHORT)
    start(edge)
    assert [(one.kind, one.capacity, one.offer and one.offer.zone) for one in edge.decisions] == [("redeploy", "on-demand", HERE.zone)]


def test_ledger_and_caps_count_the_price_on_demand() -> None:
    one = asking(bought(), max_usd_per_month=100.0)
    [hour] = close([bought()], lambda offer, _: wire.Quote.model_validate(QUOTE | {"offer": offer}), None, NOW).hours
    assert (hour.capacity, hour.paid_usd, hour.on_demand_usd) == ("on-demand", Decimal("0.100000"), Decimal("0.100000"))
    book: Any = type("Book", (), {"ledger_months": lambda *_, **__: []})()
    months = Spend(book).months([one], {}, [], lambda: Listed(0.05, 0.02).quotes, NOW)
    assert months.of["web-acme"].usd_per_hour == pytest.approx(0.1)
    unknown = [Quote(HERE, 0.05, Unknown(), "test", NOW, 0.0)]
    assert Spend(book).months([one], {}, [], lambda: unknown, NOW).of["web-acme"].usd_per_hour == pytest.approx(0.1)
