"""The daemon and standbys: when one is made, where it may stand, when it takes over, when it is given up; and what it costs."""

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
from automation.service.standbys import Retire, apart, as_one_of, as_standby, failures, ranks, retired
from domain.catalog import OfferRef
from domain.placement.domains import Domains, Failure
from domain.prices import Quote
from domain.windows import Hold
from spotlane import wire
from tests.automation.test_rebalancer import CHEAPER, HERE, NOW, Edge, Prices
from tests.automation.test_redeploys import QUOTE, placement, workload

THIRD = OfferRef("aws", "eu-west-1", "eu-west-1c", "m5.large")
FOURTH = OfferRef("aws", "eu-west-1", "eu-west-1d", "m5.large")
HOUR = timedelta(hours=1)


def on(offer: OfferRef, one: wire.Placement, **changes: Any) -> wire.Placement:
    return one.model_copy(update={"offer": one.offer.model_copy(update={"zone": offer.zone}), **changes})


def served(**changes: Any) -> wire.Workload:
    """A workload that has served from HERE for an hour, and asks for a standby."""
    one = workload("a", placement(1, "a").model_copy(update={"market_served_from": NOW - HOUR}))
    rules = one.spec.placement.model_copy(update={"warm_standby": True})
    return one.model_copy(update={"spec": one.spec.model_copy(update={"placement": rules}), **changes})


def standby(offer: OfferRef = THIRD, generation: int = 2, **changes: Any) -> wire.Placement:
    """A standby that has been ready for an hour."""
    known = {"state": wire.PlacementState.STANDBY, "market_ready_from": NOW - HOUR, "beside": True}
    return on(offer, placement(generation, "a"), **(known | changes))


def guarded(**changes: Any) -> wire.Workload:
    return served(further=[standby()], **changes)


class Three(Prices):
    """HERE is cheap; of the others CHEAPER costs less than THIRD, and ``more`` are dearer still."""

    def __init__(self, *more: OfferRef) -> None:
        super().__init__()
        told = ((HERE, 0.01), (CHEAPER, 0.02), (THIRD, 0.021), *((one, 0.022) for one in more))
        self.quotes = tuple(Quote(ref, spot, 0.1, "test", NOW, 0.0) for ref, spot in told)


class Held(Edge):
    """An edge with migrations of before."""

    def __init__(self, held: wire.Workload, *moved: wire.Migration) -> None:
        super().__init__(held)
        self.moved = moved

    def migrations(self) -> list[wire.Migration]:
        return list(self.moved)


@pytest.fixture
def start(tmp_path: Path) -> Any:
    made: list[Any] = []

    def begin(edge: Edge, holds: dict[str, Hold] | None = None, more: tuple[OfferRef, ...] = ()) -> Rebalancer:
        history, watch = QuoteHistory(tmp_path / "quotes.sqlite"), FeedWatch(tmp_path / "feeds.sqlite", 6 * HOUR)
        made.extend((history, watch))
        service = Rebalancer(edge, Three(*more), history, 6.0, watch, lambda: NOW, lambda: holds or {})  # type: ignore[arg-type]  # fakes with the calls in use
        service.tick()
        return service

    yield begin
    for one in made:
        one.close()


def migration(kind: str, to: OfferRef, left: OfferRef | None, ago: timedelta, **changes: Any) -> wire.Migration:
    """One of before: it brought the workload from ``left`` to ``to``."""
    quote = QUOTE | {"offer": QUOTE["offer"] | {"zone": left.zone}} if left else None  # type: ignore[operator]  # a dictionary
    offer = QUOTE["offer"] | {"zone": to.zone}  # type: ignore[operator]  # a dictionary
    figures = {
        "quoteAgeSeconds": 0,
        "expectedUsdPerHour": 1,
        "currentUsdPerHour": 1,
        "moveCostUsd": 0,
        "horizonHours": 1,
        "netSavingUsd": 0,
        "netSavingShare": 0,
    }
    evidence = {"marketNow": NOW - ago, "quote": QUOTE, "currentQuote": quote, "offersConsidered": 1, "alternatives": []} | figures
    known = {"id": "d", "workload": "web-acme", "kind": kind, "offer": offer, "fromPlacement": "acme_web_1", "boundaryDigest": "sha256:" + "0" * 64}
    identity = {"id": "acme_web_7", "workload": "web-acme", "tenant": "acme", "generation": 7, "kind": kind, "step": "done", "status": "succeeded"}
    rest = {"fencingToken": 2, "fromPlacement": "acme_web_1", "routeVersion": 2, "error": None, "startedAt": NOW, "finishedAt": NOW}
    return wire.Migration.model_validate(identity | rest | {"decision": known | {"evidence": evidence, "reason": ""}} | changes)


