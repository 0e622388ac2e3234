"""What a month will have cost, from the ledger's hours: pure.

Method: the month's hours so far, plus what remains of the month at the mean rate of the last 24 hours in the ledger (fewer where it is younger).
"So far" ends with the ledger's last hour, on the market's clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotlane import wire

_HOUR = timedelta(hours=1)
_RATE_OVER = timedelta(hours=24)
_CENT_OF_A_CENT = Decimal("0.0001")


@dataclass(frozen=True)
class Forecast:
    """Decimal USD; ``as_of`` is the end of the ledger's last hour, None without one: then nothing was paid and no rate is known.

    ``unknown_hours`` of the month have no price: they are in no sum, so that the month will have cost more than is told.
    """

    as_of: datetime | None
    paid_usd: Decimal
    usd_per_hour: Decimal | None
    forecast_usd: Decimal | None
    unknown_hours: float = 0.0


def forecast(hours: Iterable[wire.LedgerHour], begin: datetime, end: datetime) -> Forecast:
    """The month from ``begin`` to before ``end`` by the hours of the ledger, in any order. A month that is over forecasts what was paid."""
    closed = list(hours)
    unknown = sum(one.seconds for one in closed if one.paid_usd is None and begin <= one.hour < end) / 3600
    known = [(one.hour, one.paid_usd) for one in closed if one.paid_usd is not None]
    if not known:
        return Forecast(None, Decimal(0), None, None, unknown)
    as_of = max(hour for hour, _ in known) + _HOUR
    since = max(as_of - _RATE_OVER, min(hour for hour, _ in known))
    recent = sum((paid for hour, paid in known if hour >= since), Decimal(0))
    rate = recent / _in_hours(as_of - since)
    so_far = sum((paid for hour, paid in known if begin <= hour < end), Decimal(0))
    left = max(end - max(as_of, begin), timedelta(0))
    return Forecast(as_of, so_far, rate.quantize(_CENT_OF_A_CENT), (so_far + rate * _in_hours(left)).quantize(_CENT_OF_A_CENT), unknown)


def _in_hours(span: timedelta) -> Decimal:
    return Decimal(int(span.total_seconds())) / Decimal(3600)
