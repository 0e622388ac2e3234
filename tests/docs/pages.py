"""Markdown as the tests read it: fenced blocks, links, anchors. Only what our pages use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(?P<indent> *)(?P<mark>```+)(?P<language>[\w-]*)[^\n`]*$")


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language (empty where none is named), its text, the line of its first mark (from 1), the heading above it."""

    language: str
    text: str
    line: int
    heading: str


def pages() -> list[Path]:
    """Every page that a reader is shown: README, CHANGELOG and all of docs."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def fences(text: str) -> Iterator[Fence]:
    """The fenced blocks of a page, in order."""
    heading, mark, language, begun, indent, block = "", "", "", 0, 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        found = _FENCE.match(line)
        if mark:
            if line.strip() == mark:
                yield Fence(language, "\n".join(block) + "\n", begun, heading)
                mark = ""
            else:
                block.append(line[indent:] if not line[:indent].strip() else line)
        elif found:
            mark, language, begun, indent, block = found["mark"], found["language"], number, len(found["indent"]), []
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()


def prose(text: str) -> str:
    """A page without its fenced blocks, line for line."""
    kept, mark = list[str](), ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if mark or found:
            mark = ("" if line.strip() == mark else mark) if mark else (found["mark"] if found else "")
            kept.append("")
        else:
            kept.append(line)
    return "\n".join(kept)


def anchor(heading: str) -> str:
    """A heading's anchor, as the site and GitHub make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    plain = unicodedata.normalize("NFKC", plain).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
