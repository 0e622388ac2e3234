"""Traces (OpenTelemetry): one trace a migration, from the edge's request through the run to the engine's operation.

The trace of a migration follows from its id, on both sides: the edge sends it as ``traceparent`` (W3C Trace Context) with its requests, which FastAPI's own
spans continue; the run, which may begin later and on another machine, takes it from its migration. Exported by OTLP where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says
so; else a span costs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

TRACER = trace.get_tracer("spotlane.automation")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def configure(environment: Mapping[str, str]) -> None:
    """Exports spans where the environment names an endpoint (OpenTelemetry's own variables)."""
    if not any(environment.get(name) for name in _ENDPOINTS):
        return
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # gRPC is loaded only where spans are sent
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "spotlane-automation"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def traceparent(migration: str) -> str:
    """The W3C ``traceparent`` of a migration: version, trace id, parent id, sampled. ``components/edge/workers/shared/trace.ts`` derives the same."""
    digest = hashlib.sha256(f"spotlane migration {migration}".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def of_migration(migration: str | None) -> Context | None:
    """The context in which a run's spans begin; None (a trace of its own) for one without a migration."""
    if migration is None:
        return None
    _, trace_id, span_id, _ = traceparent(migration).split("-")
    parent = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(parent))
