"""What the relay does with a connection in hand: both directions, the word on who the client is, tunnels, and limits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from components.relay.proxy_protocol import Ends, encode
from components.relay.settings import load
from components.relay.streams import Dialer, PlainStream, masked
from tests.components.relay_stage import LABEL, ask, run, stage, until


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
