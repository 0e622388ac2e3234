"""The demo's service: echoes on every protocol, and answers what has begun before it goes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets

from tests.ports import free_port

PROGRAM = Path(__file__).parents[2] / "demo" / "service" / "service.py"


@dataclass
class Running:
    http: int
    tcp: int
    process: subprocess.Popen[bytes]

    def get(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", data=body, timeout=10) as answer:
            return bytes(answer.read())


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[Running]:
    """The service; a parameter is its SPOTLANE_ORIGIN_KEY."""
    http, tcp = free_port(), free_port()
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT_HTTP": str(http), "PORT_TCP": str(tcp), "SPOTLANE_PLACEMENT": "acme_web_1"}
    environment["SPOTLANE_ORIGIN_KEY"] = getattr(request, "param", "")
    process = subprocess.Popen([sys.executable, str(PROGRAM)], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", tcp)).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    yield Running(http, tcp, process)
    process.kill()
    process.wait()


def test_http_says_who_serves_and_echoes(service: Running) -> None:
    assert service.get("/healthz") == b"ok\n"
    assert b'"placement": "acme_web_1"' in service.get("/")
    assert service.get("/echo", b"body") == b"body"


def test_a_stream_is_sent_line_by_line_to_its_end(service: Running) -> None:
    assert service.get("/stream?seconds=0.5") == b"0\n1\n2\n3\n4\n"


def test_websocket_echoes_text_binary_fragments_and_pings(service: Running) -> None:
    async def talk() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{service.http}/ws", proxy=None) as socket:
            large = os.urandom(100_000)
            for message in ("text", b"binary", large):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(["a", "b", "c"])
            assert await socket.recv() == "abc"
            await (await socket.ping())

    asyncio.run(talk())


def test_sigterm_answers_what_has_begun_then_ends(service: Running) -> None:
    async def talk() -> None:
        async with websockets.connect(f"ws://127.0.0.1:{service.http}/ws", proxy=None) as socket:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.tcp)
            writer.write(b"line\n")
            assert await reader.readline() == b"line\n"
            slow = asyncio.create_task(asyncio.to_thread(service.get, "/slow?ms=400"))
            await asyncio.sleep(0.15)
            await socket.send("last")
            service.process.send_signal(signal.SIGTERM)
            assert await socket.recv() == "last"
            assert b"acme_web_1" in await slow
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
            assert await reader.read() == b""
            writer.close()

    asyncio.run(talk())
    assert service.process.wait(10) == 0


KEY = "0b" * 32


def signature(placement: str, key: str = KEY, age: float = 0) -> str:
    """The edge's header."""
    moment = int(time.time() - age)
    return f"t={moment},v1={hmac.new(bytes.fromhex(key), f'{moment}.{placement}'.encode(), hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize("service", [KEY], indirect=True)
def test_with_a_key_only_what_came_through_the_edge_is_served(service: Running) -> None:
    def status(header: str | None, path: str = "/") -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{service.http}{path}", headers={"x-spotlane-signature": header} if header else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    assert [status(signature("acme_web_1")), status(signature("acme_web_1"), "/healthz"), status(signature("acme_web_1", age=50))] == [200, 200, 200]
    refused = [None, signature("acme_web_2"), signature("acme_web_1", "0c" * 32), signature("acme_web_1", age=70), "t=1,v1=" + "0" * 64, "nonsense"]
    assert [status(header) for header in refused] == [403] * len(refused)


@pytest.mark.parametrize("service", [KEY], indirect=True)
def test_with_a_key_a_websocket_is_refused_unless_the_edge_signed_its_handshake(service: Running) -> None:
    async def talk() -> None:
        address = f"ws://127.0.0.1:{service.http}/ws"
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(address, proxy=None):
                pass
        assert refused.value.response.status_code == 403
        async with websockets.connect(address, proxy=None, additional_headers={"x-spotlane-signature": signature("acme_web_1")}) as socket:
            await socket.send("through")
            assert await socket.recv() == "through"

    asyncio.run(talk())
