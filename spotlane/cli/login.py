"""``spotlane login | logout``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from spotlane.cli import credentials, output
from spotlane.cli.session import local_platform, reported
from spotlane.client import Client
from spotlane.errors import Fault, InvalidDocument

Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


def register(cli: typer.Typer) -> None:
    """Adds the verbs of this module."""
    cli.command("login")(login)
    cli.command("logout")(logout)


@reported
def login(
    url: Annotated[str, typer.Option(help="The platform's API, such as https://api.example.com/v1.")],
    automation_url: Annotated[str | None, typer.Option(help="Its automation service, where you may reach that.")] = None,
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the API key from standard input in place of asking for it.")] = False,
    json: Json = False,
) -> None:
    """Signs in: checks an API key and keeps it in the system's keyring (a file of mode 0600 where there is none). The key is never printed."""
    if not url.startswith(("https://", "http://")):
        raise InvalidDocument("--url", [Fault("url", f"{url!r} is no address; give it as https://api.example.com/v1")])
    if not key_stdin and not sys.stdin.isatty():
        raise typer.BadParameter("nobody is there to type the key; give it by --key-stdin")
    key = (sys.stdin.readline() if key_stdin else typer.prompt("API key", hide_input=True)).strip()
    if not key:
        raise InvalidDocument("the API key", [Fault("key", "is empty; `spotlane key add` makes one")])
    output.progress(f"asking {url} whether it knows the key …")
    Client(url, key).tokens.header()
    kept = credentials.save(url, automation_url, key, os.environ)
    if json:
        output.document({"apiUrl": kept.api_url, "keptIn": kept.kept})
    else:
        place = "the system's keyring" if kept.kept == "keyring" else f"{credentials.folder(os.environ) / 'key'} (this system has no keyring)"
        output.say(f"signed in to {kept.api_url}")
        output.say(f"  the key is in {place}")
    if "SPOTLANE_API_URL" in os.environ or local_platform(dict(os.environ)) is not None:
        output.progress("note: here SPOTLANE_API_URL or the local platform of this folder stands before the login")


@reported
def logout(json: Json = False) -> None:
    """Signs out: takes the key from where `spotlane login` put it. The key itself goes on until `spotlane key rm`."""
    was = credentials.forget(os.environ)
    if json:
        output.document({"apiUrl": was.api_url if was else None})
    else:
        output.say(f"signed out of {was.api_url}" if was else "you weren't signed in")
