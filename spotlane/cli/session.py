"""The environment of a command: clients, the form of its answer, and errors turned into messages and exit codes.

Exit codes are part of the interface: 0 done; 1 it failed, trying again may help; 2 the user can mend it (usage, a document, a name, a key, a refusal);
130 ended by Ctrl-C.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from spotlane.cli import advice, credentials, output
from spotlane.client import AutomationClient, Client
from spotlane.errors import ApiProblem, InvalidDocument, NotSignedIn, SpotlaneError, Unreachable

P = ParamSpec("P")
R = TypeVar("R")

FAILED = 1
MENDABLE = 2
INTERRUPTED = 130

_FORMS = "table|wide|json|yaml"
_Output = Annotated[output.Form | None, typer.Option("--output", "-o", metavar=_FORMS, help="How to answer; wide has every column; --json is json.")]


def project_root() -> Path:
    """The folder of ``Pulumi.yaml``, upwards from here; else this folder."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    return here


def environment() -> dict[str, str]:
    """The process's environment, completed where it names no platform: from the local platform of this folder, else from ``spotlane login``."""
    env = dict(os.environ)
    if "SPOTLANE_API_URL" in env:
        return env
    local = local_platform(env)
    if local is not None:
        env["SPOTLANE_HOME"] = str(local)
        for variable, value in json.loads((local / "local.json").read_text()).get("environment", {}).items():
            env.setdefault(variable, value)
        return env
    login = credentials.load(env)
    if login is not None:
        env["SPOTLANE_API_URL"] = login.api_url
        if login.automation_url:
            env.setdefault("SPOTLANE_AUTOMATION_URL", login.automation_url)
        if "SPOTLANE_API_KEY" not in env and (key := credentials.key_of(login, env)):
            env["SPOTLANE_API_KEY"] = key
    return env


def local_platform(env: dict[str, str]) -> Path | None:
    """The state folder of a local platform that stands here, where one does."""
    home = Path(env.get("SPOTLANE_HOME", str(project_root() / ".spotlane")))
    return home if (home / "local.json").is_file() else None


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


@contextmanager
def half_done(said: str) -> Iterator[None]:
    """Where what follows fails or is interrupted, the user is told ``said``: what stands already, and how to go on."""
    try:
        yield
    except (SpotlaneError, typer.Exit, KeyboardInterrupt):
        output.progress(said)
        raise


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turns the SDK's errors into one clear message with its next step and an exit code; gives each command with ``--json`` also ``--output``."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        _take_form(kwargs)
        try:
            return command(*args, **kwargs)
        except SpotlaneError as error:
            raise typer.Exit(_told(error, kwargs)) from error
        except KeyboardInterrupt as error:
            output.progress("interrupted; what the platform has accepted goes on without this program (`spotlane status`)")
            raise typer.Exit(INTERRUPTED) from error

    signature = inspect.signature(command, eval_str=True)
    if "json" in signature.parameters:
        form = inspect.Parameter("output_form", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Output)
        run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), form])  # type: ignore[attr-defined]  # read by inspect.signature
        run.__annotations__ = {**command.__annotations__, "output_form": _Output}
    return run


def _take_form(given: dict[str, Any]) -> None:
    """``--output`` and ``--json`` are one choice: the command sees ``json`` for either document, the output its form."""
    form = given.pop("output_form", None)
    if form is None:
        form = output.Form.JSON if given.get("json") else output.Form.TABLE
    elif given.get("json") and form is not output.Form.JSON:
        raise typer.BadParameter(f"--json and --output {form} are two forms; choose one")
    output.FORM.set(form)
    if "json" in given:
        given["json"] = form in (output.Form.JSON, output.Form.YAML)


def _told(error: SpotlaneError, given: dict[str, Any]) -> int:
    """Prints the message and the next step, and gives the exit code."""
    if isinstance(error, InvalidDocument):
        output.failure(f"{error.source} has {len(error.faults)} fault{'s' if len(error.faults) > 1 else ''}:")
        for fault in error.faults:
            output.failure(f"  {fault}")
        return MENDABLE
    output.failure(str(error))
    if isinstance(error, ApiProblem):
        for finding in error.findings:
            output.failure(f"  {finding.rule} ({finding.severity}): {finding.message}")
    step = _meant(error, given) or advice.next_step(error)
    if step is not None:
        output.next_step(step)
    mendable = isinstance(error, NotSignedIn | Unreachable) or (isinstance(error, ApiProblem) and 400 <= error.problem.status < 500)
    return MENDABLE if mendable else FAILED


def _meant(error: SpotlaneError, given: dict[str, Any]) -> str | None:
    """What a name that isn't known was likely meant for, where the platform can be asked for those that are."""
    if not isinstance(error, ApiProblem) or error.problem.status != 404 or error.word in advice.NOT_A_CALL:
        return None
    tenant, workload = given.get("tenant"), given.get("workload")
    asked: dict[str, tuple[str, Callable[[], Iterator[str]]]] = {
        "workload": ("spotlane workload ls", lambda: (one.id for one in edge().workloads())),
        "tenant": ("spotlane tenant ls", lambda: (one.id for one in edge().tenants())),
        "key": ("spotlane key ls", lambda: (one.id for one in (edge().keys(tenant) if tenant else edge().platform_keys()))),
        "run": ("spotlane runs ls", lambda: (one.id for one in automation(edge()).runs())),
        "placement": (f"spotlane workload show {workload}", lambda: (one.id for one in edge().placements(str(workload)))),
    }
    for kind, (listing, names) in asked.items():
        name = given.get(kind)
        with suppress(SpotlaneError):
            if isinstance(name, str) and name not in (known := set(names())):
                found = advice.nearest(name, known)
                return f"did you mean {found!r}?" if found else f"`{listing}` lists those that there are"
    return None
