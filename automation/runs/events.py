"""What the engine's event log says (``--event-log``: one JSON object a line), folded into a result.

The wire format is ``apitype.EngineEvent`` of the Pulumi SDK: each object has ``sequence``, ``timestamp`` and one event, named by its key.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from spotlane.wire import PolicyFinding

StepKind = Literal["create", "update", "delete", "replace"]
_COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_CHANGES = {"create", "update", "delete", "replace", "import"}
_KINDS: dict[str, StepKind] = {
    "create": "create",
    "import": "create",
    "update": "update",
    "delete": "delete",
    "discard": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "import-replacement": "replace",
}
"""Of the engine's step operations (``display.StepOp``) those that change something."""
_SEVERITIES = {"low", "medium", "high", "critical"}


@dataclass(frozen=True)
class Step:
    """What happens to one resource."""

    kind: StepKind
    type: str
    name: str


@dataclass
class RunOutcome:
    """What one operation did. ``changes`` counts resources by operation; ``outputs`` are the stack's own, secrets as the engine masks them."""

    changes: Counter[str] = field(default_factory=Counter)
    outputs: dict[str, Any] = field(default_factory=dict)
    findings: list[PolicyFinding] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    previewing: bool = True

    def fold(self, event: dict[str, Any]) -> None:
        """Takes in one engine event."""
        if "policyEvent" in event:
            self._policy(event["policyEvent"])
        elif "diagnosticEvent" in event:
            self._diagnostic(event["diagnosticEvent"])
        elif "resourcePreEvent" in event:
            self._step(event["resourcePreEvent"]["metadata"])
        elif "resOutputsEvent" in event:
            self._resource(event["resOutputsEvent"]["metadata"])
            self._step(event["resOutputsEvent"]["metadata"])  # what a refresh found is known only afterwards
        elif "summaryEvent" in event:
            changes = event["summaryEvent"].get("resourceChanges") or {}
            self.changes = Counter({kind: count for kind, count in changes.items() if kind in _CHANGES and count})

    def _step(self, metadata: dict[str, Any]) -> None:
        kind, type_ = _KINDS.get(metadata.get("op", "")), str(metadata.get("type", ""))
        if kind is None or type_.startswith("pulumi:"):  # providers and the stack itself stand for nothing in a cloud
            return
        step = Step(kind, type_, str(metadata.get("urn", "")).rsplit("::", 1)[-1])
        if step not in self.steps:
            self.steps.append(step)

    def _resource(self, metadata: dict[str, Any]) -> None:
        if metadata.get("type") == "pulumi:pulumi:Stack" and metadata.get("new"):
            self.outputs = metadata["new"].get("outputs") or {}

    def _diagnostic(self, event: dict[str, Any]) -> None:
        text = _COLOUR.sub("", event.get("message", "")).strip()
        if event.get("severity") == "error" and text and text not in self.errors:
            self.errors.append(text)

    def _policy(self, event: dict[str, Any]) -> None:
        severity = event.get("severity") or "medium"
        finding = PolicyFinding.model_validate(
            {
                "rule": event["policyName"],
                "severity": severity if severity in _SEVERITIES else "medium",
                "enforcement": "mandatory" if event.get("enforcementLevel") == "mandatory" else "advisory",
                "resource": event.get("resourceUrn", "").rsplit("::", 1)[-1],
                "message": _COLOUR.sub("", event.get("message", "")).strip(),
            }
        )
        if finding not in self.findings:
            self.findings.append(finding)


def read(lines: Iterable[str]) -> RunOutcome:
    """The outcome of an event log. A torn last line (the engine died while writing) is left out."""
    outcome = RunOutcome()
    for line in lines:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        outcome.fold(event)
    return outcome
