"""What the clouds ask of the market when a spot machine is wanted, and its answer as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


class SpotMarket(Protocol):
    """The part of the market that the clouds use. Prices are USD/h; None where the market doesn't sell the type."""

    def spot_price(self, cloud: str, region: str, zone: str, instance_type: str) -> float | None: ...

    def has_capacity(self, cloud: str, region: str, zone: str, instance_type: str) -> bool: ...


@dataclass(frozen=True)
class SpotAnswer:
    """Whether a spot machine is given out; ``price`` is the market's in USD/h, if it sells the type."""

    verdict: Literal["granted", "not_offered", "no_capacity", "price_too_low"]
    price: float | None


def ask(market: SpotMarket, cloud: str, region: str, zone: str, instance_type: str, max_price: float | None) -> SpotAnswer:
    """The market's answer to a request that bids at most ``max_price`` USD/h (None or a negative bid: the on-demand price)."""
    price = market.spot_price(cloud, region, zone, instance_type)
    if price is None:
        return SpotAnswer("not_offered", None)
    if max_price is not None and 0 <= max_price < price:
        return SpotAnswer("price_too_low", price)
    return SpotAnswer("granted" if market.has_capacity(cloud, region, zone, instance_type) else "no_capacity", price)
