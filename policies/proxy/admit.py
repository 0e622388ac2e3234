"""``pulumi stack output -s tenant.<tenant> --json | python -m policies.proxy.admit <tenant>``: makes a tenant known to the inline proxy by hand.

The automation service does this for the tenants that it brings up; who brings up a tenant's stack by plain Pulumi pipes the stack's outputs here: the
boundary and the accounts. The proxy reads the file at its next call (docs/architecture.md, "The inline proxy's tenants").
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import BoundaryDocumentError, load

ACCOUNTS = {"aws": "aws_account_id", "azure": "azure_subscription_id", "gcp": "gcp_project_id"}
"""The output of a tenant's stack that names the account, by cloud."""

_TENANT = re.compile(r"[a-z][a-z0-9]{1,19}")


class AdmissionError(ValueError):
    """What was given makes no tenant; the text says what is wrong and what to do."""


def admission(tenant: str, outputs: Any) -> dict[str, Any]:
    """The tenant's document from its stack's outputs. Raises :class:`AdmissionError`."""
    if not _TENANT.fullmatch(tenant):
        raise AdmissionError(f"{tenant!r} is no tenant id: 2 to 20 lower-case letters and digits, a letter first")
    if not isinstance(outputs, dict) or not isinstance(outputs.get("boundary"), dict):
        raise AdmissionError(f"these outputs have no boundary; pipe `pulumi stack output -s tenant.{tenant} --json` after `pulumi up -s tenant.{tenant}`")
    try:
        digest = compile_boundary(load(outputs["boundary"])).digest
    except BoundaryDocumentError as error:
        raise AdmissionError("; ".join(f"boundary.{fault}" for fault in error.faults)) from error
    accounts = {cloud: [str(outputs[name])] if outputs.get(name) else [] for cloud, name in ACCOUNTS.items()}
    if not any(accounts.values()):
        raise AdmissionError(f"these outputs name no account ({', '.join(ACCOUNTS.values())}); bring tenant.{tenant} up first")
    return {"tenant": tenant, "boundary": outputs["boundary"], "digest": digest, "accounts": accounts}


def admit(home: Path, document: dict[str, Any]) -> Path:
    """Writes the document by rename; a proxy key that the tenant has stays. The file. Raises :class:`AdmissionError` for an account of another tenant's."""
    file = home / "proxy" / "tenants" / f"{document['tenant']}.json"
    if taken := _taken(file, document["accounts"]):
        raise AdmissionError("; ".join(taken))
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    replacement = file.with_suffix(".new")
    replacement.write_text(json.dumps({**kept, **document}, indent=1), encoding="utf-8")
    replacement.replace(file)
    return file


def _taken(file: Path, accounts: dict[str, list[str]]) -> list[str]:
    """Accounts that another tenant's file names: the proxy holds what two claim for nobody's, so both would lose it."""
    faults = []
    for other in sorted(file.parent.glob("*.json")):
        if other == file:
            continue
        theirs = json.loads(other.read_text(encoding="utf-8")).get("accounts", {})
        for cloud, names in accounts.items():
            held = {str(one).lower() for one in theirs.get(cloud, [])}
            faults += [f"{cloud} {name} is tenant {other.stem}'s already; an account belongs to one tenant" for name in names if name.lower() in held]
    return faults


def main(argv: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m policies.proxy.admit", description="Makes a tenant known to the inline proxy, from its stack's outputs.")
    parser.add_argument("tenant")
    parser.add_argument("--home", type=Path, default=os.environ.get("SPOTLANE_HOME"), help="state directory (default: $SPOTLANE_HOME)")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    asked = parser.parse_args(argv)
    if asked.home is None:
        parser.error("--home or SPOTLANE_HOME names the state directory")
    try:
        document = admission(asked.tenant, json.load(sys.stdin))
        file = admit(Path(asked.home), document)
    except (AdmissionError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except ValueError as error:
        sys.stderr.write(f"error: standard input is no JSON ({error}); pipe `pulumi stack output -s tenant.{asked.tenant} --json`\n")
        return 2
    told = {"tenant": asked.tenant, "digest": document["digest"], "accounts": document["accounts"], "file": str(file)}
    named = ", ".join(f"{cloud} {account}" for cloud, accounts in document["accounts"].items() for account in accounts)
    sys.stdout.write(json.dumps(told) + "\n" if asked.json else f"the inline proxy knows {asked.tenant}: {named}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
