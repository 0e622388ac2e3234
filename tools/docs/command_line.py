"""The command line's page: every command with its options, from the commands themselves."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import reading
from reading import cell, code, table

from spotlane.cli import answers, main, page

_PROGRAMS = {"local": "localcloud.__main__", "demo": "demo.__main__", "policies": "policies.review.__main__", "audit": "audit.__main__"}
"""Commands that go on as a program of their own, with its module."""
_BESIDE = {
    "python -m automation": "automation.__main__",
    "python -m policies.proxy": "policies.proxy.__main__",
    "python -m policies.proxy.admit": "policies.proxy.admit",
    "python -m policies.proxy.lockdown": "policies.proxy.lockdown",
    "spotlane prices record": "automation.feeds.__main__",
}
"""Programs beside the command line."""


def written() -> str:
    """The page."""
    tree = page.program(main.cli)
    lines = ["# Command line", *reading.made_from("the commands themselves"), reading.prose(main._HELP.strip()), ""]
    lines += ["Exit codes:", *table(("code", "meaning"), [(code(number), cell(meaning)) for number, meaning in page._EXIT])]
    lines += ["Environment (all settings: [settings.md](settings.md)):"]
    lines += table(("variable", "what it is"), [(code(name), cell(meaning)) for name, meaning in page._ENVIRONMENT])
    lines += ["Where a command has `--json`, it has `--output table|wide|json|yaml`, too; its answer's schema is linked."]
    placed = {name for names in page.SECTIONS.values() for name in names}
    more = tuple(name for name, command in tree.commands.items() if name not in placed and not command.hidden)
    for title, names in ({**page.SECTIONS, "More": more} if more else page.SECTIONS).items():
        lines += ["", f"## {title}"]
        for name in names:
            if name in _PROGRAMS:
                lines += _program(f"spotlane {name}", _PROGRAMS[name])
                continue
            for path, command in page.commands(tree.commands[name], name):
                lines += _command(path, command)
    lines += ["", "## Programs beside it"]
    for name, module in _BESIDE.items():
        lines += _program(name, module)
    return reading.text_of(lines)


def _command(path: str, command: Any) -> Iterator[str]:
    yield from ("", f"### spotlane {path}", "", reading.prose((command.help or "").strip()), "")
    if hasattr(command, "commands"):
        return
    given = [(one, _said(one)) for one in command.params if one.name != "help"]
    arguments = [(code((one.metavar or one.name).upper()), said) for one, said in given if one.param_type_name == "argument"]
    options = [(code(_names(one)), said) for one, said in given if one.param_type_name == "option"]
    yield from table(("argument or option", "what it is"), arguments + options)
    if examples := page.EXAMPLES.get(path):
        yield from ("```sh", *examples, "```", "")
    if path in answers.ANSWERS:
        file = f"output.{path.replace(' ', '-')}.schema.json"
        yield from (f"Answer: [{file}](../schemas/{file}).", "")


def _said(option: Any) -> str:
    """What an option is: its help, and a default that isn't nothing."""
    said = cell(getattr(option, "help", None) or "")
    default = option.default
    if callable(default) or default in (None, False, "", ()) or option.param_type_name == "argument":
        return said
    return f"{said} Default: {code('yes' if default is True else str(getattr(default, 'value', default)))}."


def _names(option: Any) -> str:
    names = ", ".join(option.opts)
    if option.secondary_opts:
        return f"{names} / {', '.join(option.secondary_opts)}"
    return names if option.is_flag else f"{names} {option.metavar or _value(option)}"


def _value(option: Any) -> str:
    """What follows an option: its choices, N for a number, else a word."""
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(one.value) for one in kind)
    return {int: "N", float: "N", Path: "FILE"}.get(kind, "TEXT")


def _program(name: str, module: str) -> Iterator[str]:
    parser = _parser_of(import_module(module).main)
    yield from ("", f"### {name}", "", reading.prose(parser.description or ""), "")
    yield from _options(parser)
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for verb, nested in action.choices.items():
            yield from (f"#### {name} {verb}", "", reading.prose(_sentence(helps.get(verb, ""))), "")
            yield from _options(nested)
            for inner in (one for one in nested._actions if isinstance(one, argparse._SubParsersAction)):
                told = {choice.dest: choice.help or "" for choice in inner._choices_actions}
                for word, last in inner.choices.items():
                    yield from (f"##### {name} {verb} {word}", "", reading.prose(_sentence(told.get(word, ""))), "")
                    yield from _options(last)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    rows = []
    for one in parser._actions:
        if isinstance(one, (argparse._HelpAction, argparse._SubParsersAction)) or one.help == argparse.SUPPRESS:
            continue
        metavar = "" if one.nargs == 0 else str(one.metavar or ("|".join(map(str, one.choices)) if one.choices else one.dest.upper()))
        names = ", ".join(one.option_strings)
        rows.append((code(f"{names} {metavar}".strip()), cell((one.help or "").replace("%%", "%"))))
    return table(("argument or option", "what it is"), rows)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


class _Caught(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def _parser_of(program: Callable[..., object]) -> argparse.ArgumentParser:
    """The parser that ``program`` makes: it is stopped before it parses anything."""
    with _stopped():
        try:
            program()
        except _Caught as caught:
            return caught.parser
    raise SystemExit(f"error: {program.__module__} parses no arguments")


@contextmanager
def _stopped() -> Iterator[None]:
    def caught(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Caught(self)

    with patch.object(argparse.ArgumentParser, "parse_args", caught), patch.object(sys, "argv", ["-"]):
        yield
