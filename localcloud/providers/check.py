"""Checks inputs against a resource's schema: every fault at once, each with its property path. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.providers.schema import Property, Schemas, Type
from localcloud.providers.values import Asset, Unknown


@dataclass(frozen=True)
class Fault:
    """``path`` as Pulumi writes it (``bootDisk.initializeParams.image``, ``subnets[0].name``)."""

    path: str
    reason: str


def faults(schemas: Schemas, token: str, inputs: Mapping[str, Any]) -> list[Fault]:
    """Everything that is wrong with ``inputs`` of a resource of type ``token``. Raises :class:`~localcloud.providers.schema.UnknownResourceType`."""
    schema = schemas.resource(token)
    return list(_object(schemas, schema.inputs, inputs, ""))


def _object(schemas: Schemas, properties: Mapping[str, Property], value: Mapping[str, Any], path: str) -> Iterator[Fault]:
    for name, item in value.items():
        if name.startswith("__"):
            continue  # bookkeeping of the engine's bridges, such as __defaults
        known = properties.get(name)
        if known is None:
            yield Fault(_join(path, name), "unknown property" + _hint(name, properties))
        elif item is not None:
            yield from _value(schemas, known.type, item, _join(path, name))
    for name, known in properties.items():
        if known.required and value.get(name) is None:
            yield Fault(_join(path, name), "missing required property")


def _value(schemas: Schemas, kind: Type, value: Any, path: str) -> Iterator[Fault]:
    if isinstance(value, Unknown) or kind.kind == "any":
        return
    if kind.kind == "object":
        if not isinstance(value, Mapping):
            yield _mistyped(path, f"an object ({kind.name})", value)
        else:
            yield from _object(schemas, schemas.fields(kind), value, path)
    elif kind.kind == "array":
        if not isinstance(value, list):
            yield _mistyped(path, "a list", value)
        elif kind.items is not None:
            for number, item in enumerate(value):
                yield from _value(schemas, kind.items, item, f"{path}[{number}]")
    elif kind.kind == "map":
        if not isinstance(value, Mapping):
            yield _mistyped(path, "a map", value)
        elif kind.items is not None:
            for name, item in value.items():
                if item is not None:
                    yield from _value(schemas, kind.items, item, _join(path, name))
    elif kind.kind == "enum":
        if isinstance(value, bool | int | float) and kind.choices and str(value) in kind.choices:
            return
        if not isinstance(value, str):
            yield _mistyped(path, "a string", value)
        elif not kind.open and kind.choices and value not in kind.choices:
            yield Fault(path, f"{value!r} is not one of {', '.join(repr(choice) for choice in kind.choices)}" + _hint(value, kind.choices))
    elif not _scalar(kind.kind, value):
        yield _mistyped(
            path, {"string": "a string", "integer": "an integer", "number": "a number", "boolean": "a boolean", "asset": "an asset"}[kind.kind], value
        )


def _scalar(kind: str, value: Any) -> bool:
    """Whether ``value`` fits, or is one that the bridges coerce without loss ("22" for a number, 22 for a string in no case)."""
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if kind == "asset":
        return isinstance(value, Asset)
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return False
        return kind == "number" or number.is_integer()
    return isinstance(value, int | float) and (kind == "number" or float(value).is_integer())


def _mistyped(path: str, expected: str, value: Any) -> Fault:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return Fault(path, f"expected {expected}, got {names.get(type(value), type(value).__name__)}")


def _hint(name: str, known: Any) -> str:
    folded = {str(candidate).replace("_", "").lower(): str(candidate) for candidate in known}
    close = folded.get(name.replace("_", "").lower()) or next(iter(difflib.get_close_matches(name, [str(candidate) for candidate in known], n=1)), None)
    return f"; did you mean {close!r}?" if close else ""


def _join(path: str, name: str) -> str:
    plain = name.replace("_", "").replace("-", "").isalnum()
    if not plain:
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name
