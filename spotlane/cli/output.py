"""What the CLI prints: tables for people, one document with ``--json`` or ``--output``, progress and errors on standard error.

Colour is only for a terminal, never where ``NO_COLOR`` is set. A table fits the terminal's width (``COLUMNS`` overrides it); in a pipe a row is one line.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Literal, TextIO

import yaml
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_COLUMNS = 4096
"""Wide enough that no row is folded where no person looks."""


_GAP = 2
"""Columns between two columns of a table."""


class Form(StrEnum):
    """How a command answers."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


FORM: ContextVar[Form] = ContextVar("form", default=Form.TABLE)
"""The form that this command was asked for; set before it runs."""


class Wide(str):
    """A column that stands only in the form ``wide``."""

    __slots__ = ()


def document(value: BaseModel | Sequence[BaseModel] | Mapping[str, Any]) -> None:
    """One document on standard output: YAML where that was asked for, JSON else."""
    plain = _plain(value)
    if FORM.get() is Form.YAML:
        yaml.safe_dump(plain, sys.stdout, sort_keys=False, allow_unicode=True)
    else:
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")


def record(value: BaseModel | Mapping[str, Any]) -> None:
    """One document of a stream, at once: a line of JSON, or a YAML document of its own."""
    plain = _plain(value)
    if FORM.get() is Form.YAML:
        yaml.safe_dump(plain, sys.stdout, sort_keys=False, allow_unicode=True, explicit_start=True)
    else:
        sys.stdout.write(json.dumps(plain) + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table, or the sentence ``empty`` where there is no row."""
    if not rows:
        say(empty)
        return
    shown = [number for number, column in enumerate(columns) if not isinstance(column, Wide) or FORM.get() is Form.WIDE]
    console = _console(sys.stdout)
    cells = {number: [str(columns[number]), *("" if row[number] is None else str(row[number]) for row in rows)] for number in shown}
    figures = {number for number in shown if columns[number].startswith("USD") or columns[number].endswith("%")}
    full = {number: max(map(len, cells[number])) for number in shown}
    least = {number: full[number] if number in figures else _longest_word(cells[number]) for number in shown}
    widths = _shared(least, full, console.width - _GAP * (len(shown) - 1))
    view = Table(box=None, pad_edge=False, header_style="bold")
    for number in shown:
        justify: Literal["right", "left"] = "right" if number in figures else "left"
        view.add_column(columns[number], justify=justify, no_wrap=number in figures, overflow="fold", width=widths.get(number))
    for row in rows:
        view.add_row(*[Text("" if row[number] is None else str(row[number])) for number in shown])
    with console.capture() as drawn:
        console.print(view)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def say(text: str) -> None:
    """A line for people on standard output."""
    _console(sys.stdout).print(text, highlight=False, markup=False, emoji=False)


def line(text: str) -> None:
    """A line of somebody else's on standard output, at once and as it is: a terminal folds it, nothing breaks it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def progress(text: str) -> None:
    """What is happening, on standard error."""
    _console(sys.stderr).print(text, highlight=False, markup=False, emoji=False)


def failure(text: str) -> None:
    """An error, on standard error."""
    _console(sys.stderr).print(f"error: {text}", style="red", highlight=False, markup=False, emoji=False)


def next_step(text: str) -> None:
    """What to do about an error, below it."""
    _console(sys.stderr).print(f"  next: {text}", highlight=False, markup=False, emoji=False)


def usd(value: object, digits: int = 4) -> str:
    """An amount in USD; a dash where it is unknown."""
    return "-" if value is None else f"{float(str(value)):.{digits}f}"


def _shared(least: Mapping[int, int], full: Mapping[int, int], room: int) -> dict[int, int]:
    """A width for each column, between what breaks no word and what breaks no line: what is left goes to who lacks most. Empty where not even words fit."""
    widths = dict(least)
    spare = room - sum(widths.values())
    while spare > 0 and (lacking := max(widths, key=lambda number: full[number] - widths[number])) is not None and full[lacking] > widths[lacking]:
        widths[lacking] += 1
        spare -= 1
    return widths if spare >= 0 else {}


def _longest_word(cells: Sequence[str]) -> int:
    """So wide must a column be that no word of it is broken."""
    return max(len(word) for cell in cells for word in cell.split(" "))


def _plain(value: BaseModel | Sequence[BaseModel] | Mapping[str, Any]) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    return dict(value) if isinstance(value, Mapping) else [one.model_dump(mode="json", by_alias=True) for one in value]


def _console(stream: TextIO) -> Console:
    """Made for each use: the width of a terminal changes, and nothing is kept for a whole process."""
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(file=stream, width=_PIPE_COLUMNS if piped else None, soft_wrap=piped)
