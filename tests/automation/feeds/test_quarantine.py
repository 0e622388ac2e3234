"""What a book believes: good prices at once, mistakes of a feed never, jumps and leaps of a clock after three confirmations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation.feeds.book import BLIND, LEAP, RESTORED, Book
from automation.feeds.quarantine import CONFIRMATIONS, JUMP, OVER_ON_DEMAND, UNDER_ON_DEMAND
from domain.catalog import CloudName, OfferRef
from domain.offers import Offers
from domain.placement import Current, Demand, Deploy, Move, Problem, Settings, Trigger, plan
from domain.ports import FeedError, FeedReport, Quarantined
from domain.prices import Quote, Unknown
from domain.workload import PlacementRules, Requirements
from tests.domain.strategies import anywhere

START = datetime(2026, 2, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HERE = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
GCP = OfferRef("gcp", "europe-west4", "europe-west4-a", "n2-standard-2")


def quote(spot: float = 0.05, minutes: float = 0, offer: OfferRef = HERE) -> Quote:
    return Quote(offer, spot, 0.1, "test", START + minutes * MINUTE)


def report(*quotes: Quote, faults: tuple[Quarantined, ...] = (), at: datetime | None = None, cloud: CloudName = "aws") -> FeedReport:
    return FeedReport(cloud, at or max((one.observed_at for one in quotes), default=START), quotes, faults)


def held(book: Book, offer: OfferRef = HERE) -> Quote:
    found = book.get(offer)
    assert found is not None
    return found


def book_of(*quotes: Quote) -> Book:
    book = Book()
    book.merge([report(*quotes)])
    return book


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (replace(quote(0.05 / 1000, 1), on_demand=Unknown()), "jump"),
        (replace(quote(50.0, 1), on_demand=Unknown()), "jump"),
        (replace(quote(0.05, 1), on_demand=0.1 / 1000), "above-on-demand"),
        (replace(quote(0.05, 1), on_demand=100.0), "below-on-demand"),
        (replace(quote(0.05, 1), on_demand=0.1 * 1.01 * JUMP), "jump"),
        (quote(0.1 * OVER_ON_DEMAND * 1.01, 1), "above-on-demand"),
        (quote(0.1 * UNDER_ON_DEMAND * 0.99, 1), "below-on-demand"),
    ],
    ids=["a thousandth", "a thousandfold", "on demand a thousandth", "on demand a thousandfold", "on demand tenfold", "above on demand", "below on demand"],
)
def test_a_wrong_price_leaves_the_last_good_quote_in_doubt_with_its_own_age(told: Quote, reason: str) -> None:
    book = book_of(quote())
    _, [fault] = book.merge([report(told)])
    assert (fault.quote_offer, fault.reason) == (HERE, reason)
    assert held(book) == replace(quote(), doubtful=fault.detail)


def test_a_price_just_inside_the_bounds_is_believed_at_once() -> None:
    book = book_of(quote())
    assert book.merge([report(quote(0.1 * OVER_ON_DEMAND * 0.99, 1))]) == ([quote(0.1 * OVER_ON_DEMAND * 0.99, 1)], [])


def test_a_jump_is_believed_when_it_was_told_three_times_each_later_than_the_last() -> None:
    book = book_of(replace(quote(), on_demand=Unknown()))
    for minute in range(1, CONFIRMATIONS):
        book.merge([report(replace(quote(0.7, minute), on_demand=Unknown()))])
        assert (held(book).spot, held(book).doubtful is None) == (0.05, False)
    book.merge([report(replace(quote(0.7, CONFIRMATIONS), on_demand=Unknown()))])
    assert (held(book).spot, held(book).doubtful) == (0.7, None)


def test_a_price_that_on_demand_belies_is_never_believed_however_often_it_is_told() -> None:
    book = book_of(quote())
    for minute in range(1, 3 * CONFIRMATIONS):
        book.merge([report(quote(0.05 / 1000, minute))])
    assert (held(book).spot, held(book).doubtful is None) == (0.05, False)


def test_the_same_answer_again_confirms_nothing() -> None:
    book = book_of(quote())
    for _ in range(2 * CONFIRMATIONS):
        book.merge([report(replace(quote(0.9, 1), on_demand=0.2))])
    assert held(book).spot == 0.05


def test_a_price_that_was_never_believed_is_no_measure_for_the_next() -> None:
    book = book_of(quote(50.0))
    assert held(book).doubtful is not None
    book.merge([report(quote(0.05, 1))])
    assert held(book) == quote(0.05, 1)


def test_a_hard_fault_puts_the_last_good_quote_in_doubt_until_a_price_comes() -> None:
    book = book_of(quote())
    fault = Quarantined(HERE, "zero", "'0.000' USD/h can't be a price", START + MINUTE)
    book.merge([report(faults=(fault,), at=START + MINUTE)])
    assert held(book).doubtful == fault.detail
    book.merge([report(quote(0.05, 2))])
    assert held(book) == quote(0.05, 2)


def test_a_fault_of_a_regions_price_is_one_of_all_its_zones() -> None:
    other = GCP._replace(zone="europe-west4-b")
    book = Book()
    book.merge([report(quote(offer=GCP), quote(offer=other), cloud="gcp")])
    book.merge([report(faults=(Quarantined(GCP._replace(zone="-"), "currency", "priced in EUR", START),), cloud="gcp")])
    assert [held(book, one).doubtful for one in (GCP, other)] == ["priced in EUR", "priced in EUR"]


def test_while_no_feed_answers_every_quote_is_in_doubt_and_the_clock_stands() -> None:
    book = book_of(quote())
    book.merge([FeedReport("aws", None, errors=(FeedError("aws", "*", "timeout", "…"),))])
    assert (book.is_blind, [one.doubtful for one in book.quotes()], book.market_now) == (True, [BLIND], START)
    book.merge([report(quote(0.05, 1))])
    assert (book.is_blind, book.quotes()) == (False, (quote(0.05, 1),))


def test_quotes_of_an_earlier_process_are_in_doubt_until_a_feed_confirms_them_even_by_an_older_clock() -> None:
    book = Book([quote(0.05, 10)])
    assert (book.market_now, held(book).doubtful) == (START + 10 * MINUTE, RESTORED)
    book.merge([report(quote(0.06))])
    assert (book.market_now, held(book)) == (START, quote(0.06))


def test_one_answer_from_the_far_future_moves_neither_the_clock_nor_a_quote() -> None:
    book = book_of(quote())
    ahead = START + LEAP + 2 * MINUTE
    kept, [fault] = book.merge([report(quote(0.05, 1)), report(replace(quote(offer=GCP), observed_at=ahead), cloud="gcp")])
    assert (fault.reason, fault.quote_offer.cloud, kept, book.market_now) == ("clock", "gcp", [quote(0.05, 1)], START + MINUTE)


def test_a_clock_that_all_sources_tell_is_believed_at_once_and_that_of_a_lone_one_after_three_times() -> None:
    late = START + 30 * timedelta(days=1)
    both = book_of(quote())
    both.merge([report(replace(quote(), observed_at=late)), report(replace(quote(offer=GCP), observed_at=late), cloud="gcp")])
    assert both.market_now == late
    lone = book_of(quote())
    seen = []
    for _ in range(CONFIRMATIONS):
        lone.merge([report(replace(quote(), observed_at=late))])
        seen.append(lone.market_now)
    assert seen == [START] * (CONFIRMATIONS - 1) + [late]


WRONG = st.sampled_from(["good", "late", "thousandfold", "thousandth", "zero", "negative", "currency", "missing", "blind"])
OFFERS = [HERE, HERE._replace(zone="eu-west-1b"), OfferRef("aws", "us-east-2", "us-east-2a", "m5.large"), GCP]
GOOD = {HERE: 0.05, OFFERS[1]: 0.049, OFFERS[2]: 0.046, GCP: 0.04}
"""Prices that are never far enough apart to be worth a move at once."""


def told(offer: OfferRef, what: str, at: datetime) -> tuple[tuple[Quote, ...], tuple[Quarantined, ...]]:
    """What a feed that has gone wrong in one of the known ways says of an offer."""
    price = GOOD[offer]
    match what:
        case "zero" | "negative" | "currency":
            return (), (Quarantined(offer, what, "…", at),)
        case "missing":
            return (), ()
        case "late":
            return (Quote(offer, price / 2, 0.1, "test", at - timedelta(hours=7)),), ()
        case _:
            factor = {"thousandfold": 1000.0, "thousandth": 0.001}.get(what, 1.0)
            return (Quote(offer, price * factor, 0.1, "test", at),), ()


@settings(max_examples=200)
@given(st.lists(st.lists(WRONG, min_size=len(OFFERS), max_size=len(OFFERS)), min_size=1, max_size=8), st.sampled_from(list(Trigger)))
def test_whatever_the_feeds_do_no_move_by_price_starts_on_a_stale_or_doubtful_quote(cycles: list[list[str]], trigger: Trigger) -> None:
    book = book_of(*(Quote(offer, price, 0.1, "test", START) for offer, price in GOOD.items()))
    limit = Settings().price_limit
    for number, cycle in enumerate(cycles, 1):
        at = START + number * timedelta(hours=2)
        found = {} if "blind" in cycle else {offer: told(offer, what, at) for offer, what in zip(OFFERS, cycle, strict=True)}
        reports = [
            FeedReport(
                cloud,
                None if "blind" in cycle else at,
                tuple(one for offer, (quotes, _) in found.items() if offer.cloud == cloud for one in quotes),
                tuple(one for offer, (_, faults) in found.items() if offer.cloud == cloud for one in faults),
            )
            for cloud in ("aws", "gcp")
        ]
        book.merge(reports)  # type: ignore[arg-type]  # the clouds' names
        now = book.market_now
        assert now is not None
        assert all(isinstance(one.spot, float) and 0 < one.spot <= 1000 * 0.05 for one in book.quotes())
        wanted = Demand(
            "w-t", Requirements(2, 4.0), PlacementRules(threshold=0.0, dwell_hours=0.0), anywhere, Current("t_w_1", HERE, START, None), 0, {}, trigger
        )
        [verdict] = plan(Problem(now, Offers.quoted(book.quotes()), (wanted,))).verdicts
        if trigger is Trigger.PRICE and isinstance(verdict, Deploy | Move):
            assert verdict.evidence.quote.is_fresh(now, limit) and not verdict.evidence.stale and "blind" not in cycle
            assert verdict.evidence.quote.spot == pytest.approx(GOOD[verdict.offer])
        if trigger is Trigger.UNHEALTHY:
            assert isinstance(verdict, Move)  # the last known prices serve a move that can't wait
