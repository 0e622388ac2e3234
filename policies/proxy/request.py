"""A cloud API request as the proxy read it, and the faults that stop it before any rule is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote


class Refused(Exception):
    """The request can't be judged, or its caller may not make it. ``rule`` is the audit's word."""

    def __init__(self, rule: str, message: str, status: int = 403) -> None:
        self.rule = rule
        self.message = message
        self.status = status
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One whole request. ``path`` is as sent, still quoted, without the query; header names are in lower case."""

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def segments(self) -> list[str]:
        """The path's segments, unquoted. Raises :class:`Refused` for dots, doubled slashes and quoted slashes, which upstreams read in different ways."""
        parts = self.path.split("/")[1:]
        if parts and parts[-1] == "":
            parts.pop()
        try:
            plain = [unquote(part, errors="strict") for part in parts] if "%" in self.path else parts
        except UnicodeDecodeError as error:
            raise Refused("request", "the path is not UTF-8", 400) from error
        if not _DOTS.isdisjoint(plain) or _AMBIGUOUS.search("".join(plain)):
            raise Refused("request", f"path {self.path!r} can be read in more than one way", 400)
        return plain

    def parameters(self, text: str | None = None) -> dict[str, str]:
        """Form or query parameters. Raises :class:`Refused` when a name occurs twice: upstreams differ in which one counts."""
        found: dict[str, str] = {}
        source = self.query if text is None else text
        if ";" in source:
            # Some servers still split at semicolons.
            raise Refused("request", "a parameter is separated by a semicolon", 400)
        try:
            pairs = parse_qsl(source, keep_blank_values=True, errors="strict", max_num_fields=4096)
        except ValueError as error:
            raise Refused("request", "the parameters can't be read", 400) from error
        for name, value in pairs:
            if name in found:
                raise Refused("request", f"parameter {name!r} occurs twice", 400)
            found[name] = value
        return found

    def json(self) -> dict[str, Any]:
        """The body as a JSON object, {} where there is none. Raises :class:`Refused`.

        UTF-8 only: a parser that guesses UTF-16 or skips a byte order mark reads another document than one that doesn't.
        """
        if not self.body.strip():
            return {}
        charset = _CHARSET.search(self.headers.get("content-type", ""))
        if charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}:
            raise Refused("request", f"the body's charset is {charset[1]!r}", 400)
        try:
            value = json.loads(self.body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant)
        except (ValueError, RecursionError) as error:
            raise Refused("request", "the body is not JSON", 400) from error
        if not isinstance(value, dict):
            raise Refused("request", "the body is no JSON object", 400)
        return value


_DOTS = frozenset({"", ".", ".."})
_AMBIGUOUS = re.compile(r"[/\\%?#;\x00-\x1f\x7f]")
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
