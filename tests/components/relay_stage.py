"""A relay on loopback ports, with an edge and a clock that stand until they are moved, and machines that echo."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from components.relay.relay import Relay
from components.relay.routes import Route, Target
from components.relay.settings import RelaySettings, Served
from components.relay.streams import Dialer

LABEL = "data-acme"
DOCUMENT = {"label": LABEL, "version": 3, "targets": [{"placement": "acme_data_1", "origin": "o", "weight": 1, "healthy": True}], "drainSeconds": 2}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Edge:
    """Answers followers when the route is newer than theirs, as the tcp Worker does."""

    def __init__(self) -> None:
        self.route = Route(0, (), 0.0)
        self.away = False
        self.fresh = 0
        self._changed = asyncio.Event()

    def point(self, *targets: Target, drain_seconds: float = 5.0) -> None:
        """A commit."""
        self.route = Route(self.route.version + 1, targets, drain_seconds)
        self._changed.set()
        self._changed = asyncio.Event()

    async def __call__(self, path: str) -> Route:
        if self.away:
            raise OSError("the edge is away")
        if "fresh" in path:
            self.fresh += 1
            return self.route
        while self.route.version <= int(path.rpartition("=")[2]):
            await self._changed.wait()
        return self.route


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: bytes = b"") -> None:
    """Sends back what comes, after the machine's name; ends when the client ends."""
    while data := await reader.read(65536):
        writer.write(name + data)
        await writer.drain()
    writer.close()


@dataclass
class Stage:
    """A relay with one workload and machines on loopback ports."""

    relay: Relay
    edge: Edge
    clock: Clock
    ports: dict[str, int] = field(default_factory=dict)
    servers: list[asyncio.Server] = field(default_factory=list)

    async def machine(self, name: str, handler: Handler | None = None, **changes: Any) -> Target:
        """A machine of this name; its service echoes after the name, or is ``handler``."""
        server = await asyncio.start_server(handler or (lambda reader, writer: echo(reader, writer, name.encode() + b":")), "127.0.0.1", 0)
        self.servers.append(server)
        self.ports[name] = server.sockets[0].getsockname()[1]
        return Target(f"acme_data_{name}", name, changes.pop("weight", 1.0), changes.pop("healthy", True), **changes)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client's connection."""
        return await asyncio.open_connection("127.0.0.1", self.relay.port_of(0))

    async def said(self, text: bytes) -> bytes:
        """The answer on a connection of its own."""
        reader, writer = await self.connect()
        try:
            return await ask(reader, writer, text)
        finally:
            writer.close()

    async def told(self) -> None:
        """Waits until the relay has the edge's route."""
        await until(lambda: self.relay.followers[LABEL].route.version == self.edge.route.version)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    """One exchange; empty where the connection has ended."""
    writer.write(text)
    try:
        return await asyncio.wait_for(reader.read(65536), 5)
    except ConnectionError:
        return b""


async def until(seen: Callable[[], bool]) -> None:
    """Waits for the loop to come to something."""
    async with asyncio.timeout(60):
        while not seen():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def stage(**changes: Any) -> AsyncIterator[Stage]:
    """A started relay. ``changes`` of its settings; ``workload`` of its one workload."""
    served = Served(LABEL, 0, **changes.pop("workload", {}))
    settings = replace(RelaySettings("https://tcp.example.com", (served,), listen="127.0.0.1", dial="direct"), **changes)
    edge, clock = Edge(), Clock()
    ports: dict[str, int] = {}

    async def opens(host: str, _: int, __: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", ports.get(host, 1))

    relay = Relay(settings, edge, Dialer("direct", 2.0, {}, opens=opens), clock, lambda: 0.5)
    built = Stage(relay, edge, clock, ports)
    await relay.start()
    try:
        yield built
    finally:
        await relay.stop(0)
        for server in built.servers:
            server.close()


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs an asynchronous test within its time."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())
