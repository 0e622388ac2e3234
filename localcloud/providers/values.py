"""Property values between Pulumi's wire form (protobuf Struct with signatures) and Python.

Secrets, assets and unknowns travel as marked objects and texts; the marks are those of ``pulumi.runtime.rpc``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format, struct_pb2

Props = dict[str, Any]
"""A resource's properties by wire name."""

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_ASSETS = {"c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"}
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = {
    _UNKNOWN,
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # boolean
    "6f2b6a5c-c5d8-4a1f-8a50-5e0a4c1bd4b2",  # number
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
    "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
    "e48ece36-62e2-4504-bad9-02848725956a",  # archive
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
}


@dataclass(frozen=True)
class Unknown:
    """A value that exists only after the update."""


unknown = Unknown()


@dataclass(frozen=True)
class Asset:
    """An asset or archive, as the engine describes it."""

    document: dict[str, Any]


def from_struct(struct: struct_pb2.Struct) -> Props:
    """Plain values: secrets opened, unknowns as :data:`unknown`, whole numbers as int, nulls left out."""
    document: dict[str, Any] = json_format.MessageToDict(struct)
    return {key: _plain(value) for key, value in document.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return unknown if value in _UNKNOWNS else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        mark = value.get(_SIGNATURE)
        if mark is None:
            return {key: _plain(item) for key, item in value.items() if item is not None}
        if mark in (_SECRET, _OUTPUT):
            return _plain(value["value"]) if "value" in value else unknown
        return Asset(dict(value)) if mark in _ASSETS else unknown
    return value


def has_unknown(value: Any) -> bool:
    """Whether anything in the value is unknown."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return isinstance(value, Unknown)


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Pulumi's wire form of plain values; nulls are left out."""
    struct = struct_pb2.Struct()
    json_format.ParseDict({key: _wire(value) for key, value in values.items() if value is not None}, struct)
    return struct


def _wire(value: Any) -> Any:
    if isinstance(value, Unknown):
        return _UNKNOWN
    if isinstance(value, Asset):
        return value.document
    if isinstance(value, Mapping):
        return {str(key): _wire(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    return value
