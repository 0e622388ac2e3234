"""The page of a boundary's document, from its schema and from the classes that read it."""

from __future__ import annotations

import models
import reading

from domain.boundary.model import json_schema

_MODEL = reading.ROOT / "domain" / "boundary" / "model.py"


def written() -> str:
    """The page."""
    schema, said = json_schema(), models.said_in([_MODEL])
    lines = ["# Boundary document", *reading.made_from("the classes that read it")]
    lines += [
        "YAML or JSON. How to write one: [guides/own-boundary.md](../guides/own-boundary.md). For editors: [boundary.schema.json](../boundary.schema.json)."
    ]
    whole = {"description": "A tenant's boundary; an unknown field is a fault.", "properties": schema["properties"], "required": schema["required"]}
    for name, one in {"Boundary": whole, **schema["$defs"]}.items():
        lines += models.model(name, one, said[name])
    return reading.text_of(lines)
