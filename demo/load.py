"""The load generator: HTTP, WebSocket and TCP through the edge's address, all the time, without a retry of its own.

Open loop: a request is due when its time comes, whatever became of the ones before. Bounded by the time it is given and by its rates.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from demo.tally import Tally
from spotlane.errors import SpotlaneError
from spotlane.resolve import Resolver
from spotlane.websocket import WebSocketSession, connect

_ECHO_TIMEOUT_SECONDS = 20.0
_HTTP_TIMEOUT_SECONDS = 20.0
_CONNECTIONS = 64
_KEEPALIVE_SECONDS = 30.0
"""Shorter than the edge keeps an idle connection: a request is never sent into one that is being closed."""


@dataclass(frozen=True)
class Target:
    """One workload under load: URLs as its endpoint names them, and the rates per second."""

    workload: str
    http: str
    websocket: str
    tcp: tuple[str, int] | None
    http_per_second: float = 55.0
    ws_per_second: float = 10.0
    tcp_per_second: float = 3.0


class Load:
    """Runs in a thread of its own until stopped."""

    def __init__(self, targets: list[Target], environ: dict[str, str]) -> None:
        self.tally = Tally()
        self._targets = targets
        self._names = Resolver(environ)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def stop(self) -> Tally:
        """Sends nothing more, waits for what is under way, and gives the counts."""
        self._stop.set()
        self._thread.join(timeout=_ECHO_TIMEOUT_SECONDS + _HTTP_TIMEOUT_SECONDS)
        self._names.close()
        return self.tally

    async def _run(self) -> None:
        connections = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_SECONDS)
        async with aiohttp.ClientSession(connector=connections, timeout=aiohttp.ClientTimeout(total=_HTTP_TIMEOUT_SECONDS)) as http:
            jobs = []
            for target in self._targets:
                jobs.append(self._every(target.http_per_second, lambda n, t=target: self._request(http, t, n)))
                jobs.append(self._websocket(target))
                if target.tcp is not None:
                    jobs.append(self._every(target.tcp_per_second, lambda n, t=target: self._tcp(t, n)))
            await asyncio.gather(*jobs)

    async def _every(self, per_second: float, job) -> None:  # type: ignore[no-untyped-def]  # a coroutine function of the count
        begun = time.monotonic()
        count = 0
        running: set[asyncio.Task[None]] = set()
        while not self._stop.is_set():
            due = begun + count / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.ensure_future(job(count))
            running.add(task)
            task.add_done_callback(running.discard)
            count += 1
        if running:
            await asyncio.wait(running, timeout=_ECHO_TIMEOUT_SECONDS)

    async def _request(self, http: aiohttp.ClientSession, target: Target, number: int) -> None:
        url, host = loopback(target.http)
        body = f"{target.workload} {number}".encode()
        begun = time.perf_counter()
        self.tally.http_requests += 1
        echo = number % 4 == 3
        asked = http.post(f"{url}/echo", data=body, headers={"host": host}) if echo else http.get(f"{url}/", headers={"host": host})
        try:
            async with asked as answer:
                given = await answer.read()
            right = answer.status == 200 and (given == body or not echo)
            if right and not echo:
                self.tally.served_by[str(json.loads(given).get("placement"))] += 1
            if not right:
                self.tally.fault("http", f"{answer.status} {given[:80].decode(errors='replace')}")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            right = False
            self.tally.fault("http", type(error).__name__)
        self.tally.latencies_ms.append((time.perf_counter() - begun) * 1000)
        if not right:
            self.tally.http_failed += 1

    async def _websocket(self, target: Target) -> None:
        """Numbered messages in one session of the resume protocol; each must come back once."""
        sent: dict[int, bool] = {}
        try:
            async with await connect(target.websocket) as session:
                reader = asyncio.ensure_future(self._read(session, sent))
                begun = time.monotonic()
                number = 0
                while not self._stop.is_set():
                    await asyncio.sleep(max(0.0, begun + number / target.ws_per_second - time.monotonic()))
                    sent[number] = False
                    await session.send(str(number))
                    number += 1
                limit = time.monotonic() + _ECHO_TIMEOUT_SECONDS
                while not all(sent.values()) and time.monotonic() < limit and not reader.done():
                    await asyncio.sleep(0.05)
                reader.cancel()
        except (SpotlaneError, TimeoutError) as error:
            self.tally.fault("websocket", f"{type(error).__name__}: {error}")
        self.tally.ws_messages += len(sent)
        lost = sum(1 for back in sent.values() if not back)
        self.tally.ws_lost += lost if sent else 1

    async def _read(self, session: WebSocketSession, sent: dict[int, bool]) -> None:
        async for message in session:
            number = int(message)
            if sent.get(number):
                self.tally.ws_duplicated += 1
            sent[number] = True

    async def _tcp(self, target: Target, number: int) -> None:
        assert target.tcp is not None, "only targets with a TCP address are asked"
        self.tally.tcp_connections += 1
        line = f"{target.workload} {number}\n".encode()
        try:
            host, port = await asyncio.to_thread(self._names.address, target.tcp[0], target.tcp[1])
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _HTTP_TIMEOUT_SECONDS)
            try:
                writer.write(line)
                await writer.drain()
                back = await asyncio.wait_for(reader.readline(), _HTTP_TIMEOUT_SECONDS)
            finally:
                writer.close()
        except Exception as error:  # noqa: BLE001  # whatever goes wrong is a failed connection, counted with its cause
            back = b""
            self.tally.fault("tcp", f"{type(error).__name__}: {error}")
        if back != line:
            self.tally.tcp_failed += 1


def loopback(url: str) -> tuple[str, str]:
    """The URL with its name under ``.localhost`` replaced by 127.0.0.1, and the Host header."""
    split = urlsplit(url)
    host = split.netloc
    if split.hostname is not None and split.hostname.endswith(".localhost"):
        url = split._replace(netloc=f"127.0.0.1:{split.port}" if split.port else "127.0.0.1").geturl()
    return url.rstrip("/"), host
