"""HTTP/2 towards clients: frames become exchanges, each judged as one of HTTP/1.1 is. What HTTP/1.1 couldn't carry unambiguously is refused here, for the
upstream may be asked by it: pseudo headers that contradict, names and values with bytes that end a line, a path that isn't one.

At most :data:`STREAMS` exchanges at once; a client's bytes beyond the window wait with the client. Server push, extended CONNECT and priorities aren't offered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import h11

from policies.proxy.exchange import CHUNK, Exchange, Head, Headers, Send
from policies.proxy.request import Refused

log = logging.getLogger("spotlane.proxy")

STREAMS = 16
RESETS = 256
"""Streams that a client may open and take back on one connection before it is closed (CVE-2023-44487)."""
_WINDOW = 65536
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 16 * 1024 * 1024
_PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path"})
_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(rb"[\x20-\x7e\x80-\xff\t]*")
_TARGET = re.compile(rb"/[\x21-\x7e]*")
_CONNECTION_OWN = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"http2-settings"})


def head_of(headers: Headers) -> Head:
    """The head that the header list of a stream means. Raises :class:`Refused`."""
    pseudo: dict[bytes, bytes] = {}
    plain: list[tuple[bytes, bytes]] = []
    cookies: list[bytes] = []
    for name, value in headers:
        if name.startswith(b":"):
            if name not in _PSEUDO or name in pseudo or plain or cookies:
                raise Refused("request", f"the pseudo header {name.decode('latin-1')!r} is unknown, stands twice or stands late", 400)
            pseudo[name] = value
            continue
        if not _NAME.fullmatch(name) or name in _CONNECTION_OWN:
            raise Refused("request", f"the header {name.decode('latin-1')!r} can't be in HTTP/2", 400)
        if not _VALUE.fullmatch(value) or value != value.strip(b" \t"):
            raise Refused("request", f"the header {name.decode('latin-1')!r} holds bytes that end a header elsewhere", 400)
        if name == b"te" and value.lower() != b"trailers":
            raise Refused("request", "the header 'te' can't be in HTTP/2", 400)
        if name == b"cookie":
            cookies.append(value)
        else:
            plain.append((name, value))
    if pseudo.keys() != _PSEUDO:
        raise Refused("request", f"the pseudo headers {', '.join(sorted(each.decode() for each in _PSEUDO - pseudo.keys()))} are missing", 400)
    if pseudo[b":scheme"] != b"https":
        raise Refused("request", "the request's scheme isn't https", 400)
    if not _TARGET.fullmatch(pseudo[b":path"]):
        raise Refused("request", "the request's target is not a path", 400)
    if not _NAME.fullmatch(pseudo[b":method"].lower()):
        raise Refused("request", "the request's method isn't one", 400)
    authority = pseudo[b":authority"]
    if any(name == b"host" and value.lower() != authority.lower() for name, value in plain):
        raise Refused("request", "the Host header differs from the request's authority", 400)
    joined = [(b"cookie", b"; ".join(cookies))] if cookies else []
    return Head(pseudo[b":method"], pseudo[b":path"], [(b"host", authority), *(each for each in plain if each[0] != b"host"), *joined])


@dataclass(slots=True)
class _Stream:
    """What a stream has received and not yet read; ``None`` in ``received`` is its end."""

    received: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    ended: bool = False
    """By the client."""


class Http2Tunnel:
    """One client's connection. ``serve`` carries out one exchange, ``refuse`` records and answers one whose head can't be read."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        send: Send,
        serve: Callable[[Exchange], Awaitable[None]],
        refuse: Callable[[Exchange, Refused], Awaitable[None]],
        idle_seconds: float,
    ) -> None:
        self._reader = reader
        self._send = send
        self._serve = serve
        self._refuse = refuse
        self._idle = idle_seconds
        self._streams: dict[int, _Stream] = {}
        self._resets = 0
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=False))
        self._http.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: CHUNK,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW,
            },
        )

    async def run(self) -> None:
        """Until the client goes, says nothing for long, or breaks the protocol. Raises :class:`Refused` for the last; once it is recorded, :meth:`goodbye`."""
        loop = asyncio.get_running_loop()
        self._http.initiate_connection()
        self._http.increment_flow_control_window(_WINDOW * STREAMS)
        await self._flush()
        active = loop.time()
        try:
            while True:
                if self._streams:
                    active = loop.time()
                elif loop.time() - active >= self._idle:
                    return
                try:
                    async with asyncio.timeout(max(active + self._idle - loop.time(), 0.01)):
                        data = await self._reader.read(CHUNK)
                except TimeoutError:
                    continue
                if not data:
                    return
                try:
                    events = self._http.receive_data(data)
                except (h2.exceptions.ProtocolError, ValueError) as error:
                    raise Refused("request", f"not HTTP/2: {error}", 400) from error
                for event in events:
                    self._take(event)
                await self._flush()
        finally:
            tasks = [stream.task for stream in self._streams.values() if stream.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def goodbye(self) -> None:
        """Tells a client that broke the protocol that it did."""
        with contextlib.suppress(OSError):
            await self._flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            stream = self._streams[event.stream_id] = _Stream()
            stream.task = asyncio.create_task(self._exchange(event.stream_id, [(bytes(name), bytes(value)) for name, value in event.headers]))
        elif isinstance(event, h2.events.DataReceived):
            if known := self._streams.get(event.stream_id):
                # Padding is given back at once, data when it was read.
                if padding := event.flow_controlled_length - len(event.data):
                    self._http.acknowledge_received_data(padding, event.stream_id)
                if event.data:
                    known.received.put_nowait(event.data)
            else:
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            if known := self._streams.get(event.stream_id):
                known.ended = True
                known.received.put_nowait(None)
        elif isinstance(event, h2.events.StreamReset):
            self._resets += 1
            if (left := self._streams.pop(event.stream_id, None)) and left.task:
                left.task.cancel()
            if self._resets > RESETS:
                raise Refused("request", f"more than {RESETS} requests were taken back", 400)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for each in self._streams.values():
                each.room.set()
        elif isinstance(event, h2.events.ConnectionTerminated):
            self._reader.feed_eof()

    async def _exchange(self, number: int, headers: Headers) -> None:
        stream = self._streams[number]
        try:
            try:
                exchange = Http2Exchange(self, number, stream, head_of(headers))
            except Refused as refused:
                await self._refuse(Http2Exchange(self, number, stream, Head(b"", b"", [])), refused)
            else:
                await self._serve(exchange)
        except (OSError, h2.exceptions.ProtocolError, h11.ProtocolError, Refused) as error:
            log.debug("a stream ended: %r", error)
            self._reset(number, h2.errors.ErrorCodes.INTERNAL_ERROR)
        except Exception:
            log.exception("a stream failed; its call was not passed on")
            self._reset(number, h2.errors.ErrorCodes.INTERNAL_ERROR)
        else:
            if not stream.ended:
                await self._linger(number, stream)
        finally:
            self._streams.pop(number, None)
            while not stream.received.empty():
                if left := stream.received.get_nowait():
                    with contextlib.suppress(h2.exceptions.ProtocolError):
                        self._http.acknowledge_received_data(len(left), number)
            with contextlib.suppress(OSError):
                await self._flush()

    async def _linger(self, number: int, stream: _Stream) -> None:
        """An answer that came before its request's body ended: some clients send on before they look, and wait for room. They get a little of it."""
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while size < _LINGER_BYTES:
                    data = await self.read(number, stream)
                    if data is None:
                        return
                    size += len(data)
        self._reset(number, h2.errors.ErrorCodes.NO_ERROR)

    def _reset(self, number: int, code: h2.errors.ErrorCodes) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._http.reset_stream(number, code)

    async def _flush(self) -> None:
        if data := self._http.data_to_send():
            await self._send(data)

    async def read(self, number: int, stream: _Stream) -> bytes | None:
        """The next of a stream's body, whose room the client gets back now; None at its end."""
        data = await stream.received.get()
        if data:
            self._http.acknowledge_received_data(len(data), number)
            await self._flush()
        return data

    async def head(self, number: int, headers: Headers, *, last: bool) -> None:
        """Begins an answer; it goes with what follows, if anything does."""
        self._http.send_headers(number, headers, end_stream=last)
        if last:
            await self._flush()

    async def write(self, number: int, stream: _Stream, data: bytes) -> None:
        """Sends a part of an answer as fast as the client takes it."""
        rest = memoryview(data)
        while rest:
            stream.room.clear()
            size = min(self._http.local_flow_control_window(number), self._http.max_outbound_frame_size, len(rest))
            if size > 0:
                self._http.send_data(number, bytes(rest[:size]))
                rest = rest[size:]
                await self._flush()
            else:
                await self._flush()
                async with asyncio.timeout(self._idle):
                    await stream.room.wait()

    async def finish(self, number: int, trailers: Headers | None) -> None:
        """Ends an answer."""
        if trailers:
            self._http.send_headers(number, trailers, end_stream=True)
        else:
            self._http.end_stream(number)
        await self._flush()


class Http2Exchange:
    """An exchange on one stream of HTTP/2."""

    trailers = True

    def __init__(self, tunnel: Http2Tunnel, number: int, stream: _Stream, head: Head) -> None:
        self.head = head
        self._tunnel = tunnel
        self._number = number
        self._stream = stream

    async def body(self, deadline: float | None = None) -> AsyncIterator[bytes]:
        """See :class:`Exchange`."""
        while True:
            async with asyncio.timeout_at(deadline):
                data = await self._tunnel.read(self._number, self._stream)
            if data is None:
                return
            yield data

    async def respond(self, status: int, headers: Headers, reason: bytes = b"", *, last: bool = False) -> None:
        """See :class:`Exchange`."""
        named = [(name.lower(), value) for name, value in headers if name.lower() not in _CONNECTION_OWN]
        await self._tunnel.head(self._number, [(b":status", str(status).encode()), *named], last=last)

    async def data(self, data: bytes) -> None:
        """See :class:`Exchange`."""
        await self._tunnel.write(self._number, self._stream, data)

    async def end(self, trailers: Headers | None = None) -> None:
        """See :class:`Exchange`."""
        await self._tunnel.finish(self._number, trailers)
