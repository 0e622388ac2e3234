"""The index of the decisions, from their titles."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "adr"
_TITLE = re.compile(r"^# (?P<number>\d+)\. (?P<title>.+)$")
_SUBJECTS = (
    (1, "Stacks, runs, the edge"),
    (30, "Policy and audit"),
    (40, "Placement"),
    (43, "Machines and clouds"),
    (60, "Prices and money"),
    (65, "Fleets"),
    (68, "The market"),
    (70, "The service"),
    (80, "The inline proxy"),
    (83, "The whole"),
    (90, "For people"),
)
"""What the decisions from a number on are about."""


def written() -> str:
    """The page."""
    found = [(int(title["number"]), title["title"], path.name) for path in sorted(FOLDER.glob("[0-9]*.md")) if (title := _title(path))]
    lines = [
        "# Decisions",
        "",
        "Made from the decisions' titles by `python tools/docs/generate.py`; don't edit by hand.",
        "",
        "One decision a page, with what was rejected and why.",
    ]
    for at, (first, subject) in enumerate(_SUBJECTS):
        end = _SUBJECTS[at + 1][0] if at + 1 < len(_SUBJECTS) else 1 << 30
        if rows := [f"- [{number}. {title}]({name})" for number, title, name in found if first <= number < end]:
            lines += ["", f"## {subject}", "", *rows]
    return "\n".join(lines) + "\n"


def _title(path: Path) -> re.Match[str] | None:
    with path.open(encoding="utf-8") as file:
        title = _TITLE.match(file.readline().rstrip("\n"))
    if title is None:
        raise SystemExit(f"error: {path} doesn't begin with '# <number>. <title>'")
    return title
