"""Where a host really is, and the connection to it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import h11

from policies.proxy.request import ApiRequest, Refused

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 300.0
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


class UpstreamConnection:
    """One kept-alive connection to one host. Not for concurrent use."""

    def __init__(self, upstreams: Upstreams, host: str) -> None:
        self._upstreams = upstreams
        self._host = host
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def exchange(self, request: ApiRequest, headers: list[tuple[bytes, bytes]]) -> AsyncGenerator[h11.Response | h11.Data, None]:
        """Sends the request and yields the answer's head and its data as they come. Raises ``OSError``, ``TimeoutError`` or ``h11.ProtocolError``."""
        reader, writer = await self._open()
        target = request.path + (f"?{request.query}" if request.query else "")
        sent = [(name, value) for name, value in headers if name not in HOP_BY_HOP and name != b"content-length"]
        if request.body or request.method in {"POST", "PUT", "PATCH"}:
            sent.append((b"content-length", str(len(request.body)).encode()))
        try:
            data = self._http.send(h11.Request(method=request.method, target=target, headers=sent)) or b""
            if request.body:
                data += self._http.send(h11.Data(data=request.body)) or b""
            writer.write(data + (self._http.send(h11.EndOfMessage()) or b""))
            await writer.drain()
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        self._http.receive_data(await reader.read(_CHUNK))
                elif isinstance(event, h11.Response | h11.Data):
                    yield event
                elif isinstance(event, h11.EndOfMessage):
                    break
                elif isinstance(event, h11.ConnectionClosed):
                    raise ConnectionError(f"{self._host} closed the connection before it answered")
        except BaseException:
            self.close()
            raise
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()

    def close(self) -> None:
        """Drops the connection."""
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams and not self._streams[0].at_eof() and not self._streams[1].is_closing():
            return self._streams
        self.close()
        place = self._upstreams.place(self._host)
        context = ssl.create_default_context() if place.tls else None
        opening = asyncio.open_connection(place.host, place.port, ssl=context, server_hostname=place.host if place.tls else None)
        self._streams = await asyncio.wait_for(opening, CONNECT_SECONDS)
        self._http = h11.Connection(h11.CLIENT)
        return self._streams
