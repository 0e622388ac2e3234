"""The relay itself: takes a connection, finds its machine, joins the two, and lets go when the machine has left the route for the drain's length."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .proxy_protocol import Ends, ProxyProtocolError, encode, read_header
from .routes import Ask, Follower, Route, Target
from .settings import RelaySettings, Served
from .streams import BUFFER, Dialer, PlainStream, Stream, Unreachable

SWEEP_SECONDS = 0.25
"""How often idle and draining connections are looked for."""
RETRY_SECONDS = 0.3
HEADER_SECONDS = 5.0
LINGER_SECONDS = 5.0
"""How long a machine behind a tunnel, which can't be told of a client's end, may still answer."""


@dataclass(eq=False)
class Connection:
    """One joined pair. Times are the relay's clock's."""

    label: str
    placement: str
    client: Stream
    machine: Stream
    heard_at: float
    leaves_at: float | None = None
    ended_at: float | None = None

    async def end(self) -> None:
        """An orderly end of both directions."""
        await asyncio.gather(self.client.end(), self.machine.end(), return_exceptions=True)

    def abort(self) -> None:
        """An end at once."""
        self.client.abort()
        self.machine.abort()


@dataclass
class Counters:
    """What one workload's connections came to."""

    joined: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0

    def refuse(self, why: str) -> None:
        """Counts a connection that was refused: ``limit``, ``source``, ``header``, ``unknown``, ``no-machine``, ``unreachable``."""
        self.refused[why] = self.refused.get(why, 0) + 1

    def end(self, why: str) -> None:
        """Counts one that ended: ``closed``, ``broken``, ``idle``, ``drained``."""
        self.ended[why] = self.ended.get(why, 0) + 1


