"""The shape of a component's arguments and outputs, from its annotations."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import pulumi

Kind = Literal["string", "integer", "number", "boolean", "array", "map", "object"]

_SIMPLE: Mapping[type, Kind] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may be. ``plain``: known when the program runs; ``words``: the only texts that it may be; ``of``: of a list's or map's items."""

    kind: Kind
    plain: bool = True
    optional: bool = False
    words: tuple[str, ...] = ()
    of: Shape | None = None
    fields: Mapping[str, Shape] | None = None
    """Of an object, by its Python names."""
    make: type | None = None
    """The dataclass of an object."""


def arguments(cls: type, without: Collection[str] = ()) -> dict[str, Shape]:
    """The arguments of a dataclass, by their Python names, those ``without`` left out.

    Raises ``TypeError`` for an annotation that Pulumi's schema can't say.
    """
    # The SDK's Input names Output[T] as a text, which is read as such.
    hints = typing.get_type_hints(cls, localns={"Output": pulumi.Output, "T": TypeVar("T")})
    found = {}
    for one in (each for each in dataclasses.fields(cls) if each.name not in without):
        shape = shape_of(hints[one.name])
        has_default = one.default is not dataclasses.MISSING or one.default_factory is not dataclasses.MISSING
        found[one.name] = dataclasses.replace(shape, optional=shape.optional or has_default)
    return found


def outputs(cls: type) -> dict[str, Shape]:
    """The outputs of a component: what it annotates as ``Output``, or as a map of some. Components among its attributes are its children, not outputs."""
    found = {}
    for name, hint in inspect.get_annotations(cls, eval_str=True).items():
        if (shape := _output(hint)) is not None:
            found[name] = shape
    return found


def shape_of(hint: Any) -> Shape:
    """The shape that an annotation means. Raises ``TypeError``."""
    if hint in _SIMPLE:
        return Shape(_SIMPLE[hint])
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return Shape("string", words=tuple(str(word) for word in parts))
    if origin in (typing.Union, types.UnionType):
        return _union(parts)
    if origin in (list, Sequence) or (origin is tuple and parts[1:] == (...,)):
        return Shape("array", of=shape_of(parts[0]))
    if origin in (dict, Mapping) and parts[0] is str:
        return Shape("map", of=shape_of(parts[1]))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return Shape("object", fields=arguments(hint), make=hint)
    raise TypeError(f"{hint!r} has no form in Pulumi's schema")


def _union(parts: tuple[Any, ...]) -> Shape:
    # Input[T] is a union of T, Awaitable[T] and Output[T].
    later = [part for part in parts if typing.get_origin(part) in (pulumi.Output, Awaitable)]
    inner = [part for part in parts if part is not type(None) and part not in later]
    if len(inner) != 1:
        raise TypeError(f"a union of {inner!r} has no form in Pulumi's schema")
    shape = shape_of(inner[0])
    return dataclasses.replace(shape, plain=shape.plain and not later, optional=shape.optional or type(None) in parts)


def _output(hint: Any) -> Shape | None:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is pulumi.Output:
        return dataclasses.replace(shape_of(parts[0]), plain=False)
    if origin is dict and typing.get_origin(parts[1]) is pulumi.Output:
        return Shape("map", plain=False, of=shape_of(typing.get_args(parts[1])[0]))
    return None
