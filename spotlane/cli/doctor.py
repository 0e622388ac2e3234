"""``spotlane doctor``: is everything there, and does anything lie about that no stack owns."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.session import automation, become, edge, environment, reported
from spotlane.client import AutomationClient

_MARKS = {"ok": "ok", "warning": "warn", "failed": "FAIL"}


def register(cli: typer.Typer) -> None:
    """Adds the verb of this module."""
    cli.command("doctor")(doctor)


@reported
def doctor(
    preflight: Annotated[bool, typer.Option("--preflight", help="Only what the first move needs: credentials, quotas, regions, the proxy.")] = False,
    here: Annotated[bool, typer.Option("--here", help="With --preflight: in this environment, before there is a service or an edge to ask.")] = False,
    sweep: Annotated[bool, typer.Option("--sweep", help="Only what lies in tenants' accounts and no stack owns.")] = False,
    tenant: Annotated[str | None, typer.Option(help="Sweep only this tenant's accounts.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what the sweep finds, after a look at it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before removing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Checks the platform before it is relied on, and sweeps tenants' accounts for orphans. Exit code 1 where something is wrong."""
    if here and not preflight:
        raise typer.BadParameter("--here goes with --preflight; sweeps are the automation service's")
    if preflight and (sweep or remove or tenant):
        raise typer.BadParameter("--preflight looks at nothing of --sweep's; leave one of them out")
    if remove and not yes and (json or not sys.stdin.isatty()):
        raise typer.BadParameter("--remove asks first, and nobody is there to answer; add --yes")
    if here:
        become("automation", ["preflight", *(["--json"] if json else [])], environment())
    service = automation(edge())
    examined = None if sweep or remove or tenant else _examined(service)
    swept = None if preflight else _swept(service, wire.SweepRequest(tenant=tenant))
    if not json:
        show(examined, swept)
    if swept is not None and swept.orphans and remove and (yes or typer.confirm(f"Remove these {len(swept.orphans)}?")):
        output.progress(f"removing {len(swept.orphans)} …")
        swept = service.sweep(wire.SweepRequest(tenant=tenant, remove=True))
        if not json:
            show(None, swept)
    if json:
        parts = {"preflight": examined, "sweep": swept}
        output.document({name: part.model_dump(mode="json", by_alias=True) for name, part in parts.items() if part is not None})
    left = swept is not None and (swept.errors or any(one.outcome != "removed" for one in swept.orphans))
    if left or (examined is not None and not examined.ready):
        raise typer.Exit(1)


def _examined(service: AutomationClient) -> wire.Preflight:
    output.progress("examining credentials, accounts and quotas …")
    return service.preflight()


def _swept(service: AutomationClient, request: wire.SweepRequest) -> wire.Sweep:
    output.progress("looking into tenants' accounts …")
    return service.sweep(request)


def show(examined: wire.Preflight | None, swept: wire.Sweep | None) -> None:
    """Tables for people."""
    if examined is not None:
        rows = [(_MARKS[one.status], one.part, one.name, f"{one.detail}; {one.remedy}" if one.remedy else one.detail) for one in examined.checks]
        output.table(("", "PART", "CHECK", "RESULT"), rows, "nothing was examined")
    if swept is not None:
        orphans = [(one.outcome, one.tenant, one.cloud, one.region, one.kind, one.id, one.detail) for one in swept.orphans]
        accounts = f"{swept.accounts} account{'' if swept.accounts == 1 else 's'}"
        output.table(("", "TENANT", "CLOUD", "REGION", "KIND", "ID", "WHY"), orphans, f"no orphans in {accounts}")
        for error in swept.errors:
            output.failure(error)
