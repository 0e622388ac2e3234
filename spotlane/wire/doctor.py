"""What was examined of the platform and of tenants' accounts, as it travels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spotlane.wire.base import Cloud, TenantId, Wire


class Check(Wire):
    """One thing examined. ``part`` is what it is about (a cloud, a tenant's region, the proxy); ``remedy`` is what to do, empty where nothing is."""

    part: str
    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""


class Preflight(Wire):
    """Whether everything is there that the first move needs, or a later one. ``ready``: nothing failed."""

    ready: bool
    checks: list[Check]


class Orphan(Wire):
    """A resource in a tenant's account that no stack owns. ``stack`` is the one that its tags name; ``outcome`` is what became of it when it was removed."""

    tenant: TenantId
    cloud: Cloud
    account: str
    region: str
    kind: str
    id: str
    stack: str
    reason: Literal["no-stack", "not-in-state"]
    detail: str
    outcome: Literal["found", "removed", "failed"] = "found"


class Sweep(Wire):
    """Orphans of the accounts looked at; ``errors`` names accounts that couldn't be looked into, and why."""

    orphans: list[Orphan]
    accounts: int
    errors: list[str] = Field(default_factory=list)


class SweepRequest(Wire):
    """Whose accounts are swept (null: every tenant's), and whether what is found is removed."""

    tenant: TenantId | None = None
    remove: bool = False
