"""How one run is carried out: its foundations, its own operation on a mended stack, the delivery of its result. DBOS stores each step.

Two queues: the *foundations* (edge, tenant, region and address stacks) and the *placements*, which wait for their foundations; so a waiting placement never
takes the place that its foundation needs.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from dbos import DBOS, DBOSConfiguredInstance, SetEnqueueOptions, SetWorkflowID
from dbos import WorkflowHandle as Handle

from automation.errors import AutomationError, EngineDied, EngineFailed, EngineStopped
from automation.runs.admission import lane
from automation.runs.engine import Engine, PolicyPack
from automation.runs.events import RunOutcome
from automation.runs.journal import Journals, stop_reason
from automation.runs.process import EngineProcess
from automation.runs.recovery import NoClouds, Recovery
from automation.runs.telemetry import observed
from domain.refusals import read
from spotlane.errors import ApiProblem, SpotlaneError, Unreachable
from spotlane.wire import Json, PolicyFinding, Run, RunEvent, RunRequest
from stacks.settings import HANDED_OVER

FOUNDATIONS = "foundations"
PLACEMENTS = "placements"
_PRIORITY = {"interruption": 1, "health": 2, "price": 3, "drift": 4}
_POLL_SECONDS = 0.25
"""Of who waits for a run."""
_DELIVERY_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 15.0)
"""Seconds before each further try of a delivery; the last one stands for all later ones, for as long as the edge is away."""
_EDGE_SECONDS = 120.0
"""How long a run waits for an edge that is away to tell what its stack is made of; it keeps its place among those at work meanwhile."""
_AWAY_PAUSE = 0.5
_OURS = (AutomationError, SpotlaneError)
"""Errors that come again if the same is asked again."""
_DEADLINE = "its deadline has passed"
T = TypeVar("T")
THROTTLED_PAUSES = (5.0, 15.0, 45.0)
_DEATHS = 3
"""Engines of one run that may die under it before it is given up (out of memory each time, for one)."""
_log = structlog.get_logger("spotlane.runs")


class Plans(Protocol):
    """What a run needs to know beyond its request."""

    def foundations(self, request: RunRequest) -> list[list[RunRequest]]:
        """Runs that must have succeeded before this one, in waves: those of a wave have nothing to do with each other, the next needs it whole."""
        ...

    def settings(self, request: RunRequest) -> Json | None:
        """The stack's settings; None keeps those of its last run."""
        ...

    def packs(self, request: RunRequest) -> list[PolicyPack]:
        """The policy packs by which previews and updates of this stack are judged."""
        ...

    def finished(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Called once a run succeeded, before it is reported; idempotent."""
        ...


class Trail(Protocol):
    """Where the packs' verdicts are recorded."""

    def check(self) -> None:
        """Raises :class:`AutomationError` where nothing can be recorded now; then no pack is asked."""
        ...

    def judged(self, request: RunRequest, findings: Sequence[PolicyFinding]) -> None:
        """Records what the packs said of the run's stack."""
        ...


def run_id(request: RunRequest) -> str:
    """The run's id: the same idempotency key is the same run."""
    return "run-" + hashlib.sha256(request.idempotency_key.encode()).hexdigest()[:24]


def _unheard(stack: str, outcome: RunOutcome) -> None:
    """Nobody asked to be told of drift."""


@DBOS.dbos_class()
class RunExecutor(DBOSConfiguredInstance):
    """Carries runs out. One instance a process, made before ``DBOS.launch``."""

    def __init__(
        self,
        engine: Engine,
        plans: Plans,
        journals: Journals,
        deliver: Callable[[str, RunEvent], None],
        drifted: Callable[[str, RunOutcome], None] = _unheard,
        recovery: Recovery | None = None,
        trail: Trail | None = None,
    ) -> None:
        super().__init__("runs")
        self._trail = trail
        self._recovery = recovery or Recovery(engine, NoClouds())
        self.at_once: int | None = None
        """Placement stacks of one tenant that work side by side (:class:`Limits`)."""
        self.pauses: Sequence[float] = THROTTLED_PAUSES
        """Seconds before each further try of a run that a cloud throttled."""
        self.delivery_pauses: Sequence[float] = _DELIVERY_PAUSES
        self.edge_seconds = _EDGE_SECONDS
        self._drifted = drifted
        self._engine = engine
        self._plans = plans
        self._journals = journals
        self._send = deliver

    @DBOS.workflow(name="execute", max_recovery_attempts=1000)
    def execute(self, document: Json) -> Json:
        """One run from its foundations to its delivery; the finished :class:`Run`."""
        request = RunRequest.model_validate(document)
        started = self._clock()
        try:
            settled = False
            for wave in self._foundations(document):
                handles = [enqueue(self, RunRequest.model_validate(foundation)) for foundation in wave]
                settled = settled or self._settle(document)  # while the foundations are made
                below = [Run.model_validate(handle.get_result(polling_interval_sec=_POLL_SECONDS)) for handle in handles]
                failed = next((one for one in below if one.status != "succeeded"), None)
                if failed is not None:
                    result = _ended(request, started, self._clock(), error=f"{failed.stack}: {failed.error}", findings=_dump(failed)["findings"])
                    break
            else:
                result = self._operate(document, started, settled)
        except Exception as error:  # noqa: BLE001  # a run ends with a result that names its failure, never without one
            result = _ended(request, started, self._clock(), error=f"{type(error).__name__}: {error}")
        if request.migration is not None and request.step is not None:
            with SetWorkflowID(f"{run_id(request)}-delivery"):
                DBOS.start_workflow(self.report, request.migration, {"run": result, "step": request.step})
        return result

    @DBOS.workflow(name="report", max_recovery_attempts=1000)
    def report(self, migration: str, event: Json) -> None:
        """Delivers a result to the saga that waits for it, however long the edge is away."""
        for pause in itertools.chain(self.delivery_pauses, itertools.repeat(self.delivery_pauses[-1])):
            if self._deliver(migration, event):
                return
            DBOS.sleep(pause)

    @DBOS.step(name="clock")
    def _clock(self) -> str:
        return datetime.now(UTC).isoformat()

    @DBOS.step(name="foundations", retries_allowed=True, interval_seconds=0.5, max_attempts=5, should_retry=lambda error: not isinstance(error, _OURS))
    def _foundations(self, document: Json) -> list[list[Json]]:
        request = RunRequest.model_validate(document)
        return [[_dump(foundation) for foundation in wave] for wave in self._patient(lambda: self._plans.foundations(request))]

    @DBOS.step(name="settle")
    def _settle(self, document: Json) -> bool:
        request = RunRequest.model_validate(document)
        self._engine.settle(request.stack.name, self._patient(lambda: self._plans.settings(request)))
        return True

    def _patient(self, ask: Callable[[], T]) -> T:
        """What the edge says; asked again for a while where it is away. A refusal is raised at once."""
        limit = time.monotonic() + self.edge_seconds
        while True:
            try:
                return ask()
            except SpotlaneError as error:
                refused = isinstance(error, ApiProblem) and error.problem.status < 500
                if refused or not isinstance(error, ApiProblem | Unreachable) or time.monotonic() >= limit:
                    raise
            time.sleep(_AWAY_PAUSE)

    @DBOS.step(name="operate")
    def _operate(self, document: Json, started: str, settled: bool) -> Json:
        request = RunRequest.model_validate(document)
        with observed(run_id(request), request) as ending:
            result = self._carried_out(request, started, settled)
            ending.update(status=result["status"], error=result["error"])
        return result

    def _carried_out(self, request: RunRequest, started: str, settled: bool) -> Json:
        stack = request.stack.name
        run = run_id(request)
        try:
            self._repair(request, again=self._begun_before(run))
        except (AutomationError, SpotlaneError) as error:
            return _ended(request, started, datetime.now(UTC).isoformat(), error=f"the stack couldn't be repaired after its engine died: {error}")
        if request.deadline is not None and datetime.now(UTC) >= request.deadline:
            self._journals.stop(run, _DEADLINE)
        if (reason := self._journals.stopped(run)) is not None:
            return _ended(request, started, datetime.now(UTC).isoformat(), error=reason, status="cancelled")
        alarm = self._alarm(run, request.deadline)
        try:
            outcome = self._undying(request, stack, settled=settled)
            if request.operation == "drift":
                self._drifted(stack, outcome)
            else:
                self._plans.finished(request, outcome)
        except EngineFailed as error:
            findings = [_dump(finding) for finding in error.findings]
            return _ended(request, started, datetime.now(UTC).isoformat(), error="; ".join(error.diagnostics) or str(error), findings=findings)
        except EngineStopped as error:
            return _ended(request, started, datetime.now(UTC).isoformat(), error=str(error), status="cancelled")
        except (AutomationError, SpotlaneError) as error:
            return _ended(request, started, datetime.now(UTC).isoformat(), error=str(error))
        finally:
            if alarm is not None:
                alarm.cancel()
        findings = [_dump(finding) for finding in outcome.findings]
        return _ended(request, started, datetime.now(UTC).isoformat(), changes=dict(outcome.changes), outputs=outcome.outputs, findings=findings)

    def _begun_before(self, run: str) -> bool:
        """Whether a service process has died over this run: then its engine may have worked on another machine, which left no mark here."""
        status = DBOS.get_workflow_status(run)
        return status is not None and (status.recovery_attempts or 0) > 1

    def _repair(self, request: RunRequest, *, again: bool = False) -> None:
        """Mends the stack where an engine died on it: this run's, or that of a run before. Raises :class:`AutomationError` where it can't be mended now."""
        stack, journal = request.stack.name, self._journals.of(run_id(request))
        if again or self._engine.interrupted(stack) or EngineProcess.of(journal).pid is not None:
            _log.warning("repairing", stack=stack)
            self._recovery.recover(stack, journal)

    def _undying(self, request: RunRequest, stack: str, *, settled: bool) -> RunOutcome:
        """The operation; once more on the mended stack where its engine died. One that shall stop isn't begun again."""
        for _ in range(_DEATHS - 1):
            try:
                return self._patiently(request, stack, settled=settled)
            except EngineDied as error:
                _log.warning("the engine died", stack=stack, signal=error.signal)
                self._repair(request)
                if (reason := self._journals.stopped(run_id(request))) is not None:
                    raise EngineStopped(stack, request.operation, reason) from error
        return self._patiently(request, stack, settled=settled)

    def _patiently(self, request: RunRequest, stack: str, *, settled: bool) -> RunOutcome:
        """The operation; again after a pause where the cloud said that it was asked too often."""
        journal = self._journals.of(run_id(request))
        for pause in self.pauses:
            try:
                return self._call(request, stack, settled=settled)
            except EngineFailed as error:
                if not read(error.diagnostics).consequence.again or stop_reason(journal) is not None:
                    raise
                _log.info("throttled", stack=stack, pause_seconds=pause, text=error.diagnostics[:1])
            time.sleep(pause)
        return self._call(request, stack, settled=settled)

    def _alarm(self, run: str, deadline: datetime | None) -> threading.Timer | None:
        """Stops the run at its deadline."""
        if deadline is None:
            return None
        alarm = threading.Timer((deadline - datetime.now(UTC)).total_seconds(), self._journals.stop, (run, _DEADLINE))
        alarm.daemon = True
        alarm.start()
        return alarm

    def _call(self, request: RunRequest, stack: str, *, settled: bool) -> RunOutcome:
        journal = self._journals.of(run_id(request))
        if request.operation == "destroy":
            return self._engine.destroy(stack, journal)
        if request.operation == "drift":
            return self._engine.drift(stack, journal)
        if not settled:
            self._engine.settle(stack, self._patient(lambda: self._plans.settings(request)))
        if request.operation == "import":
            return self._engine.take_in(stack, request.imports, journal)
        if request.operation == "refresh":
            return self._engine.refresh(stack, journal)
        return self._judged(request, stack, journal, self._plans.packs(request))

    def _judged(self, request: RunRequest, stack: str, journal: Path, packs: list[PolicyPack]) -> RunOutcome:
        """A preview or an update by ``packs``, whose verdict is recorded."""
        if self._trail is not None:
            self._trail.check()
        try:
            if request.operation == "preview":
                outcome = self._engine.preview(stack, packs, journal)
            else:
                handed_over = HANDED_OVER if request.stack.kind == "relay" else ""
                outcome = self._engine.up(stack, packs, journal, request.allow, handed_over)
        except EngineFailed as error:
            if self._trail is not None and error.findings:
                self._trail.judged(request, error.findings)
            raise
        if self._trail is not None:
            self._trail.judged(request, outcome.findings)
        return outcome

    @DBOS.step(name="deliver")
    def _deliver(self, migration: str, event: Json) -> bool:
        """One try; whether there is no need of another. The edge takes the same run's result once in effect, however often it comes."""
        try:
            self._send(migration, RunEvent.model_validate(event))
        except ApiProblem as problem:
            if problem.problem.status in (404, 409, 410):
                _log.info("nobody waits for this result any more", migration=migration, status=problem.problem.status)
                return True
            _log.warning("a result couldn't be delivered", migration=migration, error=str(problem))
            return False
        except SpotlaneError as error:
            _log.warning("a result couldn't be delivered", migration=migration, error=str(error))
            return False
        return True


def enqueue(executor: RunExecutor, request: RunRequest) -> Handle[Json]:
    """Stores the run in its queue; the same run twice is one."""
    placement = request.stack.kind == "placement"
    queue = PLACEMENTS if placement else FOUNDATIONS
    key = lane(request.stack.name, request.stack.tenant, executor.at_once if placement else None)
    with (
        SetWorkflowID(run_id(request)),
        SetEnqueueOptions(queue_partition_key=key, priority=_PRIORITY[request.priority]),
    ):
        return DBOS.enqueue_workflow(queue, executor.execute, _dump(request))


def _dump(model: Any) -> Json:
    document: Json = model.model_dump(mode="json", by_alias=True)
    return document


def _ended(
    request: RunRequest,
    started: str,
    finished: str,
    *,
    error: str | None = None,
    changes: dict[str, int] | None = None,
    outputs: Json | None = None,
    findings: list[Json] | None = None,
    status: str | None = None,
) -> Json:
    return {
        "id": run_id(request),
        "stack": request.stack.name,
        "operation": request.operation,
        "status": status or ("failed" if error is not None else "succeeded"),
        "error": error,
        "changes": changes or {},
        "findings": findings or [],
        "outputs": outputs or {},
        "acceptedAt": started,
        "startedAt": started,
        "finishedAt": finished,
    }
