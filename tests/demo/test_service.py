"""The demo's service: echoes on every protocol, and answers what has begun before it goes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets

PROGRAM = Path(__file__).parents[2] / "demo" / "service" / "service.py"


@dataclass
class Running:
    http: int
    tcp: int
    process: subprocess.Popen[bytes]

    def get(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", data=body, timeout=10) as answer:
            return bytes(answer.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def service() -> Iterator[Running]:
    http, tcp = free_port(), free_port()
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT_HTTP": str(http), "PORT_TCP": str(tcp), "SPOTLANE_PLACEMENT": "acme_web_1"}
    process = subprocess.Popen([sys.executable, str(PROGRAM)], env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
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
