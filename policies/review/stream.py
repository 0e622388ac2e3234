"""The engine's event stream (``PULUMI_ENABLE_STREAMING_JSON_PREVIEW=1 pulumi preview --json``): the only output that holds all that policies said.

Event shapes: Pulumi's ``sdk/go/common/apitype/events.go``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE

from policies.facts.reading import UNKNOWN, Inputs
from policies.facts.resource import Resource

_SECRET = "4dabf18193072939515e22adb298388d"
"""Key of the engine's marker for secrets and other special values."""
_SPOKEN = re.compile(r"^\[(?P<rule>[a-z0-9-]+)\] (?P<text>.*?)(?: \((?P<path>[\w.\[\]-]+)\))?(?: Boundary (?P<digest>[0-9a-f]{12})\.)?$", re.MULTILINE)
_UNKNOWN = re.compile(r"value at \.?(?P<path>[\w.\[\]-]+) can't be known during preview")
_QUIET = frozenset({"same", "read", "refresh"})


class NotAStream(ValueError):
    """What was read is no event stream, or one that broke off; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one policy said of one resource. ``rule`` is "" where it said nothing in our form; ``unknown`` names a property that exists only at apply."""

    urn: str
    pack: str
    policy: str
    level: str
    rule: str
    text: str
    path: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One resource and what would be done to it."""

    urn: str
    op: str
    old: Resource | None
    new: Resource | None

    @property
    def resource(self) -> Resource:
        """The resource as it will be, or as it was."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def changes(self) -> bool:
        """Whether anything would be done."""
        return self.op not in _QUIET


@dataclass(slots=True)
class Stream:
    """A whole preview."""

    steps: dict[str, Step] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    judged: dict[str, dict[str, bool]] = field(default_factory=dict)
    """By resource, by ``<pack>/<policy>``: whether it passed."""
    errors: list[str] = field(default_factory=list)

    @property
    def stack(self) -> str:
        """The stack's name."""
        urn = next(iter(self.steps), "urn:pulumi:::")
        return urn.split("::", 1)[0].rsplit(":", 1)[-1]


def read(lines: Iterable[str]) -> Stream:
    """The stream in ``lines``. Raises :class:`NotAStream`."""
    found = Stream()
    providers: dict[str, dict[str, Any]] = {}
    raw: list[dict[str, Any]] = []
    ended = False
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError as error:
            raise NotAStream(f"line {number} is not an event: {error}") from error
        if not isinstance(event, dict):
            raise NotAStream(f"line {number} is not an event")
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            raw.append(metadata)
            if str(metadata["type"]).startswith("pulumi:providers:") and metadata.get("new"):
                providers[metadata["urn"]] = metadata["new"].get("inputs") or {}
        elif "policyEvent" in event:
            found.said.extend(_said(event["policyEvent"]))
        elif "policyAnalyzeSummaryEvent" in event:
            summary = event["policyAnalyzeSummaryEvent"]
            verdicts = found.judged.setdefault(summary["resourceUrn"], {})
            for word, passed in (("passed", True), ("failed", False)):
                verdicts.update({f"{summary['policyPackName']}/{policy}": passed for policy in summary.get(word) or ()})
        elif "diagnosticEvent" in event and event["diagnosticEvent"].get("severity") == "error":
            found.errors.append(str(event["diagnosticEvent"].get("message", "")).strip())
        elif "summaryEvent" in event or "cancelEvent" in event:
            ended = True
    if not ended:
        raise NotAStream("the stream has no end: the engine was stopped, or PULUMI_ENABLE_STREAMING_JSON_PREVIEW wasn't set")
    for metadata in raw:
        urn = str(metadata["urn"])
        old, new = (_resource(metadata.get(side), providers) for side in ("old", "new"))
        if (old or new) and not str(metadata["type"]).startswith("pulumi:"):
            found.steps[urn] = Step(urn, str(metadata["op"]), old, new)
    return found


def _resource(state: dict[str, Any] | None, providers: dict[str, dict[str, Any]]) -> Resource | None:
    if not state:
        return None
    urn = str(state["urn"])
    provider = providers.get(str(state.get("provider") or "").rpartition("::")[0], {})
    return Resource(str(state["type"]), urn.rpartition("::")[2], Inputs(_plain(state.get("inputs") or {})), Inputs(_plain(provider), "provider"))


def _plain(value: Any) -> Any:
    """Inputs without what nobody may see: secrets and unknown values are unknown here."""
    if isinstance(value, dict):
        return UNKNOWN if _SECRET in value else {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return UNKNOWN if value == UNKNOWN_STRING_VALUE else value


def _said(event: dict[str, Any]) -> Iterable[Said]:
    urn, pack, policy = str(event.get("resourceUrn") or ""), str(event["policyPackName"]), str(event["policyName"])
    level, message = str(event["enforcementLevel"]), str(event["message"])
    matches = list(_SPOKEN.finditer(message.strip()))
    for match in matches:
        yield Said(urn, pack, policy, level, match["rule"], match["text"], match["path"] or "")
    if not matches:
        unknown = _UNKNOWN.search(message)
        if unknown:
            yield Said(urn, pack, policy, level, "", "unknown until apply", unknown["path"], True)
        else:
            # Another pack's: its first line only, as nobody here vouches for what it prints.
            yield Said(urn, pack, policy, level, "", message.strip().splitlines()[0][:300] if message.strip() else "")
