"""What holds of every plan: boundary, cap and age of the quotes; and what must not matter: dearer offers, the unit of money, the order of the offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog import OfferRef
from domain.network import ListTariffs
from domain.offers import Offers
from domain.placement import Demand, Deploy, Move, NoOffer, Problem, Reason, Regret, Settings, Stay, Trigger, Verdict, plan
from domain.placement.capacity import Record
from domain.prices import Quote, Unknown
from domain.told import Grade, Score
from tests.domain import strategies
from tests.domain.strategies import NOW

LIMIT = Settings().price_limit
NOTHING: Mapping[OfferRef, Record] = {}
DEARER = OfferRef("aws", "eu-west-1", "eu-west-1z", "m5.2xlarge")


def verdict(demand: Demand, quotes: list[Quote], factor: float = 1.0, answered: Mapping[OfferRef, Record] = NOTHING) -> Verdict:
    return plan(Problem(NOW, Offers.quoted(quotes), (demand,), tariffs=ListTariffs(factor=factor), answered=answered)).verdicts[0]


def decided(found: Verdict) -> tuple[object, ...]:
    """What is done and why, without the figures of the evidence."""
    return (type(found), found.reason, found.offer if isinstance(found, Deploy | Move) else None)


@settings(max_examples=150)
@given(strategies.quotes(), strategies.demands())
def test_no_plan_leaves_the_boundary_the_owners_wish_or_the_size(quotes: list[Quote], demand: Demand) -> None:
    found = verdict(demand, quotes)
    if isinstance(found, Deploy | Move):
        assert demand.boundary(*found.offer[:2]) is None
        assert demand.rules.asks_for(*found.offer[:2])
        assert found.offer not in demand.excluded


@settings(max_examples=150)
@given(strategies.quotes(), strategies.demands())
def test_no_plan_goes_above_a_cap(quotes: list[Quote], demand: Demand) -> None:
    found = verdict(demand, quotes)
    if isinstance(found, Deploy | Move) and demand.rules.max_usd_per_hour is not None:
        assert not isinstance(found.evidence.quote.spot, Unknown)
        assert found.evidence.quote.spot <= demand.rules.max_usd_per_hour


@settings(max_examples=150)
@given(strategies.quotes(), strategies.demands())
def test_only_what_cannot_wait_is_placed_on_a_stale_or_doubtful_quote(quotes: list[Quote], demand: Demand) -> None:
    found = verdict(demand, quotes)
    if isinstance(found, Deploy | Move) and not found.evidence.quote.is_fresh(NOW, LIMIT):
        assert isinstance(found, Move) and found.evidence.stale
        assert found.reason in (Reason.INTERRUPTED, Reason.UNHEALTHY, Reason.OUTSIDE_BOUNDARY, Reason.OUTSIDE_RULES, Reason.TOO_SMALL)
        usable = [one for one in found.evidence.alternatives if one.reason is Reason.DEARER]
        assert usable == []


@settings(max_examples=150)
@given(strategies.quotes(), strategies.demands(), st.sampled_from([1.0, 50.0]))
def test_a_dearer_offer_changes_nothing(quotes: list[Quote], demand: Demand, spot: float) -> None:
    before = verdict(demand, quotes)
    if isinstance(before, NoOffer) or (isinstance(before, Move) and before.evidence.stale) or before.reason in (Reason.UNKNOWN_PRICE, Reason.STALE_PRICE):
        return  # nothing to be dearer than
    after = verdict(demand, [*quotes, Quote(DEARER, spot, 60.0, "test", NOW, 0.004)])
    assert decided(after) == decided(before)
    if isinstance(after, Deploy | Move) and isinstance(before, Deploy | Move):
        assert after.evidence.net_saving_usd == before.evidence.net_saving_usd


@settings(max_examples=150)
@given(strategies.quotes(), strategies.demands(), strategies.answered(), st.sampled_from([1e-6, 0.01, 1.0]))
def test_a_dearer_twin_of_what_was_chosen_changes_nothing(quotes: list[Quote], demand: Demand, answered: dict[OfferRef, Record], more: float) -> None:
    before = verdict(demand, quotes, answered=answered)
    chosen = before.offer if isinstance(before, Deploy | Move) else demand.current.offer if isinstance(before, Stay) and demand.current is not None else None
    original = next((one for one in quotes if one.offer == chosen), None)
    if original is None or isinstance(original.spot, Unknown):
        return  # nothing to be dearer than
    twin = original.offer._replace(zone="another")
    dearer = replace(original, offer=twin, spot=original.spot * (1 + more))
    remembered = {**answered, twin: answered.get(original.offer, Record())}
    assert decided(verdict(demand, [*quotes, dearer], answered=remembered)) == decided(before)


@settings(max_examples=200)
@given(strategies.quotes(), strategies.demands(), st.sampled_from([(Grade.HIGH, Grade.MEDIUM), (Grade.MEDIUM, Grade.LOW), (None, Grade.LOW)]), st.booleans())
def test_of_two_offers_that_differ_only_in_capacity_the_likelier_is_asked_first(
    quotes: list[Quote], demand: Demand, grades: tuple[Grade | None, Grade], first: bool
) -> None:
    """Two offers of one region, cheaper than all else, of which the likelier comes first or last by its id."""
    likelier, scarcer = (OfferRef("aws", "eu-west-1", zone, "c5.2xlarge") for zone in (("y", "z") if first else ("z", "y")))
    refs = dict(zip((likelier, scarcer), grades, strict=True))
    told = [Quote(ref, 0.001, 0.1, "test", NOW, 0.0002, score=grade and Score(ref, grade, "says", "test", NOW)) for ref, grade in refs.items()]
    found = verdict(demand, [*quotes, *told])
    if isinstance(found, Deploy | Move):
        assert found.offer != scarcer
    if isinstance(found, Deploy):
        assert found.offer == likelier
    answers = {scarcer: Record(refused=1.0), likelier: Record(launched=1.0)}
    other = verdict(demand, [*quotes, *(replace(one, score=None) for one in told)], answered=answers)
    assert not isinstance(other, Deploy | Move) or other.offer != scarcer


@settings(max_examples=150)
@given(strategies.quotes(), strategies.demands(), strategies.answered(), st.sampled_from([0.125, 0.5, 4.0, 64.0]))
def test_the_unit_of_money_changes_nothing(quotes: list[Quote], demand: Demand, answered: dict[OfferRef, Record], factor: float) -> None:
    scaled = [
        replace(
            one,
            spot=one.spot if isinstance(one.spot, Unknown) else one.spot * factor,
            on_demand=one.on_demand if isinstance(one.on_demand, Unknown) else one.on_demand * factor,
        )
        for one in quotes
    ]
    cap, current = demand.rules.max_usd_per_hour, demand.current
    regret = (
        None
        if current is None or current.regret is None
        else replace(current.regret, usd=current.regret.usd * factor, usd_per_hour=current.regret.usd_per_hour * factor)
    )
    richer = replace(
        demand,
        rules=replace(demand.rules, max_usd_per_hour=None if cap is None else cap * factor),
        current=None if current is None else replace(current, regret=regret),
    )
    assert decided(verdict(richer, scaled, factor, answered)) == decided(verdict(demand, quotes, answered=answered))


@settings(max_examples=100)
@given(strategies.quotes(), st.lists(strategies.demands(), min_size=1, max_size=4), st.randoms())
def test_neither_the_order_of_offers_nor_of_workloads_changes_a_plan(quotes: list[Quote], demands: list[Demand], dice: object) -> None:
    named = tuple(replace(one, workload=f"w{number}-t") for number, one in enumerate(demands))
    shuffled = list(quotes)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    straight = plan(Problem(NOW, Offers.quoted(quotes), named)).verdicts
    turned = plan(Problem(NOW, Offers.quoted(shuffled), named[::-1])).verdicts
    assert straight == turned[::-1]


@settings(max_examples=100)
@given(strategies.quotes(), strategies.demands())
def test_regret_alone_never_moves_what_runs_on_the_cheapest(quotes: list[Quote], demand: Demand) -> None:
    if demand.current is None or demand.trigger is not Trigger.PRICE:
        return
    patient = replace(demand, current=replace(demand.current, regret=Regret(1e9, 1.0, NOW)))
    found = verdict(patient, quotes)
    if isinstance(found, Move) and found.reason is Reason.CHEAPEST:
        assert found.evidence.net_saving_usd is not None and found.evidence.net_saving_usd > 0
