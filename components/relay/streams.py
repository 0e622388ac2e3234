"""Both sides of a relayed connection as byte streams: plain TCP, and a machine's tunnel.

Cloudflare's tunnel carries TCP in the binary messages of a WebSocket to the service's hostname (what ``cloudflared access tcp`` opens). The WebSocket
(RFC 6455) opens once the machine's connector has connected to the service. It knows no half-close: its end is the end of both directions.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

CHUNK = 64 * 1024
BUFFER = 256 * 1024
"""Bytes that may wait for a slow reader before the other side is no longer read."""
FLUSH_SECONDS = 10.0
HEAD_LIMIT = 16 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10


class Unreachable(OSError):
    """The machine's service can't be connected to."""


class Stream(Protocol):
    """One end of a connection."""

    half_closes: bool
    """Whether :meth:`end` lets the other direction go on."""

    async def read(self) -> bytes:
        """What has come; empty at the end. Raises OSError where the connection broke."""

    async def write(self, data: bytes) -> None:
        """Sends; returns once no more than :data:`BUFFER` bytes wait."""

    async def end(self) -> None:
        """No more will be written."""

    def close(self) -> None:
        """Ends both directions in order: what was written is sent first, for :data:`FLUSH_SECONDS` at most."""

    def abort(self) -> None:
        """Ends at once, by a reset."""


class PlainStream:
    """TCP."""

    half_closes = True

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        writer.transport.set_write_buffer_limits(high=BUFFER)
        if (raw := writer.get_extra_info("socket")) is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self) -> bytes:
        """See :class:`Stream`."""
        return await self._reader.read(CHUNK)

    async def write(self, data: bytes) -> None:
        """See :class:`Stream`."""
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """See :class:`Stream`."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def abort(self) -> None:
        """See :class:`Stream`. Without lingering, so that the other end sees a reset and not an orderly end."""
        raw = self._writer.get_extra_info("socket")
        if raw is not None and not self._writer.transport.is_closing():
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """See :class:`Stream`."""
        _close(self._writer)


class TunnelStream:
    """TCP in a WebSocket, as its client."""

    half_closes = False

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._left = 0
        self._ended = False
        writer.transport.set_write_buffer_limits(high=BUFFER)

    async def read(self) -> bytes:
        """See :class:`Stream`. A message is handed on in pieces as it comes, whatever its length."""
        try:
            while self._left == 0:
                if not await self._next_frame():
                    return b""
            data = await self._reader.read(min(self._left, CHUNK))
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the tunnel ended within a message") from error
        if not data:
            raise ConnectionResetError("the tunnel ended within a message")
        self._left -= len(data)
        return data

    async def _next_frame(self) -> bool:
        """Reads up to the next data frame's content; False at the end."""
        try:
            first, second = await self._reader.readexactly(2)
        except asyncio.IncompleteReadError:
            return False
        length = second & 0x7F
        if length == 126:
            length = struct.unpack("!H", await self._reader.readexactly(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", await self._reader.readexactly(8))[0]
        if second & 0x80:
            raise ConnectionResetError("a server's frame is not masked")
        opcode = first & 0x0F
        if opcode < _CLOSE:
            self._left = length
            return True
        if length > 125:
            raise ConnectionResetError("a control frame has 125 bytes at most")
        content = await self._reader.readexactly(length)
        if opcode == _CLOSE:
            await self._close(content[:2])
            return False
        if opcode == _PING:
            await self._frame(_PONG, content)
        return True

    async def write(self, data: bytes) -> None:
        """See :class:`Stream`."""
        await self._frame(_BINARY, data)

    async def end(self) -> None:
        """See :class:`Stream`."""
        await self._close(struct.pack("!H", 1000))

    async def _close(self, code: bytes) -> None:
        if not self._ended:
            self._ended = True
            with contextlib.suppress(OSError):
                await self._frame(_CLOSE, code)

    async def _frame(self, opcode: int, data: bytes) -> None:
        size = len(data)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", size)
        key = os.urandom(4)
        self._writer.write(head + key + masked(data, key))
        await self._writer.drain()

    def close(self) -> None:
        """See :class:`Stream`."""
        _close(self._writer)

    def abort(self) -> None:
        """See :class:`Stream`."""
        self._writer.transport.abort()


def _close(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        writer.close()
        asyncio.get_running_loop().call_later(FLUSH_SECONDS, writer.transport.abort)


def masked(data: bytes, key: bytes) -> bytes:
    """``data`` with the client's mask laid over it; as one large number, a hundred times faster than byte by byte."""
    size = len(data)
    cover = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(cover, "big")).to_bytes(size, "big")


Connect = Callable[[str, int, ssl.SSLContext | None], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def connect(host: str, port: int, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to ``host``; over TLS where there is a context. Names under .localhost are the loopback's own (RFC 6761, section 6.3)."""
    return await asyncio.open_connection("127.0.0.1" if host.endswith(".localhost") else host, port, ssl=context, limit=BUFFER)


class Dialer:
    """Opens connections to machines. ``headers`` go with each tunnel (a service token of Cloudflare Access, where the hosts are protected by it)."""

    def __init__(self, mode: str, seconds: float, headers: Mapping[str, str], *, tls: bool = True, port: int = 443, opens: Connect = connect) -> None:
        self._tunnel = mode == "tunnel"
        self._seconds = seconds
        self._headers = dict(headers)
        self._context = ssl.create_default_context() if tls and self._tunnel else None
        self._port = port
        self._opens = opens

    async def dial(self, origin: str, service_port: int) -> Stream:
        """A connection to the service at ``origin``. Raises :class:`Unreachable`."""
        try:
            async with asyncio.timeout(self._seconds):
                if self._tunnel:
                    return await self._through_tunnel(origin)
                return PlainStream(*await self._opens(origin, service_port, None))
        except Unreachable:
            raise
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise Unreachable(f"{origin}: {error or type(error).__name__}") from error

    async def _through_tunnel(self, origin: str) -> Stream:
        reader, writer = await self._opens(origin, self._port, self._context)
        try:
            key = base64.b64encode(os.urandom(16))
            lines = [
                f"GET / HTTP/1.1\r\nHost: {origin}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nUser-Agent: spotlane-relay\r\n"
            ]
            lines += [f"{name}: {value}\r\n" for name, value in self._headers.items()]
            writer.write("".join(lines).encode() + b"Sec-WebSocket-Key: " + key + b"\r\n\r\n")
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n"))[:HEAD_LIMIT].decode("latin-1").split("\r\n")
            status = head[0].split(" ")[1] if " " in head[0] else head[0]
            names = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
            if status != "101" or names.get("sec-websocket-accept") != accept:
                raise Unreachable(f"{origin}: the tunnel answered {status}")
        except BaseException:
            writer.transport.abort()
            raise
        return TunnelStream(reader, writer)
