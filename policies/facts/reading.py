"""Reads a resource's inputs: values, :data:`UNKNOWN` for what exists only at apply, and the path of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from domain.boundary.names import strings


class _Unknown:
    def __repr__(self) -> str:
        return "unknown until apply"


UNKNOWN: Final = _Unknown()
"""Stands for a value that exists only at apply."""


class Inputs:
    """A mapping of inputs with the path at which it stands. ``get`` never raises: it answers a value, None or :data:`UNKNOWN`."""

    __slots__ = ("_strings", "_values", "path", "unknown")

    def __init__(self, values: Any, path: str = "") -> None:
        self._strings: list[tuple[str, str]] | None = None
        self._values: Mapping[str, Any] = values if isinstance(values, Mapping) else {}
        self.path = path
        self.unknown = values is UNKNOWN

    def get(self, key: str) -> Any:
        """The value of ``key``, None where it is absent."""
        if self.unknown:
            return UNKNOWN
        return self._values.get(key)

    def at(self, key: str) -> str:
        """The path of ``key``."""
        return f"{self.path}.{key}" if self.path else key

    def within(self, key: str) -> Inputs:
        """The nested mapping at ``key``: empty where it is absent, all unknown where it is unknown."""
        return Inputs(self.get(key), self.at(key))

    def each(self, key: str) -> Iterator[Inputs]:
        """The mappings of the list at ``key``; one that is all unknown where the list is."""
        values = self.get(key)
        if values is UNKNOWN or (values is not None and (isinstance(values, str) or not isinstance(values, Sequence))):
            # Something of another shape than any that we know how to read is as good as unknown.
            yield Inputs(UNKNOWN, self.at(key))
        elif values is not None:
            for index in range(len(values)):
                yield Inputs(values[index], f"{self.at(key)}[{index}]")

    def texts(self, key: str) -> Iterator[tuple[str, Any]]:
        """The items of the list at ``key`` with their paths, unknown ones as :data:`UNKNOWN`."""
        values = self.get(key)
        if values is UNKNOWN or (values is not None and (isinstance(values, str) or not isinstance(values, Sequence))):
            yield self.at(key), UNKNOWN
        elif values is not None:
            for index in range(len(values)):
                yield f"{self.at(key)}[{index}]", values[index]

    def keys(self) -> frozenset[str]:
        """The keys present."""
        return frozenset(self._values)

    def strings(self) -> Sequence[tuple[str, str]]:
        """Every known string, with its path."""
        if self._strings is None:
            self._strings = strings(self._values, self.path)
        return self._strings


def truth(value: Any) -> bool | None:
    """A yes/no input: None where it is unknown; "true" and True alike; absent is no."""
    if value is UNKNOWN:
        return None
    return value is True or (isinstance(value, str) and value.lower() == "true")


def either(*answers: bool | None) -> bool | None:
    """Whether one of the answers is yes; None where none is and one is unknown."""
    return True if True in answers else None if None in answers else False


def equals(value: Any, word: str) -> bool | None:
    """Whether a text input is ``word`` in any letter case; None where it is unknown."""
    if value is UNKNOWN:
        return None
    return isinstance(value, str) and value.lower() == word.lower()


def present(value: Any) -> bool | None:
    """Whether an input is given; None where it is unknown: it may turn out empty."""
    if value is UNKNOWN:
        return None
    return bool(value)
