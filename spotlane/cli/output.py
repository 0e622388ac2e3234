"""What the CLI prints: tables for people, one JSON document with ``--json``, progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

_out = Console()
_err = Console(stderr=True)


def document(value: BaseModel | Sequence[BaseModel] | dict[str, Any]) -> None:
    """One JSON document on standard output."""
    if isinstance(value, BaseModel):
        plain: Any = value.model_dump(mode="json", by_alias=True)
    elif isinstance(value, dict):
        plain = value
    else:
        plain = [one.model_dump(mode="json", by_alias=True) for one in value]
    sys.stdout.write(json.dumps(plain, indent=2) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table, or the sentence ``empty`` where there is no row."""
    if not rows:
        _out.print(empty)
        return
    view = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        view.add_column(column, justify="right" if column.startswith("USD") or column.endswith("%") else "left", overflow="fold")
    for row in rows:
        view.add_row(*["" if cell is None else str(cell) for cell in row])
    _out.print(view)


def say(text: str) -> None:
    """A line for people on standard output."""
    _out.print(text, highlight=False)


def progress(text: str) -> None:
    """What is happening, on standard error."""
    _err.print(text, highlight=False)


def failure(text: str) -> None:
    """An error, on standard error."""
    _err.print(f"error: {text}", style="red" if _err.is_terminal else None, highlight=False, markup=False)


def usd(value: object, digits: int = 4) -> str:
    """An amount in USD; a dash where it is unknown."""
    return "-" if value is None else f"{float(str(value)):.{digits}f}"
