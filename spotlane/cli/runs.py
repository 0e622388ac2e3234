"""``spotlane runs ls | show | logs | cancel | retry``, and runs as other commands wait for them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.page import Examples
from spotlane.cli.session import automation, edge, reported
from spotlane.cli.waiting import usual_of_runs
from spotlane.client import AutomationClient
from spotlane.errors import SpotlaneError

cli = typer.Typer(cls=Examples, help="Engine operations: what ran, what runs, what became of it.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
_POLL_SECONDS = 0.25


@cli.command("ls")
@reported
def ls(
    stack: Annotated[str | None, typer.Option(help="Only of this stack.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant's stacks.")] = None,
    status: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """Runs, newest first."""
    found = automation(edge()).runs(stack=stack, tenant=tenant, status=status, limit=limit)
    if json:
        output.document(found)
        return
    rows = [(one.id, one.stack, one.operation, one.status, f"{one.accepted_at:%Y-%m-%d %H:%M:%S}", _seconds(one), one.error or _changes(one)) for one in found]
    output.table(("RUN", "STACK", "OPERATION", "STATUS", "ACCEPTED", "SECONDS", "RESULT"), rows, "no runs")


@cli.command("show")
@reported
def show(run: str, json: Json = False) -> None:
    """One run, with its findings."""
    found = automation(edge()).run(run)
    if json:
        output.document(found)
        return
    output.say(f"{found.id}: {found.operation} {found.stack} {found.status}" + (f" in {_seconds(found)} s" if _seconds(found) else ""))
    output.say(f"  {found.error or _changes(found)}")
    for finding in found.findings:
        output.say(f"  {finding.enforcement} {finding.rule} ({finding.severity}) on {finding.resource}: {finding.message}")


@cli.command("logs")
@reported
def logs(
    run: str,
    after: Annotated[int, typer.Option(help="Only events after this number.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="The engine's events, one JSON object a line.")] = False,
) -> None:
    """The engine's events of a run; follows one that still works to its end."""
    for number, event in automation(edge()).run_events(run, after):
        if json:
            output.record({"number": number, **event})
        elif line := _told(event):
            output.say(line)


@cli.command("cancel")
@reported
def cancel(run: str, json: Json = False) -> None:
    """Stops a run: one that waits is never begun, the engine of one that works ends what it has in hand."""
    _shown(automation(edge()).cancel_run(run), json)


@cli.command("retry")
@reported
def retry(run: str, json: Json = False) -> None:
    """Tries the operation of a failed or cancelled run again."""
    _shown(automation(edge()).retry_run(run), json)


def _shown(run: wire.Run, json: bool) -> None:
    if json:
        output.document(run)
    else:
        output.say(f"{run.id}: {run.operation} {run.stack} {run.status}")


def _seconds(run: wire.Run) -> str:
    begun, ended = run.started_at, run.finished_at
    return f"{(ended - begun).total_seconds():.1f}" if isinstance(begun, datetime) and isinstance(ended, datetime) else ""


def _changes(run: wire.Run) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in run.changes.items()) or ("nothing changed" if run.status == "succeeded" else "")


def _told(event: dict[str, Any]) -> str | None:
    """A line for people on an engine event (``apitype.EngineEvent``); None for one that says nothing to them."""
    if before := event.get("resourcePreEvent"):
        metadata = before["metadata"]
        return None if metadata["op"] == "same" else f"{metadata['op']} {metadata['type']} {metadata['urn'].rsplit('::', 1)[-1]}"
    if (said := event.get("diagnosticEvent")) and said.get("severity") in ("warning", "error", "info"):
        return str(said.get("message", "")).strip() or None
    if verdict := event.get("policyEvent"):
        return f"policy {verdict['policyName']} ({verdict['enforcementLevel']}): {str(verdict.get('message', '')).strip()}"
    if summary := event.get("summaryEvent"):
        changes = summary.get("resourceChanges") or {}
        return "summary: " + (", ".join(f"{count} {kind}" for kind, count in changes.items()) or "nothing to change")
    return None


def _usual(service: AutomationClient, request: wire.RunRequest) -> str:
    """How long it usually takes, in brackets, where that is known; a service that doesn't say is no reason to stop."""
    try:
        told = usual_of_runs(service.runs(limit=200, status="succeeded"), request)
    except SpotlaneError:
        return ""
    return f" ({told})" if told else ""


def wait_for(service: AutomationClient, request: wire.RunRequest) -> wire.Run:
    """Submits a run and waits for its end; exits with 1 where it failed. A run that failed before under its key is tried again under a new one."""
    run = service.submit(request)
    attempt = 1
    while run.status == "failed" and attempt < 100:
        attempt += 1
        run = service.submit(request.model_copy(update={"idempotency_key": f"{request.idempotency_key}:{attempt}"}))
    begun = time.monotonic()
    output.progress(f"{run.operation} {run.stack} …{_usual(service, request)}")
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
