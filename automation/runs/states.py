"""What a stack's state says, in the form of ``pulumi stack export`` (``apitype.DeploymentV3``). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ROOT = "pulumi:pulumi:Stack"
Json = dict[str, Any]


def ids(state: Mapping[str, Any]) -> frozenset[str]:
    """The clouds' ids of everything that the state holds, in lower case; those also that are being replaced or deleted."""
    return frozenset(str(one["id"]).lower() for one in _resources(state) if one.get("id"))


def urns(state: Mapping[str, Any]) -> frozenset[str]:
    """What the state holds, by the engine's names; nothing that is pending."""
    return frozenset(str(one["urn"]) for one in (state.get("deployment") or {}).get("resources") or [])


def outputs(state: Mapping[str, Any]) -> Json:
    """The stack's outputs; secrets stay encrypted."""
    return next((dict(one.get("outputs") or {}) for one in _resources(state) if one.get("type") == _ROOT), {})


def _resources(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    deployment = state.get("deployment") or {}
    yield from deployment.get("resources") or []
    for operation in deployment.get("pending_operations") or []:
        yield operation.get("resource") or {}
