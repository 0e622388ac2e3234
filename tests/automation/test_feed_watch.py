"""What is kept of the feeds: each fault once with its count, over restarts; quotes by state; counters for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import REGISTRY

from automation.feeds.book import Book
from automation.feeds.collection import CollectionReport
from automation.service import feed_watch
from automation.service.feed_watch import FeedWatch
from domain.catalog import OfferRef
from domain.ports import FeedError, FeedReport, Quarantined
from domain.prices import Quote
from domain.reference import Reference
from domain.scores import Scores
from spotlane import wire

NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
HERE = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
FAULT = Quarantined(HERE, "zero", "'0' USD/h can't be a price", NOW)
AWAY = FeedError("gcp", "*", "timeout", "cloudbilling.googleapis.com did not answer in time")


def collected(held_back: Iterable[Quarantined] = (), faults: Iterable[FeedError] = (), answered: Iterable[str] = ("aws",)) -> CollectionReport:
    return CollectionReport((), (), tuple(held_back), tuple(faults), frozenset({"aws", "gcp"}), frozenset(answered))


def status(path: Path, *reports: CollectionReport, book: Book | None = None, every: timedelta = timedelta(minutes=1)) -> wire.Feeds:
    watch = FeedWatch(path / "feeds.sqlite", timedelta(hours=6))
    try:
        for number, report in enumerate(reports):
            watch.record(report, book or Book(), NOW + number * every)
        return watch.status(book or Book(), Reference(), Scores())
    finally:
        watch.close()


def test_a_quote_held_back_again_and_again_is_one_row_with_a_count_and_outlives_a_restart(tmp_path: Path) -> None:
    status(tmp_path, *[collected([FAULT])] * 3)
    [row] = status(tmp_path).held_back
    assert (row.offer, row.reason, row.times, row.last_at - row.first_at) == (HERE.id, "zero", 3, timedelta(minutes=2))


def test_only_the_faults_of_a_feeds_last_collection_are_its_state(tmp_path: Path) -> None:
    failing = {one.cloud: one for one in status(tmp_path, collected(faults=[AWAY])).feeds}
    assert [(one.region, one.reason) for one in failing["gcp"].faults] == [("*", "timeout")]
    assert (failing["gcp"].answered_at, failing["aws"].answered_at) == (None, NOW)
    well = {one.cloud: one for one in status(tmp_path, collected(), collected(answered=("aws", "gcp"))).feeds}
    assert (well["gcp"].faults, well["gcp"].answered_at) == ([], NOW + timedelta(minutes=1))


def test_quotes_are_counted_by_state(tmp_path: Path) -> None:
    book = Book()
    fresh, stale, wrong = (HERE._replace(zone=f"eu-west-1{letter}") for letter in "abc")
    quote = Quote(fresh, 0.05, 0.1, "test", NOW)
    book.merge([FeedReport("aws", NOW, (quote, replace(quote, offer=stale, observed_at=NOW - timedelta(hours=7)), replace(quote, offer=wrong, spot=90.0)))])
    [aws, azure, _] = status(tmp_path, collected(), book=book).feeds
    assert (aws.fresh, aws.stale, aws.doubtful, aws.observed_at) == (1, 1, 1, NOW)
    assert (azure.fresh, azure.observed_at) == (0, None)
    assert REGISTRY.get_sample_value("spotlane_quotes", {"cloud": "aws", "state": "doubtful"}) == 1.0


def test_faults_and_what_is_held_back_are_counted(tmp_path: Path) -> None:
    def counted() -> tuple[float, float]:
        return tuple(  # type: ignore[return-value]  # two of them
            REGISTRY.get_sample_value(name, {"cloud": cloud, "reason": reason}) or 0.0
            for name, cloud, reason in (("spotlane_quotes_held_back_total", "aws", "zero"), ("spotlane_feed_faults_total", "gcp", "timeout"))
        )

    before = counted()
    status(tmp_path, collected([FAULT, FAULT], [AWAY]))
    assert counted() == (before[0] + 2, before[1] + 1)


def test_the_record_keeps_the_newest(tmp_path: Path) -> None:
    rows = [collected([replace(FAULT, quote_offer=HERE._replace(instance_type=f"x{number}"))]) for number in range(4)]
    kept, feed_watch.KEPT = feed_watch.KEPT, 2
    try:
        assert [one.offer.rpartition("/")[2] for one in status(tmp_path, *rows).held_back] == ["x3", "x2"]
    finally:
        feed_watch.KEPT = kept
