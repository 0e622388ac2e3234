"""Every command's page and answer, at 80 and 120 columns, as they stand in ``tests/golden/cli``; ``--regenerate`` writes them anew (``make goldens``)."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import keyring
import pytest
import yaml
from jsonschema import Draft202012Validator
from keyring.backends import fail

from spotlane import wire
from spotlane.cli import answers, page
from spotlane.testing import Served
from spotlane.testing.platform import KEY, digest
from tests.spotlane.cli_cases import CASES, PROGRAMS, REFUSED, STREAMS
from tests.spotlane.cli_program import PROGRAM, Shell, furnished, shell
from tools.cli import generate

__all__ = ["furnished", "shell"]
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cli"
COMMANDS = {path: command for path, command in page.commands(PROGRAM) if path not in PROGRAMS}
ACTING = sorted(path for path, command in COMMANDS.items() if path == "prices" or not hasattr(command, "commands"))
WIDTHS = (80, 120)


def held_to(name: str, text: str, request: pytest.FixtureRequest) -> None:
    """Compares with the golden of that name, or writes it."""
    path = GOLDEN / name
    if request.config.getoption("--regenerate"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.is_file(), f"{path.name} isn't there: `make goldens` writes it"
    assert text == path.read_text()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_a_command_is_its_golden_and_fits(command: str, width: int, shell: Shell, request: pytest.FixtureRequest) -> None:
    text = shell.run(*command.split(), "--help", columns=width)
    assert shell.code == 0
    prose = [line for line in text.splitlines() if not line.lstrip().startswith("spotlane ")]
    assert [line for line in prose if len(line) > width] == []
    held_to(f"{width}/{command.replace(' ', '-') or 'spotlane'}.help.txt", text, request)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("command", ACTING)
def test_the_answer_of_a_command_is_its_golden_and_fits(
    command: str, width: int, furnished: Shell, spotlane_served: Served, request: pytest.FixtureRequest
) -> None:
    _empty_tenant(spotlane_served)
    text = furnished.run(*_told(command, spotlane_served, furnished), columns=width).replace(spotlane_served.url, "http://platform.test")
    if command == "login":
        text = "".join(text.split("\n  ")[0] + "\n  the key is in a file\n")  # its path is the test's own
    assert furnished.code == (2 if command in REFUSED else 0), furnished.error
    shown = text + furnished.error if command in REFUSED else text
    if command not in ("schema", "completion"):  # a document as it is, for programs
        assert [line for line in shown.splitlines() if len(line) > width] == []
    held_to(f"{width}/{command.replace(' ', '-')}.txt", shown, request)


@pytest.mark.parametrize("command", sorted(answers.ANSWERS.keys() & CASES.keys()))
def test_the_json_of_a_command_is_valid_against_its_published_schema(command: str, furnished: Shell, spotlane_served: Served) -> None:
    _empty_tenant(spotlane_served)
    told = furnished.run(*_told(command, spotlane_served, furnished), "--json")
    assert furnished.code == 0, furnished.error
    schema = json.loads((GOLDEN.parents[2] / "docs" / "schemas" / f"output.{command.replace(' ', '-')}.schema.json").read_text())
    documents = [json.loads(line) for line in told.splitlines()] if command in STREAMS - {"watch"} else [json.loads(told)]
    assert documents
    for document in documents:
        assert [f"{fault.json_path}: {fault.message}" for fault in Draft202012Validator(schema).iter_errors(document)] == []


def test_every_command_that_acts_has_a_run_here_and_with_json_a_schema() -> None:
    assert sorted([*CASES, *REFUSED]) == ACTING
    speaks = sorted(path for path in ACTING if any("--json" in one.opts for one in COMMANDS[path].params))
    assert sorted(answers.ANSWERS) == speaks == sorted(path for path in ACTING if any("--output" in one.opts for one in COMMANDS[path].params))


def test_every_command_stands_in_one_section_and_those_that_act_have_examples() -> None:
    sections = [name for names in page.SECTIONS.values() for name in names]
    assert sorted(sections) == sorted(set(sections)) == sorted(PROGRAM.commands)
    assert sorted(path for path in page.EXAMPLES if path) == ACTING


@pytest.mark.parametrize("line", [line for lines in page.EXAMPLES.values() for line in lines])
def test_an_example_is_understood_by_its_command(line: str) -> None:
    name, *arguments = shlex.split(re.split(r" [<>|] ", line)[0])
    assert name == "spotlane"
    command, context = PROGRAM, PROGRAM.make_context("spotlane", list(arguments))
    while rest := [*context._protected_args, *context.args] if hasattr(command, "commands") else []:
        command = command.commands[rest[0]]
        context = command.make_context(rest[0], rest[1:], parent=context)


def test_no_golden_is_left_of_a_command_that_is_gone() -> None:
    wanted = {f"{path.replace(' ', '-') or 'spotlane'}.help.txt" for path in COMMANDS} | {f"{path.replace(' ', '-')}.txt" for path in ACTING}
    assert {path.name for path in GOLDEN.rglob("*.txt")} == wanted


def test_schemas_are_those_of_the_models() -> None:
    assert generate.main(["--check"]) == 0


def test_yaml_says_what_json_says_and_wide_has_no_fewer_columns(furnished: Shell) -> None:
    assert yaml.safe_load(furnished.run("workload", "ls", "-o", "yaml")) == json.loads(furnished.run("workload", "ls", "-o", "json"))
    heads = [re.split(r"\s{2,}", furnished.run("workload", "ls", "-o", form, columns=300).splitlines()[0]) for form in ("table", "wide")]
    assert set(heads[0]) < set(heads[1])


def _empty_tenant(served: Served) -> None:
    served.platform.tenants["empty"] = wire.Tenant(id="empty", boundary={}, boundary_digest=digest({}))


def _told(command: str, served: Served, shell: Shell) -> list[str]:
    """The case's arguments; who signs in types a key and has no keyring."""
    shell.monkeypatch.setattr("sys.stdin", io.StringIO(KEY + "\n"))
    keyring.set_keyring(fail.Keyring())
    return [one.replace("@API@", f"{served.url}/v1") for one in (CASES | REFUSED)[command]]
