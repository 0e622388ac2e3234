"""This service's part of the audit trail: where it lets a workload stand (point ``place``), and what the packs said of a stack (point ``plan``).

Two logs of its own, ``audit/<member>/place.jsonl`` and ``plan.jsonl``: a log has one writer. A placement is recorded before the edge is asked to carry it
out. A stack's packs are asked by the engine, which updates in the same breath: its record follows its operation, and none is begun while the log can't
be written. A workload that stays where it is makes no record, and one that is refused for the same reason again makes no second one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from audit.log import AuditLog, AuditUnavailable
from automation.errors import TrailAway
from automation.service.audit import Point
from domain.boundary.call import Call, Named
from domain.boundary.record import Outcome
from domain.catalog import OfferRef
from domain.placement.plan import Deploy, Move
from spotlane.wire import PolicyFinding, RunRequest

PRINCIPAL = "automation"
_CLOUD_OF_OURS = "cloudflare"
"""Of the stacks that stand in no tenant's cloud: edge and addresses."""


class Trail:
    """Writes both logs of one service process; ``close`` signs their heads. ``digest_of`` names the boundary that a tenant's stacks are judged by.

    Raises :class:`automation.errors.TrailAway` where a log can't be opened or written.
    """

    def __init__(self, home: Path, member: str, digest_of: Callable[[str], str], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._digest_of = digest_of
        self._clock = clock
        self._refused: dict[str, tuple[str, str, str]] = {}
        """By workload, the refusal that was recorded last."""
        folder = home / "audit" / member
        self._place = _opened(folder / "place.jsonl", "place")
        try:
            self._plan = _opened(folder / "plan.jsonl", "plan")
        except TrailAway:
            self._place.close()
            raise

    @property
    def logs(self) -> dict[Point, Path]:
        """The files, by point."""
        return {"place": self._place.path, "plan": self._plan.path}

    def placed(self, tenant: str, verdict: Deploy | Move, digest: str) -> None:
        """The boundary ``digest`` lets the workload stand at the verdict's offer."""
        self.stands(tenant, verdict.workload, verdict.offer, f"{verdict.reason}: {verdict.detail}", digest)

    def stands(self, tenant: str, workload: str, offer: OfferRef, why: str, digest: str) -> None:
        """The boundary ``digest`` lets the workload stand at ``offer``."""
        self._refused.pop(workload, None)
        self._write(self._place, _placing(tenant, workload, offer), "allow", "", why, digest)

    def refused(self, tenant: str, workload: str, offer: OfferRef | None, rule: str, why: str, digest: str) -> None:
        """The boundary lets the workload stand nowhere, or not at the offer that was asked for."""
        told = (rule, why, digest)
        if offer is None and self._refused.get(workload) == told:
            return
        self._write(self._place, _placing(tenant, workload, offer), "deny", rule, why, digest)
        if offer is None:
            self._refused[workload] = told

    def check(self) -> None:
        """Raises :class:`TrailAway` where the packs' verdicts couldn't be recorded now."""
        try:
            self._plan.check()
        except AuditUnavailable as error:
            raise TrailAway(str(error)) from error

    def judged(self, request: RunRequest, findings: Sequence[PolicyFinding]) -> None:
        """What the packs said of a run's stack: each finding, then the stack as a whole."""
        stack = request.stack
        digest = self._digest_of(stack.tenant) if stack.tenant else ""
        for finding in findings:
            outcome: Outcome = "deny" if finding.enforcement == "mandatory" else "advise"
            self._write(self._plan, _planning(request, finding.resource), outcome, finding.rule, finding.message, digest)
        refused = [one.rule for one in findings if one.enforcement == "mandatory"]
        why = f"{request.operation}: " + (f"refused by {', '.join(sorted(set(refused)))}" if refused else "the packs let it pass")
        self._write(self._plan, _planning(request, stack.name), "deny" if refused else "allow", refused[0] if refused else "", why, digest)

    def close(self) -> None:
        """Flushes and signs both heads."""
        self._place.close()
        self._plan.close()

    def _write(self, log: AuditLog, call: Call, outcome: Outcome, rule: str, why: str, digest: str) -> None:
        try:
            log.record(call, outcome, rule, why, digest, self._clock())
        except AuditUnavailable as error:
            raise TrailAway(str(error)) from error


def _opened(path: Path, point: str) -> AuditLog:
    try:
        return AuditLog(path, point)
    except AuditUnavailable as error:
        raise TrailAway(str(error)) from error


def _placing(tenant: str, workload: str, offer: OfferRef | None) -> Call:
    cloud, regions = ("", ()) if offer is None else (offer.cloud, (Named(offer.region, "offer.region"),))
    return Call("place", PRINCIPAL, tenant, cloud, "spotlane", "Place", "write", "regional", resource=workload, regions=regions)


def _planning(request: RunRequest, resource: str) -> Call:
    stack = request.stack
    settings = request.settings or {}
    cloud = stack.cloud or str(settings.get("cloud") or ("" if stack.kind in ("placement", "tenant") else _CLOUD_OF_OURS))
    region = stack.region or settings.get("region")
    regions = (Named(str(region), "settings.region"),) if region else ()
    return Call("plan", PRINCIPAL, stack.tenant or "", cloud, "pulumi", request.operation, "write", "regional", resource=resource, regions=regions)