def interrupted(placed: str) -> wire.Incident:
    return wire.Incident(placement=placed, kind="interruption", deadline=NOW + timedelta(minutes=2), detail="taken back")


def test_a_workload_that_asks_for_a_standby_gets_the_cheapest_in_another_zone(start: Any) -> None:
    edge = Held(served())
    start(edge)
    [decision] = edge.decisions
    assert (decision.kind, decision.role, decision.from_placement, decision.offer and decision.offer.zone) == ("deploy", "standby", None, CHEAPER.zone)
    assert decision.evidence is not None and decision.evidence.counts["peer"] == 1


def test_it_stands_in_no_zone_that_was_seen_to_fail_together_with_the_one_that_serves(start: Any) -> None:
    spells = ((24 * HOUR, HERE), (23.9 * HOUR, CHEAPER), (48 * HOUR, HERE), (47.9 * HOUR, CHEAPER))
    both = [migration("interruption", THIRD, zone, ago) for ago, zone in spells]
    edge = Held(served(), *both)
    start(edge)
    assert [one.offer.zone for one in edge.decisions if one.offer is not None] == [THIRD.zone]


@pytest.mark.parametrize("state", ["PENDING", "UNHEALTHY", "INTERRUPTED"])
def test_what_serves_comes_first(start: Any, state: str) -> None:
    edge = Held(served(state=wire.WorkloadState(state)))
    start(edge)
    assert [one.role for one in edge.decisions if one.role == "standby"] == []


def test_a_paused_workload_gets_none_and_keeps_the_one_that_it_has(start: Any) -> None:
    for one in (served(), served(further=[standby(), standby(CHEAPER, 3)])):
        edge = Held(one)
        start(edge, {"workload:web-acme": Hold(paused=True)})
        assert edge.decisions == []


def test_a_standby_is_judged_by_its_own_prices_and_the_plan_shows_it(start: Any) -> None:
    edge = Held(guarded())
    plan = start(edge).plan()
    assert [(one.role, one.verdict) for one in plan.items] == [("serving", "stay"), ("standby", "stay")]
    assert plan.items[1].evidence is not None and plan.items[1].evidence.current_quote is not None
    assert plan.items[1].evidence.current_quote.offer.zone == THIRD.zone


def test_an_interruption_has_it_take_over_with_the_evidence_of_its_own_offer(start: Any) -> None:
    edge = Held(guarded())
    started = start(edge).incident(interrupted("acme_web_1"))
    assert started is not None
    [decision] = edge.decisions
    assert (decision.kind, decision.promote, decision.from_placement, decision.role) == ("interruption", "acme_web_2", "acme_web_1", "serving")
    assert decision.deadline == NOW + timedelta(minutes=2)
    assert decision.evidence is not None and decision.evidence.quote.offer.zone == THIRD.zone


def test_it_takes_over_also_where_nobody_quotes_its_offer_any_more(start: Any) -> None:
    unsold = OfferRef("aws", "eu-west-1", "eu-west-1d", "m5.large")
    edge = Held(served(further=[standby(unsold)]))
    service = start(edge)
    edge.decisions.clear()
    service.incident(interrupted("acme_web_1"))
    [decision] = edge.decisions
    assert (decision.promote, decision.evidence) == ("acme_web_2", None)


def test_a_standby_that_is_interrupted_is_replaced_apart_from_what_serves(start: Any) -> None:
    edge = Held(guarded())
    start(edge).incident(interrupted("acme_web_2"))
    [decision] = edge.decisions
    assert (decision.kind, decision.role, decision.from_placement, decision.promote) == ("interruption", "standby", "acme_web_2", None)
    assert decision.offer is not None and decision.offer.zone == CHEAPER.zone


