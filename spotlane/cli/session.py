"""The environment of a command: clients, and errors turned into messages and exit codes (2: the user can mend it, 1: it failed)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

import typer

from spotlane.cli import output
from spotlane.client import AutomationClient, Client
from spotlane.errors import ApiProblem, InvalidDocument, NotSignedIn, SpotlaneError, Unreachable

P = ParamSpec("P")
R = TypeVar("R")


def project_root() -> Path:
    """The folder of ``Pulumi.yaml``, upwards from here; else this folder."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    return here


def environment() -> dict[str, str]:
    """The process's environment, completed from the local cloud's state directory where nothing else is set."""
    env = dict(os.environ)
    home = Path(env.get("SPOTLANE_HOME", str(project_root() / ".spotlane")))
    if "SPOTLANE_API_URL" not in env and (home / "local.json").is_file():
        import json

        local = json.loads((home / "local.json").read_text())
        env["SPOTLANE_HOME"] = str(home)
        for variable, value in local.get("environment", {}).items():
            env.setdefault(variable, value)
    return env


def become(module: str, arguments: list[str], env: dict[str, str] | None = None) -> NoReturn:
    """Goes on as another of Spotlane's programs, so that signals and exit codes are its own; in ``env``, else in the process's environment."""
    full = {**(os.environ if env is None else env)}
    full.setdefault("SPOTLANE_HOME", str(project_root() / ".spotlane"))
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], full)


def edge() -> Client:
    """The edge API's client. Raises :class:`NotSignedIn`."""
    return Client.from_env(environment())


def automation(client: Client) -> AutomationClient:
    """The automation service's client."""
    return AutomationClient.from_env(client, environment())


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turns the SDK's errors into one clear message and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except InvalidDocument as error:
            output.failure(f"{error.source} has {len(error.faults)} fault{'s' if len(error.faults) > 1 else ''}:")
            for fault in error.faults:
                output.failure(f"  {fault}")
            raise typer.Exit(2) from error
        except (NotSignedIn, Unreachable) as error:
            output.failure(str(error))
            raise typer.Exit(2) from error
        except ApiProblem as error:
            output.failure(str(error))
            for finding in error.findings:
                output.failure(f"  {finding.rule} ({finding.severity}): {finding.message}")
            raise typer.Exit(2 if 400 <= error.problem.status < 500 else 1) from error
        except SpotlaneError as error:
            output.failure(str(error))
            raise typer.Exit(1) from error

    return run
