"""The cycle of the daemon: load → decide → propose. What is proposed is carried out at the edge; nothing is remembered here that can't be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from automation.errors import MoveRefused, NothingToMove
from automation.feeds.collection import Collection, CollectionReport
from automation.service import ledger, redeploys
from automation.service.boundaries import Boundaries, refusal_of
from automation.service.exclusions import Exclusions
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.restlessness import Restlessness
from automation.service.served import Served
from automation.service.spend import Months, Spend
from automation.service.trail import Trail
from automation.service.translation import decision_of, demand, item_of, offer_from_wire, quote_to_wire, requirements, spending_to_wire
from domain.boundary.compiled import CompiledBoundary
from domain.catalog import OfferRef
from domain.offers import Offers, RegionPredicate
from domain.placement.engine import plan
from domain.placement.plan import Demand, Deploy, Move, NoOffer, Problem, Reason, Settings, Stay, Trigger, Verdict
from domain.placement.switching import Regret
from domain.spend import tightest
from domain.windows import Hold, held
from spotlane import wire
from spotlane.client import Client
from spotlane.errors import ApiProblem, SpotlaneError

_log = structlog.get_logger("spotlane.rebalancer")
_LEDGER_MARK = "ledger"
_LEDGER_BATCH = 500
_MONTH = timedelta(days=30)
_PLACEABLE = {wire.WorkloadState.PENDING, wire.WorkloadState.RUNNING, wire.WorkloadState.INTERRUPTED, wire.WorkloadState.UNHEALTHY, wire.WorkloadState.FAILED}


@dataclass(frozen=True)
class Estate:
    """What the edge holds, at one moment."""

    workloads: tuple[wire.Workload, ...]
    tenants: dict[str, wire.Tenant]
    migrations: tuple[wire.Migration, ...]

    def moves_in_30_days(self, workload: str, market_now: datetime) -> int:
        """Moves by price of the last 30 days, on the market's clock."""
        return sum(
            1
            for one in self.migrations
            if one.workload == workload and one.kind == "move" and one.decision.evidence is not None and market_now - one.decision.evidence.market_now <= _MONTH
        )


