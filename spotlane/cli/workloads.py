"""``spotlane workload``: apply, list, show, remove."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from spotlane import wire
from spotlane.cli import output
from spotlane.cli.page import Examples
from spotlane.cli.session import edge, half_done, reported
from spotlane.client import Client
from spotlane.errors import StillRunning
from spotlane.manifest import load_workload

cli = typer.Typer(cls=Examples, help="Workloads: what runs, where, at what price.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
_POLL_SECONDS = 0.5


@cli.command("apply")
@reported
def apply(
    file: Annotated[Path, typer.Option("--file", "-f", help="Workload file (YAML).")],
    wait: Annotated[bool, typer.Option(help="Wait until it serves.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
    json: Json = False,
) -> None:
    """Declares a workload; the daemon places it on the cheapest allowed offer."""
    manifest = load_workload(file)
    client = edge()
    if manifest.archive is not None and manifest.spec.artifact is not None:
        output.progress(f"artifact {manifest.spec.artifact.digest[:19]}… ({len(manifest.archive)} bytes)")
        client.put_artifact(manifest.spec.artifact.digest, manifest.archive, manifest.id.rpartition("-")[2])
    with half_done(f"{manifest.id} wasn't changed; its artifact is stored, so that the same command again only declares it"):
        workload = client.put_workload(manifest.id, manifest.spec)
    if wait:
        workload = until(client, workload.id, {wire.WorkloadState.RUNNING}, timeout)
    if json:
        output.document(workload)
        return
    output.say(f"{workload.id}: {workload.state} ({workload.reason})")
    _reached(client.endpoint(workload.id))


@cli.command("ls")
@reported
def ls(tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None, json: Json = False) -> None:
    """Lists workloads with where they run and at what price."""
    found = list(edge().workloads(tenant))
    if json:
        output.document(found)
        return
    rows = [(one.id, one.state, _where(one), _price(one), one.generation, f"{one.updated_at:%Y-%m-%d %H:%M}", one.reason) for one in found]
    wide = output.Wide("GENERATION"), output.Wide("CHANGED (UTC)")
    output.table(("WORKLOAD", "STATE", "RUNS ON", "USD/h", *wide, "REASON"), rows, "no workloads; declare one with `spotlane workload apply -f FILE`")


@cli.command("show")
@reported
def show(workload: str, json: Json = False) -> None:
    """One workload: its address, generations and events."""
    client = edge()
    one = client.workload(workload)
    if json:
        output.document(one)
        return
    output.say(f"{one.id}: {one.state} ({one.reason})")
    _reached(client.endpoint(workload))
    rows = [
        (p.generation, p.state, f"{p.offer.cloud}/{p.offer.region} {p.offer.instance_type}", output.usd(p.quote.spot_usd_per_hour))
        for p in client.placements(workload)
    ]
    output.table(("GENERATION", "STATE", "OFFER", "USD/h"), rows, "no generation yet")
    output.table(("AT", "STATE", "REASON"), [(e.at.strftime("%H:%M:%S"), e.state, e.reason) for e in client.events(workload)], "no events")


@cli.command("rm")
@reported
def rm(
    workload: str,
    wait: Annotated[bool, typer.Option(help="Wait until its machines are gone.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 300.0,
    json: Json = False,
) -> None:
    """Stops a workload: takes its route away, drains, destroys its machine."""
    client = edge()
    one = client.delete_workload(workload)
    if wait:
        one = until(client, workload, {wire.WorkloadState.TERMINATED}, timeout)
    if json:
        output.document(one)
    else:
        output.say(f"{one.id}: {one.state}")


def until(client: Client, workload: str, states: set[wire.WorkloadState], timeout: float) -> wire.Workload:
    """Waits until the workload is in one of ``states``, telling each change. Raises :class:`StillRunning`."""
    limit = time.monotonic() + timeout
    told: tuple[object, ...] = ()
    while time.monotonic() < limit:
        one = client.workload(workload)
        if (one.state, one.reason) != told:
            told = (one.state, one.reason)
            output.progress(f"{one.id}: {one.state} ({one.reason})")
        if one.state in states:
            return one
        time.sleep(_POLL_SECONDS)
    raise StillRunning(f"{workload} on its way to {' or '.join(sorted(states))}", timeout)


def _reached(endpoint: wire.Endpoint) -> None:
    if endpoint.http:
        output.say(f"  http       {endpoint.http}")
    if endpoint.websocket:
        output.say(f"  websocket  {endpoint.websocket}")
    if endpoint.tcp_host:
        output.say(f"  tcp        {endpoint.tcp_host}:{endpoint.tcp_port}")


def _where(one: wire.Workload) -> str:
    offer = one.placement.offer if one.placement else None
    return "-" if offer is None else f"{offer.cloud}/{offer.region}/{offer.zone} {offer.instance_type}"


def _price(one: wire.Workload) -> str:
    return output.usd(one.placement.quote.spot_usd_per_hour if one.placement else None)
