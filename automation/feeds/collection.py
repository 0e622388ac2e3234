"""One collection over the feeds: what to ask for, follows from the boundaries; what came, goes into the book."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from botocore.session import get_session

from automation.calls.arm_token import ArmToken
from automation.calls.fetch import Fetcher
from automation.feeds.aws import AwsFeed
from automation.feeds.azure import AzureFeed
from automation.feeds.azure_lists import AzureLists
from automation.feeds.azure_placement import AzurePlacement
from automation.feeds.azure_scores import AzureScores
from automation.feeds.book import Book
from automation.feeds.gcp import GcpFeed
from automation.feeds.kept import KeptReference
from automation.feeds.new_types import nearest, placeable
from domain.boundary.compiled import CompiledBoundary
from domain.catalog import CLOUDS, OfferRef
from domain.ports import FeedError, FeedReport, PriceFeed, Quarantined, Scope
from domain.prices import Quote
from domain.reference import Reference
from domain.scores import Scores
from domain.told import Egress, Score, Shape
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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a collection knows, as it is told to another process."""

    market_now: datetime | None
    is_blind: bool
    quotes: tuple[Quote, ...]
    shapes: tuple[Shape, ...]
    egress: tuple[Egress, ...]
    scores: tuple[Score, ...]


class Collection:
    """Feeds and their book. ``pass_on_after``: a quote that stays the same is passed on again when its last confirmation is so old, on the market's clock."""

    def __init__(
        self,
        feeds: Sequence[ScopedFeed],
        book: Book,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pass_on_after: timedelta = timedelta(hours=1),
        kept: KeptReference | None = None,
    ) -> None:
        self._feeds = tuple(feeds)
        self.book = book
        self._kept = kept
        self.reference = Reference() if kept is None else kept.restored()
        """The catalogue and the tariffs in use: what the feeds told, over what is embedded; ``kept`` keeps it over restarts."""
        self.scores = Scores()
        """What the clouds say of their spot capacity."""
        self._clock = clock
        self._pass_on_after = pass_on_after
        self._passed_on: dict[OfferRef, Quote] = {}

    @classmethod
    def of_all_clouds(
        cls,
        fetcher: Fetcher,
        environment: Mapping[str, str] = os.environ,
        pass_on_after: timedelta = timedelta(hours=1),
        restored: Iterable[Quote] = (),
        kept: KeptReference | None = None,
    ) -> Collection:
        """The feeds of the three clouds, asked through ``fetcher`` with the environment's credentials; ``restored`` is what an earlier process last knew."""
        token = ArmToken(fetcher, environment)
        # Azure's prices need no credential: who has none is told no shapes and no scores, and that is no fault.
        known = bool(environment.get("ARM_CLIENT_ID") or environment.get("ARM_ACCESS_TOKEN"))
        subscription = environment.get("ARM_SUBSCRIPTION_ID") if known else None
        lists, placement = AzureLists(fetcher, token, subscription), AzurePlacement(fetcher, token, subscription)
        azure = AzureFeed(fetcher, lists=lists, scores=AzureScores(fetcher, token) if known else None, placement=placement)
        feeds: list[ScopedFeed] = [AwsFeed(fetcher, get_session().get_credentials), azure, GcpFeed(fetcher, environment)]
        return cls(feeds, Book(restored), pass_on_after=pass_on_after, kept=kept)

    def collect(self, boundaries: Sequence[CompiledBoundary] = (), needs: Iterable[Requirements] = (), running: Iterable[OfferRef] = ()) -> CollectionReport:
        """Asks every feed for the regions that any of ``boundaries`` allows and the types that serve any of ``needs``; none given, or none that any type
        serves, means all: so the market's time is known to who says what can't be met. Of new types the nearest to what is needed are asked for, and those
        that are ``running``."""
        asked, used = tuple(needs), frozenset(offer[::3] for offer in running)
        new = nearest(self.reference.new_machines, asked, used)
        scopes = {
            cloud: Scope(_regions(cloud, boundaries), _types(self.reference, cloud, asked), tuple(one for one in new if one.cloud == cloud)) for cloud in CLOUDS
        }
        for feed in self._feeds:
            feed.scope = scopes[feed.cloud]
        with ThreadPoolExecutor(max(1, len(self._feeds)), thread_name_prefix="feed") as pool:
            reports = list(pool.map(lambda feed: feed.collect(self._clock()), self._feeds))
        kept, held_back = self.book.merge(reports)
        known = self.reference
        self.reference, refused = known.told(
            (one for report in reports for one in report.shapes if self.reference.base.has_machine(one.cloud, one.name) or placeable(one)),
            (one for report in reports for one in report.egress),
        )
        if self._kept is not None and self.reference is not known:
            self._kept.keep(self.reference)
        held_back += refused
        self.scores = self.scores.told(one for report in reports for one in report.scores)
        quotes = tuple(quote for quote in kept if self._is_news(quote))
        self._passed_on.update((quote.offer, quote) for quote in quotes)
        wanted = frozenset(
            cloud for cloud, scope in scopes.items() if scope.regions != frozenset() and (scope.instance_types != frozenset() or scope.new_types)
        )
        return CollectionReport(
            quotes,
            tuple(kept),
            tuple(held_back),
            tuple(fault for report in reports for fault in (*report.errors, *_missing(report))),
            wanted & {feed.cloud for feed in self._feeds},
            frozenset(report.cloud for report in reports if report.observed_at is not None),
        )

    def snapshot(self) -> Snapshot:
        """What is known now."""
        book, reference = self.book, self.reference
        return Snapshot(book.market_now, book.is_blind, book.quotes(), tuple(reference.shapes.values()), tuple(reference.egress.values()), self.scores.all())

    def adopt(self, told: Snapshot) -> None:
        """Takes what another process knows in place of what is known here."""
        self.book = Book.of(told.quotes, told.market_now, is_blind=told.is_blind)
        self.reference, _ = Reference().told(told.shapes, told.egress)
        self.scores = Scores().told(told.scores)

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


def _types(reference: Reference, cloud: str, needs: tuple[Requirements, ...]) -> frozenset[str] | None:
    met = [need for need in needs if any(need.fits(machine) for machine in reference.catalog.machine_list)]
    if not met:
        return None
    listed = (machine for machine in reference.catalog.machines(cloud) if reference.base.has_machine(cloud, machine.name))
    return frozenset(machine.name for machine in listed if any(need.fits(machine) for need in met))
