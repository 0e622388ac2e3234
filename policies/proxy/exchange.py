"""One request and its answer, whichever HTTP they come by, and the faults of a head that stop it before any rule is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import h11

from policies.proxy.hosts import KnownHost
from policies.proxy.request import Refused
from policies.proxy.upstream import ClientWentAway

CHUNK = 65536
BODY_LIMIT = 8 * 1024 * 1024
"""Of a body that is read whole, because it carries what is decided on, in bytes."""
UPLOAD_LIMIT = 64 * 1024 * 1024
"""Of an upload to Cloudflare that doesn't say how long it is, in bytes."""
STREAM_LIMIT = 5 * 1024**3
"""Of a body that passes through: the longest object that S3 takes in one PUT (S3 user guide, "Uploading objects"), in bytes."""

_METHODS = frozenset({b"GET", b"HEAD", b"PUT", b"POST", b"PATCH", b"DELETE"})
_REPEATABLE = frozenset({b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"cookie", b"user-agent", b"via"})
_OVERRIDES = frozenset(
    {b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-rewrite-url", b"x-forwarded-host", b"forwarded"}
)
"""Headers by which some front ends take a request for another one than its first line says."""
_OBJECT_PARAMETERS = frozenset({"x-id", "partNumber", "uploadId"})

Headers = Sequence[tuple[bytes, bytes]]
Send = Callable[[bytes], Awaitable[None]]


class Head:
    """A request's head; header names are in lower case, ``host`` is among them."""

    __slots__ = ("_first", "headers", "method", "names", "target")

    def __init__(self, method: bytes, target: bytes, headers: Headers) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        pairs = list(headers)
        self.names = [name for name, _ in pairs]
        self._first = dict(reversed(pairs))

    def value(self, name: bytes) -> bytes:
        """The header's first value, empty where there is none."""
        return self._first.get(name, b"")

    @property
    def length(self) -> int | None:
        """The body's length in bytes, None where the head doesn't tell. Raises :class:`Refused` for what is no number."""
        text = self.value(b"content-length")
        if not text:
            return None
        if not text.isdigit():
            raise Refused("request", "Content-Length is no number", 400)
        return int(text)


class Exchange(Protocol):
    """A request whose head was read. ``body`` is taken at most once; after ``respond`` come ``data`` and one ``end``, unless
    the head was the whole answer (``last``)."""

    head: Head
    trailers: bool
    """Whether an answer can end with trailers, without which there is no gRPC."""

    def body(self, deadline: float | None = None) -> AsyncIterator[bytes]:
        """The body as it comes. Raises :class:`Refused` for broken framing, ``ConnectionError`` where the client goes away and
        ``TimeoutError`` where it isn't whole at ``deadline`` (the loop's clock, in seconds)."""
        ...

    async def respond(self, status: int, headers: Headers, reason: bytes = b"", *, last: bool = False) -> None:
        """The answer's head; it may wait for the first data. ``last``: nothing follows, as gRPC wants it of an error."""
        ...

    async def data(self, data: bytes) -> None:
        """A part of the answer's body; returns when the client has room for more."""
        ...

    async def end(self, trailers: Headers | None = None) -> None:
        """Ends the answer."""
        ...


class Http1Exchange:
    """An exchange on an HTTP/1.1 connection."""

    trailers = False

    def __init__(self, http: h11.Connection, request: h11.Request, reader: asyncio.StreamReader, send: Send) -> None:
        self.head = Head(request.method, request.target, request.headers)
        self._http = http
        self._reader = reader
        self._send = send
        self._kept = b""

    async def body(self, deadline: float | None = None) -> AsyncIterator[bytes]:
        """See :class:`Exchange`. A client that waits for leave to send gets it now: what is refused by its head is never sent."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        while True:
            try:
                event: object = self._http.next_event()
                if event is h11.NEED_DATA:
                    # Most bodies came with their head: those need no timer.
                    async with asyncio.timeout_at(deadline):
                        event = await next_event(self._http, self._reader)
            except h11.RemoteProtocolError as error:
                raise Refused("request", f"not an HTTP/1.1 request: {error}", 400) from error
            except ConnectionError as error:
                raise ClientWentAway(f"the client went away in the middle of its request: {error}") from error
            if isinstance(event, h11.EndOfMessage):
                return
            if not isinstance(event, h11.Data):
                raise ClientWentAway("the client went away in the middle of its request")
            yield bytes(event.data)

    async def respond(self, status: int, headers: Headers, reason: bytes = b"", *, last: bool = False) -> None:
        """See :class:`Exchange`. The head goes with the first of the body: most answers are one packet and one TLS record."""
        if self._http.their_state is not h11.DONE:
            headers = [*headers, (b"connection", b"close")]
        # What h11 has read itself it needn't check again.
        checked = headers if isinstance(headers, h11._headers.Headers) else list(headers)
        self._kept = self._http.send(h11.Response(status_code=status, headers=checked, reason=reason)) or b""
        if last:
            await self.end()

    async def data(self, data: bytes) -> None:
        """See :class:`Exchange`."""
        whole, self._kept = self._kept + (self._http.send(h11.Data(data=data)) or b""), b""
        await self._send(whole)

    async def end(self, trailers: Headers | None = None) -> None:
        """See :class:`Exchange`. Trailers go with gRPC only, which HTTP/1.1 doesn't carry."""
        whole, self._kept = self._kept + (self._http.send(h11.EndOfMessage()) or b""), b""
        await self._send(whole)


async def next_event(http: h11.Connection, reader: asyncio.StreamReader) -> object:
    """The next whole event of an HTTP/1.1 connection."""
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await reader.read(CHUNK))
    return event


