"""Runs as commands wait for them: with progress, and the engine's reasons where one fails."""

from __future__ import annotations

import time

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.client import AutomationClient

_POLL_SECONDS = 0.25


def wait_for(service: AutomationClient, request: wire.RunRequest) -> wire.Run:
    """Submits a run and waits for its end; exits with 1 where it failed. A run that failed before under its key is tried again under a new one."""
    run = service.submit(request)
    attempt = 1
    while run.status == "failed" and attempt < 100:
        attempt += 1
        run = service.submit(request.model_copy(update={"idempotency_key": f"{request.idempotency_key}:{attempt}"}))
    begun = time.monotonic()
    output.progress(f"{run.operation} {run.stack} …")
    while run.status in ("queued", "running"):
        time.sleep(_POLL_SECONDS)
        run = service.run(run.id)
    if run.status != "succeeded":
        output.failure(f"{run.operation} of {run.stack} {run.status}: {run.error}")
        for finding in run.findings:
            output.failure(f"  {finding.rule} on {finding.resource}: {finding.message}")
        raise typer.Exit(1)
    changed = ", ".join(f"{count} {kind}" for kind, count in run.changes.items()) or "nothing to change"
    output.progress(f"{run.operation} {run.stack}: {changed} ({time.monotonic() - begun:.1f} s)")
    return run
