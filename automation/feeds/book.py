"""The book of quotes now: what the feeds last confirmed, each quote with its age, and the market's clock as the sources tell it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from automation.feeds.quarantine import CONFIRMATIONS, Quarantine
from domain.catalog import OfferRef
from domain.ports import FeedReport, Quarantined
from domain.prices import Quote

LEAP = timedelta(days=7)
"""A source whose clock is so far ahead of all others, or of the last time told where it stands alone, isn't believed before it was three times so."""
BLIND = "no feed answered, so that the market's time isn't known"
RESTORED = "known from before the service's start; no feed has confirmed it since"


class Book:
    """The last good quote of each offer. A quote that no feed confirms any more stays, and ages.

    ``restored`` are the last known quotes of an earlier process: they serve moves that can't wait, and start none until a feed confirms them.
    """

    def __init__(self, restored: Iterable[Quote] = ()) -> None:
        self._quotes: dict[OfferRef, Quote] = {}
        self._pools: dict[OfferRef, set[OfferRef]] = defaultdict(set)
        self._restored = {quote.offer for quote in self._keep(replace(quote, doubtful=RESTORED) for quote in restored)}
        self._quarantine = Quarantine()
        self._market_now: datetime | None = max((quote.observed_at for quote in self._quotes.values()), default=None)
        self._is_told = False
        self._blind = False
        self._leaps: dict[str, int] = {}

    @classmethod
    def of(cls, quotes: Iterable[Quote], market_now: datetime | None, *, is_blind: bool) -> Book:
        """A book as another process told it: its quotes with their doubts, and its clock."""
        book = cls()
        book._keep(quotes)
        book._market_now, book._is_told, book._blind = market_now, market_now is not None, is_blind
        return book

    @property
    def market_now(self) -> datetime | None:
        """The market's clock: the latest time that any source has told; None before the first answer. Never runs back."""
        return self._market_now

    @property
    def is_blind(self) -> bool:
        """Whether no source answered the last collection. The market's clock stands still then, so that no quote can be shown to be fresh."""
        return self._blind

    def quotes(self) -> tuple[Quote, ...]:
        """All quotes, in the order of their offers' ids; each of them in doubt while the book is blind."""
        found = (self._quotes[offer] for offer in sorted(self._quotes))
        return tuple(replace(quote, doubtful=quote.doubtful or BLIND) if self._blind else quote for quote in found)

    def get(self, offer: OfferRef) -> Quote | None:
        """The quote of one offer."""
        return self._quotes.get(offer)

    def merge(self, reports: Sequence[FeedReport]) -> tuple[list[Quote], list[Quarantined]]:
        """Takes in what feeds brought; the quotes as kept, and what was held back. An answer older than what is held (a lagging cache) changes nothing."""
        told, held_back = self._told([report for report in reports if report.observed_at is not None])
        self._blind = not told
        for fault in (fault for report in told for fault in report.quarantined):
            held_back.append(fault)
            self._doubt(fault)
        kept: list[Quote] = []
        for quote in (quote for report in told for quote in report.quotes):
            held = self._quotes.get(quote.offer)
            if held is not None and held.observed_at > quote.observed_at and quote.offer not in self._restored:
                continue
            judged, judgement = self._quarantine.judge(held, quote)
            self._restored.discard(quote.offer)
            kept += self._keep([judged])
            if judgement is not None:
                held_back.append(judgement)
        return kept, held_back

    def _keep(self, quotes: Iterable[Quote]) -> list[Quote]:
        kept = list(quotes)
        for quote in kept:
            self._quotes[quote.offer] = quote
            self._pools[quote.offer._replace(zone="-")].add(quote.offer)
        return kept

    def _doubt(self, fault: Quarantined) -> None:
        """What its own feed prices wrongly now, isn't relied on any more. A fault of a region's price (zone "-") is one of all its zones."""
        offer = fault.quote_offer
        for one in self._pools.get(offer, ()) if offer.zone == "-" else {offer} & self._quotes.keys():
            if self._quotes[one].observed_at <= fault.observed_at:
                self._quotes[one] = replace(self._quotes[one], doubtful=fault.detail)

    def _told(self, answered: list[FeedReport]) -> tuple[list[FeedReport], list[Quarantined]]:
        """The answers whose clock is believed; moves the market's clock on by them."""
        believed: list[FeedReport] = []
        faults: list[Quarantined] = []
        for report in answered:
            at = report.observed_at
            others = [one.observed_at for one in answered if one is not report and one.observed_at is not None]
            anchor = max(others, default=self._market_now if self._is_told else None)
            if at is None or anchor is None or at - anchor <= LEAP:
                self._leaps.pop(report.cloud, None)
                believed.append(report)
                continue
            self._leaps[report.cloud] = self._leaps.get(report.cloud, 0) + 1
            if self._leaps[report.cloud] >= CONFIRMATIONS:
                believed.append(report)
                continue
            detail = f"the source's clock says {at:%Y-%m-%d %H:%M}, {(at - anchor).days} days ahead of {anchor:%Y-%m-%d %H:%M}"
            faults.append(Quarantined(OfferRef(report.cloud, "*", "*", "*"), "clock", detail, anchor))
        latest = max((report.observed_at for report in believed if report.observed_at is not None), default=None)
        if latest is not None and (self._market_now is None or not self._is_told or latest > self._market_now):
            self._market_now, self._is_told = latest, True
        return believed, faults
