"""One collection over the feeds: what to ask for, follows from the boundaries; what came, goes into the book."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from botocore.session import get_session

from automation.feeds.aws import AwsFeed
from automation.feeds.azure import AzureFeed
from automation.feeds.book import Book
from automation.feeds.fetch import Fetcher
from automation.feeds.gcp import GcpFeed
from domain.boundary.compiled import CompiledBoundary
from domain.catalog import CATALOG, CLOUDS, OfferRef
from domain.ports import PriceFeed, Scope
from domain.prices import Quote
from domain.workload import Requirements


class ScopedFeed(PriceFeed, Protocol):
    """A feed whose scope can be set before a collection."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """What one collection brought: quotes that changed, or whose confirmation is to be passed on; how many were confirmed in all; what went wrong."""

    quotes: tuple[Quote, ...]
    confirmed: int
    quarantined: int
    errors: list[str]


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
    def of_all_clouds(cls, environment: Mapping[str, str] = os.environ, pass_on_after: timedelta = timedelta(hours=1)) -> Collection:
        """The feeds of the three clouds over the environment's proxy, CA and credentials."""
        fetcher, session = Fetcher(), get_session()
        return cls([AwsFeed(fetcher, session.get_credentials), AzureFeed(fetcher), GcpFeed(fetcher, environment)], Book(), pass_on_after=pass_on_after)

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
        errors = [f"{error.cloud} {error.region}: {error.reason}: {error.detail}" for report in reports for error in report.errors]
        return CollectionReport(quotes, len(kept), len(held_back), errors)

    def _is_news(self, quote: Quote) -> bool:
        told = self._passed_on.get(quote.offer)
        if told is None or (told.spot, told.on_demand, told.doubtful) != (quote.spot, quote.on_demand, quote.doubtful):
            return True
        return quote.observed_at - told.observed_at >= self._pass_on_after


def _regions(cloud: str, boundaries: Sequence[CompiledBoundary]) -> frozenset[str] | None:
    if not boundaries:
        return None
    allowed = {region for boundary in {id(one): one for one in boundaries}.values() for region in boundary.allowed(cloud, datetime.now(UTC))}
    return frozenset(allowed)


def _types(cloud: str, needs: tuple[Requirements, ...]) -> frozenset[str] | None:
    if not needs:
        return None
    return frozenset(machine.name for machine in CATALOG.machines(cloud) if any(need.fits(machine) for need in needs))