def test_an_interruption_doesnt_wait_for_a_standby_that_is_being_made_but_for_its_own_machines_move(start: Any) -> None:
    moving = served(active_migration="acme_web_7")
    made = migration("deploy", THIRD, None, HOUR, status="running", step="provision")
    of_standby = made.model_copy(update={"decision": made.decision.model_copy(update={"role": "standby"})})
    edge = Held(moving, of_standby)
    start(edge).incident(interrupted("acme_web_1"))
    assert [(one.kind, one.promote) for one in edge.decisions] == [("interruption", None)]
    waits = Held(moving, migration("move", THIRD, HERE, HOUR, status="running", step="provision"))
    start(waits).incident(interrupted("acme_web_1"))
    assert waits.decisions == []


def test_one_that_nobody_asks_for_is_given_up_and_the_plan_says_so(start: Any) -> None:
    one = guarded()
    rules = one.spec.placement.model_copy(update={"warm_standby": False})
    edge = Held(one.model_copy(update={"spec": one.spec.model_copy(update={"placement": rules})}))
    items = start(edge).plan().items
    assert [(one.kind, one.role, one.from_placement, one.offer) for one in edge.decisions] == [("retire", "standby", "acme_web_2", None)]
    assert [(one.role, one.verdict, one.reason) for one in items][1:] == [("standby", "retire", "acme_web_2: its owner asks for no standby")]


def test_of_two_the_older_stays() -> None:
    assert list(retired([served(further=[standby(), standby(CHEAPER, 3)])])) == [Retire("web-acme", "acme_web_3", "acme_web_2 stands by already", "standby")]


def test_a_standby_sends_nothing_and_carries_nothing() -> None:
    one = guarded()
    rules = one.spec.placement.model_copy(update={"egress_gib_per_hour": 2.0, "state_gib": 40.0})
    seen = as_standby(one.model_copy(update={"spec": one.spec.model_copy(update={"placement": rules})}))
    assert (seen.spec.placement.egress_gib_per_hour, seen.spec.placement.state_gib) == (0.0, 0.0)
    assert seen.placement is not None and seen.placement.id == "acme_web_2"


def test_interruptions_and_refusals_for_want_of_capacity_are_what_zones_are_known_by() -> None:
    taken = migration("interruption", CHEAPER, HERE, HOUR)
    refused = migration("move", THIRD, HERE, 2 * HOUR, status="failed", error="api error InsufficientInstanceCapacity: none left")
    quota = migration("move", CHEAPER, HERE, 3 * HOUR, status="failed", error="api error VcpuLimitExceeded: ask for more")
    moved = migration("move", CHEAPER, HERE, 4 * HOUR)
    assert list(failures([taken, refused, quota, moved])) == [Failure(NOW - HOUR, HERE[:3]), Failure(NOW - 2 * HOUR, THIRD[:3])]


def test_a_cap_counts_both_machines_and_leaves_each_its_own() -> None:
    capped = guarded()
    rules = capped.spec.placement.model_copy(update={"max_usd_per_month": 100.0})
    one = capped.model_copy(update={"spec": capped.spec.model_copy(update={"placement": rules})})
    book: Any = type("Book", (), {"ledger_months": lambda *_, **__: []})()
    months = Spend(book).months([one], {}, [], lambda: Three().quotes, NOW)
    assert months.of["web-acme"].usd_per_hour == pytest.approx(0.01 + 0.021)
    seen = (one, as_standby(one), as_one_of(one, None))
    assert [months.caps(each)[0].own_usd_per_hour for each in seen] == [pytest.approx(0.01), pytest.approx(0.021), 0.0]


def test_the_ledger_charges_a_standby_from_when_it_is_ready_and_sets_nothing_on_demand_against_it() -> None:
    begin = NOW - 2 * HOUR
    first = placement(1, "a").model_copy(update={"market_served_from": begin, "market_served_until": begin + HOUR})
    second = standby(market_ready_from=begin, market_served_from=begin + HOUR, replaces="acme_web_1", beside=False)
    third = standby(CHEAPER, 3, market_ready_from=begin + HOUR)
    fourth = beside(CHEAPER, 4, market_served_from=begin + HOUR)
    hours = close([first, second, third, fourth], lambda offer, _: wire.Quote.model_validate(QUOTE | {"offer": offer}), None, NOW).hours
    told = {(one.placement, one.hour): (one.paid_usd, one.on_demand_usd, one.before_usd) for one in hours}
    spot, listed, none = Decimal("0.050000"), Decimal("0.100000"), Decimal("0.000000")
    assert told == {
        ("acme_web_1", begin): (spot, listed, None),
        ("acme_web_2", begin): (spot, none, None),
        ("acme_web_2", begin + HOUR): (spot, listed, spot),
        ("acme_web_3", begin + HOUR): (spot, none, None),
        ("acme_web_4", begin + HOUR): (spot, listed, None),
    }


