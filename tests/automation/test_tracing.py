"""One trace a migration: the edge's request, the run and the engine's operation; and log lines that say whose they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import structlog
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from automation.runs.telemetry import observed, part
from automation.tracing import of_migration, traceparent
from spotlane import wire

STACK = wire.StackRef(kind="placement", tenant="acme", workload="web", generation=3)
REQUEST = wire.RunRequest(idempotency_key="a", stack=STACK, operation="up", migration="acme_web_3", step="provision")


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """OpenTelemetry takes one provider a process."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    return kept


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    exporter.clear()
    yield exporter


def test_a_migrations_trace_follows_from_its_id() -> None:
    assert traceparent("acme_web_3") == "00-9872abca3f29cd9c0261c5a2027ce405-d072604b9d07014b-01"
    assert of_migration(None) is None


def test_the_edges_request_the_run_and_the_engines_operation_are_one_trace(spans: InMemorySpanExporter) -> None:
    api = FastAPI()

    @api.post("/v1/runs/{run}/cancel")
    def cancel(run: str) -> dict[str, str]:
        return {"run": run}

    async def call() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://automation") as client:
            await client.post("/v1/runs/run-1/cancel", headers={"traceparent": traceparent("acme_web_3")})

    asyncio.run(call())
    with observed("run-1", REQUEST) as ending, part("engine up", stack=STACK.name):
        ending.update(status="succeeded")
    found = {span.name: span for span in spans.get_finished_spans()}
    assert set(found) >= {"POST /v1/runs/{run}/cancel", "run up", "engine up"}
    assert {f"{span.context.trace_id:032x}" for span in found.values() if span.context} == {"9872abca3f29cd9c0261c5a2027ce405"}
    engine, run = found["engine up"], found["run up"]
    assert engine.parent is not None and run.context is not None and engine.parent.span_id == run.context.span_id
    assert dict(run.attributes or {}) == {"spotlane.run": "run-1", "spotlane.stack": "placement.acme.web.3", "spotlane.tenant": "acme"}


def test_a_run_without_a_migration_has_a_trace_of_its_own(spans: InMemorySpanExporter) -> None:
    with observed("run-2", REQUEST.model_copy(update={"migration": None})):
        pass
    (span,) = spans.get_finished_spans()
    assert span.parent is None and span.status.status_code is trace.StatusCode.ERROR, "a run that didn't say how it ended has failed"


def test_log_lines_of_a_run_say_whose_they_are_and_its_end_is_counted() -> None:
    labels = {"operation": "up", "kind": "placement", "status": "cancelled"}
    before = REGISTRY.get_sample_value("spotlane_runs_total", labels) or 0.0
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        with observed("run-3", REQUEST) as ending:
            structlog.get_logger("elsewhere").info("said on the way")
            ending.update(status="cancelled", error="cancelled by ada")
        structlog.get_logger("elsewhere").info("said after")
    assert [line["event"] for line in lines] == ["run begins", "said on the way", "run ended", "said after"]
    whose = {"run": "run-3", "stack": "placement.acme.web.3", "tenant": "acme", "operation": "up", "migration": "acme_web_3"}
    assert all(whose.items() <= line.items() for line in lines[:3]) and "run" not in lines[3]
    assert (lines[2]["status"], lines[2]["error"]) == ("cancelled", "cancelled by ada")
    assert REGISTRY.get_sample_value("spotlane_runs_total", labels) == before + 1
