"""Between the wire's words and the domain's: quotes, demands, verdicts. One place, both ways; nothing is decided here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from domain import prices
from domain.catalog import OfferRef
from domain.offers import RegionPredicate
from domain.placement.plan import Alternative, Asking, Current, Demand, Deploy, Evidence, Hurdle, Move, NoOffer, Trigger, Verdict, ZoneRef
from domain.placement.switching import Regret
from domain.spend import Cap, Spending
from domain.told import Score
from domain.workload import PlacementRules, Requirements
from spotlane import wire

_KINDS = {
    Trigger.PRICE: "move",
    Trigger.INTERRUPTION: "interruption",
    Trigger.UNHEALTHY: "unhealthy",
    Trigger.REQUESTED: "requested",
    Trigger.REDEPLOY: "redeploy",
    Trigger.RENEWAL: "redeploy",
}

_HELD = (wire.PlacementState.SERVING, wire.PlacementState.STANDBY, wire.PlacementState.DRAINING)


def offer_to_wire(offer: OfferRef) -> wire.OfferRef:
    """The offer as it travels."""
    return wire.OfferRef.model_validate({"cloud": offer.cloud, "region": offer.region, "zone": offer.zone, "instanceType": offer.instance_type})


def offer_from_wire(offer: wire.OfferRef) -> OfferRef:
    """The offer as the domain knows it."""
    return OfferRef(offer.cloud, offer.region, offer.zone, offer.instance_type)


def quote_to_wire(quote: prices.Quote, evidence: bool = False) -> wire.Quote:
    """The quote as it travels; unknown is null. Only as evidence it says of each of its figures who told it: the book holds thousands."""
    return wire.Quote(
        offer=offer_to_wire(quote.offer),
        spot_usd_per_hour=prices.known(quote.spot),
        on_demand_usd_per_hour=prices.known(quote.on_demand),
        interruptions_per_hour=prices.known(quote.interruptions_per_hour),
        source=quote.source,
        observed_at=quote.observed_at,
        on_demand_told=_told(quote.on_demand_told) if evidence else None,
        interruptions_told=_told(quote.interruptions_told) if evidence else None,
        placement_score=_score(quote.score) if evidence else None,
    )


def _told(told: prices.Told | None) -> wire.Told | None:
    return None if told is None else wire.Told(source=told.source, observed_at=told.observed_at)


def _score(score: Score | None) -> wire.PlacementScore | None:
    if score is None:
        return None
    return wire.PlacementScore(grade=score.grade.value, says=score.says, source=score.source, observed_at=score.observed_at)


def quote_from_wire(quote: wire.Quote) -> prices.Quote:
    """The quote as the domain knows it; null is unknown."""
    return prices.Quote(
        offer_from_wire(quote.offer),
        prices.or_unknown(quote.spot_usd_per_hour),
        prices.or_unknown(quote.on_demand_usd_per_hour),
        quote.source,
        quote.observed_at,
        prices.or_unknown(quote.interruptions_per_hour),
    )


def requirements(spec: wire.WorkloadSpec) -> Requirements:
    """The least machine that serves."""
    needs = spec.resources
    return Requirements(needs.vcpu, needs.memory_gib, needs.arch, needs.gpu, needs.gpu_type)


def demand(
    workload: wire.Workload,
    boundary: RegionPredicate,
    *,
    moves_in_30_days: int,
    excluded: Mapping[OfferRef, str],
    trigger: Trigger = Trigger.PRICE,
    requested: OfferRef | None = None,
    regret: Regret | None = None,
    cap_usd_per_hour: float | None = None,
    caps: tuple[Cap, ...] = (),
    apart: frozenset[ZoneRef] = frozenset(),
) -> Demand:
    """A workload as placement sees it; ``regret`` is what its present placement has cost too much so far, the cap per hour the boundary's for one machine.

    ``apart`` are the zones that its other machine keeps it out of.
    """
    spec, placed = workload.spec, workload.placement
    current = None
    if placed is not None and placed.state in _HELD:
        since = placed.market_served_from or placed.market_ready_from or placed.market_created_at
        current = Current(placed.id, offer_from_wire(placed.offer), since, regret)
    rules = spec.placement
    return Demand(
        workload=workload.id,
        needs=requirements(spec),
        rules=PlacementRules(
            clouds=None if rules.clouds is None else frozenset(rules.clouds),
            regions=None if rules.regions is None else frozenset(rules.regions),
            max_usd_per_hour=min((cap for cap in (rules.max_usd_per_hour, cap_usd_per_hour) if cap is not None), default=None),
            threshold=rules.threshold,
            dwell_hours=rules.dwell_hours,
            moves_per_30_days=rules.moves_per_30_days,
            egress_gib_per_hour=rules.egress_gib_per_hour,
            state_gib=rules.state_gib,
        ),
        boundary=boundary,
        current=current,
        moves_in_30_days=moves_in_30_days,
        excluded=excluded,
        trigger=trigger,
        requested=requested,
        caps=caps,
        apart=apart,
    )


def evidence_to_wire(evidence: Evidence) -> wire.Evidence:
    """The evidence as it travels."""
    return wire.Evidence(
        market_now=evidence.market_now,
        quote=quote_to_wire(evidence.quote, evidence=True),
        quote_age_seconds=evidence.quote_age_seconds,
        current_quote=None if evidence.current_quote is None else quote_to_wire(evidence.current_quote, evidence=True),
        expected_usd_per_hour=evidence.expected_usd_per_hour,
        current_usd_per_hour=evidence.current_usd_per_hour,
        move_cost_usd=evidence.move_cost_usd,
        horizon_hours=evidence.horizon_hours,
        net_saving_usd=evidence.net_saving_usd,
        net_saving_share=evidence.net_saving_share,
        offers_considered=evidence.considered,
        alternatives=[_alternative(one) for one in evidence.alternatives],
        parts=wire.CostParts(
            spot_usd_per_hour=evidence.parts.spot,
            egress_usd_per_hour=evidence.parts.egress,
            risk_usd_per_hour=evidence.parts.risk,
            carry_usd=evidence.move_cost.carry,
            overlap_usd=evidence.move_cost.overlap,
        ),
        hurdle=None if evidence.hurdle is None else _hurdle(evidence.hurdle),
        caps=[spending_to_wire(cap.spending) for cap in evidence.caps],
        counts=dict(evidence.counts),
        asking=None if evidence.asking is None else _asking(evidence.asking),
    )


def spending_to_wire(spent: Spending) -> wire.SpendCap:
    """A month under its cap as it travels."""
    return wire.SpendCap(
        owner=spent.owner,
        month=spent.month.name,
        cap_usd=spent.cap_usd,
        paid_usd=spent.paid_usd,
        usd_per_hour=spent.usd_per_hour,
        projected_usd=spent.projected_usd,
        hours_left=spent.hours_left,
        standing=spent.standing.value,
        unknown_hours=spent.unknown_hours,
    )


def decision_of(
    verdict: Deploy | Move,
    digest: str,
    deadline: datetime | None,
    role: Literal["serving", "standby"] = "serving",
    capacity: Literal["spot", "on-demand"] = "spot",
    holding: wire.Holding | None = None,
) -> wire.Decision:
    """The proposal that a verdict makes for the machine that serves, or stands by. The same verdict at the same market time is the same proposal."""
    kind = "deploy" if isinstance(verdict, Deploy) else _KINDS[verdict.trigger]
    source = verdict.from_placement if isinstance(verdict, Move) else None
    identity = f"{verdict.workload}|{kind}|{verdict.offer.id}|{source}|{verdict.evidence.market_now.isoformat()}"
    if role == "standby":
        identity += "|standby"
    if capacity == "on-demand":
        identity += "|on-demand"
    return wire.Decision.model_validate(
        {
            "id": "decision-" + hashlib.sha256(identity.encode()).hexdigest()[:24],
            "workload": verdict.workload,
            "kind": kind,
            "offer": offer_to_wire(verdict.offer),
            "fromPlacement": source,
            "boundaryDigest": digest,
            "evidence": evidence_to_wire(verdict.evidence),
            "reason": _reason(verdict),
            "deadline": deadline,
            "role": role,
            "capacity": capacity,
            "holding": holding,
        }
    )


def item_of(
    verdict: Verdict,
    digest: str,
    role: Literal["serving", "standby"] = "serving",
    placement: str | None = None,
    capacity: Literal["spot", "on-demand"] = "spot",
    holding: wire.Holding | None = None,
) -> wire.PlanItem:
    """A verdict as a plan shows it, with the machine that it is on."""
    return _item(verdict, digest, role, placement, capacity, holding).model_copy(update={"holding": holding})


def _item(
    verdict: Verdict,
    digest: str,
    role: Literal["serving", "standby"],
    placement: str | None,
    capacity: Literal["spot", "on-demand"],
    holding: wire.Holding | None,
) -> wire.PlanItem:
    if isinstance(verdict, Deploy | Move):
        decision = decision_of(verdict, digest, None, role, capacity, holding if isinstance(verdict, Deploy) else None)
        word = "deploy" if isinstance(verdict, Deploy) else "move"
        return wire.PlanItem.model_validate(
            {"workload": verdict.workload, "verdict": word, "reason": decision.reason, "decision": decision, "evidence": decision.evidence}
            | {"role": role, "placement": placement}
        )
    if isinstance(verdict, NoOffer):
        lost = [_alternative(one) for one in verdict.alternatives]
        return wire.PlanItem(
            workload=verdict.workload,
            verdict="no_offer",
            reason=f"{verdict.reason}: {verdict.detail}",
            decision=None,
            evidence=None,
            alternatives=lost,
            counts=dict(verdict.counts),
            role=role,
            placement=placement,
        )
    held = None if verdict.evidence is None else evidence_to_wire(verdict.evidence)
    return wire.PlanItem(
        workload=verdict.workload, verdict="stay", reason=f"{verdict.reason}: {verdict.detail}", decision=None, evidence=held, role=role, placement=placement
    )


def _reason(verdict: Deploy | Move) -> str:
    """The verdict's own; where it had to be reached on a price past its limit or in doubt, that too."""
    evidence = verdict.evidence
    if not evidence.stale:
        return verdict.detail
    why = evidence.quote.doubtful or f"{evidence.quote_age_seconds / 3600:.1f} h old"
    return f"{verdict.detail}; by the last known price ({why})"


def _hurdle(hurdle: Hurdle) -> wire.Hurdle:
    return wire.Hurdle(
        gap_usd_per_hour=hurdle.gap,
        least_gap_usd_per_hour=hurdle.gap_usd_per_hour,
        regret_usd=hurdle.regret.usd,
        least_regret_usd=hurdle.regret_usd,
        dwell_left_hours=hurdle.dwell_left_hours,
    )


def _asking(asking: Asking) -> wire.Asking:
    return wire.Asking(
        chance=asking.chance, refused=asking.record.refused, launched=asking.record.launched, refusal_usd=asking.refusal_usd, expected_usd=asking.usd
    )


def _alternative(one: Alternative) -> wire.Alternative:
    return wire.Alternative(offer=offer_to_wire(one.offer), usd_per_hour=prices.known(one.usd_per_hour), reason=one.reason.value, detail=one.detail)
