"""On demand, where no spot machine may be had: the same engine over the same offers, each at its price on demand and never taken back. Pure.

The rule. A machine that is wanted now (a first one, or in the place of one that goes or fails) and for which every offer is refused on spot, some of them for
want of capacity, is taken on demand if its owner asks for that. So is the replacement of a machine that goes for which spot was refused once already: each try
costs minutes without a machine, and by :mod:`domain.placement.fleet` an hour short is worth a hundred hours of a spare at an availability of 99 %. On demand is
a bridge: as soon as a spot offer may be used that costs less, the machine moves there, and where that is refused too, it stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from domain.placement.plan import Deploy, Evidence, Move, NoOffer, Reason, Stay, Trigger, Verdict
from domain.prices import Quote, known

_SHORT = frozenset({Reason.NO_CAPACITY, Reason.EXCLUDED})
"""What is refused now and may be sold again later."""


def on_demand(quotes: Iterable[Quote]) -> list[Quote]:
    """The quotes as the engine sees them on demand: what is paid is the price on demand, no machine is taken back, and what is said of spot capacity says
    nothing of it."""
    return [replace(one, spot=one.on_demand, interruptions_per_hour=0.0, score=None) for one in quotes]


def short(verdict: Verdict) -> bool:
    """Whether there is no spot machine for want of capacity: other reasons (boundary, size, caps) hold on demand as well."""
    return isinstance(verdict, NoOffer) and any(verdict.counts.get(reason.value, 0) for reason in _SHORT)


def wanted(verdict: Verdict, bridged: bool, trigger: Trigger) -> bool:
    """Whether a cycle buys on demand: a machine that is lacking, or another one for a machine on demand that has to be replaced where it is."""
    if bridged:
        return trigger is not Trigger.PRICE and isinstance(verdict, Stay) and verdict.reason is Reason.NO_CAPACITY
    return short(verdict)


def told(verdict: Deploy | Move, quote: Quote, current: Quote | None, why: str = "on demand, for no spot machine may be had") -> Deploy | Move:
    """A verdict on demand with the quotes as they are, both prices in them."""
    evidence = replace(verdict.evidence, quote=quote, current_quote=current, net_saving_usd=None, net_saving_share=None, asking=None)
    return replace(verdict, evidence=evidence, detail=f"{verdict.detail}; {why}")


def back(verdict: Verdict, placement: str, current: Quote | None, trigger: Trigger) -> Verdict:
    """What becomes of a machine on demand, by the verdict on spot as if it ran nowhere: it moves where that costs less, and stays else."""
    paid = None if current is None else known(current.on_demand)
    evidence: Evidence | None = verdict.evidence if isinstance(verdict, Deploy) else None
    if evidence is None or not isinstance(verdict, Deploy):
        return Stay(verdict.workload, Reason.NO_CAPACITY, f"runs on demand until a spot machine may be had: {verdict.detail}", None)
    if paid is not None and evidence.expected_usd_per_hour >= paid:
        return Stay(verdict.workload, Reason.CHEAPEST, "runs on demand, and no spot machine costs less", None)
    detail = "goes back from on demand to spot" + ("" if paid is None else f", for {evidence.expected_usd_per_hour:.4f} instead of {paid:.4f} USD/h")
    evidence = replace(evidence, current_quote=current, current_usd_per_hour=paid)
    return Move(verdict.workload, verdict.offer, placement, trigger, Reason.CHEAPEST, detail, evidence)
