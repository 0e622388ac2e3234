"""The L4 relay: new connections follow the route, open ones keep their machine for the drain, and what can't be served is refused."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

import components.relay as relay_package
from components.relay.proxy_protocol import Ends, encode
from components.relay.relay import Relay
from components.relay.routes import EdgeRoutes, Route, Target, route_of
from components.relay.settings import RelaySettings, Served, SettingsError, load
from components.relay.status import metrics, unready
from components.relay.status import serve as serve_status
from components.relay.streams import Dialer, PlainStream, masked

LABEL = "data-acme"
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
    async with asyncio.timeout(5):
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


def test_new_connections_follow_the_route_and_open_ones_keep_their_machine_until_the_drain_ends() -> None:
    async def test() -> None:
        async with stage() as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            reader, writer = await on.connect()
            assert await ask(reader, writer, b"a") == b"1:a"
            on.edge.point(await on.machine("2"), drain_seconds=5.0)
            await on.told()
            assert await on.said(b"b") == b"2:b"
            on.clock.now += 4.9
            await on.relay.sweep()
            assert await ask(reader, writer, b"c") == b"1:c"
            on.clock.now += 0.2
            await on.relay.sweep()
            assert await reader.read() == b""
            writer.close()
            await until(lambda: not on.relay.connections)
            assert on.relay.counters[LABEL].ended == {"drained": 1, "closed": 1}

    run(test)


def test_a_client_that_ignores_the_end_is_reset_after_the_grace() -> None:
    async def test() -> None:
        async with stage(grace_seconds=3.0) as on:
            forever = asyncio.Event()

            async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await forever.wait()

            on.edge.point(await on.machine("1", deaf))
            await on.told()
            reader, writer = await on.connect()
            await until(lambda: len(on.relay.connections) == 1)
            on.edge.point(drain_seconds=0.0)
            await on.told()
            await on.relay.sweep()
            assert await reader.read() == b""  # the orderly end
            await on.relay.sweep()
            assert len(on.relay.connections) == 1
            on.clock.now += 3.0
            await on.relay.sweep()
            await until(lambda: not on.relay.connections)
            with pytest.raises(ConnectionError):  # the reset shows at one of the next writes
                for _ in range(50):
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.01)
            forever.set()

    run(test)


def test_a_machine_that_comes_back_into_the_route_keeps_its_connections() -> None:
    async def test() -> None:
        async with stage() as on:
            first = await on.machine("1")
            on.edge.point(first)
            await on.told()
            reader, writer = await on.connect()
            assert await ask(reader, writer, b"a") == b"1:a"
            on.edge.point(await on.machine("2"))
            await on.told()
            on.edge.point(first)
            await on.told()
            on.clock.now += 60
            await on.relay.sweep()
            assert await ask(reader, writer, b"b") == b"1:b"

    run(test)


def test_a_machine_out_of_rotation_gets_no_new_connection_and_keeps_its_open_ones() -> None:
    async def test() -> None:
        async with stage() as on:
            one, two = await on.machine("1"), await on.machine("2", healthy=False)
            on.edge.point(one, two)
            await on.told()
            reader, writer = await on.connect()
            assert await ask(reader, writer, b"a") == b"1:a"
            on.edge.point(replace(one, healthy=False), replace(two, healthy=True))
            await on.told()
            assert await on.said(b"b") == b"2:b"
            on.clock.now += 60
            await on.relay.sweep()
            assert await ask(reader, writer, b"c") == b"1:c"

    run(test)


def test_a_machine_that_refuses_is_looked_up_afresh_and_the_next_one_is_taken() -> None:
    async def test() -> None:
        async with stage() as on:
            on.edge.point(Target("acme_data_0", "gone", 1.0, True))
            await on.told()
            on.edge.route = Route(2, (await on.machine("2"),), 0.0)  # written, and not yet told to followers
            assert await on.said(b"a") == b"2:a"
            assert on.edge.fresh == 1

    run(test)


@pytest.mark.parametrize(("targets", "why"), [((), "no-machine"), ((Target("acme_data_0", "gone", 1.0, True),), "unreachable")])
def test_where_no_machine_can_be_had_the_connection_is_refused_after_bounded_attempts(targets: tuple[Target, ...], why: str) -> None:
    async def test() -> None:
        async with stage(attempts=2) as on:
            on.edge.point(*targets)
            await on.told()
            assert await on.said(b"a") == b""
            await until(lambda: on.relay.counters[LABEL].refused == {why: 1})
            assert on.edge.fresh == 1

    run(test)


def test_an_edge_that_is_away_leaves_the_last_route_in_force() -> None:
    async def test() -> None:
        async with stage() as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            on.edge.away = True
            assert await on.said(b"a") == b"1:a"
            assert (await on.relay.followers[LABEL].refresh()).version == 1

    run(test)


def test_a_client_that_has_said_all_still_gets_its_whole_answer() -> None:
    async def test() -> None:
        async with stage() as on:

            async def counts(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                size = len(await reader.read())  # all, to the client's end
                writer.write(b"%d" % size)
                writer.close()

            on.edge.point(await on.machine("1", counts))
            await on.told()
            reader, writer = await on.connect()
            writer.write(b"x" * 3_000_000)
            writer.write_eof()
            assert await reader.read() == b"3000000"
            await until(lambda: on.relay.counters[LABEL].ended == {"closed": 1})
            assert on.relay.counters[LABEL].bytes_in == 3_000_000

    run(test)


def test_a_slow_reader_is_not_read_for() -> None:
    async def test() -> None:
        async with stage() as on:
            sent = 0

            async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal sent
                while sent < 64_000_000:
                    writer.write(b"x" * 65536)
                    await writer.drain()
                    sent += 65536

            on.edge.point(await on.machine("1", floods))
            await on.told()
            _, writer = await on.connect()
            held = -1
            while sent != held:  # until the machine is no longer read
                held = sent
                await asyncio.sleep(0.2)
            assert 0 < sent < 32_000_000
            writer.transport.abort()

    run(test)


def test_what_is_silent_for_too_long_is_closed() -> None:
    async def test() -> None:
        async with stage(idle_seconds=60.0) as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            reader, writer = await on.connect()
            assert await ask(reader, writer, b"a") == b"1:a"
            on.clock.now += 59
            await on.relay.sweep()
            assert await ask(reader, writer, b"b") == b"1:b"
            on.clock.now += 60
            await on.relay.sweep()
            assert await reader.read() == b""
            assert on.relay.counters[LABEL].ended == {"idle": 1}

    run(test)


def test_connections_are_bounded() -> None:
    async def test() -> None:
        async with stage(max_connections=2) as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            open_ones = [await on.connect() for _ in range(2)]
            for reader, writer in open_ones:
                assert await ask(reader, writer, b"a") == b"1:a"
            assert await on.said(b"b") == b""
            open_ones[0][1].close()
            await until(lambda: on.relay.taken == 1)
            assert await on.said(b"c") == b"1:c"
            assert on.relay.counters[LABEL].refused == {"limit": 1}

    run(test)


CLIENT = Ends(("203.0.113.7", 51000), ("198.51.100.2", 5432))


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("onward", ["off", "v1", "v2"])
def test_spectrums_word_on_the_client_is_taken_off_and_handed_on_as_the_service_wants_it(version: Any, onward: Any) -> None:
    async def test() -> None:
        async with stage(workload={"proxy_in": version}) as on:
            on.edge.point(await on.machine("1", proxy_protocol=onward))
            await on.told()
            assert await on.said(encode(version, CLIENT) + b"hello") == b"1:" + encode(onward, CLIENT) + b"hello"

    run(test)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", b"PROXY TCP4 " + b"1" * 500])
def test_a_connection_without_a_valid_header_reaches_no_machine(sent: bytes) -> None:
    async def test() -> None:
        async with stage(workload={"proxy_in": "v1"}) as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            assert await on.said(sent) == b""
            assert on.relay.counters[LABEL].refused == {"header": 1}

    run(test)


def test_a_header_from_anywhere_but_spectrum_is_not_believed() -> None:
    async def test() -> None:
        trusted = load('{"edge": "https://tcp.example.com", "workloads": [], "trusted": ["198.51.100.0/24"]}').trusted
        async with stage(workload={"proxy_in": "v1"}, trusted=trusted) as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            assert await on.said(encode("v1", CLIENT) + b"hello") == b""
            assert on.relay.counters[LABEL].refused == {"source": 1}

    run(test)


def test_weights_share_connections_and_what_is_unhealthy_gets_none() -> None:
    targets = (Target("a", "a", 3.0, True), Target("b", "b", 1.0, True), Target("c", "c", 9.0, False), Target("d", "d", 0.0, True))
    chosen = [Route(1, targets, 0.0).choose(at / 100) for at in range(100)]
    assert [sum(one is target for one in chosen) for target in targets] == [75, 25, 0, 0]
    assert Route(1, targets[2:], 0.0).choose(0.5) is None


def test_through_a_tunnel_bytes_travel_in_binary_messages_both_ways() -> None:
    async def test() -> None:
        async def carry(socket: ServerConnection) -> None:
            async for message in socket:
                assert isinstance(message, bytes)
                await socket.send(message)

        async with serve(carry, "127.0.0.1", 0, max_size=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]

            async def opens(_: str, __: int, ___: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
                return await asyncio.open_connection("127.0.0.1", port)

            stream = await Dialer("tunnel", 5.0, {}, tls=False, opens=opens).dial("tcp-data-acme-1.origins.example.com", 0)
            for size in (1, 125, 126, 65535, 65536, 1_000_000):
                data = bytes(range(256)) * (size // 256 + 1)
                await stream.write(data[:size])
                back = b""
                while len(back) < size:
                    back += await stream.read()
                assert back == data[:size]
            await stream.end()
            assert await stream.read() == b""
            stream.close()

    run(test)


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_is_laid_over_byte_by_byte(data: bytes, key: bytes) -> None:
    assert masked(data, key) == bytes(byte ^ key[at % 4] for at, byte in enumerate(data))


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 530 \r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: forged\r\n\r\n", b"nonsense\r\n\r\n", b""]
)
def test_a_tunnel_that_does_not_open_is_an_unreachable_machine(head: bytes) -> None:
    async def test() -> None:
        async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head)
            writer.close()

        server = await asyncio.start_server(answers, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def opens(_: str, __: int, ___: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection("127.0.0.1", port)

        with pytest.raises(OSError, match=r"^tcp-data-acme-1\.origins"):
            await Dialer("tunnel", 5.0, {}, tls=False, opens=opens).dial("tcp-data-acme-1.origins.example.com", 0)
        server.close()

    run(test)


DOCUMENT = {"label": LABEL, "version": 3, "targets": [{"placement": "acme_data_1", "origin": "o", "weight": 1, "healthy": True}], "drainSeconds": 2}


@pytest.mark.parametrize("chunked", [False, True])
def test_the_edges_answer_is_read_whole_or_in_chunks(chunked: bool) -> None:
    async def test() -> None:
        asked: list[str] = []

        async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            body = json.dumps(DOCUMENT).encode()
            if chunked:
                writer.write(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n5\r\n%b\r\n0\r\n\r\n" % (len(body) - 5, body[:-5], body[-5:])
                )
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            writer.close()

        server = await asyncio.start_server(answers, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found = await EdgeRoutes(f"http://tcp.spotlane.localhost:{port}")("/tcp/data-acme?after=2")
        assert found == Route(3, (Target("acme_data_1", "o", 1.0, True),), 2.0)
        assert asked[0].startswith(f"GET /tcp/data-acme?after=2 HTTP/1.1\r\nHost: tcp.spotlane.localhost:{port}\r\n")
        server.close()

    run(test)


@pytest.mark.parametrize("document", [{}, [], {"version": 1, "targets": [{}], "drainSeconds": 0}, {"version": "x", "targets": [], "drainSeconds": 0}])
def test_what_is_no_route_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        route_of(document)


def test_its_status_names_what_it_waits_for_and_its_figures() -> None:
    async def test() -> None:
        async with stage() as on:
            assert unready(on.relay) == [LABEL]
            status = await serve_status(on.relay, ("127.0.0.1", 0), on.clock)
            port = status.sockets[0].getsockname()[1]

            async def get(path: bytes) -> bytes:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET " + path + b" HTTP/1.1\r\n\r\n")
                return await reader.read()

            assert (await get(b"/healthz")).startswith(b"HTTP/1.1 503 ")
            on.edge.point(await on.machine("1"))
            await on.told()
            assert await on.said(b"a") == b"1:a"
            await until(lambda: not on.relay.connections)
            assert (await get(b"/healthz")).startswith(b"HTTP/1.1 200 ")
            figures = dict(line.rsplit(" ", 1) for line in metrics(on.relay, on.clock()).splitlines())
            of = f'{{workload="{LABEL}"'
            assert figures[f"spotlane_relay_joined_total{of}}}"] == "1"
            assert figures[f'spotlane_relay_ended_total{of},why="closed"}}'] == "1"
            assert figures[f"spotlane_relay_route_version{of}}}"] == "1"
            status.close()

    run(test)


def test_settings_tell_every_fault() -> None:
    workloads = [{"label": "x", "port": 1}, {"label": LABEL, "port": 5432}, {"label": "api-acme", "port": 5432}, {"label": LABEL, "port": "no"}]
    with pytest.raises(SettingsError) as caught:
        load(json.dumps({"edge": "tcp.example.com", "dial": "by-hand", "attempts": 0, "colour": "red", "trusted": ["all"], "workloads": workloads}))
    assert caught.value.faults == [
        "colour: is not a setting",
        "edge: the address of the tcp Worker is needed, as in https://tcp.example.com",
        "dial: tunnel or direct",
        "attempts: a number above 0 is expected",
        "trusted: 'all' does not appear to be an IPv4 or IPv6 network",
        "workloads[0].label: 'x' is no label",
        "workloads[3].port: a port is expected",
        "port 5432: data-acme, api-acme can't be told apart; give each a destination",
        "port 5432: without a PROXY header its workloads can't be told apart",
    ]


def test_workloads_that_share_a_port_are_told_apart_by_what_the_client_connected_to() -> None:
    shared = [{"label": f"{name}-acme", "port": 5432, "proxyIn": "v2", "destination": f"198.51.100.{at}:5432"} for at, name in enumerate(("data", "more"))]
    settings = load(json.dumps({"edge": "https://tcp.example.com", "workloads": shared}))
    found = [settings.served(5432, ("198.51.100.1", 5432)), settings.served(5432, ("198.51.100.9", 5432)), settings.served(5432, None)]
    assert [one and one.label for one in found] == ["more-acme", None, None]


def test_new_settings_open_and_close_ports_and_leave_connections_alone() -> None:
    async def test() -> None:
        async with stage() as on:
            on.edge.point(await on.machine("1"))
            await on.told()
            reader, writer = await on.connect()
            assert await ask(reader, writer, b"a") == b"1:a"
            await on.relay.apply(replace(on.relay.settings, workloads=()))
            assert await ask(reader, writer, b"b") == b"1:b"
            assert on.relay.followers == {}
            writer.close()
            await until(lambda: not on.relay.connections)

    run(test)


def test_a_plain_stream_that_is_aborted_is_a_reset_at_the_other_end() -> None:
    async def test() -> None:
        taken: asyncio.Future[PlainStream] = asyncio.get_running_loop().create_future()

        async def keeps(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken.set_result(PlainStream(reader, writer))

        server = await asyncio.start_server(keeps, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        (await taken).abort()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        server.close()

    run(test)


def test_it_runs_as_a_program_on_the_standard_library_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readuntil(b"\r\n\r\n")
            if b"after=3" not in asked:  # a follower of what stands is kept waiting
                target = {"placement": "acme_data_1", "origin": "127.0.0.1", "weight": 1, "healthy": True}
                body = json.dumps(DOCUMENT | {"targets": [target]}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                writer.close()

        edge = await asyncio.start_server(answers, "127.0.0.1", 0)
        machine = await asyncio.start_server(echo, "127.0.0.1", 0)
        edge_port, machine_port = (server.sockets[0].getsockname()[1] for server in (edge, machine))
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            port, status = one.getsockname()[1], other.getsockname()[1]
        shutil.copytree(Path(relay_package.__file__).parent, tmp_path / "relay", ignore=shutil.ignore_patterns("__pycache__"))
        workload = {"label": LABEL, "port": port, "servicePort": machine_port}
        settings = {"edge": f"http://127.0.0.1:{edge_port}", "listen": "127.0.0.1", "status": f"127.0.0.1:{status}", "dial": "direct", "workloads": [workload]}
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        command = [sys.executable, "-S", "-E", "-m", "relay", "settings.json"]
        program = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE)
        try:
            assert program.stdout is not None
            assert await program.stdout.readline() == b"spotlane-relay: 1 workloads\n"
            answer = b""
            while not answer:  # the route is on its way
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                answer = await ask(reader, writer, b"hello")
                writer.close()
            assert answer == b"hello"
            program.send_signal(signal.SIGTERM)
            assert await program.wait() == 0
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        edge.close()
        machine.close()

    run(test)
