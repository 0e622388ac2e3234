"""Settings of the automation service: environment and nothing else (docs/architecture.md, "Environment")."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class AutomationSettings(BaseSettings):
    """``SPOTLANE_*`` variables; times in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="SPOTLANE_", extra="ignore")

    home: Path = PROJECT_ROOT / ".spotlane"
    zone: str = "spotlane.localhost"
    api_url: str
    automation_url: str = "http://127.0.0.1:7701"
    api_key: str | None = Field(default=None, repr=False)
    """The platform's key; without it ``platform.key`` in ``home``."""
    database_url: str | None = None
    """SQLAlchemy URL of the runs' database: SQLite in ``home`` by default, PostgreSQL for several machines."""
    member: str = "local"
    """Name of this service process, unique among those on one runs' database and the same after a restart."""
    engine: str = "pulumi"
    """The Pulumi engine's program."""
    secrets_provider: str | None = None
    """Pulumi's URL of the key that encrypts secrets in new stacks (``awskms://…``, ``gcpkms://…``, …); unset, the passphrase."""
    concurrent_runs: int = Field(default=4, ge=1, le=64)
    stop_seconds: int = Field(default=25, ge=0)
    """How long a stop lets the runs in hand come to their end; what is left then is handed over to the next process."""
    tenant_runs: int | None = Field(default=None, ge=1, le=64)
    """Placement stacks of one tenant worked on at once; unset, ``concurrent_runs`` alone bounds them. The same for all members; changed while nothing waits."""
    unfinished_runs: int = Field(default=10_000, ge=1)
    unfinished_runs_of_tenant: int = Field(default=2_000, ge=1)
    """Runs that wait or work; beyond it new ones are refused, but for those that save a workload or take something down."""
    network_pool: str = "10.0.0.0/8"
    """Private range of /8 to /16, of which each region of each tenant gets one of 256 parts; another one where a tenant's networks are joined to others."""
    regions_ahead: int = Field(default=0, ge=0, le=8)
    """For how many of a workload's next best regions the region stack is made before it moves there; each costs its NAT for as long as it stands."""
    tick_seconds: float = Field(default=60.0, gt=0)
    price_limit_hours: float = Field(default=6.0, gt=0)
    """A quote older than this, on the market's clock, starts no move."""
    paused: bool = False
    """Start with the daemon paused."""
    edge_key_seconds: float = Field(default=30.0, gt=0)
    """How long the edge's public keys are kept before they are asked for again."""

    cloudflare_account_id: str = "0" * 32
    cloudflare_zone_id: str = "1" * 32

    aws_organizational_unit: str | None = None
    aws_email_domain: str = "accounts.spotlane.dev"
    azure_billing_scope: str = "/providers/Microsoft.Billing/billingAccounts/spotlane/enrollmentAccounts/spotlane"
    azure_management_group: str = "spotlane"
    gcp_folder: str = "folders/100000000000"
    gcp_billing_account: str = "000000-000000-000000"
    gcp_automation_principal: str | None = None
    """This service's own identity at Google (``serviceAccount:…``, ``principal://…``), which each tenant's automation account lets impersonate it; unset where
    it holds Service Account Token Creator on the folder."""

    @property
    def stack_project(self) -> Path:
        """Where the engine is called: a project file that names the same programs, with stack settings kept under ``home``."""
        return self.home / "project"

    @property
    def runs_database(self) -> str:
        """The runs' database."""
        return self.database_url or f"sqlite:///{self.home / 'automation' / 'runs.sqlite'}"
