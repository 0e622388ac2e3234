"""Monthly caps: the projection, what may still be paid per hour, and that no plan goes above."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog import OfferRef
from domain.offers import Offers
from domain.placement import Current, Demand, Deploy, Move, NoOffer, Problem, Reason, Stay, Trigger, Verdict, plan
from domain.placement.caps import together
from domain.prices import Quote, known
from domain.spend import Cap, Month, Paid, Running, Spending, Standing, spending
from domain.workload import PlacementRules, Requirements
from tests.domain import strategies
from tests.domain.strategies import NOW, REFS, anywhere

FEBRUARY = Month.of(NOW)
LEFT = FEBRUARY.hours_left(NOW)
DEAR, CHEAP = REFS[0], REFS[1]


def month(**changed: float) -> Spending:
    """A tenant that has paid 60 of 100 USD and pays 0.05 USD/h."""
    return replace(Spending("acme", FEBRUARY, 100.0, 60.0, 0.05, LEFT), **changed)  # type: ignore[arg-type]  # its figures, by name


def quote(ref: OfferRef, spot: float) -> Quote:
    return Quote(ref, spot, 0.5, "test", NOW, 0.0)


def verdict(demand: Demand, *quotes: Quote) -> Verdict:
    return plan(Problem(NOW, Offers.quoted(quotes), (demand,))).verdicts[0]


def capped(cap_usd: float, own: float = 0.0, **fields: object) -> Demand:
    """A workload under a cap of its own, that has paid nothing yet; nowhere, or on DEAR at ``own`` USD/h."""
    cap = Cap(Spending("web-acme", FEBRUARY, cap_usd, 0.0, own, LEFT), own)
    current = Current("acme_web_1", DEAR, NOW - timedelta(hours=1)) if own else None
    return replace(Demand("web-acme", Requirements(), PlacementRules(), anywhere, current, caps=(cap,)), **fields)  # type: ignore[arg-type]  # by name


def test_a_month_is_a_calendar_month_in_utc() -> None:
    december = Month.of(datetime.fromisoformat("2026-01-01T00:30:00+01:00"))
    assert (december.name, december.begin, december.end) == ("2025-12", datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert Month.of(december.end).name == "2026-01"


def test_a_projection_is_the_ledger_the_open_hour_and_what_runs_to_the_end() -> None:
    now = datetime(2026, 2, 28, 12, 30, tzinfo=UTC)
    machines = [Running("web-acme", "acme", 0.04, now - timedelta(days=3)), Running("api-acme", "acme", 0.08, now - timedelta(minutes=15))]
    found = spending("acme", 10.0, [Paid("web-acme", "acme", 7.0, 2.0), Paid("api-acme", "acme", 1.0)], machines, now)
    assert found.paid_usd == pytest.approx(8.0 + 0.04 * 0.5 + 0.08 * 0.25)
    assert (found.usd_per_hour, found.hours_left, found.unknown_hours) == (0.12, 11.5, 2.0)
    assert found.projected_usd == pytest.approx(found.paid_usd + 0.12 * 11.5)
    assert found.standing is Standing.WITHIN


@pytest.mark.parametrize(
    ("paid", "rate", "standing"), [(60.0, 40.0 / LEFT, Standing.WITHIN), (60.0, 41.0 / LEFT, Standing.HEADED_OVER), (100.0, 0.0, Standing.OVER)]
)
def test_a_month_stands_within_headed_over_or_over(paid: float, rate: float, standing: Standing) -> None:
    assert month(paid_usd=paid, usd_per_hour=rate).standing is standing


def test_what_is_left_of_a_cap_is_a_workloads_to_use_and_a_shortage_is_shared() -> None:
    spare = month(usd_per_hour=0.5 * 40.0 / LEFT)
    assert spare.most_for(0.0) == pytest.approx(20.0 / LEFT)
    assert spare.most_for(0.01) == pytest.approx(0.01 + 20.0 / LEFT)
    short = month(usd_per_hour=2 * 40.0 / LEFT)
    assert (short.most_for(0.0), short.most_for(0.04)) == (0.0, pytest.approx(0.02))


def test_thresholds_are_reached_by_what_was_paid() -> None:
    reached = {paid: month(paid_usd=paid).reached() for paid in (49.99, 50.0, 80.0, 99.0, 130.0)}
    assert reached == {49.99: (), 50.0: (50,), 80.0: (50, 80), 99.0: (50, 80), 130.0: (50, 80, 100)}


def test_a_first_placement_over_its_cap_is_refused_with_the_sum() -> None:
    found = verdict(capped(0.01 * LEFT), quote(DEAR, 0.05), quote(CHEAP, 0.02))
    assert isinstance(found, NoOffer) and found.reason is Reason.OVER_MONTH_CAP
    total = 0.02 * LEFT
    assert found.detail == (
        f"the cheapest, {CHEAP.id}: would bring web-acme to {total:.2f} USD in 2026-02; its cap is {0.01 * LEFT:.2f} (0.00 paid, {LEFT:.0f} h left)"
    )
    assert [one.reason for one in found.alternatives] == [Reason.OVER_MONTH_CAP]


def test_an_offer_over_the_cap_is_avoided_for_one_that_keeps_it() -> None:
    # The dearer machine is the cheaper one all in: its service sends nothing, but the interruption risk counts. So the rates decide.
    risky, calm = Quote(CHEAP, 0.049, 0.5, "test", NOW, 0.5), quote(DEAR, 0.05)
    free, bound = verdict(capped(1e6), risky, calm), verdict(capped(0.0495 * LEFT), risky, calm)
    assert isinstance(free, Deploy) and free.offer == DEAR
    assert isinstance(bound, Deploy) and bound.offer == CHEAP


def test_what_runs_over_its_cap_leaves_for_an_offer_that_keeps_it() -> None:
    found = verdict(capped(0.04 * LEFT, own=0.05), quote(DEAR, 0.05), quote(CHEAP, 0.039))
    assert isinstance(found, Move) and (found.reason, found.offer) == (Reason.OVER_MONTH_CAP, CHEAP)


def test_what_runs_over_its_cap_goes_on_where_nothing_keeps_it_and_says_so() -> None:
    found = verdict(capped(0.01 * LEFT, own=0.05), quote(DEAR, 0.05), quote(CHEAP, 0.06))
    assert isinstance(found, Stay) and found.reason is Reason.OVER_MONTH_CAP
    assert found.detail.startswith("goes on over its cap: would bring web-acme to")


def test_an_interrupted_workload_is_not_placed_above_its_cap_but_as_cheap_as_it_was() -> None:
    lost = capped(0.01 * LEFT, own=0.05, trigger=Trigger.INTERRUPTION)
    refused, kept = verdict(lost, quote(DEAR, 0.05), quote(CHEAP, 0.06)), verdict(lost, quote(DEAR, 0.05), quote(CHEAP, 0.05))
    assert isinstance(refused, NoOffer) and refused.reason is Reason.OVER_MONTH_CAP
    assert isinstance(kept, Move) and kept.offer == CHEAP


def test_of_two_first_placements_that_fit_alone_only_one_fits_into_what_is_left() -> None:
    tenant = Spending("acme", FEBRUARY, 0.03 * LEFT, 0.0, 0.0, LEFT)
    demands = tuple(Demand(name, Requirements(), PlacementRules(), anywhere, caps=(Cap(tenant),)) for name in ("b-acme", "a-acme"))
    second, first = plan(Problem(NOW, Offers.quoted([quote(CHEAP, 0.02)]), demands)).verdicts
    assert isinstance(first, Deploy) and isinstance(second, NoOffer)
    assert (second.reason, second.alternatives[0].offer) == (Reason.OVER_MONTH_CAP, CHEAP)
    assert second.detail.endswith("beside what is placed now")


def test_a_verdict_carries_the_caps_that_it_had_to_keep() -> None:
    demand = capped(100.0)
    found = verdict(demand, quote(CHEAP, 0.02))
    assert isinstance(found, Deploy) and found.evidence.caps == demand.caps


def test_a_move_by_price_that_raises_the_spend_waits_where_no_room_is_left_and_a_forced_one_is_refused() -> None:
    eager = PlacementRules(threshold=0.0, dwell_hours=0.0)
    running = Demand("web-acme", Requirements(), eager, anywhere, Current("acme_web_1", DEAR, NOW - timedelta(days=9)))
    quotes = (quote(DEAR, 0.05), quote(CHEAP, 0.02))
    full = Cap(month(paid_usd=100.0, usd_per_hour=0.01), 0.01)
    [held], [refused] = (
        together((replace(running, caps=(full,)),), (verdict(replace(running, trigger=trigger), *quotes),)) for trigger in (Trigger.PRICE, Trigger.INTERRUPTION)
    )
    assert isinstance(held, Stay) and held.reason is Reason.OVER_MONTH_CAP
    assert isinstance(refused, NoOffer) and refused.reason is Reason.OVER_MONTH_CAP


@st.composite
def months(draw: st.DrawFn, running: bool = False) -> tuple[list[Quote], list[Demand]]:
    """Workloads of one tenant in a little market, under the tenant's cap and some under one of their own. ``running``: most of them run, at a known price."""
    quotes = draw(strategies.quotes())
    prices = {one.offer: known(one.spot) for one in quotes}
    demands = [replace(one, workload=f"w{number}-t") for number, one in enumerate(draw(st.lists(strategies.demands(), min_size=1, max_size=4)))]
    sold = sorted(one.offer for one in quotes if prices[one.offer] is not None and one.is_fresh(NOW, timedelta(hours=6)))
    if sold and running:
        placed = [Current(f"t_w{number}_1", draw(st.sampled_from(sold)), NOW - timedelta(days=3)) for number in range(len(demands))]
        plain = [replace(one, boundary=anywhere, rules=replace(one.rules, clouds=None), needs=Requirements(), excluded={}) for one in demands]
        demands = [replace(one, current=where, trigger=Trigger.PRICE) for one, where in zip(plain, placed, strict=True)]
    own = [0.0 if one.current is None else prices.get(one.current.offer) or 0.0 for one in demands]
    paid = draw(st.sampled_from([0.0, 10.0, 90.0, 120.0]))
    tenant = Spending("t", FEBRUARY, draw(st.sampled_from([5.0, 30.0, 100.0])), paid, sum(own), LEFT)
    capped = []
    for demand, rate in zip(demands, own, strict=True):
        alone = Spending(demand.workload, FEBRUARY, draw(st.sampled_from([1.0, 15.0, 40.0])), paid / 4, rate, LEFT)
        capped.append(replace(demand, caps=(Cap(tenant, rate), *((Cap(alone, rate),) if draw(st.booleans()) else ()))))
    return quotes, capped