class Rebalancer:
    """Collects, closes the ledger, decides, proposes."""

    def __init__(
        self,
        edge: Client,
        collection: Collection,
        history: QuoteHistory,
        price_limit_hours: float,
        feed_watch: FeedWatch,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        holds: Callable[[], Mapping[str, Hold]] = dict,
        trail: Trail | None = None,
    ) -> None:
        self._holds = holds
        self._trail = trail
        self._clock = clock
        self._edge = edge
        self._collection = collection
        self._history = history
        self._feed_watch = feed_watch
        self._settings = Settings(price_limit=timedelta(hours=price_limit_hours))
        self._restlessness = Restlessness(history)
        self._boundaries = Boundaries()
        self._exclusions = Exclusions()
        self._served = Served(edge)
        self._spend = Spend(edge)
        self._predicates: dict[tuple[str, str | None], RegionPredicate] = {}
        self._incidents: dict[str, wire.Incident] = {}
        self._lock = threading.RLock()
        self._known: Estate | None = None
        """What the edge held when it last answered."""

    def tick(self) -> wire.TickReport:
        """One cycle. Raises SpotlaneError where the edge is away; the next cycle begins anew, and no price seen meanwhile is lost to the ledger."""
        with self._lock:
            try:
                self._known = estate = self._estate()
            except SpotlaneError:
                if self._known is not None:
                    self._collection.take_back(self._collected(self._known)[0].quotes)
                raise
            report, quotes = self._collected(estate)
            market_now = self._collection.book.market_now
            if market_now is None:
                raise ApiProblem(
                    wire.Problem(type="https://spotlane.dev/problems/no-prices", title="No price feed answered", status=503, detail="; ".join(report.errors))
                )
            if quotes:
                try:
                    self._edge.put_prices(wire.PriceBook(market_now=market_now, quotes=quotes))
                except SpotlaneError:
                    self._collection.take_back(report.quotes)
                    raise
            self._exclusions.learn(estate.migrations, market_now)
            self._close_ledger(estate, market_now)
            self._alert(estate, market_now)
            placeable = [one for one in estate.workloads if _placeable(one)]
            verdicts = self._cycle(estate, market_now, placeable)
            self._keep_regrets(estate, verdicts)
            started, errors = self._propose(verdicts, estate)
            plan_shown = self._shown(verdicts, estate, market_now)
        return wire.TickReport(
            market_now=market_now, quotes=len(quotes), quarantined=len(report.quarantined), plan=plan_shown, started=started, errors=[*report.errors, *errors]
        )

    def _collected(self, estate: Estate) -> tuple[CollectionReport, list[wire.Quote]]:
        """The prices of now, and those of them that the edge and the ledger hold, kept for the ledger. Of what is in doubt these keep the last good quote."""
        report = self._collection.collect([self._boundary(one, estate) for one in estate.workloads], [requirements(one.spec) for one in estate.workloads])
        self._feed_watch.record(report, self._collection.book, self._clock())
        quotes = [quote_to_wire(quote) for quote in report.quotes if quote.doubtful is None]
        self._history.record(quotes)
        return report, quotes

    def plan(self, tenant: str | None = None, workload: str | None = None) -> wire.Plan:
        """What a cycle would decide now, on the prices of the last one. Changes nothing."""
        with self._lock:
            estate = self._estate()
            market_now = self._market_now()
            chosen = [
                one for one in estate.workloads if _placeable(one) and (tenant is None or one.tenant == tenant) and (workload is None or one.id == workload)
            ]
            return self._shown(self._cycle(estate, market_now, chosen), estate, market_now)

    def feeds(self) -> wire.Feeds:
        """How the price feeds do, and what was held back last."""
        return self._feed_watch.status(self._collection.book)

    def spend(self, tenant: str | None = None) -> wire.Spend:
        """Monthly caps, and how their months stand. Raises :class:`NothingToMove` before the first prices."""
        with self._lock:
            estate, market_now = self._estate(), self._market_now()
            months = self._months(estate, market_now)
        shown = [name for name, owner in months.owners.items() if tenant is None or owner.tenant == tenant]
        shown.sort(key=lambda name: (months.owners[name].tenant, months.owners[name].workload or ""))
        return wire.Spend(market_now=market_now, items=[spending_to_wire(months.of[name]) for name in shown])

    def move(self, request: wire.MoveRequest) -> wire.Migration:
        """A person's move. Raises :class:`MoveRefused` with findings, or :class:`NothingToMove`."""
        with self._lock:
            estate = self._estate()
            workload = next((one for one in estate.workloads if one.id == request.workload), None)
            if workload is None:
                raise NothingToMove(f"there is no workload {request.workload!r}; see `spotlane workload ls`")
            if workload.active_migration is not None:
                raise NothingToMove(f"{workload.id} is moving already ({workload.active_migration}); wait for its end")
            requested = None if request.offer is None else offer_from_wire(request.offer)
            verdict = self._decide(estate, self._market_now(), [workload], lambda _: Trigger.REQUESTED, requested)[0]
            if isinstance(verdict, NoOffer | Stay):
                findings = self._findings(workload, estate, requested, verdict)
                for finding in findings:
                    self._refused(workload, estate, requested, finding.rule, finding.message)
                raise MoveRefused(workload.id, f"{verdict.reason}: {verdict.detail}", findings)
            return self._carried_out(verdict, workload, estate)

    def incident(self, incident: wire.Incident) -> wire.Migration | None:
        """Moves a workload off a machine that goes or fails; None where its saga is at work already, and then it is looked at again."""
        with self._lock:
            self._incidents[incident.placement] = incident
            return self._handle(incident)

    def chase(self) -> None:
        """Looks again at incidents that could not be answered at once."""
        with self._lock:
            for incident in list(self._incidents.values()):
                self._handle(incident)

    def _handle(self, incident: wire.Incident) -> wire.Migration | None:
        tenant, name, _ = incident.placement.split("_")
        estate = self._estate()
        workload = next((one for one in estate.workloads if one.id == f"{name}-{tenant}"), None)
        if workload is None or workload.placement is None or workload.placement.id != incident.placement or not _placeable(workload, moving=True):
            self._incidents.pop(incident.placement, None)
            return None
        market_now = self._market_now()
        if incident.kind != "unhealthy":
            self._exclusions.interrupted(offer_from_wire(workload.placement.offer), market_now)
        if workload.active_migration is not None:
            return None
        trigger = Trigger.UNHEALTHY if incident.kind == "unhealthy" else Trigger.INTERRUPTION
        verdict = self._decide(estate, market_now, [workload], lambda _: trigger)[0]
        if not isinstance(verdict, Deploy | Move):
            _log.warning("no way out", placement=incident.placement, reason=verdict.detail)
            return None
        try:
            migration = self._carried_out(verdict, workload, estate, incident.deadline)
        except ApiProblem as problem:
            if problem.problem.status != 409:
                raise
            return None
        self._incidents.pop(incident.placement, None)
        return migration

    def _estate(self) -> Estate:
        tenants = {one.id: one for one in self._edge.tenants()}
        workloads = tuple(one for one in self._edge.workloads() if one.tenant in tenants)
        return Estate(workloads, tenants, tuple(_of_a_month(self._edge.migrations())))

    def _market_now(self) -> datetime:
        if self._collection.book.market_now is None:
            raise NothingToMove("no prices have been collected yet; wait for the daemon's first cycle or run `spotlane daemon --once`")
        return self._collection.book.market_now

    def _boundary(self, workload: wire.Workload, estate: Estate) -> CompiledBoundary:
        return self._boundaries.of(estate.tenants[workload.tenant], workload.spec.placement.data_class)

    def _months(self, estate: Estate, market_now: datetime) -> Months:
        """Of all monthly caps; a tenant's is the smaller of its own and its boundary's."""
        asked = {
            name: [one for one in (tenant.budget_usd_per_month, self._boundaries.of(tenant, None).boundary.spend.usd_per_month) if one is not None]
            for name, tenant in estate.tenants.items()
        }
        caps = {name: min(both) for name, both in asked.items() if both}
        return self._spend.months(estate.workloads, caps, estate.migrations, self._collection.book.quotes, market_now)

    def _predicate(self, boundary: CompiledBoundary) -> RegionPredicate:
        """One object a boundary: placement asks each only once per region."""
        return self._predicates.setdefault((boundary.digest, boundary.data_class), refusal_of(boundary, lambda: datetime.now(UTC)))

    def _cycle(self, estate: Estate, market_now: datetime, workloads: Sequence[wire.Workload]) -> tuple[Verdict, ...]:
        """What a cycle decides: by price, but for those whose declaration has changed or whose credentials end; and of that what is held stays as it is."""
        changed = redeploys.due(workloads, estate.migrations, self._edge.placements, self._clock())
        order = [Trigger.REDEPLOY, Trigger.RENEWAL, Trigger.PRICE]
        ranked = sorted(workloads, key=lambda one: order.index(changed.get(one.id, Trigger.PRICE)))
        # In one plan: what is placed for any reason takes of the same monthly caps.
        verdicts = self._decide(estate, market_now, ranked, lambda one: changed.get(one.id, Trigger.PRICE))
        return tuple(self._unless_held(verdicts, {one.id: one for one in workloads}))

    def _unless_held(self, verdicts: Iterable[Verdict], workloads: Mapping[str, wire.Workload]) -> Iterator[Verdict]:
        holds, now = self._holds(), self._clock()
        for verdict in verdicts:
            workload = workloads[verdict.workload]
            trigger = _trigger(verdict, workload)
            if isinstance(verdict, Deploy | Move) and trigger and (reason := held(holds, workload.id, workload.tenant, trigger, now)) is not None:
                yield Stay(verdict.workload, Reason.HELD, reason, verdict.evidence)
            else:
                yield verdict

    def _decide(
        self,
        estate: Estate,
        market_now: datetime,
        workloads: Sequence[wire.Workload],
        trigger: Callable[[wire.Workload], Trigger],
        requested: OfferRef | None = None,
    ) -> tuple[Verdict, ...]:
        quotes = self._collection.book.quotes()
        months = self._months(estate, market_now)
        excluded = self._exclusions.at(market_now, [quote.offer for quote in quotes])
        regrets = self._history.regrets()
        demands: list[Demand] = [
            demand(
                one,
                self._predicate(self._boundary(one, estate)),
                moves_in_30_days=estate.moves_in_30_days(one.id, market_now),
                excluded=excluded if requested is None else {},
                trigger=trigger(one),
                requested=requested,
                regret=None if one.placement is None else regrets.get(one.placement.id),
                cap_usd_per_hour=self._boundary(one, estate).boundary.spend.usd_per_hour,
                caps=months.caps(one),
            )
            for one in workloads
        ]
        offers = Offers.quoted(quotes)
        return plan(Problem(market_now, offers, tuple(demands), self._settings, volatility=self._restlessness.at(market_now))).verdicts

    def _keep_regrets(self, estate: Estate, verdicts: Sequence[Verdict]) -> None:
        """What each placement costs too much from now on. One that couldn't be judged (a move under way, a stale price) keeps what it had, standing still."""
        market_now = self._market_now()
        known = self._history.regrets()
        placements = {one.id: one.placement.id for one in estate.workloads if one.placement is not None}
        held = set(placements.values())
        kept = {placement: Regret(one.until(market_now), 0.0, market_now) for placement, one in known.items() if placement in held}
        for verdict in verdicts:
            hurdle = verdict.evidence.hurdle if isinstance(verdict, Stay) and verdict.evidence is not None else None
            if hurdle is not None and verdict.workload in placements:
                kept[placements[verdict.workload]] = hurdle.regret
        self._history.keep_regrets(kept)

    def _propose(self, verdicts: Sequence[Verdict], estate: Estate) -> tuple[list[wire.Migration], list[str]]:
        started, errors = [], []
        months: Months | None = None
        by_id = {one.id: one for one in estate.workloads}
        for verdict in verdicts:
            workload = by_id[verdict.workload]
            if isinstance(verdict, NoOffer) and verdict.reason is Reason.OUTSIDE_BOUNDARY:
                self._refused(workload, estate, None, verdict.reason, verdict.detail)
            if isinstance(verdict, NoOffer) and verdict.reason is Reason.OVER_MONTH_CAP:
                months = months or self._months(estate, self._market_now())
                self._refused(workload, estate, None, verdict.reason, _cap_of(workload, months))
            if not isinstance(verdict, Deploy | Move):
                continue
            try:
                started.append(self._carried_out(verdict, workload, estate))
            except ApiProblem as problem:
                errors.append(f"{verdict.workload}: {problem}")
        return started, errors

    def _carried_out(self, verdict: Deploy | Move, workload: wire.Workload, estate: Estate, deadline: datetime | None = None) -> wire.Migration:
        """The migration that the edge begins; the decision is recorded before it is asked for."""
        digest = self._boundary(workload, estate).digest
        if self._trail is not None:
            self._trail.placed(workload.tenant, verdict, digest)
        return self._edge.decide(decision_of(verdict, digest, deadline))

    def _refused(self, workload: wire.Workload, estate: Estate, offer: OfferRef | None, rule: str, why: str) -> None:
        if self._trail is not None:
            self._trail.refused(workload.tenant, workload.id, offer, rule, why, self._boundary(workload, estate).digest)

    def _shown(self, verdicts: Sequence[Verdict], estate: Estate, market_now: datetime) -> wire.Plan:
        by_id = {one.id: one for one in estate.workloads}
        items = [item_of(verdict, self._boundary(by_id[verdict.workload], estate).digest) for verdict in verdicts]
        saving = sum((verdict.evidence.net_saving_usd or 0.0) * 720.0 / verdict.evidence.horizon_hours for verdict in verdicts if isinstance(verdict, Move))
        return wire.Plan(market_now=market_now, items=items, saving_usd_per_30_days=saving)

    def _findings(self, workload: wire.Workload, estate: Estate, requested: OfferRef | None, verdict: Verdict) -> list[wire.PolicyFinding]:
        if requested is None or verdict.reason is not Reason.OUTSIDE_BOUNDARY:
            return []
        finding = self._boundary(workload, estate).refusal(requested.cloud, requested.region, datetime.now(UTC))
        if finding is None:
            return []
        return [wire.PolicyFinding(rule=finding.rule, severity=finding.severity, enforcement="mandatory", resource=workload.id, message=finding.sentence())]

    def _alert(self, estate: Estate, market_now: datetime) -> None:
        """What the edge refuses to take is said, and sent again with the next cycle: a cycle must not end for it."""
        try:
            self._spend.alert(self._months(estate, market_now), market_now)
        except ApiProblem as problem:
            _log.error("alerts of monthly caps were not taken", problem=str(problem))

    def _close_ledger(self, estate: Estate, market_now: datetime) -> None:
        closing = ledger.close(self._served.of(estate.workloads), self._history.in_force, self._history.mark(_LEDGER_MARK), market_now)
        for start in range(0, len(closing.hours), _LEDGER_BATCH):
            try:
                self._edge.put_ledger_hours(closing.hours[start : start + _LEDGER_BATCH])
            except ApiProblem as problem:
                if problem.word != "ledger-conflict":
                    raise
                # What was new is in the ledger; what stood there stands. A cycle must not end for it, an operator must see it.
                _log.error("the ledger holds other figures than were charged now", rows=problem.problem.detail)
        self._history.set_mark(_LEDGER_MARK, market_now)
        self._spend.closed(closing.hours)
        for placement in closing.unpriced:
            _log.warning("an hour stands in the ledger without a price: nobody knew it", placement=placement)


