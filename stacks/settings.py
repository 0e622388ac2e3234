"""Typed settings of each kind of stack: read from Pulumi config, checked whole before any resource is declared.

Every stack has one structured config value, ``spotlane:settings``; its shape follows from the stack's kind, which follows from the stack's name.
All faults are gathered and reported together (:class:`SettingsError`).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from components import cidr
from components.relay.settings import SettingsError as RelayFaults
from components.relay.settings import load as load_relay

CloudName = Literal["aws", "azure", "gcp"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z](?:-?[a-z0-9]){1,30}$")]
SPECTRUM_SOURCES = (
    *("173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20"),
    *("197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22"),
)
"""Cloudflare's IPv4 networks (https://www.cloudflare.com/ips-v4)."""
FIREWALL_RULES = 60
"""What a security group of AWS takes by default: one for each range of ports and each network that may connect."""
HANDED_OVER = "relay-machine-"
"""How the names of what a relay's program itself hands over begin: its successor answers before it goes (:mod:`stacks.handover`)."""
TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,19}$")]


class SettingsError(ValueError):
    """A stack's name or settings are wrong. ``faults`` lists every one as ``field: what is wrong``."""

    def __init__(self, stack: str, faults: list[str]) -> None:
        self.stack = stack
        self.faults = faults
        super().__init__(f"stack {stack!r}: " + "; ".join(faults))


class Settings(BaseModel):
    """Base of the settings: camelCase in config, unknown fields refused, frozen."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class EdgeSettings(Settings):
    """The platform's edge on Cloudflare."""

    account_id: str
    zone: str
    zone_id: str
    automation_url: str
    """Where the Workflow reaches the automation service (a Cloudflare Tunnel's host in production)."""
    platform_key_sha256: str
    """SHA-256 (hex) of the platform's first API key; the key itself never reaches the edge's settings."""
    protect_data: bool = False
    """Whether a destroy refuses to delete D1 and R2; true in production."""
    origin_certificate_id: str | None = None
    """Cloudflare's id of an mTLS certificate that the router shows to origins (``wrangler mtls-certificate upload``); null where they ask for none."""


class AwsTenant(Settings):
    """A new account in an organizational unit, or an existing account."""

    existing_account_id: str | None = Field(default=None, pattern=r"^\d{12}$")
    email: str | None = None
    organizational_unit_id: str | None = None
    external_id: str | None = Field(default=None, min_length=2, max_length=1224, pattern=r"^[\w+=,.@:/-]+$")
    """What a caller from the management account must know beside its own identity to take the automation role."""
    oidc_provider_url: str | None = Field(default=None, pattern=r"^https://[^\s'\"\\]+$")
    """Issuer whose tokens the automation role takes, so that the platform needs no key at AWS; an IAM identity provider for it is made in the account."""
    oidc_subject: str | None = Field(default=None, pattern=r"^[^\s'\"\\*?]{1,127}$")
    """The one subject that is believed."""
    oidc_audience: str = "sts.amazonaws.com"

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.existing_account_id and not self.email:
            raise ValueError("give email (of a new account) or existingAccountId")
        if (self.oidc_provider_url is None) != (self.oidc_subject is None):
            raise ValueError("give oidcProviderUrl and oidcSubject together: an issuer without a subject would let everybody in whom it knows")
        return self


