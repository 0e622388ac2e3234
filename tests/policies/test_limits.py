"""What one client may take: slow heads, slow bodies and too many connections end with nothing forwarded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from audit.log import AuditLog
from policies.proxy.authority import Authority
from policies.proxy.books import Books
from policies.proxy.server import Limits, Proxy
from policies.proxy.upstream import Upstreams
from tests.policies.attempts import ARM, GROUP, connect

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def proxy(home: Path, limits: Limits) -> AsyncIterator[tuple[int, AuditLog]]:
    """A proxy in this very process, with no upstream at all."""
    (home / "tenants").mkdir()
    (home / "principals.json").write_text(json.dumps({"platform": hashlib.sha256(b"k-platform").hexdigest()}))
    (home / "upstreams.json").write_text("{}")
    audit = AuditLog(home / "audit.jsonl")
    made = Proxy(Books(home), Authority(home), audit, Upstreams(home / "upstreams.json"), limits=limits)
    server = await asyncio.start_server(made.connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], audit
    finally:
        server.close()
        await made.drain(0)
        await asyncio.sleep(0.05)
        audit.close()


async def tunnel(home: Path, port: int) -> Opened:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(connect(f"{ARM}:443"))
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    await writer.start_tls(ssl.create_default_context(cafile=str(home / "ca.pem")), server_hostname=ARM)
    return reader, writer


def run(home: Path, limits: Limits, scene: Callable[[int, AuditLog], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with proxy(home, limits) as (port, audit):
            await asyncio.wait_for(scene(port, audit), 20)

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (f"PUT {GROUP} HTTP/1.1\r\nHost: {ARM}\r\nX-Slow: ", "the head took longer than 0.3 s"),
        (f"PUT {GROUP} HTTP/1.1\r\nHost: {ARM}\r\nContent-Length: 100\r\n\r\n{{", "the body took longer than 0.3 s"),
        (f"PUT {GROUP} HTTP/1.1\r\nHost: {ARM}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n", "the body took longer than 0.3 s"),
    ],
    ids=["head", "body", "chunks"],
)
def test_what_comes_too_slowly_is_refused_and_recorded(tmp_path: Path, sent: str, why: str) -> None:
    async def scene(port: int, audit: AuditLog) -> None:
        reader, writer = await tunnel(tmp_path, port)
        writer.write(sent.encode())
        assert (await reader.read(65536)).startswith(b"HTTP/1.1 408")
        assert [entry["why"] for entry in audit.after(0, 9)] == [why]
        writer.close()

    run(tmp_path, Limits(head_seconds=0.3, body_seconds=0.3), scene)


def test_a_tunnel_that_says_nothing_is_closed(tmp_path: Path) -> None:
    async def scene(port: int, audit: AuditLog) -> None:
        reader, writer = await tunnel(tmp_path, port)
        assert await reader.read(65536) == b""
        writer.close()

    run(tmp_path, Limits(idle_seconds=0.3), scene)


def test_one_connection_too_many_is_closed_unread(tmp_path: Path) -> None:
    async def scene(port: int, audit: AuditLog) -> None:
        held = [await tunnel(tmp_path, port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(connect(f"{ARM}:443"))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)
        for _, each in [*held, (reader, writer)]:
            each.close()

    run(tmp_path, Limits(connections=2), scene)
