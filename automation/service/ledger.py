"""The ledger's hours: what each placement cost, what on-demand would have, and what staying where the workload began would have.

Pure. Each hour (or the part of it that a placement served) is charged at the quotes in force at its beginning; it is frozen with them and never
charged again. *On-demand* is the on-demand price of the workload's first offer, *stayed* is that offer's spot price: what the owner would have
paid who placed once and never moved; *before* is the spot price of the offer that the workload left when it came to this one. A figure whose price nobody
knows is recorded as unknown, not counted as 0: one hour after the hour has ended, so that a feed that is late can still tell it.

A standby is charged from when it is ready. While it stands by nothing is set against it on demand: what isn't taken back needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from spotlane.wire import LedgerHour, OfferRef, Placement, Quote

InForce = Callable[[OfferRef, datetime], Quote | None]
_HOUR = timedelta(hours=1)
_LATE = 2 * _HOUR
"""After an hour's beginning its prices are taken for what is known of them."""
_MICRO = Decimal("0.000001")


@dataclass(frozen=True)
class Closing:
    """Hours to freeze, and the placements of those whose paid price isn't known."""

    hours: list[LedgerHour] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)


def close(placements: Iterable[Placement], in_force: InForce, closed_until: datetime | None, market_now: datetime) -> Closing:
    """The hours that ended after ``closed_until`` and by ``market_now``, of every placement that served or stood by in them.

    An hour still running is closed only for a placement that has stopped serving.
    """
    closing = Closing()
    served = sorted((one for one in placements if _held_from(one) is not None), key=lambda one: one.id)
    firsts: dict[str, Placement] = {}
    for placement in served:
        held = firsts.get(placement.workload)
        if held is None or placement.generation < held.generation:
            firsts[placement.workload] = placement
    before = _generations(served)
    for placement in served:
        first, left = firsts[placement.workload], before.get(placement.id)
        for hour, begin, end in _spans(placement, closed_until, market_now):
            charged = _charge(placement, first.offer, None if left is None else left.offer, hour, begin, end, in_force)
            if _whole(charged) or hour + _LATE <= market_now:
                closing.hours.append(charged)
                if charged.paid_usd is None:
                    closing.unpriced.append(placement.id)
    return closing


def _generations(served: Iterable[Placement]) -> dict[str, Placement]:
    """The placement that each one, by its id, took over from: the one that it says, else, of those that served alone, the one of the generation before."""
    ordered = sorted(served, key=lambda one: (one.workload, one.generation))
    by_id = {one.id: one for one in ordered}
    found: dict[str, Placement] = {}
    last: dict[str, Placement] = {}
    for placement in ordered:
        before = last.get(placement.workload) if placement.replaces is None else by_id.get(placement.replaces)
        if placement.beside:
            continue
        if before is not None:
            found[placement.id] = before
        last[placement.workload] = placement
    return found


def _held_from(placement: Placement) -> datetime | None:
    """Since when it is paid for: since it has been ready, as a standby or as what serves."""
    return placement.market_ready_from or placement.market_served_from


def _spans(placement: Placement, closed_until: datetime | None, market_now: datetime) -> Iterator[tuple[datetime, datetime, datetime]]:
    """(hour, begin, end) of each part to close."""
    served_from = _held_from(placement)
    assert served_from is not None, "only placements that served or stood by have spans"
    served_until = placement.market_served_until
    hour = served_from.replace(minute=0, second=0, microsecond=0)
    if closed_until is not None:
        # An hour may have been left open until its placement stopped: begin one hour early, the ledger is idempotent by placement and hour.
        hour = max(hour, closed_until.replace(minute=0, second=0, microsecond=0) - _HOUR)
    while hour < market_now:
        begin, end = max(hour, served_from), hour + _HOUR
        if served_until is not None:
            end = min(end, served_until)
        if end > market_now:
            return
        if end > begin:
            yield hour, begin, end
        if served_until is not None and hour + _HOUR >= served_until:
            return
        hour += _HOUR


def _charge(placement: Placement, first: OfferRef, left: OfferRef | None, hour: datetime, begin: datetime, end: datetime, in_force: InForce) -> LedgerHour:
    paid, stayed = in_force(placement.offer, begin), in_force(first, begin)
    before = None if left is None else in_force(left, begin)
    seconds, served = (end - begin).total_seconds(), _served_seconds(placement, begin, end)
    if not served:
        left = before = None
    return LedgerHour(
        placement=placement.id,
        workload=placement.workload,
        tenant=placement.tenant,
        hour=hour,
        seconds=seconds,
        paid_usd=_usd(_paid(paid, placement.capacity), seconds),
        on_demand_usd=_usd(stayed.on_demand_usd_per_hour if stayed else None, served),
        stayed_usd=_usd(stayed.spot_usd_per_hour if stayed else None, seconds),
        quote=paid or Quote(offer=placement.offer, spot_usd_per_hour=None, on_demand_usd_per_hour=None, source="unknown", observed_at=begin),
        stayed_offer=first,
        before_usd=_usd(before.spot_usd_per_hour if before else None, served),
        before_offer=left,
        capacity=placement.capacity,
    )


def _paid(quote: Quote | None, capacity: str) -> float | None:
    """USD/h of a machine that is bought so."""
    if quote is None:
        return None
    return quote.on_demand_usd_per_hour if capacity == "on-demand" else quote.spot_usd_per_hour


def _served_seconds(placement: Placement, begin: datetime, end: datetime) -> float:
    """Of a part of an hour, that in which it served."""
    return 0.0 if placement.market_served_from is None else max((end - max(begin, placement.market_served_from)).total_seconds(), 0.0)


def _whole(hour: LedgerHour) -> bool:
    """Whether each figure that the hour should have is known."""
    return None not in (hour.paid_usd, hour.on_demand_usd, hour.stayed_usd) and (hour.before_offer is None or hour.before_usd is not None)


def _usd(usd_per_hour: float | None, seconds: float) -> Decimal | None:
    if usd_per_hour is None:
        return None
    return (Decimal(str(usd_per_hour)) * Decimal(str(seconds)) / Decimal(3600)).quantize(_MICRO, rounding=ROUND_HALF_EVEN)
