"""Which machine the relay takes a connection to, and for how long: new ones follow the route, open ones keep their machine for the drain."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from components.relay.routes import EdgeRoutes, Route, Target, route_of
from tests.components.relay_stage import DOCUMENT, LABEL, ask, run, stage, until


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


def test_weights_share_connections_and_what_is_unhealthy_gets_none() -> None:
    targets = (Target("a", "a", 3.0, True), Target("b", "b", 1.0, True), Target("c", "c", 9.0, False), Target("d", "d", 0.0, True))
    chosen = [Route(1, targets, 0.0).choose(at / 100) for at in range(100)]
    assert [sum(one is target for one in chosen) for target in targets] == [75, 25, 0, 0]
    assert Route(1, targets[2:3], 0.0).choose(0.5) is None


def test_a_standby_gets_connections_where_nothing_else_is_healthy_or_reached() -> None:
    serving, standby = Target("a", "a", 1.0, True), Target("d", "d", 0.0, True)
    route = Route(1, (standby, serving), 0.0)
    assert [route.choose(at / 10) for at in range(10)] == [serving] * 10
    assert route.choose(0.5, "a") is standby
    assert Route(1, (standby, Target("a", "a", 1.0, False)), 0.0).choose(0.5) is standby
    assert Route(1, (serving,), 0.0).choose(0.5, "a") is serving


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
