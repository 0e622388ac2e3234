"""What a program passes, as a component's arguments: checked against their shape, every fault with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi.errors import InputPropertiesError
from pulumi.output import Unknown
from pydantic.alias_generators import to_camel

from provider.shape import Shape

_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "map": "a map",
    "object": "a map",
}


def build(make: type, shapes: Mapping[str, Shape], inputs: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """The arguments of a component. Raises :class:`pulumi.errors.InputPropertiesError` with every fault."""
    faults: list[tuple[str, str]] = []
    values = _fields(shapes, inputs, "", faults)
    if faults:
        raise refused(faults)
    return make(**values, **given)


def refused(faults: Sequence[tuple[str, str]]) -> InputPropertiesError:
    """The error by which the engine shows ``(place, reason)`` each, and no traceback. Without a list of them the SDK's server fails on its own."""
    return InputPropertiesError("", [{"property_path": path, "reason": reason} for path, reason in faults])


def _fields(shapes: Mapping[str, Shape], inputs: Mapping[str, Any], path: str, faults: list[tuple[str, str]]) -> dict[str, Any]:
    names = {to_camel(name): name for name in shapes}
    at = f"{path}." if path else ""
    faults += [(f"{at}{key}", f"there is no such argument; there are {', '.join(sorted(names))}") for key in sorted(inputs.keys() - names.keys())]
    found = {}
    for key, name in names.items():
        value = inputs.get(key)
        if value is not None:
            found[name] = _value(shapes[name], value, f"{at}{key}", faults)
        elif not shapes[name].optional:
            faults.append((f"{at}{key}", "is missing"))
    return found


def _value(shape: Shape, value: Any, path: str, faults: list[tuple[str, str]]) -> Any:
    if isinstance(value, pulumi.Output | Unknown):
        if shape.plain:
            faults.append((path, "must be known when the program runs, and not be another resource's output"))
        return value
    match shape.kind:
        case "array" if isinstance(value, list | tuple) and shape.of is not None:
            return [_value(shape.of, item, f"{path}[{number}]", faults) for number, item in enumerate(value)]
        case "map" if isinstance(value, dict) and shape.of is not None:
            return {key: _value(shape.of, item, f"{path}.{key}", faults) for key, item in value.items()}
        case "object" if isinstance(value, dict) and shape.fields is not None and shape.make is not None:
            before = len(faults)
            fields = _fields(shape.fields, value, path, faults)
            return shape.make(**fields) if len(faults) == before else None
        # Numbers come as floats over the wire.
        case "integer" if isinstance(value, int | float) and not isinstance(value, bool) and value == int(value):
            return int(value)
        case "number" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "string" if isinstance(value, str):
            if shape.words and value not in shape.words:
                faults.append((path, f"{value!r} is none of {', '.join(shape.words)}"))
            return value
    faults.append((path, f"must be {_WORDS[shape.kind]}, not {type(value).__name__}"))
    return None
