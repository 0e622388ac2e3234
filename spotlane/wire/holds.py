"""What is held of the daemon's work, as it travels."""

from __future__ import annotations

from pydantic import Field

from spotlane.wire.base import TenantId, Wire, WorkloadId


class Hold(Wire):
    """What the daemon leaves alone: a workload, a tenant's workloads, or all where neither is named.

    ``paused``: nothing is begun but what saves a workload. ``only`` and ``never`` are weekly windows (``mon-fri 22:00-06:00 Europe/Berlin``): prices move
    a workload only inside one of the first, and not inside any of the second.
    """

    tenant: TenantId | None = None
    workload: WorkloadId | None = None
    paused: bool = False
    only: list[str] = Field(default=[], max_length=20)
    never: list[str] = Field(default=[], max_length=20)
