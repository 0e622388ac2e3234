"""Engine operations and their events, as they travel."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from spotlane.wire.base import Cloud, Json, PlacementId, TenantId, Wire, WorkloadName


class StackRef(Wire):
    """One stack of the project; ``name`` is derived (docs/architecture.md)."""

    kind: Literal["edge", "tenant", "region", "address", "placement", "relay"]
    tenant: TenantId | None = None
    cloud: Cloud | None = None
    region: str | None = None
    workload: WorkloadName | None = None
    generation: int | None = None

    @property
    def name(self) -> str:
        """The Pulumi stack's name."""
        parts: dict[str, tuple[object, ...]] = {
            "edge": (),
            "tenant": (self.tenant,),
            "region": (self.tenant, self.cloud, self.region),
            "address": (self.tenant, self.workload),
            "placement": (self.tenant, self.workload, self.generation),
            "relay": (self.tenant, self.cloud, self.region),
        }
        return ".".join([self.kind, *(str(part) for part in parts[self.kind])])


class ImportedResource(Wire):
    """A resource that exists in a cloud and is to be the stack's: Pulumi's type token, its name in the program, its id as Pulumi has it; ``parent`` and
    ``provider`` are URNs of resources that the stack holds."""

    type: str = Field(pattern=r"^[a-z0-9-]+:[A-Za-z0-9/_-]+:[A-Za-z0-9]+$")
    name: str = Field(min_length=1, max_length=200)
    id: str = Field(min_length=1, max_length=2048)
    parent: str | None = None
    provider: str | None = None


class RunRequest(Wire):
    """One engine operation on one stack. ``settings`` are the stack's (``stacks.settings``); null keeps those of the last run.

    ``drift`` asks the clouds what differs from the state and changes nothing. After ``deadline`` (wall clock) it isn't begun, and stopped where it has begun.
    ``allow`` names what an update may do to resources that stand; without it, an update whose preview deletes or replaces one is refused.
    ``import`` takes ``imports`` into the state of a stack that stands; the next update finds them under the URNs that its program declares.
    """

    idempotency_key: str = Field(min_length=1, max_length=200)
    stack: StackRef
    operation: Literal["preview", "up", "refresh", "drift", "destroy", "import"]
    settings: Json | None = None
    migration: PlacementId | None = None
    step: Literal["provision", "decommission"] | None = None
    priority: Literal["interruption", "health", "price", "drift"] = "price"
    deadline: datetime | None = None
    allow: list[Literal["delete", "replace"]] = Field(default_factory=list)
    imports: list[ImportedResource] = Field(default_factory=list, max_length=500)


class PolicyFinding(Wire):
    """A rule's verdict; never carries a property's value."""

    rule: str
    severity: Literal["low", "medium", "high", "critical"]
    enforcement: Literal["mandatory", "advisory"]
    resource: str
    message: str


class Run(Wire):
    """A run as the automation service shows it."""

    id: str
    stack: str
    operation: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    error: str | None
    changes: dict[str, int]
    findings: list[PolicyFinding]
    outputs: Json
    accepted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RunEvent(Wire):
    """A run's result, delivered to the saga that waits for it."""

    run: Run
    step: Literal["provision", "decommission"]
