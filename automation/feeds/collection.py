"""One collection over the feeds: what to ask for, follows from the boundaries; what came, goes into the book."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from botocore.session import get_session

from automation.calls.fetch import Fetcher
from automation.feeds.aws import AwsFeed
from automation.feeds.azure import AzureFeed
from automation.feeds.book import Book
from automation.feeds.gcp import GcpFeed
from domain.boundary.compiled import CompiledBoundary
from domain.catalog import CATALOG, CLOUDS, OfferRef
from domain.ports import FeedError, FeedReport, PriceFeed, Quarantined, Scope
from domain.prices import Quote
from domain.workload import Requirements


class ScopedFeed(PriceFeed, Protocol):
    """A feed whose scope can be set before a collection."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What one collection brought: quotes that changed, or whose confirmation is to be passed on; all that were told; what went wrong.

    ``answered`` are the clouds whose feeds gave an answer, ``asked`` those that were to give one.
    """

    quotes: tuple[Quote, ...]
    told: tuple[Quote, ...]
    quarantined: tuple[Quarantined, ...]
    faults: tuple[FeedError, ...]
    asked: frozenset[str]
    answered: frozenset[str]

    @property
    def confirmed(self) -> int:
        """How many quotes were told."""
        return len(self.told)

    @property
    def errors(self) -> list[str]:
        """The faults, a sentence each."""
        return [f"{error.cloud} {error.region}: {error.reason}: {error.detail}" for error in self.faults]


class Collection:
    """Feeds and their book. ``pass_on_after``: a quote that stays the same is passed on again when its last confirmation is so old, on the market's clock."""

    def __init__(
        self, feeds: Sequence[ScopedFeed], book: Book, clock: Callable[[], datetime] = lambda: datetime.now(UTC), pass_on_after: timedelta = timedelta(hours=1)
    ) -> None:
        self._feeds = tuple(feeds)
        self.book = book
        self._clock = clock
        self._pass_on_after = pass_on_after
        self._passed_on: dict[OfferRef, Quote] = {}

    @classmethod
    def of_all_clouds(
        cls, environment: Mapping[str, str] = os.environ, pass_on_after: timedelta = timedelta(hours=1), restored: Iterable[Quote] = ()
    ) -> Collection:
        """The feeds of the three clouds over the environment's proxy, CA and credentials; ``restored`` is what an earlier process last knew."""
        fetcher, session = Fetcher(), get_session()
        feeds: list[ScopedFeed] = [AwsFeed(fetcher, session.get_credentials), AzureFeed(fetcher), GcpFeed(fetcher, environment)]
        return cls(feeds, Book(restored), pass_on_after=pass_on_after)

    def collect(self, boundaries: Sequence[CompiledBoundary] = (), needs: Iterable[Requirements] = ()) -> CollectionReport:
        """Asks every feed for the regions that any of ``boundaries`` allows and the types that serve any of ``needs``; none given means all."""
        asked = tuple(needs)
        scopes = {cloud: Scope(_regions(cloud, boundaries), _types(cloud, asked)) for cloud in CLOUDS}
        for feed in self._feeds:
            feed.scope = scopes[feed.cloud]
        with ThreadPoolExecutor(max(1, len(self._feeds)), thread_name_prefix="feed") as pool:
            reports = list(pool.map(lambda feed: feed.collect(self._clock()), self._feeds))
        kept, held_back = self.book.merge(reports)
        quotes = tuple(quote for quote in kept if self._is_news(quote))
        self._passed_on.update((quote.offer, quote) for quote in quotes)
        wanted = frozenset(cloud for cloud, scope in scopes.items() if scope.regions != frozenset() and scope.instance_types != frozenset())
        return CollectionReport(
            quotes,
            tuple(kept),
            tuple(held_back),
            tuple(fault for report in reports for fault in (*report.errors, *_missing(report))),
            wanted & {feed.cloud for feed in self._feeds},
            frozenset(report.cloud for report in reports if report.observed_at is not None),
        )

    def take_back(self, quotes: Iterable[Quote]) -> None:
        """These could not be passed on: the next collection brings them again, as they are then."""
        for quote in quotes:
            self._passed_on.pop(quote.offer, None)

    def _is_news(self, quote: Quote) -> bool:
        told = self._passed_on.get(quote.offer)
        if told is None or (told.spot, told.on_demand, told.doubtful) != (quote.spot, quote.on_demand, quote.doubtful):
            return True
        return quote.observed_at - told.observed_at >= self._pass_on_after


def _missing(report: FeedReport) -> tuple[FeedError, ...]:
    """A source that answers well, and prices nothing of what it was asked for, is at fault: no cloud sells nothing."""
    if report.observed_at is None or report.quotes or report.quarantined or report.errors:
        return ()
    return (FeedError(report.cloud, "*", "empty", "the answer holds none of the prices asked for; what is known of this cloud ages"),)


def _regions(cloud: str, boundaries: Sequence[CompiledBoundary]) -> frozenset[str] | None:
    if not boundaries:
        return None
    allowed = {region for boundary in {id(one): one for one in boundaries}.values() for region in boundary.allowed(cloud, datetime.now(UTC))}
    return frozenset(allowed)


def _types(cloud: str, needs: tuple[Requirements, ...]) -> frozenset[str] | None:
    if not needs:
        return None
    return frozenset(machine.name for machine in CATALOG.machines(cloud) if any(need.fits(machine) for need in needs))
