"""The traffic of the migration benchmark: open loop, without a retry of its own, bounded by its rates; every answer is checked to its last byte."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

from benchmarks.migration.talk import Talk
from demo.load import loopback
from spotlane.resolve import Resolver

TIMEOUT_SECONDS = 60.0
STREAM_SECONDS = (5.0, 6.0)
STREAM_LINES_PER_SECOND = 10
SMALLEST_BODY, LARGEST_BODY = 1024, 1024 * 1024
LINES_PER_CONNECTION = 6
_CONNECTIONS = 256
_KEEPALIVE_SECONDS = 30.0
"""Shorter than the edge keeps an idle connection: a request is never sent into one that is being closed."""


@dataclass(frozen=True)
class Target:
    """One workload under load, by the URLs of its endpoint."""

    workload: str
    http: str
    websocket: str
    tcp: tuple[str, int]


@dataclass(frozen=True)
class Rates:
    """How much traffic: HTTP requests, WebSocket messages and TCP connections a second over all workloads, and the sockets that the messages share."""

    http: float
    sockets: int
    messages: float
    connections: float


@dataclass
class Counts:
    """What was sent and what became of it."""

    http_requests: int = 0
    http_failed: int = 0
    posts: int = 0
    streams: int = 0
    ws_messages: int = 0
    ws_lost: int = 0
    ws_duplicated: int = 0
    tcp_connections: int = 0
    tcp_failed: int = 0
    bytes_sent: int = 0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    """When a request that is not a stream began (s, monotonic), and how long it took (ms)."""
    ws_latencies_ms: list[float] = field(default_factory=list)
    """From a message's sending to its echo, those of moves included."""
    faults: Counter[str] = field(default_factory=Counter)
    witnessed: Counter[str] = field(default_factory=Counter)
    """How often the services took in each POST, by its number."""


class Traffic:
    """Runs until it is told to stop."""

    def __init__(self, targets: list[Target], rates: Rates, environ: dict[str, str], seed: int) -> None:
        self.counts = Counts()
        self._targets = targets
        self._rates = rates
        self._names = Resolver(environ)
        self._random = random.Random(seed)
        self._noise = self._random.randbytes(2 * LARGEST_BODY)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Nothing new is sent; what is under way ends."""
        self._stop.set()

    async def run(self) -> Counts:
        """Sends until ``stop``; the counts once all has ended."""
        rates = self._rates
        connections = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEPALIVE_SECONDS)
        async with aiohttp.ClientSession(connector=connections, timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as http:
            each = rates.messages / rates.sockets
            talks = [Talk(self._targets[number % len(self._targets)].websocket, each) for number in range(rates.sockets)]
            await asyncio.gather(
                self._each(rates.http, lambda number: self._request(http, number)),
                self._each(rates.connections, self._connection),
                *(talk.run(self._stop) for talk in talks),
            )
        for talk in talks:
            self.counts.ws_messages += talk.sent
            self.counts.ws_lost += talk.lost
            self.counts.ws_duplicated += talk.duplicated
            self.counts.faults.update(talk.faults)
            self.counts.ws_latencies_ms += talk.latencies_ms
        self._names.close()
        return self.counts

    async def _each(self, per_second: float, job: Callable[[int], Awaitable[None]]) -> None:
        """A job is due when its time comes, whatever became of those before."""
        begun = time.monotonic()
        running: set[asyncio.Future[None]] = set()
        for number in itertools.count():
            await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            if self._stop.is_set():
                break
            task = asyncio.ensure_future(job(number))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running)

    def _target(self, number: int) -> Target:
        return self._targets[number % len(self._targets)]

    async def _request(self, http: aiohttp.ClientSession, number: int) -> None:
        """A third are POSTs, one in fifty is a stream, the others are GETs."""
        kind = self._post if number % 3 == 2 else self._stream if number % 50 == 1 else self._get
        begun = time.monotonic()
        self.counts.http_requests += 1
        url, host = loopback(self._target(number // 3).http)
        try:
            fault = await kind(http, url, host, number)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            fault = f"{type(error).__name__}: {error}"
        if kind != self._stream:
            self.counts.latencies.append((begun, (time.monotonic() - begun) * 1000))
        if fault is not None:
            self.counts.http_failed += 1
            self.counts.faults[f"http {fault[:160]}"] += 1

    async def _get(self, http: aiohttp.ClientSession, url: str, host: str, _: int) -> str | None:
        async with http.get(f"{url}/", headers={"host": host}) as answer:
            given = await answer.read()
        return None if answer.status == 200 and json.loads(given)["placement"] else f"GET {answer.status} {given[:120]!r}"

    async def _post(self, http: aiohttp.ClientSession, url: str, host: str, number: int) -> str | None:
        size = round(SMALLEST_BODY * math.exp(self._random.random() * math.log(LARGEST_BODY / SMALLEST_BODY)))
        start = self._random.randrange(LARGEST_BODY)
        body = self._noise[start : start + size]
        self.counts.posts += 1
        self.counts.bytes_sent += size
        async with http.post(f"{url}/digest", data=body, headers={"host": host, "x-number": str(number)}) as answer:
            given = await answer.read()
        return None if answer.status == 200 and given.decode() == hashlib.sha256(body).hexdigest() else f"POST {answer.status} {given[:120]!r}"

    async def _stream(self, http: aiohttp.ClientSession, url: str, host: str, _: int) -> str | None:
        self.counts.streams += 1
        seconds = self._random.uniform(*STREAM_SECONDS)
        async with http.get(f"{url}/stream?seconds={seconds}", headers={"host": host}) as answer:
            given = (await answer.read()).split()
        wanted = [str(line).encode() for line in range(round(seconds * STREAM_LINES_PER_SECOND))]
        return None if answer.status == 200 and given == wanted else f"stream {answer.status}, {len(given)} of {len(wanted)} lines"

    async def _connection(self, number: int) -> None:
        """One TCP connection: a few lines over up to some seconds, each of which must come back."""
        target = self._target(number)
        self.counts.tcp_connections += 1
        pause = self._random.uniform(0.0, 0.8)
        try:
            host, port = await asyncio.to_thread(self._names.address, *target.tcp)
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), TIMEOUT_SECONDS)
            try:
                for line in range(LINES_PER_CONNECTION):
                    sent = f"{target.workload} {number} {line}\n".encode()
                    writer.write(sent)
                    await writer.drain()
                    back = await asyncio.wait_for(reader.readline(), TIMEOUT_SECONDS)
                    if back != sent:
                        raise ConnectionError(f"line {line} came back as {back!r}")
                    await asyncio.sleep(pause)
            finally:
                writer.close()
        except (OSError, TimeoutError) as error:
            self.counts.tcp_failed += 1
            self.counts.faults[f"tcp {type(error).__name__}: {error}"] += 1
