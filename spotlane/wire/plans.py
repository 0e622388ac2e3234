"""What the daemon proposes, what it is asked, and what a cycle did, as it travels."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from spotlane.wire.base import PlacementId, Wire, WorkloadId
from spotlane.wire.decisions import Alternative, Decision, Evidence
from spotlane.wire.holdings import Holding
from spotlane.wire.migrations import Migration
from spotlane.wire.prices import OfferRef


class PlanItem(Wire):
    """One workload's verdict in a dry run: ``decision`` is null when it stays or has no offer; then ``alternatives`` and
    ``counts`` (offers by the reason that they fell to) say what was looked at. ``role`` and ``placement`` say of which of
    its machines (null: of one to come); ``retire`` gives that one up. ``holding``: on the first machine, and on what is done for it, of a workload that asks
    for an availability."""

    workload: WorkloadId
    verdict: Literal["deploy", "move", "stay", "no_offer", "retire"]
    reason: str
    decision: Decision | None
    evidence: Evidence | None
    alternatives: list[Alternative] = Field(default_factory=list)
    counts: dict[str, int] = Field(default_factory=dict)
    role: Literal["serving", "standby"] = "serving"
    placement: PlacementId | None = None
    holding: Holding | None = None


class Plan(Wire):
    """A dry run with dollars; savings in USD per 30 days."""

    market_now: datetime
    items: list[PlanItem]
    saving_usd_per_30_days: float


class MoveRequest(Wire):
    """A move asked for by a person; without ``offer``, to the best allowed one."""

    workload: WorkloadId
    offer: OfferRef | None = None


class TickReport(Wire):
    """What one cycle of the daemon saw and did."""

    market_now: datetime
    quotes: int
    quarantined: int
    plan: Plan
    started: list[Migration]
    errors: list[str]
