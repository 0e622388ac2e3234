"""What isn't believed: prices that can't be, and prices that nobody has confirmed yet.

Hard faults (zero, negative, not a number, another currency) never become a quote, and put the last good one in doubt until its feed gives a price again.
A spot price above five times or below a fiftieth of the on-demand price is never believed, however often it is told: the deepest discounts stand near
91 % (GCP, 2023), and no cloud sells spot for much more than on demand. The last good quote stays, marked doubtful so that it starts no move. A jump by
more than tenfold from the last good price, spot or on demand, is held back in the same way until three collections in a row have told the new price, each
later than the one before on the source's own clock (the same answer from a cache confirms nothing): measured markets step by at most 5 % (AWS, 2.6
million steps) and about fourfold at a month's start (Azure, GCP). A price that was never believed is no measure for the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from domain.catalog import OfferRef
from domain.errors import MalformedPrice
from domain.money import usd_per_hour
from domain.ports import Quarantined
from domain.prices import Price, Quote, Unknown

JUMP = 10.0
OVER_ON_DEMAND = 5.0
UNDER_ON_DEMAND = 0.02
CONFIRMATIONS = 3
_CONFIRMABLE = frozenset({"jump"})
SAME = 0.05
"""Two prices that differ by less, relative to the larger, confirm each other: what markets step by."""


def price_or_fault(text: object, offer: OfferRef, observed_at: datetime) -> float | Quarantined:
    """A price as a feed wrote it, in USD/h, or why it can't be one."""
    try:
        return usd_per_hour(text)  # type: ignore[arg-type]  # what isn't text or a number raises MalformedPrice
    except MalformedPrice:
        try:
            number = float(text)  # type: ignore[arg-type]  # as above
        except (TypeError, ValueError):
            return Quarantined(offer, "malformed", f"{text!r} is no price", observed_at)
        reason = "zero" if number == 0 else "negative" if number < 0 else "malformed"
        return Quarantined(offer, reason, f"{text!r} USD/h can't be a price", observed_at)


@dataclass(frozen=True, slots=True)
class _Suspect:
    """What waits to be confirmed: its figures, how often they were told, and when last."""

    spot: Price
    on_demand: Price
    seen: int
    at: datetime

    def is_confirmed_by(self, quote: Quote) -> bool:
        return _same(self.spot, quote.spot) and _same(self.on_demand, quote.on_demand)


class Quarantine:
    """Judges each quote by the last good one. Holds what it waits to see confirmed."""

    def __init__(self) -> None:
        self._suspects: dict[OfferRef, _Suspect] = {}
        self._unproven: set[OfferRef] = set()

    def judge(self, held: Quote | None, quote: Quote) -> tuple[Quote, Quarantined | None]:
        """The quote to keep, and why the new one was held back, if it was."""
        offer = quote.offer
        good = None if offer in self._unproven else held
        doubt = doubt_of(good, quote)
        if doubt is None:
            self._trust(offer)
            return quote, None
        reason, detail = doubt
        suspect = self._suspects.get(offer)
        if suspect is None or not suspect.is_confirmed_by(quote):
            suspect = _Suspect(quote.spot, quote.on_demand, 1, quote.observed_at)
        elif quote.observed_at > suspect.at:
            suspect = _Suspect(quote.spot, quote.on_demand, suspect.seen + 1, quote.observed_at)
        if suspect.seen >= CONFIRMATIONS and reason in _CONFIRMABLE:
            self._trust(offer)
            return quote, None
        self._suspects[offer] = suspect
        if good is None:
            self._unproven.add(offer)
        kept = replace(quote if good is None else good, doubtful=detail)
        return kept, Quarantined(offer, reason, detail, quote.observed_at)

    def _trust(self, offer: OfferRef) -> None:
        self._suspects.pop(offer, None)
        self._unproven.discard(offer)


def doubt_of(good: Quote | None, quote: Quote) -> tuple[str, str] | None:
    """Why ``quote`` isn't believed at once after the last ``good`` one, as a word and a sentence; None where it is."""
    spot, listed = quote.spot, quote.on_demand
    if isinstance(spot, Unknown):
        return None
    if not isinstance(listed, Unknown):
        if spot > OVER_ON_DEMAND * listed:
            return "above-on-demand", f"{spot:.4f} USD/h is more than {OVER_ON_DEMAND:g} times the on-demand price {listed:.4f}"
        if spot < UNDER_ON_DEMAND * listed:
            return "below-on-demand", f"{spot:.6f} USD/h is less than {UNDER_ON_DEMAND:.0%} of the on-demand price {listed:.4f}"
    if good is None:
        return None
    for what, before, after in (("", good.spot, spot), ("on demand ", good.on_demand, listed)):
        if isinstance(before, Unknown) or isinstance(after, Unknown):
            continue
        if not 1 / JUMP <= after / before <= JUMP:
            return "jump", f"{what}from {before:.4f} to {after:.4f} USD/h at once, more than {JUMP:g}-fold"
    return None


def _same(one: Price, other: Price) -> bool:
    if isinstance(one, Unknown) or isinstance(other, Unknown):
        return isinstance(one, Unknown) and isinstance(other, Unknown)
    return abs(one - other) <= SAME * max(one, other)
