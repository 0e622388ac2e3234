"""The daemon's cycle while its feeds fail: nothing moves by price, what can't wait moves by the last known prices, and what is doubtful stays in the house."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from automation.feeds.book import Book
from automation.feeds.collection import Collection
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from automation.service.translation import quote_from_wire
from domain.catalog import CloudName
from domain.ports import FeedError, FeedReport, Scope
from domain.prices import Quote
from domain.told import Shape
from spotlane import wire
from tests.automation.test_rebalancer import CHEAPER, HERE, NOW, Edge, serving

AWAY = FeedReport("aws", None, errors=(FeedError("aws", "*", "unavailable", "ec2 answered 503"),))
AFTER = timedelta(hours=48)
"""Long enough for the regret of staying to be worth a move."""


class Feed:
    """Says what it is told to."""

    cloud: CloudName = "aws"
    scope = Scope()
    report = AWAY

    def collect(self, _: datetime) -> FeedReport:
        return self.report


class PricedEdge(Edge):
    """Keeps the prices that it was given."""

    def __init__(self, held: wire.Workload) -> None:
        super().__init__(held)
        self.prices: list[wire.Quote] = []

    def put_prices(self, book: wire.PriceBook) -> None:
        self.prices += book.quotes


def told(at: datetime, cheaper: float = 0.02) -> FeedReport:
    return FeedReport("aws", at, tuple(Quote(ref, spot, 0.1, "test", at, 0.0) for ref, spot in ((HERE, 0.05), (CHEAPER, cheaper))))


@contextmanager
def service(home: Path) -> Iterator[tuple[Rebalancer, Feed, PricedEdge]]:
    """A service on its state directory, with a workload on the dearer machine."""
    history, watch = QuoteHistory(home / "quotes.sqlite"), FeedWatch(home / "feeds.sqlite", timedelta(hours=6))
    feed, edge = Feed(), PricedEdge(serving("a", "a"))
    collection = Collection([feed], Book(map(quote_from_wire, history.latest())))
    try:
        yield Rebalancer(edge, collection, history, 6.0, watch, lambda: NOW), feed, edge  # type: ignore[arg-type]  # an edge with the calls in use
    finally:
        history.close()
        watch.close()


def interruption() -> wire.Incident:
    return wire.Incident(placement="acme_web_1", kind="interruption", deadline=NOW + timedelta(minutes=2), detail="notice")


def test_a_price_move_that_is_due_waits_while_no_feed_answers_and_goes_when_one_does(tmp_path: Path) -> None:
    with service(tmp_path) as (daemon, feed, edge):
        idle = edge.held.model_copy(update={"spec": edge.held.spec.model_copy(update={"placement": wire.PlacementRules(threshold=0.1, dwell_hours=0.0)})})
        edge.held = idle.model_copy(update={"active_migration": "acme_web_2"})
        feed.report = told(NOW)
        daemon.tick()
        edge.held = idle
        feed.report = AWAY
        report = daemon.tick()
        assert (edge.decisions, report.plan.items[0].verdict, report.errors) == ([], "stay", ["aws *: unavailable: ec2 answered 503"])
        assert "no feed answered" in report.plan.items[0].reason
        feed.report = told(NOW)
        daemon.tick()
        assert [(one.kind, one.offer.zone) for one in edge.decisions if one.offer is not None] == [("move", CHEAPER.zone)]


def test_an_interruption_moves_by_the_last_known_prices_while_no_feed_answers(tmp_path: Path) -> None:
    with service(tmp_path) as (daemon, feed, edge):
        feed.report = told(NOW)
        daemon.tick()
        feed.report = AWAY
        daemon.tick()
        assert daemon.incident(interruption()) is not None
        [decision] = edge.decisions
        assert decision.kind == "interruption" and decision.reason.endswith("by the last known price (no feed answered, so that the market's time isn't known)")


def test_a_restart_while_no_feed_answers_still_moves_what_is_interrupted_and_nothing_by_price(tmp_path: Path) -> None:
    with service(tmp_path) as (daemon, feed, _):
        feed.report = told(NOW)
        daemon.tick()
    with service(tmp_path) as (daemon, _, edge):
        assert daemon.tick().plan.items[0].verdict == "stay"
        assert edge.decisions == []
        assert daemon.incident(interruption()) is not None


def test_a_doubtful_price_is_told_to_nobody_and_shown_with_its_reason(tmp_path: Path) -> None:
    with service(tmp_path) as (daemon, feed, edge):
        feed.report = told(NOW)
        daemon.tick()
        edge.prices.clear()
        feed.report = told(NOW + AFTER, cheaper=0.00002)
        report = daemon.tick()
        assert (report.quarantined, edge.decisions, [one.offer.zone for one in edge.prices]) == (1, [], [HERE.zone])
        shown = daemon.feeds()
        assert [(one.offer, one.reason) for one in shown.held_back] == [(CHEAPER.id, "below-on-demand")]
        assert [(one.fresh, one.doubtful) for one in shown.feeds if one.cloud == "aws"] == [(1, 1)]


def test_a_region_that_fails_keeps_its_last_quotes_until_they_are_stale_and_the_others_count(tmp_path: Path) -> None:
    with service(tmp_path) as (daemon, feed, edge):
        feed.report = told(NOW)
        daemon.tick()
        later = told(NOW + timedelta(hours=7))
        feed.report = replace(later, quotes=later.quotes[:1], errors=(FeedError("aws", "eu-west-1b", "timeout", "…"),))
        report = daemon.tick()
        assert (edge.decisions, report.plan.items[0].verdict) == ([], "stay")
        assert [(one.fresh, one.stale) for one in daemon.feeds().feeds if one.cloud == "aws"] == [(1, 1)]


def test_a_new_type_that_a_workload_runs_on_is_asked_for_however_large_it_is(tmp_path: Path) -> None:
    shape = Shape("aws", "m8i.16xlarge", 64, 256.0, "x86_64", 0, "ec2", NOW, family="m8i", local_disk_gb=0.0, network_gbps=30.0)
    with service(tmp_path) as (daemon, feed, edge):
        feed.report = replace(told(NOW), shapes=(shape, replace(shape, name="m8i.large", vcpu=2, memory_gib=8.0)))
        asked = []
        for running in (HERE.instance_type, shape.name):
            assert edge.held.placement is not None
            offer = edge.held.placement.offer.model_copy(update={"instance_type": running})
            edge.held = edge.held.model_copy(update={"placement": edge.held.placement.model_copy(update={"offer": offer}), "active_migration": "acme_web_2"})
            daemon.tick()
            daemon.tick()
            asked.append({one.name for one in feed.scope.new_types})
    assert asked == [{"m8i.large"}, {"m8i.large", "m8i.16xlarge"}]