class AzureTenant(Settings):
    """A new subscription under a billing scope and management group, or an existing one."""

    existing_subscription_id: str | None = None
    billing_scope: str | None = None
    management_group_id: str | None = None
    automation_principal_id: str | None = None
    """Object id of the automation service's principal, where it doesn't own the subscription."""
    public_addresses: bool = False
    """Whether Azure lets machines of the subscription have public addresses, where the boundary does."""
    allowed_vm_sizes: list[str] = Field(default_factory=list)
    """Sizes that Azure lets run at all; empty: every size."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.existing_subscription_id and not self.billing_scope:
            raise ValueError("give billingScope (of a new subscription) or existingSubscriptionId")
        return self


class GcpTenant(Settings):
    """A new project in a folder, or an existing one. The stacks act as its automation account, which the platform's own identity impersonates."""

    existing_project_id: str | None = None
    project_id: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")
    folder_id: str | None = None
    billing_account: str | None = None
    oidc_provider_url: str | None = Field(default=None, pattern=r"^https://[^\s'\"\\]+$")
    """Issuer whose tokens are exchanged for the automation account's (workload identity federation), so that the platform needs no identity at Google."""
    oidc_subject: str | None = Field(default=None, pattern=r"^[^\s'\"\\]{1,127}$")
    """The one subject that is believed."""
    oidc_audience: str = ""
    """Empty: the provider's full name, Google's default."""
    pool_id: str = Field(default="spotlane-automation", pattern=r"^[a-z0-9-]{4,32}$")
    """Id of the identity pool. Google keeps a deleted one's for 30 days."""
    automation_principal: str | None = Field(default=None, pattern=r"^(serviceAccount:[^\s@]+@[^\s@]+|principal://\S+)$")
    """An identity at Google that may impersonate the automation account; not needed by one that may do so in the whole folder."""
    public_addresses: bool = False
    """Whether Google lets machines of the project have public addresses, where the boundary does."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.existing_project_id and not self.project_id:
            raise ValueError("give projectId (of a new project) or existingProjectId")
        if self.pool_id.startswith("gcp-"):
            raise ValueError("poolId begins with gcp-, which Google keeps for itself")
        if (self.oidc_provider_url is None) != (self.oidc_subject is None):
            raise ValueError("give oidcProviderUrl and oidcSubject together: an issuer without a subject would let everybody in whom it knows")
        return self


class TenantSettings(Settings):
    """A tenant's own account, subscription and project; a cloud left out is not made."""

    boundary: dict[str, Any]
    """The document of ``domain.boundary.model.Boundary``."""
    aws: AwsTenant | None = None
    azure: AzureTenant | None = None
    gcp: GcpTenant | None = None
    budget_usd_per_month: float | None = Field(default=None, gt=0)
    """What each cloud's own budget watches, in USD a calendar month; null: no budget."""
    alert_emails: list[str] = Field(default_factory=list)
    """Who is told when a budget is reached, or will be."""


class RegionSettings(Settings):
    """A tenant's network and identity in one region. Account ids come from the tenant's stack."""

    cidr: str = Field(examples=["10.16.0.0/16"])
    zones: list[str] = Field(min_length=1)
    """Zone names in the cloud's own form, in the order of their subnets; ["-"] where the region has none."""
    disk_key: Literal["provider", "customer"] = "provider"
    """Whose key encrypts the machines' disks: the cloud's own, or one of the tenant's that the stack makes."""
    flow_logs: bool = True

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        cidr.plan(self.cidr, self.zones)
        return self


class AddressSettings(Settings):
    """A workload's TCP address for life."""

    account_id: str
    zone: str
    zone_id: str
    tcp_port: int = Field(ge=1, le=65535)
    relay_port: int | None = Field(default=None, ge=1, le=65535)
    """The relay's port for this address; null takes ``tcpPort``."""
    proxy_protocol: Literal["off", "v1", "v2"] = "off"
    """The header by which Spectrum tells the relay who the client is."""
    relay: Literal["shared", "own"] = "shared"
    """``own``: the tenant's relays (``relay.<tenant>.<cloud>.<region>``); ``shared``: one that the platform's operator runs as ``relay.<zone>``."""


class RelayedWorkload(Settings):
    """A workload that a relay serves."""

    label: str
    """``<workload>-<tenant>``."""
    port: int = Field(ge=1, le=65535)
    """The relay's port for it: ``relayPort`` of its address, else its public port."""
    proxy_in: Literal["off", "v1", "v2"] = "v2"
    """``proxyProtocol`` of its address."""
    destination: str | None = None
    """``<public address>:<port>`` in the PROXY header, where several workloads share a port."""


