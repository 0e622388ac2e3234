"""Prices for reviews: a price book as ``spotlane prices --json`` prints it. A price that isn't there is unknown, never 0."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from domain.catalog import OfferRef
from domain.prices import Quote, or_unknown


class Prices:
    """The quotes of one book."""

    def __init__(self, quotes: list[Quote], market_now: datetime | None) -> None:
        self.quotes = quotes
        self.market_now = market_now
        self._cheapest: dict[tuple[str, str, str, bool], float] = {}
        for quote in quotes:
            for spot, price in ((True, quote.spot), (False, quote.on_demand)):
                if isinstance(price, float):
                    key = (quote.offer.cloud, quote.offer.region, quote.offer.instance_type, spot)
                    self._cheapest[key] = min(price, self._cheapest.get(key, price))

    def hourly(self, cloud: str, region: str, instance_type: str, spot: bool | None) -> float | None:
        """USD/h in the region's cheapest zone, None where nobody quotes it or ``spot`` is unknown."""
        if spot is None:
            return None
        return self._cheapest.get((cloud, region, instance_type, spot))


def load_prices(path: Path | None) -> Prices:
    """The book in a file; an empty one without a file. Raises ``ValueError`` or ``OSError``."""
    if path is None:
        return Prices([], None)
    document = json.loads(path.read_text(encoding="utf-8"))
    try:
        quotes = [_quote(one) for one in document["quotes"]]
        return Prices(quotes, datetime.fromisoformat(document["marketNow"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a price book of `spotlane prices --json` ({error!r})") from error


def _quote(one: dict[str, Any]) -> Quote:
    offer = one["offer"]
    ref = OfferRef(offer["cloud"], offer["region"], offer["zone"], offer["instanceType"])
    spot, on_demand = (None if one.get(key) is None else float(one[key]) for key in ("spotUsdPerHour", "onDemandUsdPerHour"))
    rate = one.get("interruptionsPerHour")
    return Quote(
        ref, or_unknown(spot), or_unknown(on_demand), str(one.get("source", "")), datetime.fromisoformat(one["observedAt"]), or_unknown(rate and float(rate))
    )