def price(found: Verdict) -> float:
    assert isinstance(found, Deploy | Move)
    spot = known(found.evidence.quote.spot)
    assert spot is not None
    return spot


@settings(max_examples=300)
@given(months())
def test_no_plan_goes_above_a_monthly_cap(given_months: tuple[list[Quote], list[Demand]]) -> None:
    """By itself no decision raises what a month will cost above a cap, and neither do all decisions of a plan together."""
    quotes, demands = given_months
    found = plan(Problem(NOW, Offers.quoted(quotes), tuple(demands))).verdicts
    after: dict[str, tuple[Spending, float]] = {}
    for demand, one in zip(demands, found, strict=True):
        for cap in demand.caps:
            more = max(price(one) - cap.own_usd_per_hour, 0.0) if isinstance(one, Deploy | Move) else 0.0
            held = after.get(cap.spending.owner, (cap.spending, 0.0))
            after[cap.spending.owner] = (cap.spending, held[1] + more)
    for spent, more in after.values():
        if more > 0:
            assert spent.paid_usd + (spent.usd_per_hour + more) * spent.hours_left <= spent.cap_usd * (1 + 1e-9)


@settings(max_examples=200)
@given(strategies.quotes(), strategies.demands(), st.sampled_from([0.0205, 0.0215, 0.0225, 0.024]))
def test_under_a_monthly_cap_the_choice_is_the_best_of_what_costs_no_more_than_it_leaves(quotes: list[Quote], demand: Demand, most: float) -> None:
    """As under a cap per hour of the same height, whose choice is compared with brute force elsewhere."""
    nowhere = replace(demand, current=None)
    # So near each other that egress and risk decide: the cheapest all in is often not the cheapest machine.
    quotes = [one if known(one.spot) is None else replace(one, spot=0.02 + (known(one.spot) or 0.0) / 10) for one in quotes]
    monthly = replace(nowhere, caps=(Cap(Spending("w-t", FEBRUARY, most * LEFT, 0.0, 0.0, LEFT)),))
    hourly = replace(nowhere, rules=replace(nowhere.rules, max_usd_per_hour=min(most * (1 + 1e-12), nowhere.rules.max_usd_per_hour or 1.0)))
    offers = Offers.quoted(quotes)
    found, wanted = (plan(Problem(NOW, offers, (one,))).verdicts[0] for one in (monthly, hourly))
    assert (type(found), getattr(found, "offer", None)) == (type(wanted), getattr(wanted, "offer", None))


