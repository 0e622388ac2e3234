"""``python tools/docs/generate.py [--check]``: the pages of docs that are made from the code.

With ``--check`` nothing is written; exit code 1 where a page differs from what it should be, or stands in ``docs/reference`` and is made by nobody.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import api
import boundary
import command_line
import decisions
import errors
import sdk
import settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "adr/index.md": decisions.written,
    "reference/cli.md": command_line.written,
    "reference/api.md": api.written,
    "reference/sdk.md": sdk.written,
    "reference/settings.md": settings.written,
    "reference/boundary.md": boundary.written,
    "reference/errors.md": errors.written,
}
"""Each page by its path below docs."""


def main(argv: list[str]) -> int:
    """Writes or checks."""
    texts = {name: made() for name, made in PAGES.items()}
    stale = [name for name, text in texts.items() if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != text]
    foreign = [name for path in sorted((DOCS / "reference").glob("*.md")) if (name := f"reference/{path.name}") not in texts]
    if "--check" in argv:
        for name in stale:
            sys.stderr.write(f"error: docs/{name} isn't what the code says; run `python tools/docs/generate.py`\n")
        for name in foreign:
            sys.stderr.write(f"error: docs/{name} is made by nobody; docs/reference holds what tools/docs makes\n")
        return 1 if stale or foreign else 0
    for name in stale:
        (DOCS / name).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / name).write_text(texts[name], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
