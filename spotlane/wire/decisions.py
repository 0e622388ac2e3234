"""Decisions with their evidence, as they travel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from spotlane.wire.base import Digest, PlacementId, Wire, WorkloadId
from spotlane.wire.holdings import Holding
from spotlane.wire.prices import OfferRef, Quote
from spotlane.wire.spend import SpendCap


class Alternative(Wire):
    """An offer that lost, and why (``reason`` is a stable word, ``detail`` a sentence)."""

    offer: OfferRef
    usd_per_hour: float | None
    reason: str
    detail: str


class CostParts(Wire):
    """What an expected cost and a move's cost are made of. USD/h: the machine, the service's egress, the risk of an interruption times what one costs. USD:
    the state's way to the new machine, the old one for as long as both run."""

    spot_usd_per_hour: float
    egress_usd_per_hour: float
    risk_usd_per_hour: float
    carry_usd: float
    overlap_usd: float


class Asking(Wire):
    """That the offer may be refused for want of capacity: the chance, from 0 to 1; the refusals and launches of it that it rests on beside its cloud's word,
    older ones at less weight; what one refusal costs until another offer is asked, and what refusals are expected to cost before a machine is had, USD."""

    chance: float
    refused: float
    launched: float
    refusal_usd: float
    expected_usd: float


class Hurdle(Wire):
    """What a move by price must clear: the least gap, and what staying must have cost too much, beside what they are; hours until it would, at this gap."""

    gap_usd_per_hour: float
    least_gap_usd_per_hour: float
    regret_usd: float
    least_regret_usd: float
    dwell_left_hours: float


class Evidence(Wire):
    """Why a decision was taken; USD and USD/h. ``net_saving_usd`` is over ``horizon_hours``, after egress, overlap and expected refusals.

    ``asking`` is null where no machine is asked for, where it is bought on demand, and in decisions from before it was told. ``caps`` are the monthly
    caps that the decision had to keep, as they stood then; ``counts`` says how many of the offers considered fell to each reason.
    """

    market_now: datetime
    quote: Quote
    quote_age_seconds: float
    current_quote: Quote | None
    expected_usd_per_hour: float
    current_usd_per_hour: float | None
    move_cost_usd: float
    horizon_hours: float
    net_saving_usd: float | None
    net_saving_share: float | None
    offers_considered: int
    alternatives: list[Alternative]
    parts: CostParts | None = None
    hurdle: Hurdle | None = None
    caps: list[SpendCap] = Field(default_factory=list)
    counts: dict[str, int] = Field(default_factory=dict)
    asking: Asking | None = None


class Decision(Wire):
    """What automation proposes for one workload. ``id`` is deterministic: the same proposal twice is one.

    ``role``: whether the machine is to serve, or to stand by. ``promote``: the standby that takes over from ``from_placement``; no machine is made then.
    ``capacity``: how the machine is bought.
    ``retire`` gives ``from_placement`` up, and puts nothing in its place. ``holding``: why, where it is done for the availability asked for.
    """

    id: str
    workload: WorkloadId
    kind: Literal["deploy", "move", "interruption", "unhealthy", "requested", "redeploy", "terminate", "retire"]
    offer: OfferRef | None
    from_placement: PlacementId | None
    boundary_digest: Digest
    evidence: Evidence | None
    reason: str
    deadline: datetime | None = None
    role: Literal["serving", "standby"] = "serving"
    promote: PlacementId | None = None
    capacity: Literal["spot", "on-demand"] = "spot"
    holding: Holding | None = None
