"""The daemon and the availability that a workload asks for: when a machine more is held, of which kind and where, when it is given up, and what is said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from automation.service.feed_watch import FeedWatch
from automation.service.fleets import Prices as ZonePrices
from automation.service.fleets import cold_start_hours, goal_of, recalled, usable
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from domain.placement.domains import Domains
from domain.prices import Quote
from domain.scores import PER_HOUR, Scores
from domain.told import Grade, Score
from domain.windows import Hold
from spotlane import wire
from tests.automation.test_rebalancer import CHEAPER, HERE, NOW, Prices
from tests.automation.test_standbys import HOUR, THIRD, Held, beside, interrupted, migration, several, standby

MINUTE = timedelta(minutes=1)
REFUSED = {"status": "failed", "error": "api error InsufficientInstanceCapacity: none left"}


class Kept(Held):
    """An edge that lists the placements of its workload, and of before."""

    def __init__(self, held: wire.Workload, *moved: wire.Migration, before: Iterable[wire.Placement] = ()) -> None:
        super().__init__(held, *moved)
        self.before = list(before)

    def placements(self, _: str) -> list[wire.Placement]:
        first = [] if self.held.placement is None else [self.held.placement]
        return [*first, *self.held.further, *self.before]


class Even(Prices):
    """Three zones at 0.02 USD/h on spot and 0.05 on demand."""

    def __init__(self, scores: Scores = Scores()) -> None:
        super().__init__(scores=scores)
        self.quotes = tuple(Quote(ref, 0.02, 0.05, "test", NOW, 0.0001) for ref in (HERE, CHEAPER, THIRD))


@pytest.fixture
def start(tmp_path: Path) -> Any:
    made: list[Any] = []

    def begin(edge: Held, holds: dict[str, Hold] | None = None, scores: Scores = Scores()) -> Rebalancer:
        history, watch = QuoteHistory(tmp_path / f"quotes{len(made)}.sqlite"), FeedWatch(tmp_path / f"feeds{len(made)}.sqlite", 6 * HOUR)
        made.extend((history, watch))
        service = Rebalancer(edge, Even(scores), history, 6.0, watch, lambda: NOW, lambda: holds or {})  # type: ignore[arg-type]  # fakes with the calls in use
        service.tick()
        return service

    yield begin
    for one in made:
        one.close()


def available(number: int, *further: wire.Placement, availability: float | None = 0.99, **rules: Any) -> wire.Workload:
    """A workload of so many machines that asks for an availability; it has the first and ``further``."""
    one = several(number, *further)
    assert one.placement is not None
    one = one.model_copy(update={"placement": one.placement.model_copy(update={"market_created_at": NOW - HOUR - 2 * MINUTE})})
    asked = one.spec.placement.model_copy(update={"availability": availability} | rules)
    return one.model_copy(update={"spec": one.spec.model_copy(update={"placement": asked})})


def lost(zone: Any, minutes: int) -> wire.Migration:
    """A machine of another time was taken back there; another zone took it up."""
    return migration("interruption", HERE, zone, minutes * MINUTE, id=f"acme_web_{20 + minutes}", fromPlacement=f"acme_web_{10 + minutes}")


BURST = (lost(THIRD, 3), lost(THIRD, 5))


def test_in_quiet_zones_it_holds_what_is_asked_for_and_says_what_one_more_would_cost(start: Any) -> None:
    edge = Kept(available(2, beside(CHEAPER, 2)))
    first = start(edge).plan().items[0]
    assert edge.decisions == []
    assert first.holding is not None and (first.holding.chosen.spot, first.holding.chosen.on_demand) == (2, 0)
    assert (first.holding.others[0].spot, first.holding.others[0].usd_per_hour, first.holding.others[0].risk_usd_per_hour) == (3, pytest.approx(0.06), 0.0)
    assert [(one.zone, one.held) for one in first.holding.zones] == [(HERE.zone, 1), (CHEAPER.zone, 1)]


def test_after_a_burst_of_losses_a_spare_is_bought_in_another_failure_domain_with_its_evidence(start: Any) -> None:
    edge = Kept(available(2, beside(CHEAPER, 2)), *BURST)
    service = start(edge)
    [decision] = edge.decisions
    assert (decision.kind, decision.role, decision.capacity, decision.offer and decision.offer.zone) == ("deploy", "serving", "spot", THIRD.zone)
    assert decision.holding is not None and decision.holding.chosen.spot == 3
    held = {one.zone: one.losses_per_hour for one in decision.holding.zones}
    assert held[THIRD.zone] > held[HERE.zone] > PER_HOUR[Grade.LOW]
    assert decision.reason.startswith("for an availability of 99.0000% of 2 machines it holds 3 on spot: 0.0600 USD/h, ")
    assert "where 2 on spot: 0.0400 USD/h, and shortages are worth " in decision.reason
    shown = service.plan().items
    assert shown[0].holding is not None and shown[-1].holding == decision.holding and shown[-1].verdict == "deploy"


def test_a_spare_is_given_up_when_the_zones_are_quiet_again(start: Any) -> None:
    edge = Kept(available(2, beside(CHEAPER, 2), beside(THIRD, 3)), lost(THIRD, 60 * 24))
    items = start(edge).plan().items
    [decision] = edge.decisions
    assert (decision.kind, decision.from_placement, decision.offer) == ("retire", "acme_web_3", None)
    assert decision.holding is not None and decision.holding.chosen.spot == 2
    assert decision.reason.endswith("acme_web_3 isn't needed any more") and items[-1].holding == decision.holding


def test_the_first_machine_goes_too_where_its_zone_is_the_one_that_is_left(start: Any) -> None:
    restless = [lost(HERE, 60 * hours) for hours in (20, 21, 22)]
    edge = Kept(available(2, beside(CHEAPER, 2), beside(THIRD, 3)), *restless)
    start(edge)
    assert [(one.kind, one.from_placement) for one in edge.decisions] == [("retire", "acme_web_1")]


def test_who_asks_for_no_availability_holds_the_number_and_nothing_else(start: Any) -> None:
    edge = Kept(available(2, beside(CHEAPER, 2), availability=None), *BURST)
    assert start(edge).plan().items[0].holding is None
    assert edge.decisions == []


@pytest.mark.parametrize(("cap", "kinds"), [(31.0, []), (60.0, ["deploy"])])
def test_a_spare_breaks_no_monthly_cap(start: Any, cap: float, kinds: list[str]) -> None:
    # On New Year's day 0.04 USD/h are 30 USD a month.
    edge: Any = Kept(available(2, beside(CHEAPER, 2), max_usd_per_month=cap), *BURST)
    edge.ledger_months, edge.raise_alerts = (lambda *_, **__: []), (lambda alerts: alerts)
    item = start(edge).plan().items[-1]
    assert [one.kind for one in edge.decisions] == kinds
    assert kinds or (item.verdict == "no_offer" and item.counts["over-month-cap"] == 1)


def test_what_is_held_gets_no_spare_and_loses_none(start: Any) -> None:
    for one in (available(2, beside(CHEAPER, 2)), available(2, beside(CHEAPER, 2), beside(THIRD, 3))):
        moved = BURST if len(one.further) == 1 else ()
        edge = Kept(one, *moved)
        start(edge, {"workload:web-acme": Hold(paused=True)})
        assert edge.decisions == []


def test_where_spot_is_taken_back_again_and_again_a_machine_on_demand_is_held_for_those_who_ask(start: Any) -> None:
    worst = [lost(zone, minutes) for minutes, zone in enumerate((HERE, CHEAPER, THIRD) * 6, 1)]
    short = [migration("deploy", THIRD, None, 2 * MINUTE, id="acme_web_90", **REFUSED)]
    for fallback, bought in (("on-demand", ["on-demand"]), ("none", [])):
        edge = Kept(available(2, beside(CHEAPER, 2), fallback=fallback, availability=0.999), *worst, *short)
        start(edge)
        assert [one.capacity for one in edge.decisions] == bought


def test_a_machine_on_demand_that_is_held_doesnt_go_back_to_spot_but_one_that_isnt_does(start: Any) -> None:
    worst = [lost(zone, minutes) for minutes, zone in enumerate((HERE, CHEAPER, THIRD) * 6, 1)]
    short = migration("deploy", THIRD, None, 2 * MINUTE, id="acme_web_90", **REFUSED)
    for moved, verdict in (([*worst, short], "stay"), ([], "move")):
        edge = Kept(available(2, beside(CHEAPER, 2, capacity="on-demand"), fallback="on-demand", availability=0.999), *moved)
        items = {one.placement: one for one in start(edge).plan().items if one.role == "serving" and one.verdict != "retire"}
        assert items["acme_web_2"].verdict == verdict


def test_a_placement_score_says_what_is_expected_before_anything_was_lost(start: Any) -> None:
    scores = Scores().told([Score(HERE, Grade.LOW, "1 of 10", "test", NOW)])
    holding = start(Kept(available(2, beside(CHEAPER, 2))), scores=scores).plan().items[0].holding
    assert holding is not None
    rates = {one.zone: one.losses_per_hour for one in holding.zones}
    assert rates[HERE.zone] > 3 * rates[CHEAPER.zone]


def test_a_refusal_by_spot_keeps_the_fleet_from_asking_there_for_a_while(start: Any) -> None:
    edge = Kept(available(2, beside(CHEAPER, 2)), *BURST, migration("deploy", THIRD, None, 2 * MINUTE, id="acme_web_90", **REFUSED))
    start(edge)
    assert edge.decisions == []


def test_all_of_it_is_recalled_from_what_the_edge_keeps() -> None:
    goal = goal_of(available(2), None)
    told = [beside(CHEAPER, 2), beside(THIRD, 3, market_served_until=NOW - MINUTE), beside(HERE, 4, capacity="on-demand")]
    again = migration(
        "interruption", HERE, THIRD, 2 * MINUTE, id="acme_web_24", fromPlacement="acme_web_13", status="failed", error="api error VcpuLimitExceeded"
    )
    seen = recalled(told, [lost(THIRD, 3), again], NOW, goal)
    assert set(seen.zones) == {"aws/eu-west-1/eu-west-1b", "aws/eu-west-1/eu-west-1c"}
    assert seen.zones["aws/eu-west-1/eu-west-1c"].lost[1] == pytest.approx(0.5 ** (3 / 60 / 24))
    assert seen.zones["aws/eu-west-1/eu-west-1b"].held[1] == pytest.approx(1.0, abs=0.02)


def test_a_machine_takes_as_long_as_the_middle_of_those_on_record() -> None:
    begun = NOW - 10 * HOUR
    made = [beside(HERE, number, beside=False, market_created_at=begun, market_served_from=begun + number * MINUTE) for number in (2, 4, 30)]
    assert cold_start_hours(made) == pytest.approx(4 / 60)
    assert cold_start_hours([]) is None


def test_zones_that_fail_together_with_one_that_is_held_are_not_asked() -> None:
    prices = ZonePrices({zone[:3]: 0.02 for zone in (HERE, CHEAPER, THIRD)}, None, {})
    together = Domains({HERE[:3]: frozenset({THIRD[:3]}), THIRD[:3]: frozenset({HERE[:3]})})
    assert set(usable(prices, available(2, beside(CHEAPER, 2)), together).spot) == {HERE[:3], CHEAPER[:3]}


def test_a_standby_stands_in_for_the_spare() -> None:
    one = available(2, beside(CHEAPER, 2), warm_standby=True)
    goal = goal_of(one.model_copy(update={"further": [*one.further, standby(THIRD, 3)]}), None)
    assert (goal.spare, goal.standing_by) == (0, 1)
    assert (goal_of(available(2), None).spare, goal_of(available(2), None).standing_by) == (1, 0)


def test_a_machine_that_is_taken_back_is_replaced_in_the_zone_that_is_worth_most_not_in_the_next_best_of_its_own(start: Any) -> None:
    class Two(Even):
        """Each zone has two types: those where machines were lost are cheaper."""

        def __init__(self) -> None:
            super().__init__()
            kinds = ((ref, usd, kind) for ref, usd in ((HERE, 0.019), (CHEAPER, 0.019), (THIRD, 0.02)) for kind in ("m5.large", "m6i.large"))
            self.quotes = tuple(Quote(ref._replace(instance_type=kind), usd, 0.05, "test", NOW, 0.0001) for ref, usd, kind in kinds)

    for availability, zone in ((0.99, THIRD.zone), (None, HERE.zone)):
        edge = Kept(available(2, beside(CHEAPER, 2), availability=availability))
        service = start(edge)
        service._collection.quotes = Two().quotes  # type: ignore[attr-defined]  # the fake's
        edge.decisions.clear()
        service.incident(interrupted("acme_web_1"))
        assert [(one.kind, one.offer and one.offer.zone) for one in edge.decisions] == [("interruption", zone)]


def test_without_another_offer_one_that_took_a_machine_back_is_used_again_after_ten_minutes(start: Any) -> None:
    edge = Kept(available(2, beside(CHEAPER, 2), availability=None, regions=["eu-west-1"]))
    service = start(edge)
    service._decider.interrupted(THIRD, NOW - 11 * MINUTE)
    service.incident(interrupted("acme_web_1"))
    assert [one.offer and one.offer.zone for one in edge.decisions] == [THIRD.zone]
