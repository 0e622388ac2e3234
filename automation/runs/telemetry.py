"""What a run tells of itself: its log lines carry run, stack and tenant, its end is counted and timed, its parts are spans."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
from opentelemetry.trace import Status, StatusCode
from prometheus_client import Counter, Histogram

from automation.tracing import TRACER, of_migration
from spotlane.wire import RunRequest

_log = structlog.get_logger("spotlane.runs")
_RUNS = Counter("spotlane_runs_total", "Runs that have ended", ["operation", "kind", "status"])
_SECONDS = Histogram(
    "spotlane_run_seconds", "Wall time of a run's own operation, seconds", ["operation", "kind"], buckets=(0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900)
)


@contextmanager
def observed(run: str, request: RunRequest) -> Iterator[dict[str, str | None]]:
    """Around a run's own operation; what is put into the mapping as ``status`` and ``error`` is how it ended."""
    ending: dict[str, str | None] = {"status": "failed", "error": None}
    stack, operation = request.stack, request.operation
    begun = time.monotonic()
    context = of_migration(request.migration)
    with (
        structlog.contextvars.bound_contextvars(run=run, stack=stack.name, tenant=stack.tenant, operation=operation, migration=request.migration),
        TRACER.start_as_current_span(f"run {operation}", context, attributes=attributes(run=run, stack=stack.name, tenant=stack.tenant)) as span,
    ):
        _log.info("run begins", priority=request.priority)
        try:
            yield ending
        finally:
            seconds = time.monotonic() - begun
            status = ending["status"] or "failed"
            _RUNS.labels(operation, stack.kind, status).inc()
            _SECONDS.labels(operation, stack.kind).observe(seconds)
            if status == "failed":
                span.set_status(Status(StatusCode.ERROR, (ending["error"] or "")[:200]))
            _log.info("run ended", status=status, seconds=round(seconds, 3), error=ending["error"])


@contextmanager
def part(name: str, **of: str | None) -> Iterator[None]:
    """A span inside the run's: an engine's operation, the foundations."""
    with TRACER.start_as_current_span(name, attributes=attributes(**of)):
        yield


def attributes(**named: str | None) -> Mapping[str, str]:
    """Span attributes under our own prefix; what is None is left out."""
    return {f"spotlane.{name}": value for name, value in named.items() if value is not None}
