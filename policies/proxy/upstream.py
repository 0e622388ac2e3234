"""Where a host really is, and the connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import h11

from policies.proxy.patience import Patience
from policies.proxy.request import ApiRequest, Refused

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 300.0
STALL_SECONDS = 60.0
"""Between two chunks of a body that passes."""
_CHUNK = 65536
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Address of an upstream; ``tls`` is verified against ``name``."""

    host: str
    port: int
    tls: bool


class Upstreams:
    """``SPOTLANE_PROXY_UPSTREAMS``: ``{"<host or *.suffix>": "http://127.0.0.1:7708"}``. Without a file, each host is itself, over verified TLS.

    With a file, a host that isn't in it is refused: a local cloud never reaches a real one by accident.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp = -1
        self._places: dict[str, Place] = {}
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    def context(self, protocol: str | None) -> ssl.SSLContext:
        """How upstreams are verified; ``protocol`` is offered by ALPN. Made once, since reading the public roots takes longer than a handshake."""
        if protocol not in self._contexts:
            context = self._contexts[protocol] = ssl.create_default_context()
            if protocol is not None:
                context.set_alpn_protocols([protocol])
        return self._contexts[protocol]

    def place(self, host: str) -> Place:
        """Where ``host`` is. Raises :class:`Refused`."""
        if self._path is None:
            return Place(host, 443, True)
        self._refresh(self._path)
        if host in self._places:
            return self._places[host]
        labels = host.split(".")
        for start in range(1, len(labels)):
            if found := self._places.get("*." + ".".join(labels[start:])):
                return found
        raise Refused("upstream", f"host {host!r} has no upstream in {self._path.name}")

    def _refresh(self, path: Path) -> None:
        try:
            stamp = path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._places = {pattern.lower(): _place(url) for pattern, url in json.loads(path.read_text(encoding="utf-8")).items()}
                self._stamp = stamp
        except (OSError, ValueError, AttributeError) as error:
            raise Refused("upstream", f"{path.name} can't be read: {error}") from error


def _place(url: str) -> Place:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return Place(parts.hostname, parts.port or 443, True)
    if parts.scheme == "http" and parts.hostname and (parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback):
        return Place(parts.hostname, parts.port or 80, False)
    raise ValueError(f"{url!r}: plain HTTP goes to loopback only")


class ClientWentAway(ConnectionError):
    """The client left in the middle of its request."""


@dataclass(frozen=True, slots=True)
class Passing:
    """A body that passes as it comes, of ``length`` bytes."""

    length: int
    chunks: AsyncIterator[bytes]


class Kept(Protocol):
    """A connection that can be kept."""

    def close(self) -> None:
        """Drops it."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=Kept)


class UpstreamPool(Generic[ConnectionT]):
    """The connections of one tunnel, one for each exchange at a time; an idle one is taken before a new one is made by ``make``."""

    def __init__(self, make: Callable[[], ConnectionT]) -> None:
        self._make = make
        self._idle: list[ConnectionT] = []

    @contextlib.contextmanager
    def connection(self) -> Iterator[ConnectionT]:
        """A connection of one's own for as long as the block runs."""
        taken = self._idle.pop() if self._idle else self._make()
        try:
            yield taken
        except BaseException:
            taken.close()
            raise
        self._idle.append(taken)

    def close(self) -> None:
        """Drops the idle connections."""
        for each in self._idle:
            each.close()
        self._idle.clear()


