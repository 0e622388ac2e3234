"""Whose boundary judges a stack, found by the stack's name, and where the pack reads it.

In this order: the policy's own config (``--policy-pack-config FILE``), the document named by ``SPOTLANE_BOUNDARY``, the tenant's file that the proxy reads
too (``$SPOTLANE_HOME/proxy/tenants/<tenant>.json``). Without any, the pack refuses: a stack of a tenant without a boundary is not a stack without rules.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.boundary.call import Accounts
from domain.boundary.compiled import CompiledBoundary, compile
from domain.boundary.model import BoundaryDocumentError, load, parse

PROJECT = Path(__file__).resolve().parents[2]

_TENANT_STACK = re.compile(r"^(?P<kind>tenant|region|relay|address|placement)\.(?P<tenant>[a-z][a-z0-9]{1,19})(?:\..+)?$")


class NoBoundary(Exception):
    """No boundary can be found for the stack. The message says which files were looked for."""


@dataclass(frozen=True, slots=True)
class StackSubject:
    """The kind of a stack and its tenant; ``tenant`` is "" for the platform's own stacks."""

    kind: str
    tenant: str


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What one stack is judged by."""

    tenant: str
    boundary: CompiledBoundary
    accounts: Accounts


def subject(stack: str) -> StackSubject:
    """Kind and tenant of a stack's name. A name in no form of the project's is of kind "unknown"."""
    if match := _TENANT_STACK.match(stack):
        return StackSubject(match["kind"], match["tenant"])
    return StackSubject(stack if stack == "edge" else "unknown", "")


def stack_of(urn: str) -> str:
    """The stack's name in a URN (``urn:pulumi:<stack>::<project>::<type>::<name>``)."""
    return urn.split("::", 1)[0].rsplit(":", 1)[-1]


def rulebook(tenant: str, config: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Rulebook:
    """What the tenant's stacks are judged by. Raises :class:`NoBoundary`, or ``BoundaryDocumentError`` for a document with faults."""
    if config.get("boundary"):
        configured = config.get("tenant")
        if configured and configured != tenant:
            raise NoBoundary(f"the pack's config holds the boundary of tenant {configured!r}, the stack is of tenant {tenant!r}")
        return _rulebook(tenant, config["boundary"], config.get("accounts"), config.get("digest"))
    if path := environment.get("SPOTLANE_BOUNDARY"):
        return Rulebook(tenant, compile(parse(Path(path).read_text(encoding="utf-8"))), {})
    home = Path(environment.get("SPOTLANE_HOME") or PROJECT / ".spotlane")
    file = home / "proxy" / "tenants" / f"{tenant}.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NoBoundary(f"no boundary of tenant {tenant!r}: no pack config, no SPOTLANE_BOUNDARY, and {file} does not exist") from error
    return _rulebook(tenant, record["boundary"], record.get("accounts"), record.get("digest"))


def _rulebook(tenant: str, document: Any, accounts: Any, digest: Any) -> Rulebook:
    compiled = compile(load(document))
    if digest and digest != compiled.digest:
        raise BoundaryDocumentError([f"digest: the document is {compiled.digest}, the config says {digest}"])
    own: dict[str, frozenset[str]] = {}
    for cloud, names in (accounts or {}).items():
        # A cloud whose account isn't made yet is judged at the API, which knows them all.
        if names:
            own[cloud] = frozenset(name.lower() if cloud == "azure" else name for name in names)
    return Rulebook(tenant, compiled, own)
