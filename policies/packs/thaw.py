"""The engine's inputs as plain values: what is unknown until apply becomes a value of its own instead of an exception on access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy.proxy import UnknownValueError

from policies.facts.reading import UNKNOWN


def thaw(value: Any) -> Any:
    """A copy of ``value`` in dicts and lists, :data:`UNKNOWN` for each value that isn't known yet."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_item(value, index) for index in range(len(value))]
    return value


def _item(values: Any, key: Any) -> Any:
    try:
        return thaw(values[key])
    except UnknownValueError:
        return UNKNOWN