class RelaySettings(Settings):
    """The way in for a tenant's TCP workloads: one on-demand machine with a public address, in a network of its own. Identity comes from the region's stack."""

    zone: str
    """Zone name in the cloud's own form; "-" leaves it to Azure."""
    instance_type: str
    arch: Literal["x86_64", "arm64"] = "x86_64"
    capacity_type: Literal["spot", "on-demand"] = "on-demand"
    zone_name: str
    """Cloudflare zone of the relay's name, ``relay-<tenant>.<zone>``."""
    cloudflare_zone_id: str
    workloads: list[RelayedWorkload] = Field(min_length=1)
    cidr: str = "10.255.0.0/24"
    """Range of the relay's own network, which is joined to no other."""
    sources: list[str] = Field(default_factory=lambda: list(SPECTRUM_SOURCES), min_length=1)
    """IPv4 networks that may connect: Cloudflare's, from which Spectrum comes."""
    watchers: list[str] = Field(default_factory=list)
    """IPv4 networks from which this stack is run: let in to see whether a new relay answers before its name leads to it, and served nothing. None: a machine
    counts as up ``answerSeconds`` after it has started."""
    answer_seconds: float = Field(default=300.0, ge=0)
    """How long a new machine may take until it answers; then the run fails and the name leads where it led."""
    handover_seconds: float = Field(default=660.0, ge=0)
    """How long the machine before stays beside a new one: Spectrum keeps an address for ten minutes, the record's own time comes on top. Connections that are
    open then end."""
    generation: int = Field(default=1, ge=1)
    """Another number makes another machine of the same settings."""
    edge_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    """Address of the tcp Worker; null takes ``https://tcp.<zone>``. Tunnels are dialled on the same port."""
    tags: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _served(self) -> Self:
        try:
            load_relay(json.dumps(self.document()))
        except RelayFaults as error:
            raise ValueError(str(error)) from error
        for field, networks in (("sources", self.sources), ("watchers", self.watchers)):
            if any(ipaddress.ip_network(network).prefixlen == 0 or ":" in network for network in networks):
                raise ValueError(f"{field}: name IPv4 networks, not the whole internet")
        if len(self.port_ranges()) > (most := FIREWALL_RULES // len(self.admitted())):
            raise ValueError(f"workloads: their ports make {len(self.port_ranges())} ranges, a firewall takes {most}; give them relay ports in a row")
        cidr.plan(self.cidr, [])
        return self

    def document(self) -> dict[str, Any]:
        """What the relay itself reads (:func:`components.relay.settings.load`)."""
        workloads = [one.model_dump(by_alias=True, exclude_none=True) for one in sorted(self.workloads, key=lambda one: (one.port, one.label))]
        return {"edge": self.edge_url or f"https://tcp.{self.zone_name}", "trusted": self.sources, "workloads": workloads}

    def admitted(self) -> list[str]:
        """The networks that the firewall lets in."""
        return list(dict.fromkeys([*self.sources, *self.watchers]))

    def port_ranges(self) -> list[tuple[int, int]]:
        """The ports as ranges, first and last."""
        ranges: list[tuple[int, int]] = []
        for port in sorted({one.port for one in self.workloads}):
            if ranges and port == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], port)
            else:
                ranges.append((port, port))
        return ranges


