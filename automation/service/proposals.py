"""What was decided, brought to the edge: recorded in the audit trail first, refused there where it is, and carried out by the edge's saga."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from automation.service.cycle import Cycle
from automation.service.decider import Decider
from automation.service.estate import Estate
from automation.service.spend import Months
from automation.service.standbys import Capacity, Role, retirement, takeover
from automation.service.trail import Trail
from automation.service.translation import decision_of, offer_from_wire
from domain.catalog import OfferRef
from domain.placement.plan import Deploy, Move, NoOffer, Reason, Trigger, Verdict
from domain.spend import tightest
from spotlane import wire
from spotlane.client import Client
from spotlane.errors import ApiProblem


class Proposals:
    """The way of decisions to the edge. Without a ``trail`` nothing is recorded."""

    def __init__(self, edge: Client, decider: Decider, trail: Trail | None, clock: Callable[[], datetime]) -> None:
        self._edge = edge
        self._decider = decider
        self._trail = trail
        self._clock = clock

    def propose(self, cycle: Cycle, estate: Estate, market_now: datetime) -> tuple[list[wire.Migration], list[str]]:
        """The migrations that the edge began, and by workload what it refused. A refusal of the boundary's or a cap's is recorded."""
        started, errors = [], []
        months: Months | None = None
        by_id = {one.id: one for one in estate.workloads}
        for one in cycle.judged:
            verdict, workload = one.verdict, by_id[one.verdict.workload]
            if one.role == "serving" and isinstance(verdict, NoOffer) and verdict.reason is Reason.OUTSIDE_BOUNDARY:
                self.refused(workload, estate, None, verdict.reason, verdict.detail)
            if one.role == "serving" and isinstance(verdict, NoOffer) and verdict.reason is Reason.OVER_MONTH_CAP:
                months = months or self._decider.months(estate, market_now)
                self.refused(workload, estate, None, verdict.reason, _cap_of(workload, months))
            if not isinstance(verdict, Deploy | Move):
                continue
            try:
                started.append(self.carried_out(verdict, workload, estate, role=one.role, capacity=one.capacity, holding=one.holding))
            except ApiProblem as problem:
                errors.append(f"{verdict.workload}: {problem}")
        for retire in cycle.retired:
            try:
                started.append(self._edge.decide(retirement(retire, self._decider.boundary(by_id[retire.workload], estate).digest, market_now)))
            except ApiProblem as problem:
                errors.append(f"{retire.workload}: {problem}")
        return started, errors

    def carried_out(
        self,
        verdict: Deploy | Move,
        workload: wire.Workload,
        estate: Estate,
        deadline: datetime | None = None,
        role: Role = "serving",
        capacity: Capacity = "spot",
        holding: wire.Holding | None = None,
    ) -> wire.Migration:
        """The migration that the edge begins; the decision is recorded before it is asked for."""
        digest = self._decider.boundary(workload, estate).digest
        if self._trail is not None:
            self._trail.placed(workload.tenant, verdict, digest)
        return self._edge.decide(decision_of(verdict, digest, deadline, role, capacity, holding if isinstance(verdict, Deploy) else None))

    def taken_over(
        self, workload: wire.Workload, standby: wire.Placement, trigger: Trigger, estate: Estate, market_now: datetime, deadline: datetime | None
    ) -> wire.Migration:
        """The standby serves from now on. It stands already, whatever its offer costs or is short of: the evidence is there where it can be had."""
        offer = offer_from_wire(standby.offer)
        [verdict] = self._decider.decide(estate, market_now, [workload], lambda _: trigger, offer, alone=True)
        digest = self._decider.boundary(workload, estate).digest
        decision = takeover(workload, standby, trigger, verdict, digest, deadline, market_now)
        if self._trail is not None:
            self._trail.stands(workload.tenant, workload.id, offer, decision.reason, digest)
        return self._edge.decide(decision)

    def refused(self, workload: wire.Workload, estate: Estate, offer: OfferRef | None, rule: str, why: str) -> None:
        """Records that the workload may not stand at ``offer`` (None: anywhere)."""
        if self._trail is not None:
            self._trail.refused(workload.tenant, workload.id, offer, rule, why, self._decider.boundary(workload, estate).digest)

    def findings(self, workload: wire.Workload, estate: Estate, requested: OfferRef | None, verdict: Verdict) -> list[wire.PolicyFinding]:
        """What the boundary says of the offer that was asked for, where that is why it isn't taken."""
        if requested is None or verdict.reason is not Reason.OUTSIDE_BOUNDARY:
            return []
        finding = self._decider.boundary(workload, estate).refusal(requested.cloud, requested.region, self._clock())
        if finding is None:
            return []
        return [wire.PolicyFinding(rule=finding.rule, severity=finding.severity, enforcement="mandatory", resource=workload.id, message=finding.sentence())]


def _cap_of(workload: wire.Workload, months: Months) -> str:
    """The cap that leaves the least to a workload, in words that stay the same as long as the cap does: a refusal is recorded once."""
    cap = tightest(months.caps(workload))
    return "no cap" if cap is None else f"the cap of {cap.spending.owner}, {cap.spending.cap_usd:.2f} USD in {cap.spending.month.name}, leaves no offer"
