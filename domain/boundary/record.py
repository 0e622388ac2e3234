"""The audit record: one schema for decisions on a plan, a placement and an API call, and the hash that binds each record to the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from domain.boundary.call import Call

GENESIS = "0" * 64
"""What the first record follows."""

FIELDS = (
    "seq", "prev", "at", "point", "tenant", "principal", "digest", "cloud", "service", "action", "region", "account", "resource",
    "verdict", "rule", "why", "hash",
)  # fmt: skip
"""Of every record, in the order in which they are written.

``seq`` counts from 1 without a gap; ``prev`` and ``hash`` are SHA-256 in hex; ``at`` is UTC; ``point`` is plan, place or api; ``digest`` names the boundary;
``verdict`` is allow, advise (would have been denied, mode advisory), learn (the same, mode learning) or deny; ``rule`` and ``why`` say which rule, and in
which words.
"""

# Made once: `json.dumps` makes an encoder for every call that sets anything.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_plain = json.JSONEncoder(separators=(",", ":")).encode

Outcome = Literal["allow", "advise", "learn", "deny"]

_RESOURCE_LENGTH = 200
_WHY_LENGTH = 600


def record(seq: int, prev: str, now: datetime, call: Call, outcome: Outcome, rule: str, why: str, digest: str) -> dict[str, Any]:
    """The record of one decision, its hash included."""
    entry: dict[str, Any] = {
        "seq": seq,
        "prev": prev,
        "at": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "point": call.point,
        "tenant": call.tenant,
        "principal": call.principal,
        "digest": digest,
        "cloud": call.cloud,
        "service": call.service,
        "action": call.action,
        "region": call.region,
        "account": call.account,
        "resource": call.resource[:_RESOURCE_LENGTH],
        "verdict": outcome,
        "rule": rule,
        "why": why[:_WHY_LENGTH],
    }
    entry["hash"] = record_hash(entry)
    return entry


def record_hash(entry: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the record without its hash, as canonical JSON."""
    plain = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def line(entry: Mapping[str, Any]) -> bytes:
    """The record as it stands in a log: ASCII, no blanks, fields in their order, one newline."""
    return _plain({field: entry[field] for field in FIELDS}).encode() + b"\n"
