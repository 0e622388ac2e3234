"""The ledger: hours, moves and totals, as they travel."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from spotlane.wire.base import PlacementId, TenantId, Wire, WorkloadId
from spotlane.wire.decisions import Evidence
from spotlane.wire.prices import OfferRef, Quote


class LedgerHour(Wire):
    """What one placement cost in one market hour (or the part of it that it served); decimal USD, frozen with its quotes."""

    placement: PlacementId
    workload: WorkloadId
    tenant: TenantId
    hour: datetime
    seconds: float = Field(gt=0, le=3600)
    paid_usd: Decimal
    on_demand_usd: Decimal
    stayed_usd: Decimal
    quote: Quote
    stayed_offer: OfferRef


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
    """Sums over the hours asked for; decimal USD."""

    paid_usd: Decimal
    on_demand_usd: Decimal
    stayed_usd: Decimal
    hours: float


class Ledger(Wire):
    """The ledger of a tenant or workload."""

    totals: LedgerTotals
    hours: list[LedgerHour]
    moves: list[LedgerMove]
