"""What a client of the local cloud has in its environment, and the keys and files that go with it (docs/architecture.md, "Environment")."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import shutil
from pathlib import Path

from localcloud.state import LOOPBACK, PLATFORM_PROJECT, PLATFORM_SUBSCRIPTION, PROVIDERS, LocalState, write_private
from localcloud.supervisor.catalog import PROJECT

PRINCIPAL = "platform"
"""The inline proxy's principal of the platform itself."""

_CLOUD_HOSTS = ("*.amazonaws.com", "management.azure.com", "login.microsoftonline.com", "login.windows.net", "prices.azure.com", "*.googleapis.com")


def make_secrets(state: LocalState) -> str:
    """Makes what is missing of passphrase, platform key and proxy credential (mode 0600); the proxy's credential."""
    state.home.mkdir(parents=True, exist_ok=True)
    state.proxy.mkdir(parents=True, exist_ok=True)
    for path in (state.passphrase, state.platform_key):
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32) + "\n")
    credential = state.proxy / "platform.key"
    if not credential.exists():
        write_private(credential, secrets.token_urlsafe(32) + "\n")
    key = credential.read_text(encoding="utf-8").strip()
    principals = state.proxy / "principals.json"
    known = json.loads(principals.read_text(encoding="utf-8")) if principals.exists() else {}
    wanted = {**known, PRINCIPAL: hashlib.sha256(key.encode()).hexdigest()}
    if wanted != known:
        write_private(principals, json.dumps(wanted, indent=2) + "\n")
    return key


def upstreams(state: LocalState) -> dict[str, str]:
    """Where the inline proxy finds each provider's hosts."""
    return {**dict.fromkeys(_CLOUD_HOSTS, state.url("clouds")), "api.cloudflare.com": state.url("cloudflare_api")}


def client_environment(state: LocalState, proxy_key: str, engine: str) -> dict[str, str]:
    """The variables of the contract; ``engine`` is the Pulumi engine's program."""
    proxy = f"http://{PRINCIPAL}:{proxy_key}@{LOOPBACK}:{state.port('proxy')}"
    certificates = str(state.proxy / "ca.pem")
    around = "localhost,127.0.0.1,.localhost"
    return {
        "SPOTLANE_HOME": str(state.home),
        "SPOTLANE_ZONE": state.zone,
        "SPOTLANE_API_URL": state.api_url,
        "SPOTLANE_AUTOMATION_URL": state.url("automation"),
        "SPOTLANE_CONTROL_URL": state.url("control"),
        "SPOTLANE_RESOLVER_URL": f"{state.url('cloudflare_api')}/resolve",
        "SPOTLANE_ENGINE": engine,
        "SPOTLANE_PROXY_UPSTREAMS": str(state.proxy / "upstreams.json"),
        "PULUMI_HOME": str(state.pulumi_home),
        "PULUMI_BACKEND_URL": f"file://{state.pulumi}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(state.passphrase),
        "PULUMI_DEBUG_PROVIDERS": ",".join(f"{package}:{state.port(endpoint)}" for package, endpoint in PROVIDERS.items()),
        "PULUMI_DEBUG_LANGUAGES": f"python:{state.port('languagehost')}",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "1",
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        # Without spaces, and with the loopback: lowercase proxy variables alone would send Pulumi's own gRPC to the proxy.
        "NO_PROXY": around,
        "no_proxy": around,
        "SSL_CERT_FILE": certificates,
        "AWS_CA_BUNDLE": certificates,
        "REQUESTS_CA_BUNDLE": certificates,
        "AWS_ACCESS_KEY_ID": "AKIASPOTLANELOCAL000",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "ARM_CLIENT_ID": "00000000-0000-0000-0000-000000000001",
        "ARM_CLIENT_SECRET": "local",
        "ARM_TENANT_ID": "00000000-0000-0000-0000-000000000002",
        "ARM_SUBSCRIPTION_ID": PLATFORM_SUBSCRIPTION,
        "GOOGLE_OAUTH_ACCESS_TOKEN": "local",
        "SPOTLANE_GCP_PROJECT": PLATFORM_PROJECT,
        "CLOUDFLARE_API_TOKEN": "local",
    }


def prepare(state: LocalState, engine: str) -> LocalState:
    """Writes keys, the proxy's upstreams and ``local.json``; the state with its environment."""
    key = make_secrets(state)
    # The engine keeps a debug log of every value that it passes on, secrets among them, at a sixth of its CPU time. There is no switch; a file in the place
    # of the logs' directory is one.
    state.pulumi_home.mkdir(parents=True, exist_ok=True)
    (state.pulumi_home / "logs").touch()
    for directory in (state.logs, state.run, state.pulumi, state.proxy / "tenants", state.home / "config"):
        directory.mkdir(parents=True, exist_ok=True)
    write_private(state.proxy / "upstreams.json", json.dumps(upstreams(state), indent=2) + "\n")
    ready = state.with_environment(client_environment(state, key, engine))
    ready.save()
    return ready


def program_path(engine: str, inherited: str) -> str:
    """``PATH`` with the engine, this project's programs and, where there is no official one, its language host; nothing twice."""
    folders = [str(Path(engine).parent), str(PROJECT / ".venv/bin")]
    rest = [folder for folder in inherited.split(os.pathsep) if folder]
    bundled = PROJECT / "languagehost/bin"
    official = shutil.which("pulumi-language-python", path=os.pathsep.join(folder for folder in [folders[0], *rest] if folder != str(bundled)))
    tail = [] if official else [str(bundled)]
    return os.pathsep.join(dict.fromkeys([*folders, *rest, *tail]))


def exports(environment: dict[str, str]) -> str:
    """Lines for ``eval`` in a POSIX shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