def several(number: int, *further: wire.Placement, warm: bool = False, **changes: Any) -> wire.Workload:
    """A workload that asks for ``number`` machines that serve; it has the first and ``further``."""
    one = served(further=list(further), **changes)
    rules = one.spec.placement.model_copy(update={"replicas": number, "warm_standby": warm})
    return one.model_copy(update={"spec": one.spec.model_copy(update={"placement": rules})})


def beside(offer: OfferRef, generation: int, **changes: Any) -> wire.Placement:
    """Another machine that has served for an hour."""
    known = {"state": wire.PlacementState.SERVING, "market_served_from": NOW - HOUR, "beside": True}
    return on(offer, placement(generation, "a"), **(known | changes))


def test_a_workload_of_three_gets_one_machine_after_the_other_each_in_a_zone_of_its_own(start: Any) -> None:
    edge = Held(several(3))
    start(edge)
    assert [(one.kind, one.role, one.offer and one.offer.zone) for one in edge.decisions] == [("deploy", "serving", CHEAPER.zone)]
    more = Held(several(3, beside(CHEAPER, 2)))
    start(more)
    assert [(one.kind, one.role, one.offer and one.offer.zone) for one in more.decisions] == [("deploy", "serving", THIRD.zone)]


def test_where_no_zone_is_left_the_plan_says_so_and_what_serves_stays(start: Any) -> None:
    edge = Held(several(4, beside(CHEAPER, 2), beside(THIRD, 3)))
    items = start(edge).plan().items
    assert edge.decisions == []
    assert [(one.placement, one.verdict) for one in items] == [("acme_web_1", "stay"), ("acme_web_2", "stay"), ("acme_web_3", "stay"), (None, "no_offer")]
    assert items[-1].reason.startswith("peer: the cheapest, ")


def test_the_standby_comes_after_all_that_serve_and_apart_from_each(start: Any) -> None:
    edge = Held(several(2, warm=True))
    start(edge)
    assert [one.role for one in edge.decisions] == ["serving"]
    next_ = Held(several(2, beside(CHEAPER, 2), warm=True))
    start(next_)
    assert [(one.role, one.offer and one.offer.zone) for one in next_.decisions] == [("standby", THIRD.zone)]


def test_any_machine_that_is_interrupted_is_replaced_or_taken_over_from(start: Any) -> None:
    edge = Held(several(2, beside(CHEAPER, 2)))
    start(edge).incident(interrupted("acme_web_2"))
    assert [(one.kind, one.from_placement, one.offer and one.offer.zone) for one in edge.decisions] == [("interruption", "acme_web_2", THIRD.zone)]
    guard = Held(several(2, beside(CHEAPER, 2), standby(generation=3), warm=True))
    start(guard).incident(interrupted("acme_web_2"))
    assert [(one.kind, one.from_placement, one.promote) for one in guard.decisions] == [("interruption", "acme_web_2", "acme_web_3")]


def test_an_interruption_doesnt_wait_for_a_machine_that_is_made_beside(start: Any) -> None:
    made = migration("deploy", THIRD, None, HOUR, status="running", step="provision")
    edge = Held(several(2, active_migration="acme_web_7"), made)
    start(edge).incident(interrupted("acme_web_1"))
    assert [one.kind for one in edge.decisions] == ["interruption"]


@pytest.mark.parametrize(
    ("kind", "left", "step", "waits"),
    [
        ("move", "acme_web_1", "provision", False),
        ("requested", "acme_web_1", "verify", False),
        ("redeploy", "acme_web_1", "commit", True),
        ("move", "acme_web_2", "provision", True),
        ("move", "acme_web_2", "drain", False),
        ("interruption", "acme_web_1", "provision", False),
        ("unhealthy", "acme_web_1", "commit", False),
        ("interruption", "acme_web_2", "provision", True),
        ("interruption", "acme_web_1", "decommission", False),
        ("terminate", "acme_web_1", "drain", True),
    ],
)
def test_an_interruption_of_one_machine_waits_for_no_rescue_of_another_and_no_move_that_needs_not_be(
    start: Any, kind: str, left: str, step: str, waits: bool
) -> None:
    at_work = migration(kind, THIRD, HERE, HOUR, status="running", step=step, fromPlacement=left)
    edge = Held(several(2, beside(CHEAPER, 2), active_migration="acme_web_7"), at_work)
    start(edge, more=(FOURTH,)).incident(interrupted("acme_web_2"))
    assert [(one.kind, one.from_placement) for one in edge.decisions] == ([] if waits else [("interruption", "acme_web_2")])