@settings(max_examples=200)
@given(months())
def test_caps_that_are_wide_change_no_decision(given_months: tuple[list[Quote], list[Demand]]) -> None:
    quotes, demands = given_months
    wide = tuple(replace(one, caps=tuple(replace(cap, spending=replace(cap.spending, cap_usd=1e9)) for cap in one.caps)) for one in demands)
    free = tuple(replace(one, caps=()) for one in demands)
    offers = Offers.quoted(quotes)
    decided = [[(type(one), one.reason, getattr(one, "offer", None)) for one in plan(Problem(NOW, offers, each)).verdicts] for each in (wide, free)]
    assert decided[0] == decided[1]


@settings(max_examples=200)
@given(months(), st.randoms())
def test_the_order_of_workloads_changes_nothing_under_a_shared_cap(given_months: tuple[list[Quote], list[Demand]], dice: object) -> None:
    quotes, demands = given_months
    shuffled = list(demands)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    offers = Offers.quoted(quotes)
    found, turned = ({one.workload: one for one in plan(Problem(NOW, offers, tuple(each))).verdicts} for each in (demands, shuffled))
    assert found == turned


@settings(max_examples=200)
@given(months(running=True))
def test_what_would_go_on_without_caps_goes_on_under_them(given_months: tuple[list[Quote], list[Demand]]) -> None:
    quotes, demands = given_months
    offers = Offers.quoted(quotes)
    free = plan(Problem(NOW, offers, tuple(replace(one, caps=()) for one in demands))).verdicts
    bound = plan(Problem(NOW, offers, tuple(demands))).verdicts
    for without, under in zip(free, bound, strict=True):
        if isinstance(without, Stay) or (isinstance(without, Move) and without.reason is Reason.CHEAPEST):
            assert isinstance(under, Stay | Move)
