"""The API's models, as they travel: one definition for the SDK, the automation service and, generated from it, the Workers and the console.

Field names are camelCase on the wire and snake_case in Python. Money is USD as a decimal string where it is kept (ledger) and a float in USD/h
where it is compared (quotes). Times are RFC 3339 in UTC; ``market`` times run on the market's clock. An unknown figure is ``null``, never 0.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class Wire(BaseModel):
    """Base of every wire model: camelCase aliases, unknown fields refused, values frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


Cloud = Literal["aws", "azure", "gcp"]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,19}$")]
WorkloadName = Annotated[str, StringConstraints(pattern=r"^[a-z](?:-?[a-z0-9]){1,30}$")]
WorkloadId = Annotated[str, StringConstraints(pattern=r"^[a-z](?:-?[a-z0-9]){1,30}-[a-z][a-z0-9]{1,19}$")]
PlacementId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,19}_[a-z](?:-?[a-z0-9]){1,30}_[0-9]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


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
    """Where one generation stands. ``ORPHANED``: it is no longer wanted, but its stack could not be destroyed yet; that is tried again until it is."""

    PROVISIONING = "PROVISIONING"
    VERIFYING = "VERIFYING"
    SERVING = "SERVING"
    DRAINING = "DRAINING"
    DESTROYED = "DESTROYED"
    FAILED = "FAILED"
    ORPHANED = "ORPHANED"


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


class Tenant(Wire):
    """A customer. ``boundary`` is the document of ``domain.boundary.model.Boundary``; its digest names it everywhere."""

    id: TenantId
    display_name: str = ""
    boundary: Json
    boundary_digest: Digest
    clouds: list[Cloud] = Field(default=["aws", "azure", "gcp"])
    budget_usd_per_month: float | None = None


Scope = Literal["platform:admin", "service:automation", "tenant:admin", "tenant:deploy", "tenant:read"]
"""What a key may do: ``tenant:admin`` holds ``tenant:deploy``, that holds ``tenant:read``; ``platform:admin`` holds them for every tenant."""


class KeyRequest(Wire):
    """A key to make. Without ``expires_at`` it lasts until it is revoked."""

    name: str = Field(default="", max_length=100)
    scopes: list[Scope] = Field(default=["tenant:read"], min_length=1)
    expires_at: datetime | None = None


class ApiKey(Wire):
    """A key as shown once, at its creation; only its hash is kept."""

    id: str
    tenant: TenantId | None
    name: str = ""
    scopes: list[Scope]
    expires_at: datetime | None = None
    key: str


class KeyInfo(Wire):
    """A key as it is listed, without its secret. ``last_used_at`` is true to the hour; ``created_by`` is the subject that made it."""

    id: str
    tenant: TenantId | None
    name: str
    scopes: list[Scope]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None


class TokenRequest(Wire):
    """An API key to exchange. With ``refresh`` the answer carries a refresh token, by which a session goes on without the key."""

    api_key: str = Field(min_length=1, max_length=512)
    refresh: bool = False


class RefreshRequest(Wire):
    """A refresh token; it is good for one use, and its answer carries the next one."""

    refresh_token: str = Field(min_length=1, max_length=512)


class TokenRevocation(Wire):
    """A token that its holder gives back, access or refresh (RFC 7009); a refresh token takes its whole family with it."""

    token: str = Field(min_length=1, max_length=8192)


class Revocation(Wire):
    """Whose tokens are refused from now on: of a subject (a key, which is deleted, or a placement), or the one token with this ``jti``."""

    subject: str | None = Field(default=None, min_length=1, max_length=120)
    jti: str | None = Field(default=None, min_length=1, max_length=120)


class Revoked(Wire):
    """A subject or ``jti`` that is refused until then; without ``tenant`` it is the platform's."""

    tenant: TenantId | None
    subject: str
    until: datetime


class Token(Wire):
    """An access token; ``expires_in`` in seconds."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    scopes: list[str]
    refresh_token: str | None = None


class PlacementCredentials(Wire):
    """What a machine is given: its token, and the key (hex) by which it knows requests that came through the edge (``SPOTLANE_ORIGIN_KEY``)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    scopes: list[str]
    origin_key: str = Field(repr=False)


class KeyRotation(Wire):
    """Whether tokens of the signing keys until now are refused: only after a signing key has leaked."""

    revoke_old: bool = False


class SigningKey(Wire):
    """A public signing key's life; ``retires_at`` is null while nothing has replaced it."""

    kid: str
    created_at: datetime
    signs_from: datetime
    retires_at: datetime | None


