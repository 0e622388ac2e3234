"""How the price feeds do: what each told last, what was held back and why, kept over restarts, counted for Prometheus.

One row a fault: an offer that is held back for the same reason again and again is one row with a count, so that a feed gone wrong for a week fills no
disk. The newest :data:`KEPT` rows stay.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter as Tally
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from prometheus_client import Counter, Gauge

from automation.feeds.collection import CollectionReport
from domain.catalog import CLOUDS
from domain.ports import FeedError, Quarantined
from domain.prices import Quote
from domain.reference import Reference
from domain.scores import Scores
from spotlane import wire

KEPT = 10_000
_STATES = ("fresh", "stale", "doubtful")
_TABLES = """
create table if not exists held_back (
  offer text not null, reason text not null, detail text not null, first_at real not null, last_at real not null, times integer not null,
  primary key (offer, reason)
) without rowid;
create table if not exists faults (
  cloud text not null, region text not null, reason text not null, detail text not null, first_at real not null, last_at real not null,
  times integer not null, primary key (cloud, region, reason)
) without rowid;
create table if not exists answers (cloud text primary key, asked_at real not null, answered_at real) without rowid;
"""
_AGAIN = "on conflict do update set detail = excluded.detail, last_at = excluded.last_at, times = times + 1"
_HELD_BACK = Counter("spotlane_quotes_held_back_total", "Quotes that were quarantined", ["cloud", "reason"])
_FAULTS = Counter("spotlane_feed_faults_total", "Collections of a feed, or of one of its regions, that failed", ["cloud", "reason"])
_QUOTES = Gauge("spotlane_quotes", "Quotes in the book by state: fresh, stale, doubtful", ["cloud", "state"])
_ANSWERED = Gauge("spotlane_feed_answered_timestamp_seconds", "When a feed last answered, wall clock", ["cloud"])


class BookOfQuotes(Protocol):
    """What is read of the book."""

    @property
    def market_now(self) -> datetime | None:
        """The market's clock."""
        ...

    def quotes(self) -> tuple[Quote, ...]:
        """All quotes."""
        ...


class FeedWatch:
    """The record, in SQLite; safe to use from several threads. A quote older than ``limit`` on the market's clock is stale."""

    def __init__(self, path: Path, limit: timedelta) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.executescript(_TABLES)
        self._limit = limit
        self._lock = threading.Lock()

    def record(self, report: CollectionReport, book: BookOfQuotes, now: datetime) -> None:
        """Keeps what a collection at ``now`` (wall clock) came to, and counts it."""
        at = now.timestamp()
        with self._lock, self._db:
            self._db.execute("begin")
            self._db.executemany(
                f"insert into held_back values (?, ?, ?, ?, ?, 1) {_AGAIN}",
                [(one.quote_offer.id, one.reason, one.detail, at, at) for one in report.quarantined],
            )
            self._db.executemany(
                f"insert into faults values (?, ?, ?, ?, ?, ?, 1) {_AGAIN}",
                [(one.cloud, one.region, one.reason, one.detail, at, at) for one in report.faults],
            )
            self._db.executemany(
                "insert into answers values (?, ?, ?) on conflict do update "
                "set asked_at = excluded.asked_at, answered_at = coalesce(excluded.answered_at, answered_at)",
                [(cloud, at, at if cloud in report.answered else None) for cloud in sorted(report.asked)],
            )
            for table in ("held_back", "faults"):
                keys = "offer, reason" if table == "held_back" else "cloud, region, reason"
                self._db.execute(f"delete from {table} where ({keys}) in (select {keys} from {table} order by last_at desc limit -1 offset {KEPT})")
        _count(report.quarantined, report.faults)
        for cloud in report.answered:
            _ANSWERED.labels(cloud).set(at)
        states, _ = self._states(book)
        for cloud in CLOUDS:
            for state in _STATES:
                _QUOTES.labels(cloud, state).set(states[cloud, state])

    def status(self, book: BookOfQuotes, reference: Reference, scores: Scores, limit: int = 100) -> wire.Feeds:
        """How each feed does now, the ``limit`` quotes held back last, and what was told beside prices."""
        with self._lock:
            answers = {row[0]: row[1:] for row in self._db.execute("select cloud, asked_at, answered_at from answers")}
            faults = self._db.execute(
                "select cloud, region, reason, detail, first_at, last_at, times from faults order by last_at desc, cloud, region"
            ).fetchall()
            held_back = self._db.execute(
                "select offer, reason, detail, first_at, last_at, times from held_back order by last_at desc, offer limit ?", (limit,)
            ).fetchall()
        states, observed = self._states(book)
        feeds = []
        for cloud in CLOUDS:
            asked, answered = answers.get(cloud, (None, None))
            latest = [row for row in faults if row[0] == cloud and asked is not None and row[5] >= asked]
            feeds.append(
                wire.FeedStatus(
                    cloud=cloud,
                    observed_at=observed.get(cloud),
                    answered_at=_moment(answered),
                    fresh=states[cloud, "fresh"],
                    stale=states[cloud, "stale"],
                    doubtful=states[cloud, "doubtful"],
                    faults=[
                        wire.FeedFault(region=region, reason=reason, detail=detail, first_at=_at(first), last_at=_at(last), times=times)
                        for _, region, reason, detail, first, last, times in latest
                    ],
                )
            )
        quarantine = [
            wire.HeldBack(offer=offer, reason=reason, detail=detail, first_at=_at(first), last_at=_at(last), times=times)
            for offer, reason, detail, first, last, times in held_back
        ]
        return wire.Feeds(market_now=book.market_now, feeds=feeds, held_back=quarantine, reference=_told(reference, scores))

    def _states(self, book: BookOfQuotes) -> tuple[Tally[tuple[str, str]], dict[str, datetime]]:
        """The book's quotes by cloud and state, and the time of the newest of each cloud."""
        now = book.market_now
        states: Tally[tuple[str, str]] = Tally()
        observed: dict[str, datetime] = {}
        for quote in book.quotes():
            cloud = quote.offer.cloud
            state = "doubtful" if quote.doubtful is not None else "fresh" if now is not None and quote.is_fresh(now, self._limit) else "stale"
            states[cloud, state] += 1
            observed[cloud] = max(observed.get(cloud, quote.observed_at), quote.observed_at)
        return states, observed

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._db.close()


def _count(held_back: Iterable[Quarantined], faults: Iterable[FeedError]) -> None:
    for one in held_back:
        _HELD_BACK.labels(one.quote_offer.cloud, one.reason).inc()
    for fault in faults:
        _FAULTS.labels(fault.cloud, fault.reason).inc()


def _told(reference: Reference, scores: Scores) -> list[wire.ReferenceTold]:
    told = [(cloud, what, *one) for (cloud, what), one in reference.latest().items()]
    told += [(cloud, "scores", source, *one) for (cloud, source), one in scores.latest().items()]
    return [
        wire.ReferenceTold.model_validate({"cloud": cloud, "what": what, "source": source, "observedAt": at, "entries": entries})
        for cloud, what, source, at, entries in sorted(told)
    ]


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else _at(seconds)
