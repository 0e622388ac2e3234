"""``python -m policies.documents``: writes the documents that are made from the rules, and a test fails where they differ.

They are ``docs/policies.md`` and ``docs/boundary.schema.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from domain.boundary.model import json_schema
from policies.packs.catalogue import page

DOCS = Path(__file__).resolve().parents[1] / "docs"


def documents() -> dict[str, str]:
    """Each document's file name and text."""
    return {"policies.md": page(), "boundary.schema.json": json.dumps(json_schema(), indent=2) + "\n"}


def main() -> int:
    """Writes them all."""
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
