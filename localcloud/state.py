"""The state directory of the local cloud and its ``local.json``: every endpoint, the market's settings and the environment of its clients.

``local.json`` (version 1, mode 0600 because the proxy's URL carries a key)::

    {"version": 1, "zone": "spotlane.localhost", "portBase": 7700,
     "endpoints": {"edge": "http://127.0.0.1:7700", "provider_aws": "grpc://127.0.0.1:7704", ...},
     "market": {"file": null, "seed": 1, "speed": 60.0, "start": null},
     "environment": {"SPOTLANE_API_URL": "http://api.spotlane.localhost:7700/v1", ...}}

The supervisor writes it before it starts anything; every process of the local cloud reads its ports here.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

VERSION = 1
DEFAULT_PORT_BASE = 7700
DEFAULT_ZONE = "spotlane.localhost"
LOOPBACK = "127.0.0.1"
PLATFORM_SUBSCRIPTION, PLATFORM_PROJECT = "00000000-0000-0000-0000-000000000003", "spotlane-platform"
"""The platform's own subscription and project, in which the clouds' catalogues are read."""

EndpointName = Literal[
    "edge",
    "automation",
    "proxy",
    "languagehost",
    "provider_aws",
    "provider_azure_native",
    "provider_gcp",
    "provider_cloudflare",
    "clouds",
    "control",
    "cloudflare_api",
]

OFFSETS: dict[EndpointName, int] = {
    "edge": 0,
    "automation": 1,
    "proxy": 2,
    "languagehost": 3,
    "provider_aws": 4,
    "provider_azure_native": 5,
    "provider_gcp": 6,
    "provider_cloudflare": 7,
    "clouds": 8,
    "control": 9,
    "cloudflare_api": 10,
}
"""Each endpoint's distance from the base port (docs/architecture.md, "Processes on one machine")."""

PROVIDERS: dict[str, EndpointName] = {
    "aws": "provider_aws",
    "azure-native": "provider_azure_native",
    "gcp": "provider_gcp",
    "cloudflare": "provider_cloudflare",
}
"""Pulumi package name → endpoint of its provider."""

_GRPC: frozenset[EndpointName] = frozenset({"languagehost", *PROVIDERS.values()})


class LocalStateFault(Exception):
    """The state directory can't be used as it is; the message says which file and what to do."""


@dataclass(frozen=True)
class MarketSettings:
    """What the market plays: ``file`` is a recording (parquet; None: the seeded model), ``speed`` market seconds per wall second, ``start`` RFC 3339."""

    file: str | None = None
    seed: int = 1
    speed: float = 60.0
    start: str | None = None


@dataclass(frozen=True)
class LocalState:
    """One local cloud: where its state lies, where it listens, what its market plays."""

    home: Path
    port_base: int = DEFAULT_PORT_BASE
    zone: str = DEFAULT_ZONE
    market: MarketSettings = field(default_factory=MarketSettings)
    environment: dict[str, str] = field(default_factory=dict)

    # Endpoints

    def port(self, name: EndpointName) -> int:
        """The TCP port of endpoint ``name`` on 127.0.0.1."""
        return self.port_base + OFFSETS[name]

    def url(self, name: EndpointName) -> str:
        """The endpoint as a URL: ``http://…`` or, for providers and the language host, ``grpc://…``."""
        return f"{'grpc' if name in _GRPC else 'http'}://{LOOPBACK}:{self.port(name)}"

    @property
    def api_url(self) -> str:
        """The edge API: ``http://api.<zone>:<port>/v1``."""
        return f"http://api.{self.zone}:{self.port('edge')}/v1"

    # Directories and files

    @property
    def local_json(self) -> Path:
        """This very document."""
        return self.home / "local.json"

    @property
    def logs(self) -> Path:
        """``<process>.log`` of every process."""
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """``<process>.json`` of every process: pid, start time, process group."""
        return self.home / "run"

    @property
    def clouds(self) -> Path:
        """The record of the emulated clouds."""
        return self.home / "clouds"

    @property
    def hosts(self) -> Path:
        """One directory a machine, with its ``host.json``."""
        return self.home / "hosts"

    @property
    def edge(self) -> Path:
        """workerd's state and the deployed scripts."""
        return self.home / "edge"

    @property
    def market_directory(self) -> Path:
        """What the market keeps over a restart."""
        return self.home / "market"

    @property
    def proxy(self) -> Path:
        """The inline proxy's CA, audit log, tenants and credentials."""
        return self.home / "proxy"

    @property
    def pulumi_home(self) -> Path:
        """The engine's own directory (``PULUMI_HOME``): selected stacks, caches."""
        return self.home / "engine"

    @property
    def pulumi(self) -> Path:
        """Pulumi's state backend."""
        return self.home / "pulumi"

    @property
    def passphrase(self) -> Path:
        """The passphrase of Pulumi's secrets provider (mode 0600)."""
        return self.home / "passphrase"

    @property
    def platform_key(self) -> Path:
        """The platform's first API key (mode 0600)."""
        return self.home / "platform.key"

    # Reading and writing

    def with_environment(self, environment: dict[str, str]) -> LocalState:
        """The same state with another client environment."""
        return replace(self, environment=dict(environment))

    def document(self) -> dict[str, Any]:
        """``local.json`` as a JSON value."""
        return {
            "version": VERSION,
            "zone": self.zone,
            "portBase": self.port_base,
            "endpoints": {name: self.url(name) for name in OFFSETS},
            "market": asdict(self.market),
            "environment": self.environment,
        }

    def save(self) -> None:
        """Writes ``local.json`` by rename, readable by its owner only."""
        self.home.mkdir(parents=True, exist_ok=True)
        write_private(self.local_json, json.dumps(self.document(), indent=2) + "\n")

    @classmethod
    def load(cls, home: Path | str) -> LocalState:
        """The state of directory ``home``. Raises :class:`LocalStateFault` where there is none or it isn't readable."""
        directory = Path(home).resolve()
        path = directory / "local.json"
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise LocalStateFault(f"{path} doesn't exist; start the local cloud with `spotlane local up`") from error
        except (OSError, ValueError) as error:
            raise LocalStateFault(f"{path} can't be read ({error}); remove it and run `spotlane local up`") from error
        try:
            if document["version"] != VERSION:
                raise LocalStateFault(f"{path} has version {document['version']}, this program knows {VERSION}; run `spotlane local down --purge`")
            return cls(
                home=directory,
                port_base=int(document["portBase"]),
                zone=str(document["zone"]),
                market=MarketSettings(**document["market"]),
                environment={str(name): str(value) for name, value in document["environment"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LocalStateFault(f"{path} is not a local cloud's document ({error!r}); remove it and run `spotlane local up`") from error


def default_home() -> Path:
    """``SPOTLANE_HOME``, else ``.spotlane`` beside ``Pulumi.yaml``."""
    if home := os.environ.get("SPOTLANE_HOME"):
        return Path(home).resolve()
    return Path(__file__).resolve().parent.parent / ".spotlane"


def write_private(path: Path, text: str) -> None:
    """Writes ``text`` by rename with mode 0600: neither a reader nor a crash ever sees half of it."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
