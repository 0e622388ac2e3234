"""``spotlane``: the command line. Each verb stands in a module of its own."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from spotlane.cli import audit, doctor, explain, keys, moves, prices, report, runs, spend, status, tenants, workloads
from spotlane.cli.session import become

_HELP = "Keeps services on the cheapest spot capacity they are allowed to use, behind one address that never changes."
_PASSED = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

cli = typer.Typer(help=_HELP, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False, rich_markup_mode=None)
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
def version(json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> None:
    """Prints the version."""
    from importlib.metadata import version as installed  # only this command needs package metadata

    number = installed("spotlane")
    sys.stdout.write(f'{{"version": "{number}"}}\n' if json else f"{number}\n")


def main() -> None:
    """Entry point of the ``spotlane`` program."""
    try:
        cli()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
