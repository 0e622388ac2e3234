"""Members that don't lead work by the leader's prices; where nobody collects any more, plans and moves on request say so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from automation.errors import NothingToMove
from automation.feeds.book import Book
from automation.feeds.collection import Collection
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from automation.service.shared_market import Shared, SharedMarket
from domain.ports import FeedReport
from domain.prices import Quote, Unknown
from domain.told import Egress, Grade, Score, Shape
from spotlane import wire
from tests.automation import postgres
from tests.automation.test_rebalancer import CHEAPER, HERE, NOW, serving
from tests.automation.test_rebalancer_feeds import AWAY, Feed, PricedEdge, interruption, told

LATER = NOW + timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Member:
    """A service process: its own state directory, feed, edge and clock; the database is shared."""

    def __init__(self, home: Path, name: str, url: str, *, alone: bool = False) -> None:
        self.history, self.watch = QuoteHistory(home / name / "quotes.sqlite"), FeedWatch(home / name / "feeds.sqlite", timedelta(hours=6))
        self.feed, self.edge, self.clock = Feed(), PricedEdge(serving("a", "a")), Clock()
        self.shared = SharedMarket(url, name, lambda: alone)
        self.shared.open()
        self.collection = Collection([self.feed], Book())
        self.daemon = Rebalancer(self.edge, self.collection, self.history, 6.0, self.watch, self.clock, shared=self.shared)  # type: ignore[arg-type]  # the calls in use

    def close(self) -> None:
        for one in (self.shared, self.history, self.watch):
            one.close()


@contextmanager
def members(home: Path, *, alone: bool = False) -> Iterator[tuple[Member, Member]]:
    url = f"sqlite:///{home}/runs.sqlite"
    both = Member(home, "one", url, alone=alone), Member(home, "two", url, alone=alone)
    try:
        yield both
    finally:
        for one in both:
            one.close()


def test_a_follower_plans_by_the_leaders_prices(tmp_path: Path) -> None:
    with members(tmp_path) as (leader, follower):
        with pytest.raises(NothingToMove, match="no prices have been collected yet"):
            follower.daemon.plan()
        leader.feed.report = told(NOW)
        leader.daemon.tick()
        assert follower.daemon.plan() == leader.daemon.plan()


def test_a_notice_that_reaches_a_follower_first_is_answered_by_the_leaders_prices(tmp_path: Path) -> None:
    with members(tmp_path) as (leader, follower):
        leader.feed.report = told(NOW)
        leader.daemon.tick()
        follower.daemon.incident(interruption())
        assert [one.offer.zone for one in follower.edge.decisions if one.offer is not None] == [CHEAPER.zone]


def test_a_follower_sees_each_new_collection_and_never_takes_back_its_own(tmp_path: Path) -> None:
    with members(tmp_path) as (leader, follower):
        follower.feed.report = told(NOW)
        follower.daemon.tick()
        leader.feed.report = told(LATER, cheaper=0.03)
        leader.daemon.tick()
        assert follower.daemon.plan().market_now == LATER
        assert follower.collection.book.get(CHEAPER) == leader.collection.book.get(CHEAPER)
        before = leader.collection.book
        leader.daemon.plan()
        assert leader.collection.book is before


def test_what_is_in_doubt_at_the_leader_is_in_doubt_at_the_follower(tmp_path: Path) -> None:
    with members(tmp_path) as (leader, follower):
        leader.feed.report = told(NOW)
        leader.daemon.tick()
        leader.feed.report = AWAY
        leader.clock.now = follower.clock.now = LATER
        leader.daemon.tick()
        follower.daemon.follow()
        assert follower.collection.book.is_blind and all(one.doubtful for one in follower.collection.book.quotes())


def test_shapes_tariffs_scores_and_quotes_come_over_whole(tmp_path: Path) -> None:
    shape = Shape("aws", "m8g.large", 2, 8.0, "arm64", 0, "ec2", NOW, family="m8g", local_disk_gb=0.0, network_gbps=12.5)
    score, rate = Score(CHEAPER, Grade.LOW, "2 of 10", "ec2", NOW), Egress("aws", "eu-west-1", "internet", 0.08, "pricing", NOW)
    quote = Quote(HERE, 0.05, Unknown("not listed"), "test", NOW, Unknown("not in the Spot Advisor"))
    with members(tmp_path) as (leader, follower):
        leader.feed.report = FeedReport("aws", NOW, (quote, replace(quote, offer=CHEAPER, doubtful="a jump")), (), (), (shape,), (rate,), (score,))
        leader.daemon.tick()
        follower.daemon.follow()
        assert follower.collection.snapshot() == leader.collection.snapshot()
        assert follower.collection.reference.catalog.has_machine("aws", "m8g.large") and follower.collection.scores.of(CHEAPER, NOW) == score


def test_who_is_alone_writes_nothing(tmp_path: Path) -> None:
    with members(tmp_path, alone=True) as (leader, follower):
        leader.feed.report = told(NOW)
        leader.daemon.tick()
        assert follower.shared.newer() is None


def test_a_database_that_is_away_or_a_document_of_another_form_leaves_a_member_with_what_it_has(tmp_path: Path) -> None:
    with members(tmp_path) as (leader, follower):
        leader.feed.report = told(NOW)
        leader.daemon.tick()
        follower.daemon.follow()
        known = follower.collection.snapshot()
        leader.clock.now = LATER
        leader.daemon.tick()
        with leader.shared._engine.begin() as connection:
            connection.exec_driver_sql("update spotlane_market set document = x'00'")
        follower.daemon.follow()
        (tmp_path / "runs.sqlite").write_bytes(b"no database" * 1000)
        follower.daemon.follow()
        leader.shared.put(Shared(LATER, known))
        assert follower.collection.snapshot() == known


def test_prices_that_nobody_has_collected_for_longer_than_their_limit_plan_nothing_and_still_save_a_machine(tmp_path: Path) -> None:
    with members(tmp_path) as (leader, follower):
        leader.feed.report = told(NOW)
        leader.daemon.tick()
        for one in (leader, follower):
            one.clock.now = NOW + timedelta(hours=6)
            assert one.daemon.plan().market_now == NOW
            one.clock.now = NOW + timedelta(hours=6, minutes=6)
            with pytest.raises(NothingToMove, match=r"collected 6\.1 hours ago, more than the 6 of SPOTLANE_PRICE_LIMIT_HOURS"):
                one.daemon.plan()
            with pytest.raises(NothingToMove, match="hours ago"):
                one.daemon.move(wire.MoveRequest(workload="web-acme"))
        follower.daemon.incident(interruption())
        assert len(follower.edge.decisions) == 1


def test_postgresql_keeps_the_document_as_sqlite_does(tmp_path: Path) -> None:
    if postgres.installed() is None:
        pytest.skip("PostgreSQL is not installed")
    with members(tmp_path) as (leader, _), postgres.server() as url:
        leader.feed.report = told(NOW)
        leader.daemon.tick()
        one, other = (SharedMarket(url, name, lambda: False) for name in ("one", "other"))
        one.open()
        for at in (NOW, LATER):
            one.put(Shared(at, leader.collection.snapshot()))
            assert other.newer() == Shared(at, leader.collection.snapshot()) and other.newer() is None
        one.close()
        other.close()
