"""Commands as the documents name them, held against the programs: a name, an option or a module that isn't there is a fault."""

from __future__ import annotations

import argparse
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

from spotlane.cli import main, page

PROGRAMS = {"local": "localcloud.__main__", "demo": "demo.__main__", "policies": "policies.review.__main__", "audit": "audit.__main__"}
"""Commands that go on as a program of their own."""
_ENDS = frozenset({"|", "||", "&&", ";", "&", "(", ")", "<", ">", ">>", "2>&1", ")|", ");"})
_OURS = re.compile(r"`(?:\.venv/bin/)?spotlane ([^`…]+)`")


def commands(text: str) -> Iterator[list[str]]:
    """The ``spotlane …`` and ``python -m …`` of a script, each as its words: the first is the program or the module (``-m policies.proxy``)."""
    for line in text.replace("\\\n", " ").splitlines():
        open_quotes = line.replace('"$(', "$( ").replace(')"', " )")
        lexer = shlex.shlex(open_quotes, posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        yield from _in(list(lexer))


def _in(words: list[str]) -> Iterator[list[str]]:
    for at, word in enumerate(words):
        end = next((at + 1 + number for number, one in enumerate(words[at + 1 :]) if one in _ENDS), len(words))
        given = words[at + 1 : end]
        if word.rpartition("/")[2] == "spotlane" and word in ("spotlane", ".venv/bin/spotlane") and (at == 0 or words[at - 1] in _ENDS or "=" in words[at - 1]):
            yield ["spotlane", *given]
        elif word == "-m" and at > 0 and words[at - 1].rpartition("/")[2] in ("python", "python3"):
            yield [f"-m {given[0]}", *given[1:]]


def mentioned(prose: str) -> Iterator[list[str]]:
    """The commands that stand in backticks in a page's prose; ``a|b`` is each of them."""
    for found in _OURS.findall(prose):
        words = found.split(" ")
        several = next((number for number, word in enumerate(words) if "|" in word and not word.startswith(("'", '"'))), None)
        for choice in words[several].split("|") if several is not None else [None]:
            chosen = [choice if number == several and choice is not None else word for number, word in enumerate(words)]
            yield ["spotlane", *shlex.split(" ".join(chosen))]


def fault(words: list[str], *, whole: bool) -> str | None:
    """What is wrong with a command; None where its program would take it. Not ``whole``: names and options are held, what is left out isn't missed."""
    if words[0].startswith("-m "):
        module = words[0].removeprefix("-m ")
        return None if find_spec(module) is not None else f"there is no module {module}"
    given = words[1:]
    if not given or given[0].startswith("-") or given[0] == "COMMAND":
        return None
    if given[:2] == ["prices", "record"]:
        return _by_argparse("automation.feeds.__main__", given[1:], whole)
    if given[0] in PROGRAMS:
        return _by_argparse(PROGRAMS[given[0]], given[1:], whole)
    return _by_click(given, whole)


def _by_click(given: list[str], whole: bool) -> str | None:
    command, rest = _tree(), list(given)
    while nested := getattr(command, "commands", None):
        if not rest or rest[0].startswith("-"):
            return None  # the group itself, or one of its own options
        if rest[0] not in nested:
            # A group that is a command, too, as `prices` is, takes the rest itself.
            if getattr(command, "invoke_without_command", False):
                break
            return f"there is no command {rest[0]!r}"
        command = nested[rest.pop(0)]
    if whole:
        try:
            command.make_context("spotlane", list(rest)).close()
        except Exception as error:  # noqa: BLE001 - whatever the parser objects to is the fault
            return f"{type(error).__name__}: {error}"
        return None
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return next((f"no option {word}" for word in rest if word.startswith("--") and word.partition("=")[0] not in known), None)


def _by_argparse(module: str, given: list[str], whole: bool) -> str | None:
    parser = _parser(module)
    if whole:
        told = io.StringIO()
        try:
            with redirect_stderr(told):
                parser.parse_args(given)
        except SystemExit as ended:
            return told.getvalue().strip().rpartition("error: ")[2] if ended.code else None
        return None
    for word in given:
        nested = next((one for one in parser._actions if isinstance(one, argparse._SubParsersAction)), None)
        if nested is not None and not word.startswith("-"):
            if word not in nested.choices:
                return f"there is no command {word!r}"
            parser = nested.choices[word]
        elif word.startswith("--") and word not in parser._option_string_actions:
            return f"no option {word}"
    return None


@cache
def _tree() -> Any:
    return page.program(main.cli)


class _Caught(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


@cache
def _parser(module: str) -> argparse.ArgumentParser:
    """The parser that a program makes: it is stopped before it parses anything."""
    program = import_module(module).main
    with _stopped():
        try:
            program()
        except _Caught as caught:
            return caught.parser
    raise AssertionError(f"{module} parses no arguments")


@contextmanager
def _stopped() -> Iterator[None]:
    def caught(self: argparse.ArgumentParser, *_: object, **__: object) -> None:
        raise _Caught(self)

    with patch.object(argparse.ArgumentParser, "parse_args", caught):
        yield
