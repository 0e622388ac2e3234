"""``python -m policies.documents``: writes the documents that are made from the rules (``docs/boundary.schema.json``). A test fails where they differ."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from domain.boundary.model import json_schema

DOCS = Path(__file__).resolve().parents[1] / "docs"


def documents() -> dict[str, str]:
    """Each document's file name and text."""
    return {"boundary.schema.json": json.dumps(json_schema(), indent=2) + "\n"}


def main() -> int:
    """Writes them all."""
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
