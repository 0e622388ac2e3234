"""The demo tenants' service: HTTP, WebSocket echo and TCP line echo. Only the standard library, as a customer's own small service might be.

    GET /healthz             200 ok
    GET /                    {"placement", "cloud", "region", "served"}
    GET /slow?ms=250         the same, later
    GET /stream?seconds=5    a numbered line ten times a second, in chunks
    POST /…                  the body, back
    GET /ws                  WebSocket (RFC 6455): every text or binary message comes back
    TCP                      every line comes back

With $SPOTLANE_ORIGIN_KEY, what didn't come through the edge is refused with 403 (HTTP and WebSocket; TCP has no header to sign).
Listens on $HOST:$PORT_HTTP and $HOST:$PORT_TCP, each where the port is given. SIGTERM: no new connections, what has begun is answered.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import struct
import time
from urllib.parse import parse_qs, urlsplit

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
DRAIN_SECONDS = 5.0
STREAM_LINES_PER_SECOND = 10
CLOSING = (1001, "going away")
_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class ProtocolError(Exception):
    """The other side broke the protocol; ``status`` is the HTTP status or the WebSocket close code to answer with."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(reason)


class Request:
    """One HTTP request; header names in lower case."""

    def __init__(self, method: str, target: str, version: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.headers, self.body = method, headers, body
        url = urlsplit(target)
        self.path, self.query = url.path, parse_qs(url.query)
        tokens = headers.get("connection", "").lower()
        self.keep_alive = "close" not in tokens if version == "HTTP/1.1" else "keep-alive" in tokens
        self.upgrade = headers.get("upgrade", "").lower() == "websocket"


async def read_request(reader: Reader) -> Request | None:
    """The next request, None at the end of the connection. Raises ProtocolError."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise ProtocolError(400, "incomplete request") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise ProtocolError(431, "request head too large") from error
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3:
        raise ProtocolError(400, "malformed request line")
    headers: dict[str, str] = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(parts[0], parts[1], parts[2], headers, await read_body(reader, headers))


async def read_body(reader: Reader, headers: dict[str, str]) -> bytes:
    """The body, by its length or in chunks. Raises ProtocolError."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int((await reader.readline()).split(b";")[0].strip() or b"0", 16):
            if len(body) + size > MAX_BODY_BYTES:
                raise ProtocolError(413, "body too large")
            body += await reader.readexactly(size)
            await reader.readline()
        while (await reader.readline()).strip():
            pass
        return body
    length = int(headers.get("content-length") or 0)
    if length > MAX_BODY_BYTES:
        raise ProtocolError(413, "body too large")
    return await reader.readexactly(length)


def answer(status: str, body: bytes, content_type: str, *, keep_alive: bool) -> bytes:
    """A whole HTTP answer."""
    connection = "keep-alive" if keep_alive else "close"
    return f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: {connection}\r\n\r\n".encode() + body


def through_the_edge(header: str, key: str, placement: str, now: float) -> bool:
    """Whether ``x-spotlane-signature`` is the edge's, not a minute old: what ``spotlane.origin.verify`` does where that is installed."""
    found = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", header)
    if found is None or abs(now - int(found[1])) > 60:
        return False
    expected = hmac.new(bytes.fromhex(key), f"{found[1]}.{placement}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, found[2])


class Service:
    """The service's state: who it is, what it has served, what is open."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.identity = {key: environment.get("SPOTLANE_" + key.upper(), "") for key in ("placement", "cloud", "region")}
        self.origin_key = environment.get("SPOTLANE_ORIGIN_KEY", "")
        self.served = 0
        self.draining = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.idle: set[Writer] = set()

    async def http(self, reader: Reader, writer: Writer) -> None:
        """One HTTP connection."""
        try:
            while True:
                self.idle.add(writer)
                request = await read_request(reader)
                self.idle.discard(writer)
                if request is None:
                    return
                if not self.admits(request):
                    raise ProtocolError(403, "Forbidden")
                if request.upgrade and request.path == "/ws":
                    await self.websocket(request, reader, writer)
                    return
                if request.method == "GET" and request.path == "/stream":
                    await self.stream(request, writer)
                    return
                keep_alive = request.keep_alive and not self.draining.is_set()
                writer.write(await self.handle(request, keep_alive))
                await writer.drain()
                if not keep_alive:
                    return
        except ProtocolError as error:
            writer.write(answer(f"{error.status} {error.reason}", b"", "text/plain", keep_alive=False))
        except ValueError:
            writer.write(answer("400 Bad Request", b"", "text/plain", keep_alive=False))
        finally:
            self.idle.discard(writer)

    def admits(self, request: Request) -> bool:
        """Whether the request came through the edge, where that is to be checked."""
        header = request.headers.get("x-spotlane-signature", "")
        return not self.origin_key or through_the_edge(header, self.origin_key, self.identity["placement"], time.time())

    async def handle(self, request: Request, keep_alive: bool) -> bytes:
        """The answer to ``request``."""
        self.served += 1
        if request.path == "/healthz":
            return answer("200 OK", b"ok\n", "text/plain", keep_alive=keep_alive)
        if request.method == "POST":
            return answer("200 OK", request.body, request.headers.get("content-type", "application/octet-stream"), keep_alive=keep_alive)
        if request.method not in ("GET", "HEAD"):
            return answer("405 Method Not Allowed", b"", "text/plain", keep_alive=keep_alive)
        if request.path == "/slow":
            await asyncio.sleep(min(float(request.query.get("ms", ["100"])[0]), 60_000.0) / 1000)
        elif request.path != "/":
            return answer("404 Not Found", b"", "text/plain", keep_alive=keep_alive)
        body = json.dumps({**self.identity, "served": self.served}).encode()
        whole = answer("200 OK", body, "application/json", keep_alive=keep_alive)
        return whole if request.method == "GET" else whole[: -len(body)]

    async def stream(self, request: Request, writer: Writer) -> None:
        """Lines with their numbers for as long as asked, each as it comes; at most a minute."""
        count = round(min(float(request.query.get("seconds", ["5"])[0]), 60.0) * STREAM_LINES_PER_SECOND)
        self.served += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n")
        for number in range(count):
            line = f"{number}\n".encode()
            writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            await writer.drain()
            await asyncio.sleep(1 / STREAM_LINES_PER_SECOND)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def websocket(self, request: Request, reader: Reader, writer: Writer) -> None:
        """One WebSocket: the handshake, then echo until either side closes."""
        key = request.headers.get("sec-websocket-key", "")
        if request.method != "GET" or not key or request.headers.get("sec-websocket-version") != "13":
            raise ProtocolError(426 if key else 400, "WebSocket version 13 needed")
        accept = base64.b64encode(hashlib.sha1((key + _WEBSOCKET_GUID).encode(), usedforsecurity=False).digest()).decode()
        writer.write(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        echo = asyncio.create_task(self.echo_frames(reader, writer))
        drain = asyncio.create_task(self.draining.wait())
        await asyncio.wait({echo, drain}, return_when=asyncio.FIRST_COMPLETED)
        drain.cancel()
        if not echo.done():
            # Say goodbye, then go on echoing what the client had sent before it heard it: its close frame ends the loop.
            write_frame(writer, _CLOSE, struct.pack("!H", CLOSING[0]) + CLOSING[1].encode())
        await echo

    async def echo_frames(self, reader: Reader, writer: Writer) -> None:
        """Echoes messages in order; a close frame is answered after all that came before it."""
        kind, message = 0, b""
        try:
            while True:
                final, code, payload = await read_frame(reader)
                if code == _CLOSE:
                    write_frame(writer, _CLOSE, payload[:2])
                    await writer.drain()
                    return
                if code == _PING:
                    write_frame(writer, _PONG, payload)
                elif code in (0, _TEXT, _BINARY):
                    if (code == 0) != bool(kind):
                        raise ProtocolError(1002, "unexpected fragment")
                    kind, message = kind or code, message + payload
                    if len(message) > MAX_BODY_BYTES:
                        raise ProtocolError(1009, "message too large")
                    if final:
                        self.served += 1
                        write_frame(writer, kind, message)
                        kind, message = 0, b""
                await writer.drain()
        except ProtocolError as error:
            write_frame(writer, _CLOSE, struct.pack("!H", error.status) + error.reason.encode())

    async def lines(self, reader: Reader, writer: Writer) -> None:
        """One TCP connection: lines come back until the other side ends it; while draining, until it pauses for a second."""
        while not writer.is_closing():
            read = asyncio.ensure_future(reader.readline())
            drain = asyncio.ensure_future(self.draining.wait())
            await asyncio.wait({read, drain}, return_when=asyncio.FIRST_COMPLETED)
            drain.cancel()
            if not read.done():
                await asyncio.wait({read}, timeout=1.0)
            if not read.done():
                read.cancel()
                return
            line = read.result()
            if not line:
                return
            self.served += 1
            writer.write(line)
            await writer.drain()

    async def connection(self, kind: str, reader: Reader, writer: Writer) -> None:
        """Runs one connection to its end and closes it."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await (self.http if kind == "http" else self.lines)(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the other side is gone, or sends no lines
        finally:
            self.tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 2.0)

    async def drain(self) -> None:
        """Lets what has begun come to its end, for up to DRAIN_SECONDS."""
        self.draining.set()
        for writer in list(self.idle):
            writer.close()
        if pending := set(self.tasks):
            await asyncio.wait(pending, timeout=DRAIN_SECONDS)


async def read_frame(reader: Reader) -> tuple[bool, int, bytes]:
    """One frame of a client: whether it is final, its opcode, its payload. Raises ProtocolError (RFC 6455, section 5)."""
    first, second = await reader.readexactly(2)
    code, size = first & 0x0F, second & 0x7F
    if first & 0x70 or not second & 0x80:
        raise ProtocolError(1002, "reserved bit, or no mask")
    if code >= _CLOSE and (size > 125 or not first & 0x80):
        raise ProtocolError(1002, "malformed control frame")
    if code not in (0, _TEXT, _BINARY, _CLOSE, _PING, _PONG):
        raise ProtocolError(1002, "unknown opcode")
    if size == 126:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", await reader.readexactly(8))
    if size > MAX_BODY_BYTES:
        raise ProtocolError(1009, "frame too large")
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    if not size:
        return bool(first & 0x80), code, b""
    key = (mask * (size // 4 + 1))[:size]
    return bool(first & 0x80), code, (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def write_frame(writer: Writer, code: int, payload: bytes) -> None:
    """One whole frame, unmasked as a server's are."""
    size = len(payload)
    length = bytes([size]) if size < 126 else struct.pack("!BH", 126, size) if size < 1 << 16 else struct.pack("!BQ", 127, size)
    writer.write(bytes([0x80 | code]) + length + payload)


async def main(service: Service) -> None:
    """Serves until SIGTERM, then drains."""
    host = os.environ.get("HOST", "127.0.0.1")
    servers = []
    for kind in ("http", "tcp"):
        if port := os.environ.get("PORT_" + kind.upper()):

            async def connected(reader: Reader, writer: Writer, kind: str = kind) -> None:
                await service.connection(kind, reader, writer)

            servers.append(await asyncio.start_server(connected, host, int(port), limit=MAX_HEAD_BYTES, backlog=1024))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    print(
        f"serving on {host}: " + ", ".join(f"{kind} {os.environ[name]}" for kind in ("http", "tcp") if (name := "PORT_" + kind.upper()) in os.environ),
        flush=True,
    )
    await stop.wait()
    for server in servers:
        server.close()
    await service.drain()


if __name__ == "__main__":
    asyncio.run(main(Service(dict(os.environ))))