class SigningKeys(Wire):
    """The signing keys that are published, newest first."""

    keys: list[SigningKey]


class Artifact(Wire):
    """What a machine runs: a gzipped tar by digest, kept in R2."""

    digest: Digest
    size_bytes: int = Field(ge=0)


class UploadRequest(Wire):
    """The size of an artifact that comes in parts."""

    size_bytes: int = Field(ge=1, le=4 * 1024**3)


class UploadPart(Wire):
    """A part that has arrived; ``number`` from 1."""

    number: int = Field(ge=1)
    size_bytes: int = Field(ge=1)


class Upload(Wire):
    """An artifact on its way in parts. Each is ``part_size_bytes`` long but the last; after ``expires_at`` it is forgotten."""

    id: str
    digest: Digest
    size_bytes: int
    part_size_bytes: int
    parts: list[UploadPart]
    expires_at: datetime


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
    """

    clouds: list[Cloud] | None = None
    regions: list[str] | None = None
    max_usd_per_hour: float | None = Field(default=None, gt=0)
    threshold: float | None = Field(default=None, ge=0, lt=1)
    dwell_hours: float | None = Field(default=None, ge=0)
    moves_per_30_days: int = Field(default=12, ge=0)
    egress_gib_per_hour: float = Field(default=0.0, ge=0)
    state_gib: float = Field(default=0.0, ge=0)
    data_class: str | None = None


class WorkloadSpec(Wire):
    """What the owner declares (``spec`` of a workload file)."""

    artifact: Artifact
    command: list[str] = Field(min_length=1)
    env: dict[str, str] = Field(default_factory=dict)
    ports: Ports
    health: Health = Field(default_factory=Health)
    resources: Resources = Field(default_factory=Resources)
    placement: PlacementRules = Field(default_factory=PlacementRules)
    drain_seconds: float = Field(default=5.0, ge=0, le=3600)
    access: Literal["anonymous", "token"] = "anonymous"


class OfferRef(Wire):
    """One machine type in one zone. ``zone`` is "-" where a cloud prices by region."""

    cloud: Cloud
    region: str
    zone: str
    instance_type: str


class Quote(Wire):
    """A price with its source and age; USD/h. ``observed_at`` is when a feed last confirmed it, on the market's clock."""

    offer: OfferRef
    spot_usd_per_hour: float | None = Field(gt=0)
    on_demand_usd_per_hour: float | None = Field(gt=0)
    interruptions_per_hour: float | None = Field(default=None, ge=0)
    source: str
    observed_at: datetime


class PriceBook(Wire):
    """Quotes of one tick."""

    market_now: datetime
    quotes: list[Quote]


class Alternative(Wire):
    """An offer that lost, and why (``reason`` is a stable word, ``detail`` a sentence)."""

    offer: OfferRef
    usd_per_hour: float | None
    reason: str
    detail: str


class CostParts(Wire):
    """What an expected cost and a move's cost are made of. USD/h: the machine, the service's egress, the risk of an interruption times what one costs. USD:
    the state's way to the new machine, the old one for as long as both run."""

    spot_usd_per_hour: float
    egress_usd_per_hour: float
    risk_usd_per_hour: float
    carry_usd: float
    overlap_usd: float


class Hurdle(Wire):
    """What a move by price must clear: the least gap, and what staying must have cost too much, beside what they are; hours until it would, at this gap."""

    gap_usd_per_hour: float
    least_gap_usd_per_hour: float
    regret_usd: float
    least_regret_usd: float
    dwell_left_hours: float


class Evidence(Wire):
    """Why a decision was taken; USD and USD/h. ``net_saving_usd`` is over ``horizon_hours``, after egress and overlap."""

    market_now: datetime
    quote: Quote
    quote_age_seconds: float
    current_quote: Quote | None
    expected_usd_per_hour: float
    current_usd_per_hour: float | None
    move_cost_usd: float
    horizon_hours: float
    net_saving_usd: float | None
    net_saving_share: float | None
    offers_considered: int
    alternatives: list[Alternative]
    parts: CostParts | None = None
    hurdle: Hurdle | None = None


class Decision(Wire):
    """What automation proposes for one workload. ``id`` is deterministic: the same proposal twice is one."""

    id: str
    workload: WorkloadId
    kind: Literal["deploy", "move", "interruption", "unhealthy", "requested", "redeploy", "terminate"]
    offer: OfferRef | None
    from_placement: PlacementId | None
    boundary_digest: Digest
    evidence: Evidence | None
    reason: str
    deadline: datetime | None = None