class Line:
    """One kept-alive connection to one host, whichever HTTP it carries. Not for concurrent use."""

    protocol: ClassVar[str | None] = None
    """What both sides must have agreed on over TLS (ALPN); None asks for nothing."""

    def __init__(self, upstreams: Upstreams, host: str) -> None:
        self._upstreams = upstreams
        self._host = host
        self._streams: tuple[Patience, asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def close(self) -> None:
        """Drops the connection."""
        if self._streams:
            patience, _, writer = self._streams
            patience.close()
            writer.close()
        self._streams = None

    def begin(self) -> None:
        """Called for each connection that is new."""
        raise NotImplementedError

    async def _open(self) -> tuple[Patience, asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams and not self._streams[1].at_eof() and not self._streams[2].is_closing():
            return self._streams
        self.close()
        place = self._upstreams.place(self._host)
        context = self._upstreams.context(self.protocol) if place.tls else None
        opening = asyncio.open_connection(place.host, place.port, ssl=context, server_hostname=place.host if place.tls else None)
        reader, writer = await asyncio.wait_for(opening, CONNECT_SECONDS)
        self._streams = Patience(reader), reader, writer
        secured = writer.get_extra_info("ssl_object")
        if place.tls and self.protocol is not None and (secured is None or secured.selected_alpn_protocol() != self.protocol):
            self.close()
            raise ConnectionError(f"{place.host} doesn't speak {self.protocol}")
        self.begin()
        return self._streams


class UpstreamConnection(Line):
    """HTTP/1.1."""

    def begin(self) -> None:
        """See :class:`Line`."""
        self._http = h11.Connection(h11.CLIENT)

    async def exchange(
        self, request: ApiRequest, headers: Sequence[tuple[bytes, bytes]], passing: Passing | None = None
    ) -> AsyncGenerator[h11.Response | h11.Data, None]:
        """Sends the request and yields the answer's head and its data as they come; ``passing`` is a body that goes along as it comes.

        Raises ``OSError``, ``TimeoutError``, ``h11.ProtocolError``, and :class:`Refused` from the body that passes.
        """
        patience, reader, writer = await self._open()
        target = request.path + (f"?{request.query}" if request.query else "")
        names = {name for name, _ in headers}
        sent: h11._headers.Headers | list[tuple[bytes, bytes]]
        # What h11 has read itself it needn't check again.
        if isinstance(headers, h11._headers.Headers) and request.body and b"content-length" in names and HOP_BY_HOP.isdisjoint(names):
            sent = headers
        else:
            sent = [(name, value) for name, value in headers if name not in HOP_BY_HOP and name != b"content-length"]
            if passing or request.body or request.method in {"POST", "PUT", "PATCH"}:
                sent.append((b"content-length", str(passing.length if passing else len(request.body)).encode()))
        pump: asyncio.Task[None] | None = None
        try:
            data = self._http.send(h11.Request(method=request.method, target=target, headers=sent)) or b""
            if passing:
                writer.write(data)
                pump = asyncio.create_task(self._pump(passing, writer))
            else:
                if request.body:
                    data += self._http.send(h11.Data(data=request.body)) or b""
                writer.write(data + (self._http.send(h11.EndOfMessage()) or b""))
                await writer.drain()
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    received = await (patience.read(_CHUNK, ANSWER_SECONDS) if pump is None else self._read_beside(reader, pump))
                    self._http.receive_data(received)
                elif isinstance(event, h11.Response | h11.Data):
                    yield event
                elif isinstance(event, h11.EndOfMessage):
                    break
                elif isinstance(event, h11.ConnectionClosed):
                    raise ConnectionError(f"{self._host} closed the connection before it answered")
        except BaseException:
            self.close()
            raise
        finally:
            if pump:
                pump.cancel()
                await asyncio.gather(pump, return_exceptions=True)
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()

    async def _pump(self, passing: Passing, writer: asyncio.StreamWriter) -> None:
        """Sends the body as it comes, no faster than the upstream takes it."""
        while True:
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    chunk = await anext(passing.chunks, None)
            except TimeoutError as error:
                raise Refused("request", f"nothing of the body came for {STALL_SECONDS:g} s", 408) from error
            if chunk is None:
                break
            writer.write(self._http.send(h11.Data(data=chunk)) or b"")
            async with asyncio.timeout(STALL_SECONDS):
                await writer.drain()
        writer.write(self._http.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    async def _read_beside(self, reader: asyncio.StreamReader, pump: asyncio.Task[None]) -> bytes:
        """What the upstream answers while its request is still on the way; a body that breaks ends the exchange, so that half of one is never whole there."""
        reading = asyncio.ensure_future(reader.read(_CHUNK))
        try:
            if not pump.done():
                await asyncio.wait({reading, pump}, return_when=asyncio.FIRST_COMPLETED)
            if pump.done() and not reading.done():
                # An upstream that answers and hangs up makes the pump fail first: its answer counts for more.
                if isinstance(error := pump.exception(), ConnectionError) and not isinstance(error, ClientWentAway):
                    await asyncio.wait({reading}, timeout=1.0)
                if error and not reading.done():
                    raise error
            async with asyncio.timeout(ANSWER_SECONDS):
                return await reading
        finally:
            reading.cancel()
