"""The cycle of the daemon: load → decide → propose. What is proposed is carried out at the edge; nothing is remembered here that can't be lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from automation.errors import MoveRefused, NothingToMove
from automation.feeds.collection import Collection, CollectionReport
from automation.service import fleets, ledger, standbys
from automation.service.cycle import Cycle, Cycles, placeable
from automation.service.decider import Decider
from automation.service.estate import Estate
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.proposals import Proposals
from automation.service.served import Served
from automation.service.shared_market import Shared, SharedMarket
from automation.service.spend import Spend
from automation.service.standbys import Capacity, Role, retired_item
from automation.service.trail import Trail
from automation.service.translation import item_of, offer_from_wire, quote_to_wire, requirements, spending_to_wire
from domain.catalog import OfferRef
from domain.errors import DomainError
from domain.placement import fallback
from domain.placement.plan import Deploy, Move, NoOffer, Stay, Trigger, Verdict
from domain.placement.switching import Regret
from domain.windows import Hold
from spotlane import wire
from spotlane.client import Client
from spotlane.errors import ApiProblem, SpotlaneError

_log = structlog.get_logger("spotlane.rebalancer")
_LEDGER_MARK = "ledger"
_LEDGER_BATCH = 500


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
        shared: SharedMarket | None = None,
    ) -> None:
        self._shared = shared
        self._price_limit = timedelta(hours=price_limit_hours)
        self._collected_at: datetime | None = None
        self._clock = clock
        self._edge = edge
        self._collection = collection
        self._history = history
        self._feed_watch = feed_watch
        self._served = Served(edge)
        self._spend = Spend(edge)
        self._decider = Decider(collection, history, self._spend, price_limit_hours)
        self._cycles = Cycles(edge, self._decider, self._served, holds, clock)
        self._proposals = Proposals(edge, self._decider, trail, clock)
        self._incidents: dict[str, wire.Incident] = {}
        """By placement, until the workload is off it."""
        self._rescues: dict[str, str] = {}
        """By placement, the migration that was begun last to get the workload off it."""
        self._lock = threading.RLock()
        self._known: Estate | None = None
        """What the edge held when it last answered."""

    def tick(self) -> wire.TickReport:
        """One cycle. Raises SpotlaneError where the edge is away; the next cycle begins anew, and no price seen meanwhile is lost to the ledger."""
        with self._lock:
            try:
                self._known = estate = Estate.of(self._edge)
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
            self._decider.learn(estate.migrations, market_now)
            self._close_ledger(estate, market_now)
            self._alert(estate, market_now)
            cycle = self._cycles.decide(estate, market_now, [one for one in estate.workloads if placeable(one)])
            self._keep_regrets(estate, cycle)
            started, errors = self._proposals.propose(cycle, estate, market_now)
            plan_shown = self._shown(cycle, estate, market_now)
        return wire.TickReport(
            market_now=market_now, quotes=len(quotes), quarantined=len(report.quarantined), plan=plan_shown, started=started, errors=[*report.errors, *errors]
        )

    def _collected(self, estate: Estate) -> tuple[CollectionReport, list[wire.Quote]]:
        """The prices of now, and those of them that the edge and the ledger hold, kept for the ledger. Of what is in doubt these keep the last good quote."""
        report = self._collection.collect(
            [self._decider.boundary(one, estate) for one in estate.workloads],
            [requirements(one.spec) for one in estate.workloads],
            [offer_from_wire(held.offer) for one in estate.workloads for held in (one.placement, *one.further) if held is not None],
        )
        self._collected_at = self._clock()
        self._feed_watch.record(report, self._collection.book, self._collected_at)
        if self._shared is not None:
            self._shared.put(Shared(self._collected_at, self._collection.snapshot()))
        quotes = [quote_to_wire(quote) for quote in report.quotes if quote.doubtful is None]
        self._history.record(quotes)
        return report, quotes

    def plan(self, tenant: str | None = None, workload: str | None = None) -> wire.Plan:
        """What a cycle would decide now, on the prices of the last one, here or of the member that leads. Changes nothing. Raises :class:`NothingToMove`
        before the first prices, and where the last ones are older than their limit by the wall clock too."""
        with self._lock:
            self.follow()
            estate = Estate.of(self._edge)
            market_now = self._market_now(at_most=self._price_limit)
            chosen = [
                one for one in estate.workloads if placeable(one) and (tenant is None or one.tenant == tenant) and (workload is None or one.id == workload)
            ]
            return self._shown(self._cycles.decide(estate, market_now, chosen), estate, market_now)

    def feeds(self) -> wire.Feeds:
        """How the price feeds do, and what was held back last."""
        self.follow()
        return self._feed_watch.status(self._collection.book, self._collection.reference, self._collection.scores)

    def spend(self, tenant: str | None = None) -> wire.Spend:
        """Monthly caps, and how their months stand. Raises :class:`NothingToMove` before the first prices."""
        with self._lock:
            self.follow()
            estate, market_now = Estate.of(self._edge), self._market_now()
            months = self._decider.months(estate, market_now)
        shown = [name for name, owner in months.owners.items() if tenant is None or owner.tenant == tenant]
        shown.sort(key=lambda name: (months.owners[name].tenant, months.owners[name].workload or ""))
        return wire.Spend(market_now=market_now, items=[spending_to_wire(months.of[name]) for name in shown])

    def move(self, request: wire.MoveRequest) -> wire.Migration:
        """A person's move. Raises :class:`MoveRefused` with findings, or :class:`NothingToMove`."""
        with self._lock:
            estate = Estate.of(self._edge)
            workload = next((one for one in estate.workloads if one.id == request.workload), None)
            if workload is None:
                raise NothingToMove(f"there is no workload {request.workload!r}; see `spotlane workload ls`")
            if workload.active_migration is not None:
                raise NothingToMove(f"{workload.id} is moving already ({workload.active_migration}); wait for its end")
            self.follow()
            market_now = self._market_now(at_most=self._price_limit)
            requested = None if request.offer is None else self._listed(offer_from_wire(request.offer))
            verdict = self._decider.decide(estate, market_now, [workload], lambda _: Trigger.REQUESTED, requested)[0]
            if isinstance(verdict, NoOffer | Stay):
                findings = self._proposals.findings(workload, estate, requested, verdict)
                for finding in findings:
                    self._proposals.refused(workload, estate, requested, finding.rule, finding.message)
                raise MoveRefused(workload.id, f"{verdict.reason}: {verdict.detail}", findings)
            return self._proposals.carried_out(verdict, workload, estate)

    def _listed(self, offer: OfferRef) -> OfferRef:
        """The offer, if the catalogue lists its region and machine type. Raises :class:`NothingToMove` with the nearest names."""
        catalog = self._collection.reference.catalog
        try:
            catalog.region(offer.cloud, offer.region)
            catalog.machine(offer.cloud, offer.instance_type)
        except DomainError as error:
            raise NothingToMove(str(error)) from error
        return offer

    def incident(self, incident: wire.Incident) -> wire.Migration | None:
        """Moves a workload off a machine that goes or fails; None where its saga is at work already, and then it is looked at again."""
        with self._lock:
            self.follow()
            self._incidents[incident.placement] = incident
            return self._handle(incident)

    def chase(self) -> None:
        """Looks again at incidents that could not be answered at once, and at those whose rescue has ended: a refused one is followed by the next offer."""
        with self._lock:
            for incident in list(self._incidents.values()):
                if not self._under_way(incident.placement):
                    self._handle(incident)

    def _under_way(self, placement: str) -> bool:
        """Whether the workload's rescue from this machine goes on; one that the edge knows nothing of doesn't."""
        rescue = self._rescues.get(placement)
        try:
            return rescue is not None and self._edge.migration(rescue).status == "running"
        except ApiProblem:
            return False

    def _handle(self, incident: wire.Incident) -> wire.Migration | None:
        tenant, name, _ = incident.placement.split("_")
        estate = Estate.of(self._edge)
        workload = next((one for one in estate.workloads if one.id == f"{name}-{tenant}"), None)
        hit = None if workload is None else next((one for one in standbys.machines(workload) if one.id == incident.placement), None)
        if workload is None or hit is None or not placeable(workload, moving=True):
            self._incidents.pop(incident.placement, None)
            self._rescues.pop(incident.placement, None)
            return None
        market_now = self._market_now()
        self._decider.learn(estate.migrations, market_now)
        if incident.kind != "unhealthy":
            self._decider.interrupted(offer_from_wire(hit.offer), market_now)
        standby, role = standbys.standby_of(workload), standbys.role_of(hit)
        if standby is not None and any(one.decision.promote == standby.id for one in estate.migrations if standbys.rescues(one)):
            standby = None  # it takes over from another machine
        trigger = Trigger.UNHEALTHY if incident.kind == "unhealthy" else Trigger.INTERRUPTION
        # What is made or given up beside it, or moves without need, doesn't keep a machine that serves waiting; nor another one's rescue one that is lost.
        beside = trigger is Trigger.INTERRUPTION and standby is None
        if workload.active_migration is not None if role == "standby" else not standbys.yields(workload, hit, estate.migrations, beside=beside):
            return None
        seen = standbys.as_standby(workload) if role == "standby" else standbys.as_one_of(workload, hit)
        try:
            if standby is not None and role == "serving":
                migration = self._proposals.taken_over(seen, standby, trigger, estate, market_now, incident.deadline)
            else:
                verdict = self._replacement(seen, hit, trigger, role, estate)
                capacity: Capacity = "spot"
                tries = [one for one in estate.migrations if one.from_placement == hit.id and one.kind in ("interruption", "unhealthy")]
                refused = any(one.status == "failed" for one in tries)
                if role == "serving" and (fallback.short(verdict) or refused):
                    [(verdict, capacity)] = self._decider.fallen_back(estate, market_now, [(seen, verdict)], lambda _: trigger)
                if not isinstance(verdict, Deploy | Move):
                    _log.warning("no way out", placement=incident.placement, reason=verdict.detail)
                    return None
                migration = self._proposals.carried_out(verdict, workload, estate, incident.deadline, role, capacity)
        except ApiProblem as problem:
            if problem.problem.status != 409:
                raise
            return None
        self._rescues[incident.placement] = migration.id
        return migration

    def _replacement(self, seen: wire.Workload, hit: wire.Placement, trigger: Trigger, role: Role, estate: Estate) -> Verdict:
        """The verdict for a machine that goes or fails: where its owner asks for an availability, in the zones in which the fleet without it would ask for one;
        where these have none, in any."""
        market_now = self._market_now()
        left = [fleets.without(one, hit) for one in estate.workloads if one.id == seen.id and role == "serving"]
        going = hit if trigger is Trigger.INTERRUPTION else None
        within = self._decider.fleets_of(estate, market_now, left, lambda: self._served.of(estate.workloads), going)
        [verdict] = self._decider.decide(estate, market_now, [seen], lambda _: trigger, role=role, within=within)
        if within and isinstance(verdict, NoOffer):
            [verdict] = self._decider.decide(estate, market_now, [seen], lambda _: trigger, role=role)
        return verdict

    def follow(self) -> None:
        """Takes over what another member has collected since, where one leads."""
        with self._lock:
            if self._shared is not None and (told := self._shared.newer()) is not None:
                self._collection.adopt(told.market)
                self._collected_at = told.collected_at

    def _market_now(self, at_most: timedelta | None = None) -> datetime:
        """The market's time as it was told last. While nobody collects it stands, so that ``at_most`` bounds by the wall clock how long ago that was."""
        if self._collection.book.market_now is None:
            raise NothingToMove("no prices have been collected yet; wait for the daemon's first cycle or run `spotlane daemon --once`")
        if at_most is not None and self._collected_at is not None and (age := self._clock() - self._collected_at) > at_most:
            raise NothingToMove(
                f"the prices known here were collected {age / timedelta(hours=1):.1f} hours ago, more than the {at_most / timedelta(hours=1):g} of "
                "SPOTLANE_PRICE_LIMIT_HOURS; resume the daemon (`spotlane daemon resume`) or run `spotlane daemon --once`"
            )
        return self._collection.book.market_now

    def _keep_regrets(self, estate: Estate, cycle: Cycle) -> None:
        """What each placement costs too much from now on. One that couldn't be judged (a move under way, a stale price) keeps what it had, standing still."""
        market_now = self._market_now()
        known = self._history.regrets()
        held = {placed.id for one in estate.workloads for placed in standbys.machines(one)}
        kept = {placement: Regret(regret.until(market_now), 0.0, market_now) for placement, regret in known.items() if placement in held}
        for one in cycle.judged:
            hurdle = one.verdict.evidence.hurdle if isinstance(one.verdict, Stay) and one.verdict.evidence is not None else None
            if hurdle is not None and one.placement in held:
                kept[one.placement] = hurdle.regret
        self._history.keep_regrets(kept)

    def _shown(self, cycle: Cycle, estate: Estate, market_now: datetime) -> wire.Plan:
        digests = {one.id: self._decider.boundary(one, estate).digest for one in estate.workloads}
        items = [item_of(one.verdict, digests[one.verdict.workload], one.role, one.placement, one.capacity, one.holding) for one in cycle.judged]
        items += [retired_item(one, digests[one.workload], market_now) for one in cycle.retired]
        moves = [one.verdict for one in cycle.judged if isinstance(one.verdict, Move)]
        saving = sum((verdict.evidence.net_saving_usd or 0.0) * 720.0 / verdict.evidence.horizon_hours for verdict in moves)
        return wire.Plan(market_now=market_now, items=items, saving_usd_per_30_days=saving)

    def _alert(self, estate: Estate, market_now: datetime) -> None:
        """What the edge refuses to take is said, and sent again with the next cycle: a cycle must not end for it."""
        try:
            self._spend.alert(self._decider.months(estate, market_now), market_now)
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