def check_head(head: Head, host: str) -> None:
    """Raises :class:`Refused` for a head that is ambiguous, hides another request, or names another host than its tunnel."""
    names = head.names
    single = set(names)
    if len(single) < len(names) and (twice := sorted({name.decode("latin-1") for name in names if names.count(name) > 1 and name not in _REPEATABLE})):
        raise Refused("request", f"the header {', '.join(twice)} stands twice", 400)
    if hiding := sorted(name.decode("latin-1") for name in single & _OVERRIDES):
        raise Refused("request", f"the header {', '.join(hiding)} makes it another request", 400)
    if head.method not in _METHODS:
        raise Refused("request", f"method {head.method.decode('latin-1')} isn't passed on", 400)
    if names.count(b"host") != 1 or head.value(b"host").decode("latin-1").lower() not in {host, f"{host}:443"}:
        raise Refused("request", f"the Host header differs from the tunnel's host {host}", 400)
    if not head.target.startswith(b"/"):
        raise Refused("request", "the request's target is not a path", 400)
    if b"upgrade" in names:
        raise Refused("request", "upgrades aren't passed on", 400)
    if b"content-length" in names and b"transfer-encoding" in names:
        raise Refused("request", "Content-Length and Transfer-Encoding contradict each other", 400)
    if not head.target.isascii() or b"#" in head.target:
        raise Refused("request", "the request's target can be read in more than one way", 400)
    if (head.value(b"content-encoding").lower() or b"identity") not in {b"identity", b"aws-chunked"}:
        raise Refused("request", "compressed bodies can't be judged", 400)


def is_grpc(head: Head) -> bool:
    """Whether the request is of gRPC or gRPC-Web."""
    return head.value(b"content-type").lower().startswith(b"application/grpc")


def passes_through(head: Head, known: KnownHost) -> bool:
    """Whether the body carries nothing that is decided on and says how long it is, so that it may pass as it comes once its head was judged.

    That are the bytes of an S3 object or of a part of one, and what the platform sends to Cloudflare and to its own state, which is judged by who sends it and
    where. Raises :class:`Refused`.
    """
    if (length := head.length) is None:
        return False
    if known.kind in {"cloudflare", "platform"}:
        through = True
    elif known.service != "s3" or head.method != b"PUT" or head.value(b"x-amz-target") or head.value(b"smithy-protocol"):
        through = False
    else:
        path, _, query = head.target.decode("ascii").partition("?")
        # In the bucket's own host the first segment is the object; else it is the bucket.
        in_bucket = not head.value(b"host").lower().startswith(b"s3.")
        parts = [part for part in path.split("/") if part]
        names = {pair.partition("=")[0] for pair in query.split("&") if pair}
        through = len(parts) > (0 if in_bucket else 1) and names <= _OBJECT_PARAMETERS and not path.startswith("/service/")
    if through and length > STREAM_LIMIT:
        raise Refused("request", f"the body is longer than {STREAM_LIMIT} bytes", 413)
    return through


def body_limit(known: KnownHost) -> int:
    """How long a body that is read whole may be, in bytes."""
    return UPLOAD_LIMIT if known.kind in {"cloudflare", "platform"} else BODY_LIMIT
