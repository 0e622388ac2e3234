"""``python -m automation edge up|preview|destroy``: the edge's own stack, before there is an edge whose tokens could allow a run."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import Literal

from automation.errors import AutomationError, EngineFailed
from automation.runs.engine import Engine, PolicyPack
from automation.runs.recovery import NoClouds, Recovery
from automation.service.stack_plans import PACK
from automation.settings import PROJECT_ROOT, AutomationSettings
from spotlane.client import api_key_of

STACK = "edge"


def operate(settings: AutomationSettings, operation: Literal["up", "preview", "destroy"], *, as_json: bool) -> int:
    """Runs one operation on the edge's stack; exit code 0, or 1 with the engine's reasons."""
    key = settings.api_key or api_key_of({"SPOTLANE_HOME": str(settings.home)})
    engine = Engine(settings.engine, PROJECT_ROOT, settings.stack_project, os.environ)
    journal = settings.home / "automation" / "runs" / "edge.jsonl"
    document = {
        "accountId": settings.cloudflare_account_id,
        "zone": settings.zone,
        "zoneId": settings.cloudflare_zone_id,
        "automationUrl": settings.automation_url,
        "platformKeySha256": hashlib.sha256(key.encode()).hexdigest(),
    }
    packs = [PolicyPack(PACK, None)]
    try:
        if operation != "preview" and engine.interrupted(STACK):
            Recovery(engine, NoClouds()).recover(STACK, journal)
        if operation == "destroy":
            outcome = engine.destroy(STACK, journal)
        else:
            engine.settle(STACK, document)
            # Who deploys the edge by hand may take away what its blueprint no longer has.
            outcome = engine.up(STACK, packs, journal, ("delete", "replace")) if operation == "up" else engine.preview(STACK, packs, journal)
    except EngineFailed as error:
        for line in error.diagnostics:
            sys.stderr.write(f"error: {line}\n")
        for finding in error.findings:
            sys.stderr.write(f"error: {finding.rule} on {finding.resource}: {finding.message}\n")
        return 1
    except AutomationError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if as_json:
        sys.stdout.write(json.dumps({"stack": STACK, "operation": operation, "changes": dict(outcome.changes), "outputs": outcome.outputs}) + "\n")
    else:
        changes = ", ".join(f"{count} {kind}" for kind, count in outcome.changes.items()) or "nothing to change"
        sys.stdout.write(f"{operation} {STACK}: {changes}\n")
    return 0