class MachineSettings(Settings):
    """What the machine runs and how it reports."""

    artifact_url: str = ""
    artifact_digest: str = Field(default="", pattern=r"^(?:sha256:[0-9a-f]{64})?$")
    image: str = Field(default="", pattern=r"^(?:[a-z0-9.-]+(?::[0-9]{1,5})?/[a-z0-9./_-]+@sha256:[0-9a-f]{64})?$")
    """An OCI image by digest, run instead of an artifact; ``command`` is then what its entrypoint is given."""
    command: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    http_port: int | None = Field(default=None, ge=1, le=65535)
    tcp_port: int | None = Field(default=None, ge=1, le=65535)
    health_path: str = "/healthz"
    drain_seconds: float = 5.0
    cloud_identity: bool = False
    """Whether the workload may ask the machine's metadata service, as it must for its cloud identity; its own unit can't reach the address otherwise."""
    log_url: str = ""
    """``POST`` target of the machine's log lines (``$SPOTLANE_API_URL/logs``); empty where they stay on the machine."""
    incident_url: str
    """``POST`` target of the agent's notices (``$SPOTLANE_API_URL/incidents``)."""
    placement_token: str = Field(repr=False)
    """Good for this placement only: fetches its artifact, reports its notices. A Pulumi secret."""
    origin_key: str = Field(default="", pattern=r"^(?:[0-9a-f]{64})?$", repr=False)
    """Key (hex) of the edge's signature on every request, given to the workload as ``SPOTLANE_ORIGIN_KEY``; empty where it isn't to check. A Pulumi secret."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.http_port is None and self.tcp_port is None:
            raise ValueError("give httpPort or tcpPort; a machine without either serves nobody")
        if bool(self.artifact_digest) == bool(self.image) or bool(self.artifact_digest) != bool(self.artifact_url):
            raise ValueError("give image, or artifactUrl and artifactDigest")
        if self.artifact_digest and not self.command:
            raise ValueError("command is required with an artifact")
        return self


class PlacementSettings(Settings):
    """One generation: a spot machine, its boot and its tunnel. Network and identity come from the region's stack."""

    cloud: CloudName
    region: str
    zone: str
    instance_type: str
    arch: Literal["x86_64", "arm64"] = "x86_64"
    max_usd_per_hour: float | None = Field(default=None, gt=0)
    """Bid ceiling in USD/h; null takes the cloud's default (the on-demand price)."""
    zone_name: str
    """Cloudflare zone in which the origin's name stands."""
    cloudflare_zone_id: str
    cloudflare_account_id: str
    machine: MachineSettings
    capacity_type: Literal["spot", "on-demand"] = "spot"
    public_address: bool = False
    """Only where the TCP relay needs one."""
    classification: str | None = None
    cost_center: str | None = None
    oauth_scopes: list[str] = Field(default_factory=list)
    """GCP: what the machine's tokens are good for beside writing logs and metrics, for a workload that calls Google's APIs."""
    tags: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class StackName:
    """A stack's name, taken apart."""

    kind: Literal["edge", "tenant", "region", "relay", "address", "placement"]
    tenant: str = ""
    cloud: str = ""
    region: str = ""
    workload: str = ""
    generation: int = 0


_FORMS: list[tuple[str, str]] = [
    ("edge", r"^edge$"),
    ("tenant", r"^tenant\.(?P<tenant>[a-z][a-z0-9]{1,19})$"),
    ("region", r"^region\.(?P<tenant>[a-z][a-z0-9]{1,19})\.(?P<cloud>aws|azure|gcp)\.(?P<region>[a-z0-9-]+)$"),
    ("relay", r"^relay\.(?P<tenant>[a-z][a-z0-9]{1,19})\.(?P<cloud>aws|azure|gcp)\.(?P<region>[a-z0-9-]+)$"),
    ("address", r"^address\.(?P<tenant>[a-z][a-z0-9]{1,19})\.(?P<workload>[a-z](?:-?[a-z0-9]){1,30})$"),
    ("placement", r"^placement\.(?P<tenant>[a-z][a-z0-9]{1,19})\.(?P<workload>[a-z](?:-?[a-z0-9]){1,30})\.(?P<generation>[1-9][0-9]*)$"),
]

_MODELS: dict[str, type[Settings]] = {
    "edge": EdgeSettings,
    "tenant": TenantSettings,
    "region": RegionSettings,
    "relay": RelaySettings,
    "address": AddressSettings,
    "placement": PlacementSettings,
}


def parse_stack_name(name: str) -> StackName:
    """The parts of stack ``name``. Raises :class:`SettingsError` naming the six forms."""
    for kind, form in _FORMS:
        if match := re.match(form, name):
            parts: dict[str, Any] = match.groupdict()
            if "generation" in parts:
                parts["generation"] = int(parts["generation"])
            return StackName(kind=kind, **parts)  # type: ignore[arg-type]  # the kinds of _FORMS are those of StackName
    raise SettingsError(
        name,
        [
            "name: no stack has this form; use edge, tenant.<tenant>, region.<tenant>.<cloud>.<region>, "
            "relay.<tenant>.<cloud>.<region>, address.<tenant>.<workload> or placement.<tenant>.<workload>.<generation>"
        ],
    )


def load_settings(stack: str, document: Mapping[str, Any] | None) -> Settings:
    """The settings of ``stack`` from its ``spotlane:settings`` value. Raises :class:`SettingsError` with every fault."""
    kind = parse_stack_name(stack).kind
    if document is None:
        raise SettingsError(stack, [f"spotlane:settings: missing; copy the example of stacks/config for a {kind} stack"])
    try:
        return _MODELS[kind].model_validate(dict(document))
    except ValidationError as error:
        faults = [(".".join(str(part) for part in fault["loc"]) or "settings") + ": " + fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
        raise SettingsError(stack, faults) from error
