"""Durable runs: stored before they are acknowledged, one at a time per stack, finished or repaired after a crash.

DBOS keeps them (SQLite by default). A run's id is derived from its idempotency key, so the same request twice is one run.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dbos import DBOS, DBOSConfig, WorkflowStatus
from sqlalchemy.exc import SQLAlchemyError

from automation.errors import DatabaseAway, KeyReused, LanesChanged, RunEnded, UnknownRun
from automation.runs.admission import Admission, Limits, lane, tenant_of_lane
from automation.runs.executor import FOUNDATIONS, PLACEMENTS, RunExecutor, enqueue, run_id
from automation.runs.journal import Journals
from automation.runs.process import EngineProcess
from spotlane.wire import Run, RunRequest

STORED_FORM = "1"
"""Version of what is stored of a run. DBOS works only on runs of its own version and would take a digest of our code for it: every upgrade would leave the
runs in flight behind. Raised only where a step is added, removed or renamed so that a half-done run couldn't go on."""
_QUEUE_SECONDS = 0.3
"""Between two looks into the queues: each costs some 8 ms of CPU, also where nothing is to be done."""
_PAGE = 200
_STATUS = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "SUCCESS": "succeeded",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
}


def stored_in(url: str, member: str, log_level: str = "WARNING") -> DBOSConfig:
    """DBOS's configuration: runs in the database at ``url`` (SQLAlchemy), worked on as ``member``."""
    return {"name": "spotlane", "system_database_url": url, "executor_id": member, "application_version": STORED_FORM, "log_level": log_level}


