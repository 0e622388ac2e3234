"""``spotlane``: the command line. Each verb stands in a module of its own."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from types import TracebackType
from typing import Annotated

import typer
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # where its own --show-completion has it from

from spotlane import __version__
from spotlane.cli import audit, doctor, explain, keys, login, moves, output, page, prices, projects, report, runs, spend, status, tenants, watching, workloads
from spotlane.cli.session import INTERRUPTED, become, reported

_HELP = """Keeps services on the cheapest spot capacity they are allowed to use, behind one address that never changes.

Declare a tenant with its data boundary and a workload with what it needs; the daemon places it on the cheapest allowed spot offer of AWS, Azure and GCP,
and moves it, under traffic, when another has become cheaper or a cloud takes its machine back.
"""
_PASSED = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

cli = typer.Typer(
    cls=page.Page,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
cli.add_typer(tenants.cli, name="tenant")
cli.add_typer(workloads.cli, name="workload")
cli.add_typer(runs.cli, name="runs")
cli.add_typer(keys.cli, name="key")
cli.add_typer(prices.cli, name="prices")
moves.register(cli)
doctor.register(cli)
explain.register(cli)
spend.register(cli)
report.register(cli)
status.register(cli)
login.register(cli)
projects.register(cli)
watching.register(cli)


@cli.command("local", context_settings=_PASSED, add_help_option=False)
def local(context: typer.Context) -> None:
    """The local cloud: up, down, status, env, logs, fault."""
    become("localcloud", context.args or ["--help"])


@cli.command("demo", context_settings=_PASSED, add_help_option=False)
def demo(context: typer.Context) -> None:
    """Shows the whole on this machine: two tenants, three clouds, moves under live traffic, a report."""
    become("demo", context.args)


@cli.command("policies", context_settings=_PASSED, add_help_option=False)
def policies(context: typer.Context) -> None:
    """Policy as code: review, explain, test, replay, price."""
    become("policies.review", context.args or ["--help"])


@cli.command("audit", context_settings=_PASSED, add_help_option=False)
def audited(context: typer.Context) -> None:
    """The audit trail: verify, query."""
    become("audit", audit.with_anchors(context.args) or ["--help"])


@cli.command("version")
@reported
def version(json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """Prints the version."""
    output.document({"version": __version__}) if json else output.say(__version__)


class Shell(StrEnum):
    """A shell that completes commands."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@cli.command("completion")
@reported
def completion(shell: Annotated[Shell, typer.Argument(help="Whose script.")]) -> None:
    """Prints the script by which a shell completes commands and options; `--install-completion` puts it in its place."""
    sys.stdout.write(get_completion_script(prog_name="spotlane", complete_var="_SPOTLANE_COMPLETE", shell=shell) + "\n")


def main() -> None:
    """Entry point of the ``spotlane`` program."""
    sys.excepthook = _unforeseen
    try:
        page.program(cli)(prog_name="spotlane")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of this program itself: one line; the trace where ``SPOTLANE_DEBUG`` asks for it."""
    if os.environ.get("SPOTLANE_DEBUG"):
        sys.__excepthook__(kind, error, trace)
        return
    output.failure(f"spotlane {__version__} failed where it shouldn't: {kind.__name__}: {error}")
    output.next_step("run it again with SPOTLANE_DEBUG=1 and report what it prints")


if __name__ == "__main__":
    main()
