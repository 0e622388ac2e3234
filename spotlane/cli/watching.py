"""``spotlane watch | logs | open``: what happens now, what happened, and where to look at it."""

from __future__ import annotations

import webbrowser
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import typer

from spotlane import wire
from spotlane.cli import machine, output, status
from spotlane.cli.session import edge, reported
from spotlane.errors import Fault, InvalidDocument


def register(cli: typer.Typer) -> None:
    """Adds the verbs of this module."""
    cli.command("watch")(watch)
    cli.command("logs")(logs)
    cli.command("open")(show)


@reported
def watch(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many looks in place of Ctrl-C.")] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON document a line, whenever something has changed.")] = False,
) -> None:
    """Shows the status again whenever something has changed; ends with Ctrl-C. Changes nothing."""
    status.follow(tenant, json=json, looks=count)


@reported
def logs(
    workload: Annotated[str, typer.Argument(help="<workload>-<tenant>, as `spotlane workload ls` names it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens next; ends with Ctrl-C.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last so many; of a machine's lines 200 where it isn't given.")] = None,
    of_machine: Annotated[bool, typer.Option("--machine", help="What its machine writes, where its file says `logs: true`; the last day's.")] = False,
    placement: Annotated[
        str | None, typer.Option(metavar="ID", help="With --machine: another machine than the one that serves, <tenant>_<name>_<generation>.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="A JSON document a line.")] = False,
) -> None:
    """What happened to a workload, oldest first: each change of state with its reason; with --machine what its machine writes. The engine's words are in
    `spotlane runs logs`."""
    if placement is not None and not of_machine:
        raise typer.BadParameter("--placement names a machine: say --machine, too")
    client = edge()
    if of_machine:
        machine.show(client, workload, placement, follow=follow, tail=tail, json=json)
        return
    client.workload(workload)  # an unknown name is said so, not shown as silence
    found = list(client.events(workload))
    shown = found if tail is None else found[len(found) - min(tail, len(found)) :]
    last = found[-1].seq if found else 0
    bell = status.Bell(client, workload.rpartition("-")[2]) if follow else None
    while True:
        for one in shown:
            output.record(one) if json else output.say(_line(one))
        if bell is None:
            return
        bell.wait()
        shown = [one for one in client.events(workload) if one.seq > last]
        last = shown[-1].seq if shown else last


@reported
def show(
    workload: Annotated[str | None, typer.Argument(help="The service itself; without it, the console.")] = None,
    url: Annotated[bool, typer.Option("--url", help="Print the address in place of opening it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document; opens nothing.")] = False,
) -> None:
    """Opens the web console, or a workload's own address, in the browser."""
    client = edge()
    address = console_of(client.api_url) if workload is None else client.endpoint(workload).http
    if address is None:
        raise InvalidDocument(str(workload), [Fault("ports.http", "it serves no HTTP; `spotlane workload show` tells its TCP address")])
    if json:
        output.document({"url": address})
    elif url or not webbrowser.open(address):
        output.say(address)


def console_of(api_url: str) -> str:
    """The console of the platform whose API is at ``https://api.<zone>/v1``. Raises :class:`InvalidDocument` for another address."""
    parts = urlsplit(api_url)
    if not parts.netloc.startswith("api."):
        raise InvalidDocument(api_url, [Fault("SPOTLANE_API_URL", "isn't https://api.<zone>/v1, so that the console's address isn't known")])
    return urlunsplit((parts.scheme, "console." + parts.netloc.removeprefix("api."), "/", "", ""))


def _line(one: wire.WorkloadEvent) -> str:
    return f"{one.at:%Y-%m-%d %H:%M:%S}  {one.state:<12}  {one.reason}"
