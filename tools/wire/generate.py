"""``python tools/wire/generate.py [--check]``: TypeScript types and validation schemas of the wire models, from ``spotlane/wire``.

Writes ``components/edge/workers/shared/wire.ts`` (types) and ``wire.schema.json`` (JSON Schema, by which the Workers validate what comes in). With
``--check`` nothing is written; exit code 1 where a file differs from what it should be.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from spotlane import wire

_SHARED = Path(__file__).resolve().parents[2] / "components" / "edge" / "workers" / "shared"
_DROPPED = {"title"}


def models() -> list[type[BaseModel]]:
    """The wire models, by name."""
    return [one for _, one in inspect.getmembers(wire, inspect.isclass) if issubclass(one, wire.Wire) and one is not wire.Wire]


def schema() -> dict[str, Any]:
    """JSON Schema of all models, as they are read."""
    _, document = models_json_schema([(model, "validation") for model in models()], by_alias=True)
    definitions: dict[str, Any] = document["$defs"]
    for model in models():
        _complete(model, definitions[model.__name__])
    return {name: _lean(definition) for name, definition in sorted(definitions.items())}


def _complete(model: type[BaseModel], definition: dict[str, Any]) -> None:
    """Every default stands in the schema, also what a factory makes: the Workers fill documents in by it."""
    for name, field in model.model_fields.items():
        if not field.is_required():
            default = field.get_default(call_default_factory=True, validated_data={})
            definition["properties"][field.alias or name]["default"] = TypeAdapter(Any).dump_python(default, mode="json", by_alias=True)


def _lean(node: Any, inside_properties: bool = False) -> Any:
    if isinstance(node, dict):
        return {
            key: value if key == "default" else _lean(value, key == "properties") for key, value in node.items() if inside_properties or key not in _DROPPED
        }
    return [_lean(one) for one in node] if isinstance(node, list) else node


def typescript(definitions: dict[str, Any]) -> str:
    """Types as they are written: a field with a default is always present."""
    lines = ["// Generated from spotlane/wire by tools/wire/generate.py; do not edit.", ""]
    for name, definition in definitions.items():
        if "enum" in definition:
            lines.append(f"export type {name} = {' | '.join(json.dumps(value) for value in definition['enum'])};")
        else:
            lines.append(f"export interface {name} {{")
            lines += [f"  {field}: {_type(part)};" for field, part in definition.get("properties", {}).items()]
            if definition.get("additionalProperties") is True:
                lines.append("  [extension: string]: unknown;")
            lines.append("}")
        lines.append("")
    return "\n".join(lines)


def _type(part: dict[str, Any]) -> str:
    if "$ref" in part:
        return str(part["$ref"]).rsplit("/", 1)[-1]
    if "const" in part:
        return json.dumps(part["const"])
    if "enum" in part:
        return " | ".join(json.dumps(value) for value in part["enum"])
    if "anyOf" in part:
        return " | ".join(dict.fromkeys(_type(one) for one in part["anyOf"]))
    match part.get("type"):
        case "array":
            inner = _type(part.get("items", {}))
            return f"({inner})[]" if "|" in inner else f"{inner}[]"
        case "object":
            values = part.get("additionalProperties")
            return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
        case "integer" | "number":
            return "number"
        case "boolean":
            return "boolean"
        case "null":
            return "null"
        case "string":
            return "string"
    return "unknown"


def main(argv: list[str]) -> int:
    """Writes or checks both files."""
    definitions = schema()
    wanted = {_SHARED / "wire.ts": typescript(definitions), _SHARED / "wire.schema.json": json.dumps(definitions, indent=1, sort_keys=True) + "\n"}
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if "--check" in argv:
        for path in stale:
            sys.stderr.write(f"error: {path.name} is not what spotlane/wire says; run `python tools/wire/generate.py`\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