class Relay:
    """All workloads of one relay machine."""

    def __init__(
        self, settings: RelaySettings, ask: Ask, dialer: Dialer, clock: Callable[[], float] = time.monotonic, chance: Callable[[], float] = random.random
    ) -> None:
        self.settings = settings
        self.connections: set[Connection] = set()
        self.counters: dict[str, Counters] = {}
        self.followers: dict[str, Follower] = {}
        self.taken = 0
        self._ask, self._dialer, self._clock, self._chance = ask, dialer, clock, chance
        self._servers: dict[int, asyncio.Server] = {}
        self._following: dict[str, asyncio.Task[None]] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens on every port and follows every route. Raises OSError where a port is taken."""
        await self.apply(self.settings)
        self._sweeping = asyncio.create_task(self._sweep_always())

    async def apply(self, settings: RelaySettings) -> None:
        """Takes new settings; open connections stay as they are."""
        self.settings = settings
        labels, ports = {one.label for one in settings.workloads}, {one.port for one in settings.workloads}
        for label in set(self._following) - labels:
            self._following.pop(label).cancel()
            del self.followers[label]
        for label in labels - set(self._following):
            self.counters.setdefault(label, Counters())
            follower = Follower(label, self._ask, lambda route, of=label: self._moved(of, route), self._clock)  # type: ignore[misc]  # a default binds the loop's value
            self.followers[label] = follower
            self._following[label] = asyncio.create_task(follower.follow())
        for port in set(self._servers) - ports:
            self._servers.pop(port).close()
        for port in ports - set(self._servers):
            self._servers[port] = await asyncio.start_server(self._accept(port), settings.listen, port, limit=BUFFER, backlog=1024)

    def port_of(self, port: int) -> int:
        """The port that is really listened on for one of the settings."""
        number: int = self._servers[port].sockets[0].getsockname()[1]
        return number

    async def stop(self, seconds: float) -> None:
        """Takes no more connections, lets those in hand go on for ``seconds``, then ends them."""
        for server in self._servers.values():
            server.close()
        limit = self._clock() + seconds
        while self.connections and self._clock() < limit:
            await asyncio.sleep(SWEEP_SECONDS)
        tasks = [*self._following.values(), *([self._sweeping] if self._sweeping else []), *self._ending]
        for connection in list(self.connections):
            connection.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def sweep(self) -> None:
        """Ends what has been idle for too long or whose machine has left the route for the drain's length: in order first, by a reset after the grace."""
        now = self._clock()
        for connection in list(self.connections):
            if connection.ended_at is not None:
                if now - connection.ended_at >= self.settings.grace_seconds:
                    connection.abort()
                continue
            drained = connection.leaves_at is not None and now >= connection.leaves_at
            if not drained and now - connection.heard_at < self.settings.idle_seconds:
                continue
            connection.ended_at = now
            self.counters[connection.label].end("drained" if drained else "idle")
            ending = asyncio.create_task(connection.end())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _sweep_always(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.sweep()

    def _moved(self, label: str, route: Route) -> None:
        for connection in self.connections:
            if connection.label != label:
                continue
            if route.names(connection.placement):
                connection.leaves_at = None
            elif connection.leaves_at is None:
                connection.leaves_at = self._clock() + route.drain_seconds

    def _accept(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            client = PlainStream(reader, writer)
            if self.taken >= self.settings.max_connections:
                self._refuse(port, client, "limit")
                return
            self.taken += 1
            try:
                await self._relay(port, client, reader, writer)
            except Exception:
                client.abort()
                raise
            finally:
                self.taken -= 1
                client.close()

        return taken

    def _refuse(self, port: int, client: PlainStream, why: str, label: str | None = None) -> None:
        names = [label] if label else [one.label for one in self.settings.workloads if one.port == port][:1]
        for name in names:
            self.counters[name].refuse(why)
        client.abort()

    async def _relay(self, port: int, client: PlainStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, destination = writer.get_extra_info("peername")[:2], writer.get_extra_info("sockname")[:2]
        if not self.settings.trusts(ipaddress.ip_address(source[0])):
            return self._refuse(port, client, "source")
        ends: Ends | None = Ends(source, destination)
        first = next(one for one in self.settings.workloads if one.port == port)
        if first.proxy_in != "off":
            try:
                async with asyncio.timeout(HEADER_SECONDS):
                    ends = await read_header(reader.readexactly, first.proxy_in)
            except (ProxyProtocolError, OSError, TimeoutError, asyncio.IncompleteReadError):
                return self._refuse(port, client, "header")
        served = self.settings.served(port, ends.destination if ends else None)
        if served is None:
            return self._refuse(port, client, "unknown")
        found = await self._reach(served)
        if isinstance(found, str):
            return self._refuse(port, client, found, served.label)
        target, machine = found
        try:
            await self._join(served, target, client, machine, ends)
        finally:
            machine.close()

    async def _reach(self, served: Served) -> tuple[Target, Stream] | str:
        """A connection to a machine of now; else the word for why there is none. After a failure the route is asked for afresh."""
        follower = self.followers[served.label]
        why, failed = "no-machine", None
        for attempt in range(self.settings.attempts):
            if attempt > 0:
                await asyncio.sleep(RETRY_SECONDS * attempt)
            route = follower.route if attempt == 0 else await follower.refresh()
            target = route.choose(self._chance(), failed)
            if target is None:
                why = "no-machine"
                continue
            try:
                return target, await self._dialer.dial(target.origin, served.service_port)
            except Unreachable:
                why, failed = "unreachable", target.placement
        return why

    async def _join(self, served: Served, target: Target, client: PlainStream, machine: Stream, ends: Ends | None) -> None:
        counters = self.counters[served.label]
        connection = Connection(served.label, target.placement, client, machine, self._clock())
        self.connections.add(connection)
        counters.joined += 1
        # The route may have moved on while the machine was dialled.
        self._moved(served.label, self.followers[served.label].route)
        why = "broken"
        try:
            if header := encode(target.proxy_protocol, ends):
                await machine.write(header)
            inward = asyncio.create_task(self._pump(connection, client, machine, counters, inward=True))
            outward = asyncio.create_task(self._pump(connection, machine, client, counters, inward=False))
            done, rest = await asyncio.wait({inward, outward}, return_when=asyncio.FIRST_EXCEPTION)
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            if all(task.exception() is None for task in done):
                why = "closed"
            else:
                connection.abort()
        except OSError:
            connection.abort()
        finally:
            self.connections.discard(connection)
            if connection.ended_at is None:
                counters.end(why)

    async def _pump(self, connection: Connection, source: Stream, sink: Stream, counters: Counters, *, inward: bool) -> None:
        while data := await source.read():
            connection.heard_at = self._clock()
            if inward:
                counters.bytes_in += len(data)
            else:
                counters.bytes_out += len(data)
            await sink.write(data)
        if inward and not sink.half_closes:
            await self._linger(connection)
        await sink.end()

    async def _linger(self, connection: Connection) -> None:
        """The client has ended its side: the machine's answer is waited for until it has been silent for a while."""
        while self._clock() - connection.heard_at < LINGER_SECONDS:
            await asyncio.sleep(SWEEP_SECONDS)
        with contextlib.suppress(OSError):
            await connection.machine.end()
