"""A migration and its steps, as they travel."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from spotlane.wire.base import PlacementId, TenantId, Wire, WorkloadId
from spotlane.wire.decisions import Decision


class MigrationStep(StrEnum):
    """The saga's steps in order; ``done`` and ``compensated`` end it."""

    RESERVE = "reserve"
    PROVISION = "provision"
    VERIFY = "verify"
    COMMIT = "commit"
    DRAIN = "drain"
    DECOMMISSION = "decommission"
    RECORD = "record"
    DONE = "done"
    COMPENSATED = "compensated"


class Migration(Wire):
    """One run of the saga. ``fencing_token`` only grows per workload; a rescue that makes its machine beside another one has none until that one's commit."""

    id: PlacementId
    workload: WorkloadId
    tenant: TenantId
    generation: int
    kind: str
    step: MigrationStep
    status: Literal["running", "succeeded", "failed"]
    fencing_token: int | None
    from_placement: PlacementId | None
    decision: Decision
    route_version: int | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None
