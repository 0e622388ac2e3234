"""The platform in memory: its state, what users and tests do to it. Nothing here knows HTTP (:mod:`spotlane.testing.routes`)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from spotlane import wire
from spotlane.testing.lines import Lines
from spotlane.testing.market import Market, name_of, offer_of, worth_it
from spotlane.wire.logs import LINES_AT_ONCE, LogUnit

KEY = "spk_test"
"""The key that a fresh platform knows; it may do everything."""
_ZONE = "spotlane.test"
_CENT_OF_A_CENT = Decimal("0.000001")
_HELD = (wire.PlacementState.SERVING, wire.PlacementState.STANDBY)
Role = Literal["serving", "standby"]


class Refused(Exception):
    """The platform says no, as the real one does: with a problem document."""

    def __init__(self, status: int, word: str, title: str, detail: str = "") -> None:
        self.problem = wire.Problem(type=f"https://spotlane.dev/problems/{word}", title=title, status=status, detail=detail)
        super().__init__(title)


@dataclass
class Fault:
    """An answer that a test ordered in place of the next ``times`` to calls of ``method`` whose path ends with ``path``."""

    method: str
    path: str
    refusal: Refused
    times: int


@dataclass
class FakePlatform:
    """A whole platform. Its fields may be read and changed by tests; ``allowed`` names regions (``<cloud>/<region>``) by tenant, all where it names none."""

    market: Market = field(default_factory=Market)
    lines: Lines = field(default_factory=Lines)
    tenants: dict[str, wire.Tenant] = field(default_factory=dict)
    workloads: dict[str, wire.Workload] = field(default_factory=dict)
    placements: dict[str, wire.Placement] = field(default_factory=dict)
    migrations: dict[str, wire.Migration] = field(default_factory=dict)
    events: list[wire.WorkloadEvent] = field(default_factory=list)
    changes: list[wire.Change] = field(default_factory=list)
    hours: list[wire.LedgerHour] = field(default_factory=list)
    moves: list[wire.LedgerMove] = field(default_factory=list)
    keys: dict[str, wire.KeyInfo] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=lambda: {KEY: "platform"})
    runs: dict[str, wire.Run] = field(default_factory=dict)
    requests: dict[str, wire.RunRequest] = field(default_factory=dict)
    stacks: dict[str, wire.StackRef] = field(default_factory=dict)
    holds: list[wire.Hold] = field(default_factory=list)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    heads: list[wire.AuditHead] = field(default_factory=list)
    alerts: list[wire.SpendAlert] = field(default_factory=list)
    allowed: dict[str, frozenset[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    paused: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    closed: threading.Event = field(default_factory=threading.Event)

    # What tests do
    def allow(self, tenant: str, *regions: str) -> None:
        """Narrows a tenant to regions, as its boundary would."""
        self.allowed[tenant] = frozenset(regions)

    def fail(self, method: str, path: str, status: int, word: str = "failed", title: str = "The call failed", *, times: int = 1) -> None:
        """Has the next ``times`` calls of ``method`` whose path ends with ``path`` refused."""
        self.faults.append(Fault(method, path, Refused(status, word, title), times))

    def advance(self, hours: int) -> None:
        """Lets market hours pass: each that a placement served is frozen in the ledger."""
        with self.lock:
            for _ in range(hours):
                for one in [each for each in self.placements.values() if each.state in _HELD]:
                    self.hours.append(self._hour(one))
                self.market.now += timedelta(hours=1)

    def log(self, placement: str, *messages: str, unit: LogUnit = "workload", lost: int = 0) -> None:
        """Has a machine tell lines, after ``lost`` that it gave up. Raises :class:`Refused` where its workload's file doesn't say ``logs: true``."""
        with self.lock:
            entries = [wire.LogEntry(at=self.market.now, unit=unit, message=one) for one in messages]
            first = self.lines.expected(placement) + lost
            for start in range(0, len(entries), LINES_AT_ONCE):
                self.take_lines(wire.LogBatch(placement=placement, first=first + start, lines=entries[start : start + LINES_AT_ONCE]))

    def tick(self) -> wire.TickReport:
        """One cycle of the daemon: what is planned is done, but for what is held."""
        with self.lock:
            plan = self.plan()
            begun = [] if self.paused else [self.place(one.decision) for one in plan.items if one.decision is not None and not self._held(one.workload)]
            return wire.TickReport(market_now=self.market.now, quotes=len(self.market.quotes), quarantined=0, plan=plan, started=begun, errors=[])

    # Tenants and workloads
    def declare(self, workload: str, spec: wire.WorkloadSpec) -> wire.Workload:
        """A workload is declared or changed; a new one is placed at once. Raises :class:`Refused` without its tenant."""
        name, _, tenant = workload.rpartition("-")
        if tenant not in self.tenants:
            raise Refused(404, "not-found", "No such tenant", tenant)
        known = self.workloads.get(workload)
        if known is not None and known.state is not wire.WorkloadState.TERMINATED:
            self.workloads[workload] = known.model_copy(update={"spec": spec, "updated_at": self.market.now})
            return self.workloads[workload]
        self.workloads[workload] = wire.Workload(
            id=workload, tenant=tenant, name=name, state=wire.WorkloadState.PENDING, reason="declared", spec=spec, placement=None, active_migration=None,
            generation=known.generation if known else 0, created_at=self.market.now, updated_at=self.market.now,
        )  # fmt: skip
        self._tell(workload, wire.WorkloadState.PENDING, "declared")
        if not self.paused:
            item = self.judged(self.workloads[workload])
            if item.decision is not None:
                self.place(item.decision)
        return self.workloads[workload]

    def remove(self, workload: str) -> wire.Workload:
        """A workload is stopped; its machine is gone."""
        for one in self.machines(workload):
            self._left(one)
        self.workloads[workload] = self.workloads[workload].model_copy(update={"placement": None, "further": []})
        self._tell(workload, wire.WorkloadState.STOPPING, "removed by its owner")
        self._tell(workload, wire.WorkloadState.TERMINATED, "its machine is gone")
        return self.workloads[workload]

    def endpoint(self, workload: str) -> wire.Endpoint:
        """Where it is reached."""
        ports = self.workloads[workload].spec.ports
        host = f"{workload}.workloads.{_ZONE}"
        http, socket = (f"https://{host}", f"wss://{host}") if ports.http else (None, None)
        return wire.Endpoint(workload=workload, http=http, websocket=socket, tcp_host=f"tcp-{host}" if ports.tcp else None, tcp_port=443 if ports.tcp else None)

    # Machine logs
    def take_lines(self, batch: wire.LogBatch) -> wire.LogTaken:
        """What a machine tells. Raises :class:`Refused` for one that isn't there, and where its workload's file asks for no lines."""
        placed = self.placements.get(batch.placement)
        if placed is None:
            raise Refused(404, "not-found", "No such thing", batch.placement)
        if not self.workloads[placed.workload].spec.logs:
            raise Refused(409, "logs-off", "The workload's machines tell no lines", batch.placement)
        return self.lines.take(batch)

    def machine_logs(self, workload: str, placement: str | None, after: int | None, limit: int) -> wire.MachineLogs:
        """Lines of a placement; without one of the machine that serves, else of the newest that is there, else of the last that told."""
        one = self.workloads[workload]
        newest = [each.id for each in reversed(self.placements.values()) if each.workload == workload]
        if placement is not None and placement not in newest:
            raise Refused(404, "not-found", "No such thing", placement)
        shown = placement or (one.placement.id if one.placement else None) or next((each.id for each in one.further), None) or self.lines.told_by(newest)
        return self.lines.read(shown, after, limit, tells=one.spec.logs)

    # Decisions
    def plan(self, tenant: str | None = None, workload: str | None = None) -> wire.Plan:
        """What the daemon would do now."""
        asked = [one for _, one in sorted(self.workloads.items()) if (tenant or one.tenant) == one.tenant and (workload or one.id) == one.id]
        items = [item for one in asked if one.state is not wire.WorkloadState.TERMINATED for item in self._items(one)]
        moving = [one.evidence for one in items if one.verdict == "move" and one.evidence is not None]
        return wire.Plan(market_now=self.market.now, items=items, saving_usd_per_30_days=round(sum(one.net_saving_usd or 0.0 for one in moving), 4))

    def machines(self, workload: str) -> list[wire.Placement]:
        """What a workload holds: the first machine, the others that serve, the standby."""
        one = self.workloads[workload]
        return [*([] if one.placement is None else [one.placement]), *one.further]

    def _items(self, one: wire.Workload) -> list[wire.PlanItem]:
        """The verdicts on its machines, as the daemon's: what serves comes first, and one machine of a workload changes at a time. No spare is held for an
        availability here."""
        found = [self.judged(one)]
        if one.placement is None:
            return found
        rules = one.spec.placement
        beside = [each for each in one.further if each.state is wire.PlacementState.SERVING]
        standing = [each for each in one.further if each.state is wire.PlacementState.STANDBY]
        if len(beside) >= rules.replicas:
            return [*found, self._retired(one, beside[-1], f"{len(beside) + 1} machines serve; its owner asks for {rules.replicas}")]
        if standing and not rules.warm_standby:
            return [*found, self._retired(one, standing[0], "its owner asks for no standby")]
        views: list[tuple[wire.Placement | None, Role]] = [(each, "serving") for each in beside]
        if len(beside) + 1 < rules.replicas:
            views.append((None, "serving"))
        elif rules.warm_standby:
            views.append((standing[0] if standing else None, "standby"))
        for placed, role in views:
            if any(each.decision is not None for each in found):
                break
            found.append(self.judged(one.model_copy(update={"placement": placed}), role=role))
        return found

    def judged(self, one: wire.Workload, to: wire.OfferRef | None = None, role: Role = "serving") -> wire.PlanItem:
        """The verdict on a workload's machine, the one that it shows as its placement (None: one to come): in a zone where no other one of it is. ``to`` asks
        for an offer, whatever it costs."""
        own = None if one.placement is None else one.placement.id
        taken = {_zone(each.offer) for each in self.machines(one.id) if each.id != own}
        ranked = [each for each in self.market.ranked(one.spec.placement, self.allowed.get(one.tenant)) if _zone(each.offer) not in taken]
        return self._verdict(one, ranked, to, role).model_copy(update={"role": role, "placement": own})

    def _verdict(self, one: wire.Workload, ranked: list[wire.Quote], to: wire.OfferRef | None, role: Role) -> wire.PlanItem:
        chosen = next((each for each in ranked if to is None or each.offer == to), None)
        if chosen is None:
            return wire.PlanItem(workload=one.id, verdict="no_offer", reason="no allowed offer has a price", decision=None, evidence=None)
        current = self.market.quotes.get(name_of(one.placement.offer)) if one.placement else None
        evidence = self.market.evidence(ranked, chosen, current)
        if one.placement is None:
            why = "nothing serves it yet" if not self.machines(one.id) else "it stands by" if role == "standby" else "another machine is asked for"
            return self._item(one, "deploy", "deploy", why, evidence, role)
        if to is not None:
            return self._item(one, "move", "requested", "asked for by a person", evidence, role)
        if chosen.offer == one.placement.offer or not worth_it(evidence):
            return wire.PlanItem(workload=one.id, verdict="stay", reason="no allowed offer saves a tenth", decision=None, evidence=evidence)
        return self._item(one, "move", "move", f"saves {evidence.net_saving_usd:.2f} USD net in {evidence.horizon_hours:.0f} h", evidence, role)

    def _retired(self, one: wire.Workload, placed: wire.Placement, why: str) -> wire.PlanItem:
        role: Role = "standby" if placed.state is wire.PlacementState.STANDBY else "serving"
        decision = wire.Decision(
            id=f"{one.id}.retire.{placed.id}", workload=one.id, kind="retire", offer=None, from_placement=placed.id,
            boundary_digest=self.tenants[one.tenant].boundary_digest, evidence=None, reason=why, role=role,
        )  # fmt: skip
        return wire.PlanItem(workload=one.id, verdict="retire", reason=f"{placed.id}: {why}", decision=decision, evidence=None, role=role, placement=placed.id)

    def place(self, decision: wire.Decision) -> wire.Migration:
        """Carries a decision out, at once: the new machine serves (or stands by), the old one is gone, the move is in the ledger."""
        one, evidence = self.workloads[decision.workload], decision.evidence
        held = {each.id: each for each in self.machines(one.id)}
        before = held.get(decision.from_placement or "")
        if decision.from_placement is not None and before is None:
            raise Refused(409, "stale-decision", "The decision is out of date", f"{decision.from_placement} is no machine of {one.id} any more")
        generation = one.generation + 1
        ident = f"{one.tenant}_{one.name}_{generation}"
        moment, first = self.market.now, one.placement
        if decision.kind == "retire" and before is not None:
            self._left(before)
            further = [each for each in one.further if each.id != before.id]
            self.workloads[one.id] = self.workloads[one.id].model_copy(update={"further": further, "generation": generation})
            return self._ended(one, decision, ident, generation)
        if decision.offer is None or evidence is None:
            raise Refused(409, "stale-decision", "The decision names no offer")
        beside = before is None and first is not None
        standing = decision.role == "standby"
        placed = wire.Placement(
            id=ident, workload=one.id, tenant=one.tenant, generation=generation,
            state=wire.PlacementState.STANDBY if standing else wire.PlacementState.SERVING, offer=decision.offer,
            origin=f"https://{one.id}-{generation}.origins.{_ZONE}", tcp_origin=None, quote=evidence.quote, created_at=moment, market_created_at=moment,
            market_served_from=None if standing else moment, market_ready_from=moment if standing else None, replaces=decision.from_placement,
            beside=beside or standing, capacity=decision.capacity,
        )  # fmt: skip
        self.placements[ident] = placed
        # What the user sees of a workload is its first machine's.
        of_first = not beside and not standing and (first is None or before is None or before.id == first.id)
        if of_first:
            self._tell(one.id, wire.WorkloadState.PROVISIONING if before is None else wire.WorkloadState.MIGRATING, decision.reason)
        if before is not None:
            self._left(before)
        further = [each for each in one.further if before is None or each.id != before.id]
        changes = {"placement": placed} if of_first else {"further": [*further, placed]}
        self.workloads[one.id] = self.workloads[one.id].model_copy(update={**changes, "generation": generation})
        if of_first:
            self._tell(one.id, wire.WorkloadState.RUNNING, f"serves from {decision.offer.cloud}/{decision.offer.region}")
        self.changed("migration", ident, one.id)
        self.moves.append(
            wire.LedgerMove(
                migration=ident,
                workload=one.id,
                tenant=one.tenant,
                kind=decision.kind,
                from_offer=before.offer if before else None,
                to_offer=decision.offer,
                evidence=evidence,
                recorded_at=moment,
            )
        )
        return self._ended(one, decision, ident, generation)

    def _ended(self, one: wire.Workload, decision: wire.Decision, ident: str, generation: int) -> wire.Migration:
        moment = self.market.now
        self.migrations[ident] = wire.Migration(
            id=ident, workload=one.id, tenant=one.tenant, generation=generation, kind=decision.kind, step=wire.MigrationStep.DONE, status="succeeded",
            fencing_token=generation, from_placement=decision.from_placement, decision=decision, route_version=generation, error=None,
            started_at=moment, finished_at=moment,
        )  # fmt: skip
        return self.migrations[ident]

    def move(self, request: wire.MoveRequest) -> wire.Migration:
        """A move that a person asks for. Raises :class:`Refused` where no allowed offer is there."""
        item = self.judged(self.workloads[request.workload], request.offer)
        if item.verdict == "no_offer":
            raise Refused(409, "move-refused", "The move was refused", item.reason)
        if item.decision is None:
            raise Refused(409, "nothing-to-move", "The workload can't move now", f"{request.workload} is on the best allowed offer")
        return self.place(item.decision)

    # Runs
    def run(self, request: wire.RunRequest) -> wire.Run:
        """An engine operation, ended at once; the same key is the same run."""
        known = next((ident for ident, each in self.requests.items() if each.idempotency_key == request.idempotency_key), None)
        if known is not None:
            return self.runs[known]
        ident, moment = f"run_{len(self.runs) + 1}", self.market.now
        change = {"up": {"create": 3}, "destroy": {"delete": 3}}.get(request.operation, {})
        self.runs[ident] = wire.Run(
            id=ident, stack=request.stack.name, operation=request.operation, status="succeeded", error=None, changes=change, findings=[], outputs={},
            accepted_at=moment, started_at=moment, finished_at=moment + timedelta(seconds=2),
        )  # fmt: skip
        self.requests[ident] = request
        if request.operation == "destroy":
            self.stacks.pop(request.stack.name, None)
        elif request.operation == "up":
            self.stacks[request.stack.name] = request.stack
        return self.runs[ident]

    def run_events(self, run: str) -> list[dict[str, Any]]:
        """The engine's events of a run, as ``apitype.EngineEvent``."""
        one = self.runs[run]
        said = [{"diagnosticEvent": {"severity": "error", "message": one.error}}] if one.error else []
        return [*said, {"summaryEvent": {"resourceChanges": one.changes}}]

    # Keys
    def new_key(self, tenant: str | None, request: wire.KeyRequest) -> wire.ApiKey:
        """A key, shown once."""
        ident = f"key_{len(self.keys) + 1}"
        secret = f"spk_test_{ident}"
        self.secrets[secret] = ident
        self.keys[ident] = wire.KeyInfo(
            id=ident, tenant=tenant, name=request.name, scopes=request.scopes, created_at=self.market.now, created_by="platform",
            expires_at=request.expires_at, last_used_at=None,
        )  # fmt: skip
        return wire.ApiKey(id=ident, tenant=tenant, name=request.name, scopes=request.scopes, expires_at=request.expires_at, key=secret)

    def revoke_key(self, key: str) -> None:
        """A key and its tokens are refused from now on."""
        del self.keys[key]
        self.secrets = {secret: owner for secret, owner in self.secrets.items() if owner != key}

    def hold(self, hold: wire.Hold) -> wire.Hold:
        """Takes the place of the subject's hold."""
        self.holds = [one for one in self.holds if (one.tenant, one.workload) != (hold.tenant, hold.workload)]
        if hold.paused or hold.only or hold.never:
            self.holds.append(hold)
        return hold

    def totals(self, hours: list[wire.LedgerHour]) -> wire.LedgerTotals:
        """Sums of the ledger; what isn't known is in none."""
        paid, listed, stayed = (_sum(getattr(one, name) for one in hours) for name in ("paid_usd", "on_demand_usd", "stayed_usd"))
        known = [one for one in hours if one.paid_usd is not None]
        return wire.LedgerTotals(
            paid_usd=paid, on_demand_usd=listed, stayed_usd=stayed,
            saved_usd=_sum(one.on_demand_usd - one.paid_usd for one in known if one.on_demand_usd is not None and one.paid_usd is not None),
            saved_stayed_usd=_sum(one.stayed_usd - one.paid_usd for one in known if one.stayed_usd is not None and one.paid_usd is not None),
            hours=sum(one.seconds for one in hours) / 3600, unknown_hours=sum(one.seconds for one in hours if one.paid_usd is None) / 3600,
        )  # fmt: skip

    def spend(self, tenant: str | None = None) -> wire.Spend:
        """How this month stands to the tenants' caps."""
        now = self.market.now
        end = (now.replace(day=1, hour=0) + timedelta(days=32)).replace(day=1)
        left = (end - now) / timedelta(hours=1)
        found = []
        for one in self.tenants.values():
            if one.budget_usd_per_month is None or tenant not in (None, one.id):
                continue
            paid = float(self.totals([each for each in self.hours if each.tenant == one.id and each.hour.month == now.month]).paid_usd)
            serving = [each for each in self.placements.values() if each.tenant == one.id and each.state in _HELD]
            rate = sum(self.market.quotes[name_of(each.offer)].spot_usd_per_hour or 0.0 for each in serving)
            projected, cap = round(paid + rate * left, 6), one.budget_usd_per_month
            standing: Literal["within", "headed-over", "over"] = "over" if paid > cap else "headed-over" if projected > cap else "within"
            found.append(
                wire.SpendCap(
                    owner=one.id,
                    month=f"{now:%Y-%m}",
                    cap_usd=cap,
                    paid_usd=paid,
                    usd_per_hour=rate,
                    projected_usd=projected,
                    hours_left=left,
                    standing=standing,
                )
            )
        return wire.Spend(market_now=now, items=found)

    def _item(self, one: wire.Workload, verdict: Literal["deploy", "move"], kind: Any, reason: str, evidence: wire.Evidence, role: Role) -> wire.PlanItem:
        tenant = self.tenants[one.tenant]
        decision = wire.Decision(
            id=f"{one.id}.{one.generation + 1}", workload=one.id, kind=kind, offer=evidence.quote.offer,
            from_placement=one.placement.id if one.placement else None, boundary_digest=tenant.boundary_digest, evidence=evidence, reason=reason, role=role,
        )  # fmt: skip
        return wire.PlanItem(workload=one.id, verdict=verdict, reason=reason, decision=decision, evidence=evidence)

    def _hour(self, one: wire.Placement) -> wire.LedgerHour:
        first = next(each for each in self.placements.values() if each.workload == one.workload)
        now, stayed = self.market.quotes[name_of(one.offer)], self.market.quotes[name_of(first.offer)]
        listed = stayed.on_demand_usd_per_hour if one.state is wire.PlacementState.SERVING else 0.0
        return wire.LedgerHour(
            placement=one.id, workload=one.workload, tenant=one.tenant, hour=self.market.now, seconds=3600, paid_usd=_usd(now.spot_usd_per_hour),
            on_demand_usd=_usd(listed), stayed_usd=_usd(stayed.spot_usd_per_hour), quote=now, stayed_offer=first.offer,
        )  # fmt: skip

    def _left(self, one: wire.Placement) -> None:
        self.placements[one.id] = one.model_copy(update={"state": wire.PlacementState.DESTROYED, "market_served_until": self.market.now})

    def _tell(self, workload: str, state: wire.WorkloadState, reason: str) -> None:
        moment: datetime = self.market.now
        self.workloads[workload] = self.workloads[workload].model_copy(update={"state": state, "reason": reason, "updated_at": moment})
        self.events.append(wire.WorkloadEvent(seq=len(self.events) + 1, workload=workload, state=state, reason=reason, at=moment))
        self.changed("workload", workload, workload)
        self.changed("event", workload, workload)

    def changed(self, kind: Literal["workload", "event", "migration"], subject: str, workload: str) -> None:
        """Tells who follows changes."""
        tenant, at = workload.rpartition("-")[2], self.market.now
        self.changes.append(wire.Change(seq=len(self.changes) + 1, kind=kind, subject=subject, tenant=tenant, workload=workload, at=at))

    def _held(self, workload: str) -> bool:
        tenant = workload.rpartition("-")[2]
        return any(one.paused and one.tenant in (None, tenant) and one.workload in (None, workload) for one in self.holds)


def digest(document: Any) -> str:
    """The digest of a boundary's document."""
    return "sha256:" + hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _zone(offer: wire.OfferRef) -> tuple[str, str, str]:
    return (offer.cloud, offer.region, offer.zone)


def _usd(rate: float | None) -> Decimal | None:
    return None if rate is None else Decimal(str(rate)).quantize(_CENT_OF_A_CENT)


def _sum(figures: Iterable[Decimal | None]) -> Decimal:
    return sum((one for one in figures if one is not None), Decimal(0))


__all__ = ["KEY", "FakePlatform", "Fault", "Refused", "digest", "offer_of"]
