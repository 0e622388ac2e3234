"""The part of OData's ``$filter`` that the Azure Retail Prices API takes: comparisons and functions of text, joined by and, or, not and parentheses.

Grammar: ``or := and ("or" and)*``, ``and := term ("and" term)*``, ``term := "not" term | "(" or ")" | comparison | function``. Values are compared
case by case, as the API does since version 2023-01-01-preview.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Item = Mapping[str, Any]
Filter = Callable[[Item], bool]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[(),]))")
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


class FilterError(ValueError):
    """The filter isn't understood; the message says where."""


def compile_filter(text: str, aliases: Mapping[str, str]) -> Filter:
    """The predicate that ``text`` states over items; ``aliases`` maps fields of filters to fields of items. Raises :class:`FilterError`."""
    parser = _Parser(text, aliases)
    found = parser.any_of()
    parser.end()
    return found


class _Parser:
    def __init__(self, text: str, aliases: Mapping[str, str]) -> None:
        self._text, self._aliases = text, aliases
        self._tokens: list[tuple[str, str]] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise FilterError(f"Invalid filter clause: syntax error at position {at} in {text!r}.")
            self._tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        self._at = 0

    def any_of(self) -> Filter:
        parts = [self._all_of()]
        while self._take("or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise FilterError(f"Invalid filter clause: unexpected {self._tokens[self._at][1]!r} in {self._text!r}.")

    def _all_of(self) -> Filter:
        parts = [self._term()]
        while self._take("and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def _term(self) -> Filter:
        if self._take("not"):
            inner = self._term()
            return lambda item: not inner(item)
        if self._take("("):
            inner = self.any_of()
            self._need(")")
            return inner
        word = self._next("word")
        if word in _FUNCTIONS:
            return self._function(_FUNCTIONS[word])
        field, operator, value = self._aliases.get(word, word), self._next("word"), self._value()
        if operator == "eq":
            return lambda item: item.get(field) == value
        if operator == "ne":
            return lambda item: item.get(field) != value
        raise FilterError(f"Invalid filter clause: operator {operator!r} is not supported in {self._text!r}.")

    def _function(self, function: Callable[[str, str], bool]) -> Filter:
        self._need("(")
        field = self._next("word")
        self._need(",")
        part = str(self._value())
        self._need(")")
        field = self._aliases.get(field, field)
        return lambda item: function(str(item.get(field, "")), part)

    def _value(self) -> object:
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        self._at += 1
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if text in ("true", "false"):
            return text == "true"
        raise FilterError(f"Invalid filter clause: a value is missing in {self._text!r}.")

    def _take(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][1] == word:
            self._at += 1
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._take(mark):
            raise FilterError(f"Invalid filter clause: {mark!r} is missing in {self._text!r}.")

    def _next(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise FilterError(f"Invalid filter clause: a field or operator is missing in {self._text!r}.")
        self._at += 1
        return self._tokens[self._at - 1][1]
