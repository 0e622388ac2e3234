"""What one client may take: slow heads, slow bodies and too many connections end with nothing forwarded."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import json
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from audit.log import AuditLog
from policies.proxy.authority import Authority
from policies.proxy.books import Books
from policies.proxy.clients import Limits, sender
from policies.proxy.patience import Patience
from policies.proxy.server import Proxy
from policies.proxy.upstream import Upstreams
from tests.policies.attempts import ARM, CREDENTIAL, GROUP, connect
from tests.policies.stage import EU, SUBSCRIPTION

ACME = f"Proxy-Authorization: Basic {base64.b64encode(b'acme:k-acme').decode()}\r\n"

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


def acme(home: Path, key: str = "k-acme") -> None:
    """Makes the tenant known, or gives it another key."""
    record = {"tenant": "acme", "boundary": EU, "accounts": {"azure": [SUBSCRIPTION]}, "key_sha256": hashlib.sha256(key.encode()).hexdigest()}
    (home / "acme.new").write_text(json.dumps(record))
    (home / "acme.new").replace(home / "tenants" / "acme.json")


async def tunnel(home: Path, port: int, credential: str = CREDENTIAL) -> Opened:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(connect(f"{ARM}:443", credential))
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 429 " in answer:
        writer.close()
        raise ConnectionRefusedError(answer)
    assert b" 200 " in answer
    await writer.start_tls(ssl.create_default_context(cafile=str(home / "ca.pem")), server_hostname=ARM)
    return reader, writer


async def eventually(attempt: Callable[[], Awaitable[Opened]]) -> Opened:
    """Tries again while it is refused: the proxy learns a moment later that a tunnel is closed."""
    while True:
        try:
            return await attempt()
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)


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


def test_a_connection_that_says_nothing_is_closed_sooner_than_a_tunnel(tmp_path: Path) -> None:
    async def scene(port: int, audit: AuditLog) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read(1) == b""
        writer.close()

    run(tmp_path, Limits(head_seconds=0.3, idle_seconds=600), scene)


def test_a_tenant_has_a_share_of_tunnels_and_the_platform_the_rest(tmp_path: Path) -> None:
    async def scene(port: int, audit: AuditLog) -> None:
        acme(tmp_path)
        held = [await tunnel(tmp_path, port, ACME) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(connect(f"{ARM}:443", ACME))
        assert (await reader.read(65536)).startswith(b"HTTP/1.1 429")
        assert [(entry["principal"], entry["why"]) for entry in audit.after(0, 9)] == [
            ("acme", "'acme' has 2 connections open already; close some and try again")
        ]
        others = [await tunnel(tmp_path, port) for _ in range(3)]
        held[0][1].close()
        await held[0][1].wait_closed()
        again = await eventually(lambda: tunnel(tmp_path, port, ACME))
        for _, each in [*held, (reader, writer), *others, again]:
            each.close()

    run(tmp_path, Limits(tunnels=2), scene)


def test_a_credential_that_is_taken_back_is_good_for_nothing_on_a_tunnel_that_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.proxy.clients.CREDENTIAL_SECONDS", 0.0)
    asked = f"GET {GROUP}?api-version=2024-11-01 HTTP/1.1\r\nHost: {ARM}\r\n\r\n".encode()

    async def scene(port: int, audit: AuditLog) -> None:
        acme(tmp_path)
        reader, writer = await tunnel(tmp_path, port, ACME)
        writer.write(asked)
        assert b"has no upstream" in await reader.read(65536)
        acme(tmp_path, key="another")
        writer.write(asked)
        assert b"the credential by which 'acme' connected is good no longer" in await reader.read(65536)
        told = [(entry["verdict"], entry["rule"]) for entry in audit.after(0, 9) if entry["action"] != "Change"]
        assert told == [("allow", ""), ("deny", "account")]
        writer.close()

    run(tmp_path, Limits(), scene)


def test_a_client_that_takes_nothing_of_its_answer_is_given_up() -> None:
    async def scene() -> None:
        done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            send = sender(writer, 0.2)
            try:
                for _ in range(1024):
                    await send(b"x" * 65536)
            except TimeoutError as error:
                done.set_result(error)
            else:
                done.set_result(None)
            writer.transport.abort()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2], limit=1024)
        assert isinstance(await asyncio.wait_for(done, 20), TimeoutError)
        writer.close()
        server.close()

    asyncio.run(scene())


def test_hosts_that_a_client_thinks_of_take_no_more_than_so_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.proxy.authority._CONTEXTS_KEPT", 2)
    authority = Authority(tmp_path)
    names = ["a.s3.eu-west-1.amazonaws.com", "b.s3.eu-west-1.amazonaws.com", "c.s3.eu-west-1.amazonaws.com"]
    first, second = authority.context(names[0]), authority.context(names[1])
    assert authority.context(names[0]) is first
    authority.context(names[2])
    assert authority.context(names[0]) is first
    assert authority.context(names[1]) is not second


def test_a_reader_is_patient_for_each_read_anew_and_not_between_them() -> None:
    async def scene() -> None:
        reader = asyncio.StreamReader()
        patience = Patience(reader)
        loop = asyncio.get_running_loop()
        for number in range(4):
            loop.call_later(0.3, reader.feed_data, b"%d" % number)
            assert await patience.read(10, 1.0) == b"%d" % number
        await asyncio.sleep(1.2)
        loop.call_later(0.05, reader.feed_data, b"after a pause")
        assert await patience.read(20, 1.0) == b"after a pause"
        loop.call_later(0.05, reader.feed_data, b"sooner")
        assert await patience.read(20, 5.0) == b"sooner"
        begun = loop.time()
        with pytest.raises(TimeoutError):
            await patience.read(10, 0.1)
        assert 0.1 <= loop.time() - begun < 4.0
        with pytest.raises(TimeoutError):
            await patience.read(10, 5.0)

    asyncio.run(scene())


def test_a_stream_that_is_done_with_is_let_go_before_its_timer_rings() -> None:
    async def scene() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"x")
        patience = Patience(reader)
        assert await patience.read(1, 600.0) == b"x"
        left = weakref.ref(reader)
        patience.close()
        del reader, patience
        gc.collect()
        assert left() is None

    asyncio.run(scene())
