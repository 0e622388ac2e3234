"""The book of quotes now: what the feeds last confirmed, each quote with its age."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from automation.feeds.quarantine import Quarantine
from domain.catalog import OfferRef
from domain.ports import FeedReport, Quarantined
from domain.prices import Quote


class Book:
    """The last good quote of each offer. A quote that no feed confirms any more stays, and ages."""

    def __init__(self) -> None:
        self._quotes: dict[OfferRef, Quote] = {}
        self._quarantine = Quarantine()
        self._market_now: datetime | None = None

    @property
    def market_now(self) -> datetime | None:
        """The market's clock: the latest time that any source has told; None before the first answer. Never runs back."""
        return self._market_now

    def quotes(self) -> tuple[Quote, ...]:
        """All quotes, in the order of their offers' ids."""
        return tuple(self._quotes[offer] for offer in sorted(self._quotes))

    def get(self, offer: OfferRef) -> Quote | None:
        """The quote of one offer."""
        return self._quotes.get(offer)

    def merge(self, reports: Iterable[FeedReport]) -> tuple[list[Quote], list[Quarantined]]:
        """Takes in what feeds brought; the quotes as kept, and what was held back. An answer older than what is held (a lagging cache) changes nothing."""
        kept: list[Quote] = []
        held_back: list[Quarantined] = []
        for report in reports:
            held_back += report.quarantined
            if report.observed_at is not None and (self._market_now is None or report.observed_at > self._market_now):
                self._market_now = report.observed_at
            for quote in report.quotes:
                held = self._quotes.get(quote.offer)
                if held is not None and held.observed_at > quote.observed_at:
                    continue
                judged, fault = self._quarantine.judge(held, quote)
                self._quotes[quote.offer] = judged
                kept.append(judged)
                if fault is not None:
                    held_back.append(fault)
        return kept, held_back
