"""CBOR (RFC 8949) as far as AWS's Smithy RPC v2 bodies use it: maps with text keys, arrays, texts, bytes, numbers, timestamps (tag 1), simple values.

Written here because no CBOR library is among the project's dependencies, and because the proxy must refuse what a lenient one would accept: duplicate
keys, keys that aren't texts, other tags, bytes after the end.
"""

from __future__ import annotations

import struct
from typing import Any

_DEPTH = 64
_BREAK = object()


class CborError(ValueError):
    """The bytes are not one CBOR value of the accepted kinds."""


def loads(data: bytes) -> Any:
    """The one value in ``data``. Raises :class:`CborError`."""
    reader = _Reader(data)
    value = reader.value(0)
    if value is _BREAK or reader.at != len(data):
        raise CborError("bytes after the value")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise CborError("the value is cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def value(self, depth: int) -> Any:
        if depth > _DEPTH:
            raise CborError("nested too deeply")
        first = self.take(1)[0]
        major, low = first >> 5, first & 31
        if major == 7:
            return self._simple(low)
        if low == 31:
            return self._streamed(major, depth)
        argument = self._argument(low)
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return self.take(argument)
        if major == 3:
            return self._text(argument)
        if major == 4:
            if argument > len(self.data):
                raise CborError("the array is longer than the body")
            return [self._item(depth) for _ in range(argument)]
        if major == 5:
            return self._map(argument, depth)
        if argument != 1:
            raise CborError(f"tag {argument}")
        return self._item(depth)

    def _argument(self, low: int) -> int:
        if low < 24:
            return low
        if low > 27:
            raise CborError("a reserved length")
        return int.from_bytes(self.take(1 << (low - 24)), "big")

    def _simple(self, low: int) -> Any:
        if low in (20, 21, 22, 23):
            return {20: False, 21: True}.get(low)
        if low == 25:
            return struct.unpack(">e", self.take(2))[0]
        if low == 26:
            return struct.unpack(">f", self.take(4))[0]
        if low == 27:
            return struct.unpack(">d", self.take(8))[0]
        if low == 31:
            return _BREAK
        raise CborError("an unknown simple value")

    def _text(self, length: int) -> str:
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise CborError("a text that is not UTF-8") from error

    def _item(self, depth: int) -> Any:
        value = self.value(depth + 1)
        if value is _BREAK:
            raise CborError("a break where a value belongs")
        return value

    def _map(self, pairs: int | None, depth: int) -> dict[str, Any]:
        if pairs is not None and pairs > len(self.data):
            raise CborError("the map is longer than the body")
        found: dict[str, Any] = {}
        while pairs is None or len(found) < pairs:
            key = self.value(depth + 1)
            if key is _BREAK and pairs is None:
                break
            if not isinstance(key, str) or key in found:
                raise CborError("a key that is no text, or occurs twice")
            found[key] = self._item(depth)
        return found

    def _streamed(self, major: int, depth: int) -> Any:
        if major == 5:
            return self._map(None, depth)
        if major not in (2, 3, 4):
            raise CborError("an unknown streamed kind")
        parts: list[Any] = []
        while (part := self.value(depth + 1)) is not _BREAK:
            parts.append(part)
        if major == 4:
            return parts
        kind: type = bytes if major == 2 else str
        if not all(isinstance(part, kind) for part in parts):
            raise CborError("chunks of another kind")
        return (b"" if major == 2 else "").join(parts)
