"""``spotlane key``: make, list, revoke API keys; rotate the signing key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from spotlane.cli import output
from spotlane.cli.page import Examples
from spotlane.cli.session import edge, reported

cli = typer.Typer(cls=Examples, help="API keys of a tenant, or of the platform without --tenant.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Tenant = Annotated[str | None, typer.Option(help="Whose key; without it, the platform's.")]


@cli.command("add")
@reported
def add(
    scope: Annotated[list[str], typer.Option(help="tenant:admin, tenant:deploy, tenant:read; of the platform: platform:admin, service:automation.")],
    tenant: Tenant = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[float | None, typer.Option(help="Days after which it expires.")] = None,
    json: Json = False,
) -> None:
    """Makes a key. It is shown once: only its hash is kept."""
    until = None if days is None else datetime.now(UTC) + timedelta(days=days)
    client = edge()
    made = client.create_platform_key(scope, name=name, expires_at=until) if tenant is None else client.create_key(tenant, scope, name=name, expires_at=until)
    if json:
        output.document(made)
    else:
        output.say(f"{made.id}: {made.key}")


@cli.command("ls")
@reported
def ls(tenant: Tenant = None, json: Json = False) -> None:
    """Lists keys without their secrets."""
    client = edge()
    found = list(client.platform_keys() if tenant is None else client.keys(tenant))
    if json:
        output.document(found)
        return
    rows = [(one.id, one.name, ",".join(one.scopes), _day(one.created_at), _day(one.last_used_at), _day(one.expires_at)) for one in found]
    output.table(("KEY", "NAME", "SCOPES", "MADE", "LAST USED", "EXPIRES"), rows, "no keys")


@cli.command("rm")
@reported
def rm(key: str, tenant: Tenant = None, json: Json = False) -> None:
    """Revokes a key: its tokens are refused at every router within a second."""
    client = edge()
    client.revoke_platform_key(key) if tenant is None else client.revoke_key(tenant, key)
    if json:
        output.document({"revoked": key})
    else:
        output.say(f"key {key} is revoked")


@cli.command("rotate")
@reported
def rotate(
    revoke_old: Annotated[bool, typer.Option(help="After a leak: every token until now is refused.")] = False,
    json: Json = False,
) -> None:
    """Begins the next signing key of the edge's tokens."""
    rotated = edge().rotate_signing_key(revoke_old=revoke_old)
    if json:
        output.document(rotated)
        return
    rows = [(one.kid, one.signs_from.strftime("%Y-%m-%d %H:%M:%S"), _day(one.retires_at)) for one in rotated.keys]
    output.table(("SIGNING KEY", "SIGNS FROM", "PUBLISHED UNTIL"), rows, "no keys")


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else moment.strftime("%Y-%m-%d")
