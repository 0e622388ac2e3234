"""``python tools/provider/generate.py [--check]``: the Pulumi package's schema (``provider/schema.json``) and its reference (``docs/components.md``).

With ``--check`` nothing is written; exit code 1 where a file differs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from provider.schema import schema
from provider.server import SCHEMA

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "components.md"
_HEAD = """# Components

Made from the components' own texts by `tools/provider/generate.py`; don't edit by hand. How to use them from a program in any Pulumi language:
[pulumi-package.md](pulumi-package.md). Names here are the schema's; in Python they are written `with_underscores`. An argument that is *known early* can't be
another resource's output.
"""


def document(made: dict[str, Any]) -> str:
    """The reference, as Markdown."""
    parts = [_HEAD]
    for token, one in made["resources"].items():
        parts.append(f"## {token}\n\n{one['description']}\n")
        parts.append(_table("argument", one["inputProperties"], one["requiredInputs"]))
        if one["properties"]:
            parts.append(_table("output", one["properties"], one["required"]))
    parts.append("## Types\n")
    for token, one in made["types"].items():
        parts.append(f"### {token}\n\n{one['description']}\n")
        parts.append(_table("field", one["properties"], one["required"]))
    return "\n".join(parts)


def _table(head: str, properties: dict[str, Any], required: list[str]) -> str:
    rows = [f"| {head} | type | |", "|---|---|---|"]
    for name, one in properties.items():
        marks = (
            []
            if head == "output"
            else [word for word, holds in (("required", name in required), ("known early", one.get("plain")), ("secret", one.get("secret"))) if holds]
        )
        text = ". ".join(part for part in (", ".join(marks), one.get("description", "")) if part)
        rows.append(f"| `{name}` | {_type(one)} | {text[:1].upper()}{text[1:]} |".replace("||", "| |"))
    return "\n".join(rows) + "\n"


def _type(one: dict[str, Any]) -> str:
    if "$ref" in one:
        token = one["$ref"].removeprefix("#/types/")
        return f"[`{token}`](#{token.replace(':', '').lower()})"
    if "items" in one:
        return f"list of {_type(one['items'])}"
    if "additionalProperties" in one:
        return f"map of {_type(one['additionalProperties'])}"
    return str(one["type"])


def main(argv: list[str]) -> int:
    """Writes or checks."""
    made = schema()
    stale = []
    for path, text in ((SCHEMA, json.dumps(made, indent=2) + "\n"), (DOCUMENT, document(made))):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in argv:
            stale.append(path.name)
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.stderr.write(f"error: {', '.join(stale)} isn't what the components say; run `python tools/provider/generate.py`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
