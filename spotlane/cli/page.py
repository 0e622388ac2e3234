"""The pages that ``--help`` shows: commands in groups, examples, what a command stands on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

SECTIONS: dict[str, tuple[str, ...]] = {
    "Begin": ("init", "login", "logout", "local", "demo", "doctor"),
    "Tenants and workloads": ("tenant", "workload", "open", "logs"),
    "What runs, and why": ("status", "watch", "plan", "explain", "prices"),
    "Act": ("migrate", "daemon", "runs"),
    "Money": ("ledger", "forecast", "report"),
    "Security and compliance": ("key", "policies", "audit"),
    "This program": ("completion", "schema", "version"),
}
"""The commands by what they are for, in the order in which a reader meets them; one that is in no section stands under "More"."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "": (
        "spotlane init shop --template http",
        "spotlane login --url https://api.example.com/v1",
        "spotlane tenant add -f tenant.yaml",
        "spotlane workload apply -f workload.yaml --wait",
        "spotlane status",
        "spotlane plan --output json",
    ),
    "completion": ("spotlane completion bash > ~/.local/share/bash-completion/completions/spotlane", "spotlane completion fish | source"),
    "daemon": ("spotlane daemon pause --tenant acme", "spotlane daemon windows --workload web-acme --only 'mon-fri 22:00-06:00 Europe/Berlin'"),
    "doctor": ("spotlane doctor --preflight", "spotlane doctor --sweep --tenant acme --remove"),
    "explain": ("spotlane explain web-acme",),
    "forecast": ("spotlane forecast --month 2026-03",),
    "init": ("spotlane init shop --template http", "spotlane init echo --template tcp --tenant globex"),
    "key add": ("spotlane key add --tenant acme --scope tenant:deploy --name pipeline --days 90",),
    "key ls": ("spotlane key ls --tenant acme",),
    "key rm": ("spotlane key rm key_1 --tenant acme",),
    "key rotate": ("spotlane key rotate",),
    "ledger": ("spotlane ledger --tenant acme", "spotlane ledger --format focus --month 2026-03"),
    "login": ("spotlane login --url https://api.example.com/v1", "spotlane login --url https://api.example.com/v1 --key-stdin < key.txt"),
    "logout": ("spotlane logout",),
    "logs": ("spotlane logs web-acme", "spotlane logs web-acme --follow", "spotlane logs web-acme --machine --tail 50"),
    "migrate": ("spotlane migrate web-acme", "spotlane migrate web-acme --to aws/eu-west-1/eu-west-1a/m5.large"),
    "open": ("spotlane open", "spotlane open web-acme --url"),
    "plan": ("spotlane plan", "spotlane plan web-acme --output wide"),
    "prices": ("spotlane prices --cloud aws --region eu-west-1 --limit 5",),
    "prices feeds": ("spotlane prices feeds",),
    "report": ("spotlane report --month 2026-03 --out report",),
    "runs ls": ("spotlane runs ls --status failed", "spotlane runs ls --tenant acme --output json"),
    "runs show": ("spotlane runs show run_1",),
    "runs logs": ("spotlane runs logs run_1",),
    "runs cancel": ("spotlane runs cancel run_1",),
    "runs retry": ("spotlane runs retry run_1",),
    "schema": ("spotlane schema workload", "spotlane schema 'key ls'"),
    "status": ("spotlane status", "spotlane status --tenant acme --watch"),
    "tenant add": ("spotlane tenant add -f tenant.yaml",),
    "tenant ls": ("spotlane tenant ls",),
    "tenant rm": ("spotlane tenant rm acme",),
    "version": ("spotlane version",),
    "watch": ("spotlane watch", "spotlane watch --tenant acme --json"),
    "workload apply": ("spotlane workload apply -f workload.yaml --wait", "spotlane workload apply -f workload.yaml --wait --timeout 600"),
    "workload ls": ("spotlane workload ls --output wide",),
    "workload rm": ("spotlane workload rm web-acme",),
    "workload show": ("spotlane workload show web-acme",),
}
"""Examples by command; a test parses each by the command itself."""

_ENVIRONMENT = (
    ("SPOTLANE_API_URL", "the edge API; SPOTLANE_AUTOMATION_URL the automation service"),
    ("SPOTLANE_API_KEY", "the key; without it, that of `spotlane login`"),
    ("SPOTLANE_HOME", "the local platform's folder"),
    ("NO_COLOR, COLUMNS", "no colour; the width of tables"),
)
_EXIT = (("0", "done"), ("1", "it failed; trying again may help"), ("2", "you can mend it: usage, a file, a name, a key, a refusal"), ("130", "Ctrl-C"))


class Page(TyperGroup):
    """The first page: commands in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        grouped = {name for names in SECTIONS.values() for name in names}
        sections = {**SECTIONS, "More": tuple(name for name in shown if name not in grouped)}
        for title, names in sections.items():
            if rows := [(name, shown[name].get_short_help_str(limit=200)) for name in names if name in shown]:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _examples(formatter, EXAMPLES[""])
        for title, rows in (("Environment", _ENVIRONMENT), ("Exit codes", _EXIT)):
            with formatter.section(title):
                formatter.write_dl(list(rows))
        formatter.write_paragraph()
        formatter.write_text("Every command answers with one document by --output json or yaml; `spotlane COMMAND --help` tells the rest.")


class Examples(TyperGroup):
    """A group of commands, with whole summaries."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [(name, command.get_short_help_str(limit=200)) for name, command in self.commands.items() if not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def program(cli: typer.Typer) -> Any:
    """The command tree of ``cli``, each command with its examples."""
    root = typer.main.get_command(cli)
    for path, command in commands(root):
        if path and (lines := EXAMPLES.get(path)):
            command.epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
    return root


def commands(root: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command below ``root`` with its path (``key add``), groups too; the root's path is empty."""
    yield path, root
    for name, command in getattr(root, "commands", {}).items():
        yield from commands(command, f"{path} {name}".strip())


def _examples(formatter: Any, lines: tuple[str, ...]) -> None:
    with formatter.section("Examples"):
        formatter.write("".join(f"  {line}\n" for line in lines))