def _cap_of(workload: wire.Workload, months: Months) -> str:
    """The cap that leaves the least to a workload, in words that stay the same as long as the cap does: a refusal is recorded once."""
    cap = tightest(months.caps(workload))
    return "no cap" if cap is None else f"the cap of {cap.spending.owner}, {cap.spending.cap_usd:.2f} USD in {cap.spending.month.name}, leaves no offer"


def _trigger(verdict: Verdict, workload: wire.Workload) -> Trigger | None:
    """What sets off a verdict, as holds know it; None where none holds it: what runs outside its boundary leaves, what lost its machine gets another."""
    if isinstance(verdict, Move):
        return verdict.trigger if verdict.reason in (Reason.CHEAPEST, Reason.OVER_CAP, Reason.OVER_MONTH_CAP, Reason.REDEPLOY) else None
    return Trigger.REDEPLOY if isinstance(verdict, Deploy) and workload.state is wire.WorkloadState.PENDING else None


def _of_a_month(newest_first: Iterable[wire.Migration]) -> Iterator[wire.Migration]:
    """Those decided within a month before the newest, on the market's clock: older ones count for nothing any more, and aren't fetched."""
    newest: datetime | None = None
    for one in newest_first:
        if (evidence := one.decision.evidence) is not None:
            newest = newest or evidence.market_now
            if newest - evidence.market_now > _MONTH:
                return
        yield one


def _placeable(workload: wire.Workload, *, moving: bool = False) -> bool:
    if workload.state is wire.WorkloadState.MIGRATING:
        return moving
    return workload.state in _PLACEABLE and (moving or workload.active_migration is None)