def test_a_machine_that_fails_its_probes_waits_for_the_rescue_of_another_and_a_standby_takes_over_from_one_at_a_time(start: Any) -> None:
    at_work = migration("interruption", THIRD, HERE, HOUR, status="running", step="provision", fromPlacement="acme_web_1")
    edge = Held(several(2, beside(CHEAPER, 2), active_migration="acme_web_7"), at_work)
    start(edge, more=(FOURTH,)).incident(wire.Incident(placement="acme_web_2", kind="unhealthy", deadline=None, detail="503"))
    guard = Held(several(2, beside(CHEAPER, 2), standby(FOURTH, generation=3), active_migration="acme_web_7", warm=True), at_work)
    start(guard).incident(interrupted("acme_web_2"))
    assert (edge.decisions, guard.decisions) == ([], [])


def test_of_two_machines_that_go_at_once_the_second_goes_to_a_domain_that_the_first_hasnt_taken(start: Any) -> None:
    at_work = migration("interruption", THIRD, HERE, HOUR, status="running", step="provision", fromPlacement="acme_web_1")
    edge = Held(several(2, beside(CHEAPER, 2), active_migration="acme_web_7"), at_work)
    start(edge).incident(interrupted("acme_web_2"))
    assert edge.decisions == []
    start(edge, more=(FOURTH,)).incident(interrupted("acme_web_2"))
    assert [one.offer and one.offer.zone for one in edge.decisions] == [FOURTH.zone]


def test_a_standby_that_takes_over_from_one_machine_is_not_asked_to_for_another(start: Any) -> None:
    at_work = migration("interruption", THIRD, HERE, HOUR, status="running", step="verify")
    at_work = at_work.model_copy(update={"decision": at_work.decision.model_copy(update={"promote": "acme_web_3"})})
    edge = Held(several(2, beside(CHEAPER, 2), standby(THIRD, generation=3), active_migration="acme_web_7", warm=True), at_work)
    start(edge, more=(FOURTH,)).incident(interrupted("acme_web_2"))
    assert [(one.from_placement, one.promote) for one in edge.decisions] == [("acme_web_2", None)]


def test_of_too_many_the_youngest_is_given_up_and_never_the_first() -> None:
    assert list(retired([several(2, beside(THIRD, 3), beside(CHEAPER, 2))])) == [Retire("web-acme", "acme_web_3", "3 machines serve; its owner asks for 2")]
    assert list(retired([several(1)])) == []


def test_a_month_under_a_cap_is_only_asked_for_one_machine_at_a_time(start: Any) -> None:
    one = several(2).spec.placement.model_copy(update={"max_usd_per_month": 100.0, "warm_standby": True})
    blank = several(2)
    edge: Any = Held(blank.model_copy(update={"spec": blank.spec.model_copy(update={"placement": one})}))
    edge.ledger_months, edge.raise_alerts = (lambda *_, **__: []), (lambda alerts: alerts)
    start(edge)
    assert [each.role for each in edge.decisions] == ["serving"]


def test_ranks_show_each_machine_once_and_one_that_is_to_come() -> None:
    found = ranks([several(4, beside(CHEAPER, 3), beside(THIRD, 2)), several(1)])
    assert [[None if one.placement is None else one.placement.id for one in rank] for rank in found] == [["acme_web_2"], ["acme_web_3"], [None]]


def test_of_two_machines_in_one_domain_the_later_one_leaves() -> None:
    together = Domains({HERE[:3]: frozenset({CHEAPER[:3]}), CHEAPER[:3]: frozenset({HERE[:3]})})
    one = several(2, beside(CHEAPER, 2))
    assert apart(one, one.placement, together) == frozenset()
    assert apart(one, one.further[0], together) == {HERE[:3], CHEAPER[:3]}
    assert apart(one, None, Domains()) == {HERE[:3], CHEAPER[:3]}
