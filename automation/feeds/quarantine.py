"""What isn't believed: prices that can't be, and jumps that nobody has confirmed yet.

Hard faults (zero, negative, not a number, another currency) never become a quote. A jump by more than tenfold, or to more than five times the on-demand
price, is held back: the last good quote stays, marked doubtful so that it starts no move, until the new price was seen three collections in a row.
Measured markets step by at most 5 % (AWS, 2.6 million steps) and about fourfold at a month's start (Azure, GCP), so that tenfold is a mistake of a feed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from domain.catalog import OfferRef
from domain.errors import MalformedPrice
from domain.money import usd_per_hour
from domain.ports import Quarantined
from domain.prices import Quote, Unknown

JUMP = 10.0
OVER_ON_DEMAND = 5.0
CONFIRMATIONS = 3


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


@dataclass
class _Suspect:
    price: float
    seen: int


class Quarantine:
    """Judges each quote by the last good one. Holds what it waits to see confirmed."""

    def __init__(self) -> None:
        self._suspects: dict[OfferRef, _Suspect] = {}

    def judge(self, held: Quote | None, quote: Quote) -> tuple[Quote, Quarantined | None]:
        """The quote to keep, and why the new one was held back, if it was."""
        doubt = _doubt(held, quote)
        if doubt is None:
            self._suspects.pop(quote.offer, None)
            return quote, None
        reason, detail = doubt
        price = 0.0 if isinstance(quote.spot, Unknown) else quote.spot
        suspect = self._suspects.get(quote.offer)
        if suspect is not None and abs(suspect.price - price) <= 0.05 * price:
            suspect.seen += 1
            if suspect.seen >= CONFIRMATIONS:
                del self._suspects[quote.offer]
                return quote, None
        else:
            self._suspects[quote.offer] = _Suspect(price, 1)
        kept = replace(quote, doubtful=detail) if held is None else replace(held, doubtful=detail)
        return kept, Quarantined(quote.offer, reason, detail, quote.observed_at)


def _doubt(held: Quote | None, quote: Quote) -> tuple[str, str] | None:
    if isinstance(quote.spot, Unknown):
        return None
    if not isinstance(quote.on_demand, Unknown) and quote.spot > OVER_ON_DEMAND * quote.on_demand:
        return "above-on-demand", f"{quote.spot:.4f} USD/h is more than {OVER_ON_DEMAND:g} times the on-demand price {quote.on_demand:.4f}"
    if held is None or isinstance(held.spot, Unknown):
        return None
    if not 1 / JUMP <= quote.spot / held.spot <= JUMP:
        return "jump", f"from {held.spot:.4f} to {quote.spot:.4f} USD/h at once, more than {JUMP:g}-fold"
    return None
