"""What a changed boundary would cost: asked and answered, as it travels."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from spotlane.wire.base import Digest, Json, TenantId, Wire, WorkloadId
from spotlane.wire.prices import OfferRef


class WhatIfRequest(Wire):
    """A boundary to try on a tenant's workloads, or on one of them, over the last ``days`` of recorded prices (fewer where fewer are known)."""

    tenant: TenantId
    boundary: Json
    workload: WorkloadId | None = None
    days: float = Field(default=7, gt=0, le=90)


class Place(Wire):
    """The cheapest placement now, all in; both null where nothing that may be used is sold."""

    offer: OfferRef | None
    usd_per_hour: float | None


class CourseCost(Wire):
    """What a workload would have cost over the history, in USD: machine, egress to its users, moves; the mean per hour of those in which it was placed."""

    usd: float
    machine_usd: float
    egress_usd: float
    moves_usd: float
    usd_per_hour: float | None
    hours: float
    unplaced_hours: float
    moves: int


class WhatIfItem(Wire):
    """One workload: without a boundary, under the present one, under the changed one. ``leaves`` says that the changed one forbids where it runs now."""

    workload: WorkloadId
    leaves: bool
    now_free: Place
    now_present: Place
    now_changed: Place
    free: CourseCost
    present: CourseCost
    changed: CourseCost


class WhatIf(Wire):
    """The answer: prices of ``market_now``, and the history from ``begin`` to ``end``, decided on every ``step_hours``."""

    market_now: datetime
    begin: datetime
    end: datetime
    step_hours: float
    present_digest: Digest
    changed_digest: Digest
    items: list[WhatIfItem]
