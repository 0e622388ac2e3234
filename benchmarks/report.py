"""How a benchmark tells its result: a table for people, and as its last line one JSON object with its claims."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Result:
    """``claims`` are the figures that are promised, ``others`` rivals and further ones, ``setting`` what they were taken with."""

    benchmark: str
    claims: dict[str, float]
    samples: int
    setting: dict[str, Any]
    others: dict[str, float] = field(default_factory=dict)


def show(result: Result, *, as_json: bool) -> None:
    """Prints the result."""
    if as_json:
        document = {"benchmark": result.benchmark, "claims": result.claims, "others": result.others, "samples": result.samples, "setting": result.setting}
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
        return
    table = Table(title=f"{result.benchmark} ({result.samples} samples)", box=None, header_style="bold", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in {**result.claims, **result.others}.items():
        table.add_row(name, f"{value:.3f}")
    console = Console(highlight=False)
    console.print(table)
    console.print("  ".join(f"{name}={value}" for name, value in result.setting.items()), style="dim")