class Placement(Wire):
    """One generation of a workload on one machine. ``fingerprint``: of the spec that it was made for; null where it was made before there were any."""

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


class Workload(Wire):
    """A workload as the API shows it. ``fingerprint``: of what takes effect with a new machine only; one that differs from its placement's is redeployed."""

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


class Migration(Wire):
    """One run of the saga. ``fencing_token`` only grows per workload."""

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
            "relay": (self.cloud, self.region),
        }
        return ".".join([self.kind, *(str(part) for part in parts[self.kind])])


class RunRequest(Wire):
    """One engine operation on one stack. ``settings`` are the stack's (``stacks.settings``); null keeps those of the last run.

    ``drift`` asks the clouds what differs from the state and changes nothing. After ``deadline`` (wall clock) it isn't begun, and stopped where it has begun.
    ``allow`` names what an update may do to resources that stand; without it, an update whose preview deletes or replaces one is refused.
    """

    idempotency_key: str = Field(min_length=1, max_length=200)
    stack: StackRef
    operation: Literal["preview", "up", "refresh", "drift", "destroy"]
    settings: Json | None = None
    migration: PlacementId | None = None
    step: Literal["provision", "decommission"] | None = None
    priority: Literal["interruption", "health", "price", "drift"] = "price"
    deadline: datetime | None = None
    allow: list[Literal["delete", "replace"]] = Field(default_factory=list)


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


class Incident(Wire):
    """A machine that will go (``interruption``, with the cloud's deadline) or that fails its probes (``unhealthy``)."""

    placement: PlacementId
    kind: Literal["interruption", "rebalance", "unhealthy"]
    deadline: datetime | None
    detail: str


class LedgerHour(Wire):
    """What one placement cost in one market hour (or the part of it that it served); decimal USD, frozen with its quotes."""

    placement: PlacementId
    workload: WorkloadId
    tenant: TenantId
    hour: datetime
    seconds: float = Field(gt=0, le=3600)
    paid_usd: Decimal
    on_demand_usd: Decimal
    stayed_usd: Decimal
    quote: Quote
    stayed_offer: OfferRef


class LedgerMove(Wire):
    """What one move was expected to save, frozen with the evidence acted on."""

    migration: PlacementId
    workload: WorkloadId
    tenant: TenantId
    kind: str
    from_offer: OfferRef | None
    to_offer: OfferRef
    evidence: Evidence
    recorded_at: datetime


class LedgerTotals(Wire):
    """Sums over the hours asked for; decimal USD."""

    paid_usd: Decimal
    on_demand_usd: Decimal
    stayed_usd: Decimal
    hours: float


class Ledger(Wire):
    """The ledger of a tenant or workload."""

    totals: LedgerTotals
    hours: list[LedgerHour]
    moves: list[LedgerMove]


class AuditHead(Wire):
    """The head of one enforcer's hash chain."""

    point: Literal["plan", "place", "api"]
    seq: int
    hash: str
    at: datetime


class PlanItem(Wire):
    """One workload's verdict in a dry run: ``decision`` is null when it stays or has no offer."""

    workload: WorkloadId
    verdict: Literal["deploy", "move", "stay", "no_offer"]
    reason: str
    decision: Decision | None
    evidence: Evidence | None


class Plan(Wire):
    """A dry run with dollars; savings in USD per 30 days."""

    market_now: datetime
    items: list[PlanItem]
    saving_usd_per_30_days: float


class MoveRequest(Wire):
    """A move asked for by a person; without ``offer``, to the best allowed one."""

    workload: WorkloadId
    offer: OfferRef | None = None


class TickReport(Wire):
    """What one cycle of the daemon saw and did."""

    market_now: datetime
    quotes: int
    quarantined: int
    plan: Plan
    started: list[Migration]
    errors: list[str]


class Problem(Wire):
    """RFC 9457 problem details; ``type`` is ``https://spotlane.dev/problems/<word>``."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True)

    type: str
    title: str
    status: int
    detail: str = ""
    findings: list[PolicyFinding] | None = None


class BoundaryDocument(Wire):
    """A boundary to check: the document of ``domain.boundary.model.Boundary``."""

    boundary: Json


class BoundaryCheck(Wire):
    """A boundary that holds: its digest, and the regions that it allows, by cloud."""

    digest: Digest
    regions: dict[str, list[str]]
