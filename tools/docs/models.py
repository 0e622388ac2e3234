"""Models in tables, from their JSON Schemas and from what their classes say of the fields."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import reading
from pydantic.alias_generators import to_camel
from reading import cell, code, table


def said_in(paths: Iterable[Path]) -> dict[str, dict[str, str]]:
    """By class and field (camelCase), what the docstring beneath the field says."""
    return {one.name: {to_camel(field.name): field.doc for field in one.fields if field.doc} for path in paths for one in reading.classes(path)}


def model(name: str, schema: dict[str, Any], said: Mapping[str, str]) -> Iterator[str]:
    """A heading, what the model is, a row for each field."""
    yield from ("", f"### {name}", "", reading.markdown(schema.get("description", "")), "")
    if "enum" in schema:
        yield from ("One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".", "")
        return
    required = set(schema.get("required", []))
    rows = []
    for field, one in schema.get("properties", {}).items():
        default = "must be given" if field in required else code(json.dumps(one["default"])) if "default" in one else ""
        rows.append((code(field), type_of(one), default, *([cell(said.get(field, ""))] if said else [])))
    yield from table(("field", "type", "default", *(["what it is"] if said else [])), rows)


def type_of(schema: dict[str, Any]) -> str:
    """A schema in a few words, with links to models of the same page."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(type_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            return f"list of {type_of(schema.get('items', {}))}"
        case "object" if "items" in schema.get("properties", {}):
            return f"page of {type_of(schema['properties']['items'].get('items', {}))}"
        case "object":
            values = schema.get("additionalProperties")
            return f"map of {type_of(values)}" if isinstance(values, dict) and values else "object"
        case None:
            return "anything"
        case kind:
            return f"{kind}{_limits(schema)}"


def _limits(schema: dict[str, Any]) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    said = [f"{sign} {schema[key]}" for key, sign in words.items() if key in schema]
    said += [cell(schema["format"])] if "format" in schema else []
    said += [code(schema["pattern"])] if "pattern" in schema else []
    shown = ", ".join(said).replace("<", "&lt;") if "pattern" not in schema else ", ".join(said)
    return f" ({shown})" if said else ""
