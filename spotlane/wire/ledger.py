"""The ledger: hours, moves and totals, as they travel."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from spotlane.wire.base import PlacementId, TenantId, Wire, WorkloadId
from spotlane.wire.decisions import Evidence
from spotlane.wire.prices import OfferRef, Quote


class LedgerHour(Wire):
    """What one placement cost in one market hour (or the part of it that it served); decimal USD, frozen with its quotes.

    On-demand and staying are those of ``stayed_offer``, where the workload began; ``before`` is what the generation before it, left by the move that
    brought this one, would have cost (null for the first). A figure whose price nobody knew then is null, never 0, and stays so.
    ``capacity``: how the machine was bought, at the quote's spot price or at its price on demand.
    """

    placement: PlacementId
    workload: WorkloadId
    tenant: TenantId
    hour: datetime
    seconds: float = Field(gt=0, le=3600)
    paid_usd: Decimal | None
    on_demand_usd: Decimal | None
    stayed_usd: Decimal | None
    quote: Quote
    stayed_offer: OfferRef
    before_usd: Decimal | None = None
    before_offer: OfferRef | None = None
    capacity: Literal["spot", "on-demand"] = "spot"


class LedgerMove(Wire):
    """What one move was expected to save, frozen with the evidence acted on."""

    migration: PlacementId
    workload: WorkloadId
    tenant: TenantId
    kind: str
    from_offer: OfferRef | None
    to_offer: OfferRef
    evidence: Evidence
    recorded_at: datetime


class LedgerTotals(Wire):
    """Sums over the hours asked for; decimal USD. Each is over the hours whose figure is known, savings over those of which both figures are;
    ``unknown_hours`` are those whose paid price isn't."""

    paid_usd: Decimal
    on_demand_usd: Decimal
    stayed_usd: Decimal
    saved_usd: Decimal
    saved_stayed_usd: Decimal
    hours: float
    unknown_hours: float


class Ledger(Wire):
    """The ledger of a tenant or workload."""

    totals: LedgerTotals
    hours: list[LedgerHour]
    moves: list[LedgerMove]
