"""``spotlane tenant``: onboard, list, remove."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.page import Examples
from spotlane.cli.runs import wait_for
from spotlane.cli.session import automation, edge, half_done, reported
from spotlane.manifest import load_tenant

cli = typer.Typer(cls=Examples, help="Tenants: their boundary, their accounts.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@cli.command("add")
@reported
def add(
    file: Annotated[Path, typer.Option("--file", "-f", help="Tenant file (YAML).")],
    wait: Annotated[bool, typer.Option(help="Make the tenant's cloud accounts now and wait for them.")] = True,
    json: Json = False,
) -> None:
    """Adds or changes a tenant: checks its boundary, stores it, makes its accounts."""
    manifest = load_tenant(file)
    client = edge()
    service = automation(client)
    check = service.check_boundary(manifest.boundary)
    tenant = wire.Tenant(
        id=manifest.id,
        display_name=manifest.display_name,
        boundary=manifest.boundary,
        boundary_digest=check.digest,
        clouds=manifest.clouds,
        budget_usd_per_month=manifest.budget_usd_per_month,
    )
    stored = client.put_tenant(tenant)
    output.progress(
        f"{stored.id}: boundary {check.digest[:19]}… allows " + ", ".join(f"{len(regions)} {cloud} regions" for cloud, regions in check.regions.items())
    )
    if wait:
        stack = wire.StackRef(kind="tenant", tenant=stored.id)
        with half_done(f"tenant {stored.id} is stored, its accounts aren't made yet; run this command again, and it goes on from there"):
            wait_for(service, wire.RunRequest(idempotency_key=f"{stack.name}:{check.digest}", stack=stack, operation="up"))
    if json:
        output.document(stored)
    else:
        output.say(f"tenant {stored.id} is ready")


@cli.command("ls")
@reported
def ls(json: Json = False) -> None:
    """Lists tenants."""
    found = list(edge().tenants())
    if json:
        output.document(found)
        return
    rows = [(one.id, one.display_name, ",".join(one.clouds), one.boundary_digest[:19]) for one in found]
    output.table(("TENANT", "NAME", "CLOUDS", "BOUNDARY"), rows, "no tenants; add one with `spotlane tenant add -f FILE`")


@cli.command("rm")
@reported
def rm(tenant: str, json: Json = False) -> None:
    """Removes a tenant that has no workloads: its accounts are closed."""
    client = edge()
    service = automation(client)
    held = [one.id for one in client.workloads(tenant) if one.state != wire.WorkloadState.TERMINATED]
    if held:
        output.failure(f"{tenant} still has {', '.join(held)}; remove them first with `spotlane workload rm`")
        raise typer.Exit(2)
    with half_done(f"tenant {tenant} is still there, some of its stacks may be gone; run this command again, and it goes on from there"):
        for name in list(service.stacks(tenant)):
            wait_for(service, wire.RunRequest(idempotency_key=f"{name.name}:rm", stack=name, operation="destroy"))
        client.delete_tenant(tenant)
    if json:
        output.document({"removed": tenant})
    else:
        output.say(f"tenant {tenant} is removed")