class Runs:
    """The run queue as the service and the scheduler see it."""

    def __init__(
        self, executor: RunExecutor, journals: Journals, concurrent: int, limits: Limits | None = None, reachable: Callable[[], None] = lambda: None
    ) -> None:
        """``reachable`` raises :class:`automation.errors.DatabaseAway` where nothing can be stored now."""
        self._reachable = reachable
        self._executor = executor
        self.journals = journals
        self._concurrent = concurrent
        self._limits = limits or Limits()
        self._admission = Admission(self._limits, lambda: Counter(one.queue_partition_key or "" for one in self._unfinished()))
        executor.at_once = self._limits.at_once

    def open(self) -> None:
        """Recovers the runs that a dead process left, then works the queues. Raises :class:`LanesChanged`."""
        DBOS.launch()
        strangers = sum(one.queue_partition_key != lane(*_whose(one), self._limits.at_once) for one in self._unfinished(PLACEMENTS, load_input=True))
        if strangers:
            DBOS.destroy(workflow_completion_timeout_sec=0)
            raise LanesChanged(strangers)
        for queue in (FOUNDATIONS, PLACEMENTS):
            DBOS.register_queue(queue, partition_concurrency=1, worker_concurrency=self._concurrent, polling_interval_sec=_QUEUE_SECONDS)

    def close(self, stop_seconds: int = 0) -> bool:
        """Begins nothing more and lets what is in hand come to its end for ``stop_seconds``; whether something is left, to go on at another member or after
        the next :meth:`open`. Engines that still work then are ended: nobody else could know of them."""
        in_hand = [one.workflow_id for one in self._unfinished() if one.status == "PENDING" and one.executor_id == DBOS.executor_id]
        DBOS.destroy(workflow_completion_timeout_sec=stop_seconds if in_hand else 0)
        left = [engine for run in in_hand if (engine := EngineProcess.of(self.journals.of(run))).alive()]
        for engine in left:
            engine.signal(signal.SIGTERM)
        for engine in left:
            engine.kill()
        return bool(in_hand)

    def take_over(self, members: Sequence[str]) -> None:
        """Gives the unfinished runs of dead service processes back to the queues; each goes on where its last stored step ended."""
        DBOS._recover_pending_workflows(list(members))  # DBOS offers it else only over its admin port

    def submit(self, request: RunRequest) -> tuple[Run, bool]:
        """Accepts a run; ``(run, whether it is new)``. It is stored when this returns.

        Raises :class:`KeyReused`, :class:`TooManyRuns` and :class:`DatabaseAway`; then it isn't.
        """
        self._reachable()
        run = run_id(request)
        known = DBOS.get_workflow_status(run)
        if known is None:
            self._admission.admit(request)
            try:
                enqueue(self._executor, request)
            except SQLAlchemyError as error:  # a full disk, for one; DBOS waits by itself for a server that is away
                raise DatabaseAway(type(error).__name__) from error
        elif known.input and RunRequest.model_validate(known.input["args"][0]) != request:
            raise KeyReused(request.idempotency_key, run)
        return self.get(run), known is None

    def stop(self, run: str, reason: str) -> Run:
        """Stops a run: one that waits is never begun, the engine of one that works lets what it has in hand come to its end. Raises :class:`RunEnded`."""
        self._reachable()
        found = self.get(run)
        if found.status not in ("queued", "running"):
            raise RunEnded(f"{run} has {found.status} already; there is nothing to cancel")
        self.journals.stop(run, reason)
        return self.get(run)

    def again(self, run: str) -> Run:
        """The same operation once more, as a run of its own. Raises :class:`RunEnded` for a run that succeeded or hasn't ended."""
        found = self.get(run)
        if found.status not in ("failed", "cancelled"):
            raise RunEnded(f"{run} is {found.status}; only a failed or cancelled run is tried again")
        request = self._request(run)
        for attempt in range(2, 1000):
            key = f"{request.idempotency_key[:180]}:retry-{attempt}"
            later = request.model_copy(update={"idempotency_key": key, "deadline": None, "migration": None, "step": None})
            if DBOS.get_workflow_status(run_id(later)) is None or self.get(run_id(later)).status in ("queued", "running"):
                return self.submit(later)[0]
        raise RunEnded(f"{run} was tried again a thousand times")

    def listed(self, *, stack: str | None = None, tenant: str | None = None, status: str | None = None, limit: int = 50) -> list[Run]:
        """Runs, newest first (:class:`DatabaseAway` as above); of one stack, of one tenant's stacks, in one status."""
        self._reachable()
        found: list[Run] = []
        for offset in range(0, 10_000, _PAGE):
            page = DBOS.list_workflows(name="execute", sort_desc=True, limit=_PAGE, offset=offset)
            for one in page:
                run = self._shown(one.workflow_id, one)
                if (
                    (stack is None or run.stack == stack)
                    and (tenant is None or tenant_of_lane(run.stack) == tenant)
                    and (status is None or run.status == status)
                ):
                    found.append(run)
                if len(found) == limit:
                    return found
            if len(page) < _PAGE:
                return found
        return found

    def _unfinished(self, *queues: str, load_input: bool = False) -> list[WorkflowStatus]:
        """The runs that wait or work, of all service processes."""
        return DBOS.list_workflows(
            name="execute",
            status=["ENQUEUED", "DELAYED", "PENDING"],
            queue_name=list(queues or (FOUNDATIONS, PLACEMENTS)),
            load_input=load_input,
            load_output=False,
        )

    def unfinished_stacks(self) -> set[str]:
        """Names of the stacks that are worked on or will be, by any service process."""
        return {RunRequest.model_validate(one.input["args"][0]).stack.name for one in self._unfinished(load_input=True) if one.input}

    def _request(self, run: str) -> RunRequest:
        status = DBOS.get_workflow_status(run)
        if status is None or not status.input:
            raise UnknownRun(f"no run has the id {run!r}")
        return RunRequest.model_validate(status.input["args"][0])

    def get(self, run: str) -> Run:
        """One run. Raises :class:`UnknownRun`."""
        status = DBOS.get_workflow_status(run)
        if status is None or status.name != "execute" or not status.input:
            raise UnknownRun(f"no run has the id {run!r}")
        return self._shown(run, status)

    def _shown(self, run: str, status: WorkflowStatus) -> Run:
        if status.status == "SUCCESS":
            return Run.model_validate(status.output)
        assert status.input is not None, "a run is stored with its request"
        request = RunRequest.model_validate(status.input["args"][0])
        accepted = datetime.fromtimestamp((status.created_at or 0) / 1000, UTC)
        return Run.model_validate(
            {
                "id": run,
                "stack": request.stack.name,
                "operation": request.operation,
                "status": _STATUS[status.status],
                "error": str(status.error) if status.error else None,
                "changes": {},
                "findings": [],
                "outputs": {},
                "acceptedAt": accepted,
                "startedAt": None,
                "finishedAt": None,
            }
        )

    def ended(self, run: str) -> bool:
        """Whether the run has a result."""
        return self.get(run).status not in ("queued", "running")


def _whose(status: WorkflowStatus) -> tuple[str, str | None]:
    """The stack of a stored run, and its tenant."""
    assert status.input is not None, "a run is stored with its request"
    stack = RunRequest.model_validate(status.input["args"][0]).stack
    return stack.name, stack.tenant
