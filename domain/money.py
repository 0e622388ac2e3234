"""Money in its two forms: ``Decimal`` USD where it is kept, ``float`` USD/h where it is compared.

Amounts are kept to ten decimals: one second of the cheapest machine (0.002 USD/h) is 0.0000005556 USD, and a month of such seconds must still add up.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from domain.errors import MalformedPrice

QUANTUM = Decimal("0.0000000001")
"""The smallest amount kept, in USD."""

HOURS_PER_30_DAYS = 720.0


def usd(amount: Decimal | float | str) -> Decimal:
    """``amount`` as a kept amount in USD. A float is read by its shortest text, so that 0.1 is 0.1. Raises :class:`MalformedPrice`."""
    try:
        value = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    except InvalidOperation as error:
        raise MalformedPrice(amount) from error
    if not value.is_finite():
        raise MalformedPrice(amount)
    return value.quantize(QUANTUM, rounding=ROUND_HALF_EVEN)


def cost(usd_per_hour: Decimal | float | str, seconds: float) -> Decimal:
    """What ``seconds`` at ``usd_per_hour`` cost, in USD."""
    return usd(usd(usd_per_hour) * usd(seconds) / Decimal(3600))


def usd_per_hour(text: Decimal | float | str) -> float:
    """A price as the clouds write it (text or number), in USD/h. Raises :class:`MalformedPrice` unless it is finite and above 0."""
    try:
        value = float(text)
    except (TypeError, ValueError) as error:
        raise MalformedPrice(text) from error
    if not math.isfinite(value) or value <= 0:
        raise MalformedPrice(text)
    return value
