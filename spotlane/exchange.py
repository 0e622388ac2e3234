"""One HTTP request and its answer, over httpcore: connections that are kept, names under ``.localhost``, JSON. Never through a proxy, follows no redirect.

What decides whether a request is sent again, and what an answer means, is :mod:`spotlane.transport`.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import json as jsons
import re
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import certifi
import httpcore

from spotlane import __version__

CONNECTIONS, KEPT, KEPT_SECONDS = 32, 8, 5.0
"""Connections of one client at once; those of them that are kept when idle, and for how long."""
_FAILED = (
    *(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError),
    *(httpcore.UnsupportedProtocol, httpcore.ConnectionNotAvailable),
)
_PORTS = {"http": 80, "https": 443}
_SAFE = "/~!$&'()*+,;=:@%-._"
"""What a path keeps as it is (RFC 3986, ``pchar``)."""


class TransportError(Exception):
    """There is no answer, or none that could be read; the message says what went wrong."""


@dataclass(frozen=True)
class Answer:
    """A whole answer. ``headers`` by their names in lower case; ``asked`` is the request's method and path."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    asked: str

    @property
    def is_success(self) -> bool:
        """Whether the status is of 2xx."""
        return 200 <= self.status_code < 300

    @property
    def text(self) -> str:
        """The body as text; what isn't UTF-8 is marked."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """The body's value. Raises :class:`ValueError` for a body that isn't JSON."""
        return jsons.loads(self.content)


@dataclass(frozen=True)
class Request:
    """What goes to the pool."""

    method: str
    url: httpcore.URL
    headers: list[tuple[bytes, bytes]]
    content: bytes | None
    extensions: dict[str, Any]
    asked: str

    @classmethod
    def of(
        cls,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        params: Mapping[str, str] | None,
        json: Any,
        content: bytes | None,
        seconds: float | None,
        encoding: str = "gzip",
    ) -> Request:
        """Raises :class:`TransportError` for an address that is none; ``seconds`` None waits for as long as it takes."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode(), parts.port
        except ValueError as error:  # the codec's faults too
            raise TransportError(f"{url!r} is no address: {error}") from error
        path = quote(re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", parts.path or "/"), safe=_SAFE)
        query = "&".join(part for part in (parts.query, urlencode(dict(params or {}), quote_via=quote)) if part)
        named = f"[{host}]" if ":" in host else host
        given = {
            "host": named if port in (None, _PORTS.get(parts.scheme)) else f"{named}:{port}",
            "accept": "*/*",
            "accept-encoding": encoding,
            "user-agent": f"spotlane/{__version__}",
        }
        if json is not None:
            content = jsons.dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            given["content-type"] = "application/json"
        if content is not None or method in ("POST", "PUT", "PATCH"):
            given["content-length"] = str(len(content or b""))
        given |= {name.lower(): value for name, value in (headers or {}).items()}
        target = path + (f"?{query}" if query else "")
        # Names under .localhost are loopback (RFC 6761, section 6.3), which not every resolver knows.
        reached = "127.0.0.1" if host.endswith(".localhost") else host
        return cls(
            method,
            httpcore.URL(scheme=parts.scheme.encode(), host=reached.encode(), port=port, target=target.encode()),
            [(name.encode("ascii"), value.encode("ascii")) for name, value in given.items()],
            content,
            {} if seconds is None else {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
            f"{method} {parts.path or '/'}",
        )


def answer_of(request: Request, response: httpcore.Response) -> Answer:
    """The answer of a response that has been read. Raises :class:`TransportError` for a body that isn't what it says."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    content = response.content
    if headers.get("content-encoding") == "gzip" and content:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise TransportError(f"the answer can't be unpacked: {error}") from error
    return Answer(response.status, headers, content, request.asked)


@functools.cache
def tls() -> ssl.SSLContext:
    """Certifi's roots and no other, for every client of the process: reading them takes some 20 ms."""
    return ssl.create_default_context(cafile=certifi.where())


@contextlib.contextmanager
def told() -> Iterator[None]:
    """httpcore's faults as :class:`TransportError`."""
    try:
        yield
    except _FAILED as error:
        raise TransportError(str(error) or type(error).__name__) from error


class Stream:
    """An answer that is read as it comes."""

    def __init__(self, request: Request, response: httpcore.Response) -> None:
        self._request = request
        self._response = response

    @property
    def is_success(self) -> bool:
        """Whether the status is of 2xx."""
        return 200 <= self._response.status < 300

    def whole(self) -> Answer:
        """All of it."""
        self._response.read()
        return answer_of(self._request, self._response)

    def lines(self) -> Iterator[str]:
        """Its lines, without their ends."""
        left = b""
        for part in self._response.iter_stream():
            *whole, left = (left + part).split(b"\n")
            for line in whole:
                yield line.removesuffix(b"\r").decode(errors="replace")
        if left:
            yield left.decode(errors="replace")


class Http:
    """A client with connections of its own; for threads too. Every method raises :class:`TransportError` where there is no answer."""

    def __init__(self, timeout_seconds: float = 30.0) -> None:
        self._seconds = timeout_seconds
        self._pool = httpcore.ConnectionPool(ssl_context=tls(), max_connections=CONNECTIONS, max_keepalive_connections=KEPT, keepalive_expiry=KEPT_SECONDS)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Sends one request, once. ``timeout`` is in seconds, for each wait; None for the client's own."""
        asked = Request.of(method, url, headers, params, json, content, self._seconds if timeout is None else timeout)
        with told():
            response = self._pool.request(asked.method, asked.url, headers=asked.headers, content=asked.content, extensions=asked.extensions)
        return answer_of(asked, response)

    def get(self, url: str, *, params: Mapping[str, str] | None = None, timeout: float | None = None) -> Answer:
        """A ``GET``."""
        return self.request("GET", url, params=params, timeout=timeout)

    @contextlib.contextmanager
    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> Iterator[Stream]:
        """An answer that is read as it comes, for as long as it takes; silence of ``timeout`` seconds ends it."""
        asked = Request.of(method, url, headers, params, None, None, timeout, "identity")
        with told():
            with self._pool.stream(asked.method, asked.url, headers=asked.headers, extensions=asked.extensions) as response:
                yield Stream(asked, response)

    def close(self) -> None:
        """Closes every connection."""
        self._pool.close()
