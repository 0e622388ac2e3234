"""What the enforcers know of each tenant, as files: its boundary by digest, its accounts (docs/architecture.md, "The inline proxy's tenants").

Written by atomic rename; the inline proxy reads a file again when it changes, the pack gets it as its configuration.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from spotlane.wire import Tenant

_ACCOUNTS = {"aws": "aws_account_id", "azure": "azure_subscription_id", "gcp": "gcp_project_id"}
"""The tenant stack's output that names the account, by cloud."""


class TenantFiles:
    """``proxy/tenants/<tenant>.json`` and the packs' configuration under the state directory."""

    def __init__(self, home: Path) -> None:
        self._proxy = home / "proxy" / "tenants"
        self._packs = home / "automation" / "packs"
        self._proxy.mkdir(parents=True, exist_ok=True)
        self._packs.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()

    def write(self, tenant: Tenant) -> None:
        """Writes the tenant's boundary; accounts learnt before stay."""
        with self._lock:
            document = self._read(tenant.id)
            changed = document | {"tenant": tenant.id, "boundary": tenant.boundary, "digest": tenant.boundary_digest}
            changed.setdefault("accounts", {cloud: [] for cloud in _ACCOUNTS})
            if changed != document:
                self._replace(tenant.id, changed)

    def learn(self, tenant: str, outputs: dict[str, Any]) -> None:
        """Takes the accounts from the outputs of the tenant's stack."""
        with self._lock:
            document = self._read(tenant)
            found = {cloud: [str(outputs[name])] if outputs.get(name) else [] for cloud, name in _ACCOUNTS.items()}
            if document and document.get("accounts") != found:
                self._replace(tenant, document | {"accounts": found})

    def forget(self, tenant: str) -> None:
        """Removes the tenant's files."""
        with self._lock:
            (self._proxy / f"{tenant}.json").unlink(missing_ok=True)
            (self._packs / f"{tenant}.json").unlink(missing_ok=True)

    def knows(self, tenant: str) -> bool:
        """Whether the tenant was met before; false says nothing about the edge."""
        return (self._proxy / f"{tenant}.json").exists()

    def other_owner(self, tenant: str, cloud: str, account: str) -> str | None:
        """The tenant, another than ``tenant``, whose account it is; compared without case, as the proxy does."""
        for path in sorted(self._proxy.glob("*.json")):
            if path.stem != tenant and account.lower() in (one.lower() for one in self._read(path.stem).get("accounts", {}).get(cloud, [])):
                return path.stem
        return None

    def tenant(self, tenant: str) -> Tenant | None:
        """The tenant as it was met last; None for one that wasn't."""
        document = self._read(tenant)
        if not document:
            return None
        clouds = [cloud for cloud, accounts in (document.get("accounts") or {}).items() if accounts]
        return Tenant.model_validate({"id": tenant, "boundary": document["boundary"], "boundaryDigest": document["digest"], "clouds": clouds})

    def digest(self, tenant: str) -> str:
        """Digest of the boundary that the tenant's stacks are judged by; empty for a tenant that wasn't met."""
        return str(self._read(tenant).get("digest", ""))

    def pack_config(self, tenant: str) -> Path | None:
        """The pack's configuration for a tenant's stacks; None before the tenant is known."""
        path = self._packs / f"{tenant}.json"
        return path if path.exists() else None

    def platform_pack_config(self) -> Path | None:
        """The platform's own stacks are judged by the pack's own default."""
        return None

    def _read(self, tenant: str) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads((self._proxy / f"{tenant}.json").read_text())
        except (OSError, ValueError):
            return {}
        return document

    def _replace(self, tenant: str, document: dict[str, Any]) -> None:
        _write(self._proxy / f"{tenant}.json", document)
        # The engine's form: settings by policy name; the pack's policy is called "spotlane".
        config = {"spotlane": {"tenant": tenant, "boundary": document["boundary"], "accounts": document["accounts"]}}
        _write(self._packs / f"{tenant}.json", config)


def _write(path: Path, document: dict[str, Any]) -> None:
    replacement = path.with_suffix(".new")
    replacement.write_text(json.dumps(document, indent=1))
    replacement.replace(path)
