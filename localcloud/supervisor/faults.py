"""``spotlane local fault add|ls|clear``: faults of a running local cloud, over its control API."""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import urllib.parse
from typing import Any

from localcloud.state import LocalState

Document = dict[str, Any]


class FaultRefused(ValueError):
    """The local cloud refused it, or doesn't answer; the text says what to do."""


def declare(commands: Any, common: argparse.ArgumentParser) -> None:
    """The subcommands."""
    fault = commands.add_parser("fault", help="errors of the clouds on demand: add, ls, clear")
    verbs = fault.add_subparsers(required=True, metavar="VERB")
    add = verbs.add_parser("add", parents=[common], help="have calls fail with a cloud's own error")
    add.add_argument("code", metavar="CODE", help="the cloud's word, such as SkuNotAvailable; an unknown one lists all")
    add.add_argument("--cloud", choices=["aws", "azure", "gcp"], help="(told by the code)")
    add.add_argument("--region", help="calls of this region only")
    add.add_argument("--operation", help="calls of this operation only: an EC2 action, or as in 'PUT Microsoft.Compute/virtualMachines', 'POST instances'")
    add.add_argument("--count", type=int, metavar="N", help="as many calls (default: all)")
    add.add_argument("--chance", type=float, metavar="P", help="each call with this probability")
    add.add_argument("--seed", type=int, metavar="N", help="of the chance")
    add.set_defaults(command=_add)
    verbs.add_parser("ls", parents=[common], help="those in force, and how often each was met").set_defaults(command=_ls)
    clear = verbs.add_parser("clear", parents=[common], help="take one back, or all")
    clear.add_argument("id", nargs="?", type=int, metavar="ID")
    clear.set_defaults(command=_clear)


def _add(arguments: argparse.Namespace) -> int:
    wanted = {name: getattr(arguments, name) for name in ("code", "cloud", "region", "operation", "count", "chance", "seed")}
    made = _call(arguments, "POST", "/faults", {name: value for name, value in wanted.items() if value is not None})
    _show(arguments, made, [made])
    return 0


def _ls(arguments: argparse.Namespace) -> int:
    found = _call(arguments, "GET", "/faults")
    _show(arguments, found, found)
    return 0


def _clear(arguments: argparse.Namespace) -> int:
    cleared = _call(arguments, "DELETE", "/faults" if arguments.id is None else f"/faults/{arguments.id}")
    if arguments.json:
        sys.stdout.write(json.dumps(cleared) + "\n")
    else:
        sys.stdout.write(f"{cleared['cleared']} taken back\n")
    return 0


def _show(arguments: argparse.Namespace, document: Any, faults: list[Document]) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(document) + "\n")
        return
    for one in faults:
        where = " ".join(f"{name} {one[name]}" for name in ("region", "operation") if one[name])
        left = "" if one["count"] is None else f", {one['count']} left"
        often = "" if one["chance"] == 1 else f", each with {one['chance']:g} (seed {one['seed']})"
        sys.stdout.write(f"{one['id']}  {one['cloud']}  {one['code']}  {where or 'everywhere'}{often}; met {one['met']}{left}\n")


def _call(arguments: argparse.Namespace, method: str, path: str, body: Document | None = None) -> Any:
    address = urllib.parse.urlsplit(LocalState.load(arguments.home).url("control"))
    connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=10)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        document = json.loads(answer.read() or b"null")
    except (OSError, ValueError) as error:
        raise FaultRefused(f"the local cloud doesn't answer ({error}); start it: spotlane local up") from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise FaultRefused(str(document.get("detail", document)))
    return document
