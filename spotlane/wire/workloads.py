"""Workloads, their placements and events, as they travel."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from spotlane.wire.artifacts import Artifact
from spotlane.wire.base import Cloud, ImageReference, PlacementId, TenantId, Wire, WorkloadId, WorkloadName
from spotlane.wire.prices import OfferRef, Quote


class WorkloadState(StrEnum):
    """What a user sees of a workload."""

    PENDING = "PENDING"
    PROVISIONING = "PROVISIONING"
    RUNNING = "RUNNING"
    MIGRATING = "MIGRATING"
    INTERRUPTED = "INTERRUPTED"
    UNHEALTHY = "UNHEALTHY"
    STOPPING = "STOPPING"
    TERMINATED = "TERMINATED"
    FAILED = "FAILED"


class PlacementState(StrEnum):
    """Where one generation stands. ``STANDBY``: it is ready, and takes over where no machine serves. ``ORPHANED``: it is no longer wanted, but its stack
    could not be destroyed yet; that is tried again until it is."""

    PROVISIONING = "PROVISIONING"
    VERIFYING = "VERIFYING"
    SERVING = "SERVING"
    STANDBY = "STANDBY"
    DRAINING = "DRAINING"
    DESTROYED = "DESTROYED"
    FAILED = "FAILED"
    ORPHANED = "ORPHANED"


class Ports(Wire):
    """Ports that the service listens on, on its machine; null where the protocol isn't served. WebSocket shares the HTTP port.

    ``proxy_protocol``: the header that a TCP connection begins with at the service, so that it knows the client's address (haproxy.org, PROXY protocol).
    """

    http: int | None = Field(default=None, ge=1, le=65535)
    tcp: int | None = Field(default=None, ge=1, le=65535)
    proxy_protocol: Literal["off", "v1", "v2"] = "off"


class Health(Wire):
    """How a replica is judged: ``healthy_count`` good checks in a row, one every ``interval_seconds``; ``unhealthy_count`` bad ones take it out of rotation.

    ``http`` asks for 2xx at ``path``, ``tcp`` for a connection; null takes HTTP where an HTTP port is served, TCP else.
    """

    protocol: Literal["http", "tcp"] | None = None
    path: str = Field(default="/healthz", pattern=r"^/[!-~]*$", max_length=1024)
    interval_seconds: float = Field(default=1.0, gt=0, le=60)
    timeout_seconds: float = Field(default=2.0, gt=0, le=30)
    healthy_count: int = Field(default=2, ge=1, le=20)
    unhealthy_count: int = Field(default=3, ge=1, le=20)


class Resources(Wire):
    """The least shape that serves: vCPUs, memory in GiB."""

    vcpu: int = Field(default=2, ge=1)
    memory_gib: float = Field(default=4, gt=0)
    arch: Literal["x86_64", "arm64"] = "x86_64"
    gpu: int = Field(default=0, ge=0)
    gpu_type: str | None = None


class PlacementRules(Wire):
    """What the owner asks of placement. ``threshold`` is the least net saving as a share of the present cost, dwell is in market hours.

    Where one of the two is null, Spotlane's own rule stands in for it: a gap must be as wide as prices are restless, and staying must have cost several moves.
    ``max_usd_per_hour`` caps the spot price, ``max_usd_per_month`` what its machines cost in a calendar month (UTC): nothing is placed that would break it.
    ``replicas`` machines serve at once, each in a zone that doesn't fail together with those of the others.
    ``warm_standby`` holds a further machine ready that isn't in such a zone either: traffic is there as soon as one of the others goes.
    ``fallback`` takes a machine on demand where no spot machine may be had, until one may.
    ``availability`` is the share of the time for which all ``replicas`` are to serve (0.99): at what it costs least the daemon then holds one more in a zone
    of its own, or, with ``fallback``, some on demand, and gives up what isn't needed any more. Null holds ``replicas``, no more.
    """

    clouds: list[Cloud] | None = None
    regions: list[str] | None = None
    max_usd_per_hour: float | None = Field(default=None, gt=0)
    max_usd_per_month: float | None = Field(default=None, gt=0)
    threshold: float | None = Field(default=None, ge=0, lt=1)
    dwell_hours: float | None = Field(default=None, ge=0)
    moves_per_30_days: int = Field(default=12, ge=0)
    egress_gib_per_hour: float = Field(default=0.0, ge=0)
    state_gib: float = Field(default=0.0, ge=0)
    data_class: str | None = None
    replicas: int = Field(default=1, ge=1, le=16)
    warm_standby: bool = False
    fallback: Literal["none", "on-demand"] = "none"
    availability: float | None = Field(default=None, gt=0, lt=1)


class WorkloadSpec(Wire):
    """What the owner declares (``spec`` of a workload file): an artifact and the command that serves from it, or an OCI image.

    With an image ``command`` is what its entrypoint is given; empty takes the image's own. ``cloud_identity``: the service may ask its machine's metadata
    service, for the cloud's identity of the workload; everything else there comes along, the placement's own token too. ``logs``: the machines tell the
    lines that the service writes to the platform, which keeps them for a day; without it they stay on the machine.
    """

    artifact: Artifact | None = None
    image: ImageReference | None = None
    command: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    ports: Ports
    health: Health = Field(default_factory=Health)
    resources: Resources = Field(default_factory=Resources)
    placement: PlacementRules = Field(default_factory=PlacementRules)
    drain_seconds: float = Field(default=5.0, ge=0, le=3600)
    access: Literal["anonymous", "token"] = "anonymous"
    cloud_identity: bool = False
    logs: bool = False

    @model_validator(mode="after")
    def _runnable(self) -> Self:
        if (self.artifact is None) == (self.image is None):
            raise ValueError("give either artifact or image")
        if self.artifact is not None and not self.command:
            raise ValueError("command is required with an artifact")
        return self


class Placement(Wire):
    """One generation of a workload on one machine. ``fingerprint``: of the spec that it was made for; null where it was made before there were any.

    ``market_ready_from``: since when it has stood by, where it began as a standby. ``replaces``: the placement that it took over from. ``beside``: it was
    placed beside another one, and took over from none. ``capacity``: how its machine is bought.
    """

    id: PlacementId
    workload: WorkloadId
    tenant: TenantId
    generation: int
    state: PlacementState
    offer: OfferRef
    origin: str
    tcp_origin: str | None
    quote: Quote
    created_at: datetime
    market_created_at: datetime
    market_served_from: datetime | None = None
    market_served_until: datetime | None = None
    fingerprint: str | None = None
    market_ready_from: datetime | None = None
    replaces: PlacementId | None = None
    beside: bool = False
    capacity: Literal["spot", "on-demand"] = "spot"


class Workload(Wire):
    """A workload as the API shows it. ``fingerprint``: of what takes effect with a new machine only; one that differs from its placement's is redeployed.

    ``further`` are the machines held beside ``placement``: those that serve too, and the standby.
    """

    id: WorkloadId
    tenant: TenantId
    name: WorkloadName
    state: WorkloadState
    reason: str
    spec: WorkloadSpec
    placement: Placement | None
    active_migration: PlacementId | None
    generation: int
    fingerprint: str | None = None
    further: list[Placement] = Field(default_factory=list)
    created_at: datetime
    updated_at: datetime


class Endpoint(Wire):
    """Where a workload is reached, for life. URLs without a port follow the scheme's own."""

    workload: WorkloadId
    http: str | None
    websocket: str | None
    tcp_host: str | None
    tcp_port: int | None


class WorkloadEvent(Wire):
    """A change of state with its reason."""

    seq: int
    workload: WorkloadId
    state: WorkloadState
    reason: str
    at: datetime


class Incident(Wire):
    """A machine that will go (``interruption``, with the cloud's deadline) or that fails its probes (``unhealthy``)."""

    placement: PlacementId
    kind: Literal["interruption", "rebalance", "unhealthy"]
    deadline: datetime | None
    detail: str
