"""What has changed, as who follows the platform is told: never what it has become, which is read where it stands."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from spotlane.wire.base import TenantId, Wire, WorkloadId


class Change(Wire):
    """Something has changed. ``seq`` grows with each change; a stream is taken up again after the last one seen.

    ``subject`` is the id of the thing: of a ``workload``, ``placement``, ``migration``, ``run`` or ``tenant``; the workload of an ``event`` (a change of
    state with its reason); the owner of an ``alert``; the tenant whose ``ledger`` has new hours or whose ``key`` was made or revoked; the enforcer of an
    ``audit`` head; ``book`` of ``prices``. ``everything`` begins a stream that takes up no other: what was read before may be out of date.
    ``tenant`` is null for what is no tenant's.
    """

    seq: int
    kind: Literal["everything", "workload", "placement", "migration", "event", "run", "ledger", "alert", "tenant", "key", "prices", "audit"]
    subject: str
    tenant: TenantId | None = None
    workload: WorkloadId | None = None
    at: datetime
