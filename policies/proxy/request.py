"""A cloud API request as the proxy read it, and the faults that stop it before any rule is asked."""

from __future__ import annotations

import json
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
        plain = [unquote(part) for part in parts]
        if any(part in {"", ".", ".."} or "/" in part or "\\" in part for part in plain):
            raise Refused("request", f"path {self.path!r} can be read in more than one way", 400)
        return plain

    def parameters(self, text: str | None = None) -> dict[str, str]:
        """Form or query parameters. Raises :class:`Refused` when a name occurs twice: upstreams differ in which one counts."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query if text is None else text, keep_blank_values=True):
            if name in found:
                raise Refused("request", f"parameter {name!r} occurs twice", 400)
            found[name] = value
        return found

    def json(self) -> dict[str, Any]:
        """The body as a JSON object, {} where there is none. Raises :class:`Refused`."""
        if not self.body.strip():
            return {}
        try:
            value = json.loads(self.body, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            raise Refused("request", "the body is not JSON", 400) from error
        return value if isinstance(value, dict) else {"items": value}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
