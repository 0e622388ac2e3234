"""The SDK's WebSocket session against a gateway on loopback, and its frames alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotlane.errors import Unreachable
from spotlane.resume import BadFrame, Session
from spotlane.websocket import SessionEnded, WebSocketSession, connect
from tests.spotlane.gateway import HEADER, Gateway

WELCOME = (
    '{"type":"welcome","token":"a.b","resumed":false,"received":%d,"protocol":null,'
    '"limits":{"messageBytes":10,"windowMessages":3,"windowBytes":100,"resumeSeconds":1,"pingSeconds":20}}'
)


def run(gateway: Gateway, scenario: Callable[[WebSocketSession], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with gateway.running():
            async with await connect(gateway.url) as session:
                await asyncio.wait_for(scenario(session), 20)

    asyncio.run(whole())


def test_text_and_bytes_come_back_as_they_went() -> None:
    async def scenario(session: WebSocketSession) -> None:
        for message in ("é", "", b"\xff\x00", b""):
            await session.send(message)
        assert [await session.recv() for _ in range(4)] == ["é", "", b"\xff\x00", b""]

    run(Gateway(), scenario)


@pytest.mark.parametrize("cut_after", [1, 3, 17])
def test_a_connection_that_is_cut_again_and_again_loses_and_doubles_nothing(cut_after: int) -> None:
    gateway = Gateway(cut_after=cut_after)

    async def scenario(session: WebSocketSession) -> None:
        for number in range(40):
            await session.send(str(number))
        assert [await session.recv() for _ in range(40)] == [str(number) for number in range(40)]
        assert session.reconnects >= 1

    run(gateway, scenario)
    (kept,) = gateway.sessions.values()
    assert [body for _, body in kept.taken] == [str(number).encode() for number in range(40)]


def test_send_waits_while_the_window_is_full() -> None:
    gateway = Gateway(window=4, answers=False)

    async def scenario(session: WebSocketSession) -> None:
        for number in range(4):
            await session.send(str(number))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.send("4"), 0.2)
        gateway.answers = True
        for kept in gateway.sessions.values():
            assert kept.connection is not None
            kept.connection.transport.abort()
        await session.send("5")
        assert [await session.recv() for _ in range(5)] == ["0", "1", "2", "3", "5"]

    run(gateway, scenario)


def test_what_the_application_has_not_taken_is_not_acknowledged() -> None:
    gateway = Gateway()

    async def scenario(session: WebSocketSession) -> None:
        for number in range(40):
            await gateway.say(str(number))
        for _ in range(5):
            await session.recv()
        await asyncio.sleep(0.3)
        assert gateway.acknowledged == 5

    run(gateway, scenario)


def test_the_machines_close_ends_the_session_with_its_code() -> None:
    async def scenario(session: WebSocketSession) -> None:
        await session.send("x")
        with pytest.raises(SessionEnded) as caught:
            await session.recv()
        assert (caught.value.code, caught.value.reason) == (4001, "enough")
        with pytest.raises(SessionEnded):
            await session.send("y")

    run(Gateway(close_with=(4001, "enough")), scenario)


def test_iteration_stops_at_a_normal_end() -> None:
    async def scenario(session: WebSocketSession) -> None:
        await session.send("x")
        assert [message async for message in session] == []

    run(Gateway(close_with=(1000, "")), scenario)


def test_a_session_that_the_gateway_does_not_know_any_more_ends_at_once() -> None:
    gateway = Gateway(cut_after=1, refuse_resumption=True)

    async def scenario(session: WebSocketSession) -> None:
        await session.send("x")
        with pytest.raises(SessionEnded) as caught:
            while True:
                await session.recv()
        assert caught.value.code == 4901

    run(gateway, scenario)


def test_a_message_that_is_too_large_is_refused_before_it_is_sent() -> None:
    async def scenario(session: WebSocketSession) -> None:
        with pytest.raises(ValueError, match="1025 bytes is larger than 1024"):
            await session.send(b"x" * 1025)

    run(Gateway(), scenario)


def test_close_waits_until_what_was_sent_is_settled() -> None:
    gateway = Gateway(cut_after=7)

    async def scenario(session: WebSocketSession) -> None:
        for number in range(20):
            await session.send(str(number))

    run(gateway, scenario)
    (kept,) = gateway.sessions.values()
    assert len(kept.taken) == 20


def test_the_applications_subprotocols_are_offered_beside_ours() -> None:
    gateway = Gateway()

    async def whole() -> None:
        async with gateway.running():
            async with await connect(gateway.url, subprotocols=["chat.v2"]) as session:
                assert session.subprotocol == "chat.v2"

    asyncio.run(whole())
    assert gateway.offers == [["spotlane.resume.v1", "chat.v2"]]


def test_nobody_there_is_said_with_the_url() -> None:
    with pytest.raises(Unreachable, match=r"ws://127\.0\.0\.1:1/chat"):
        asyncio.run(connect("ws://127.0.0.1:1/chat"))


def welcomed(received: int = 0) -> Session:
    session = Session()
    session.heard(WELCOME % received)
    return session


def test_a_data_frame_is_its_kind_two_counters_of_eight_bytes_and_the_payload() -> None:
    session = welcomed()
    session.put("hi")
    assert session.outgoing() == bytes([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]) + b"hi"
    assert session.outgoing() is None


@pytest.mark.parametrize("frame", [b"", b"\x01" * 16, HEADER.pack(3, 1, 0), HEADER.pack(1, 2, 0), "no json"])
def test_a_frame_that_cannot_be_is_refused(frame: str | bytes) -> None:
    with pytest.raises(BadFrame):
        welcomed().heard(frame)


def test_a_message_that_comes_twice_is_taken_once() -> None:
    session = welcomed()
    assert [session.heard(HEADER.pack(1, 1, 0) + b"x"), session.heard(HEADER.pack(1, 1, 0) + b"x")] == ["x", None]
    assert session.offered() == ["spotlane.resume.v1", "spotlane.resume.v1.a.b.1"]


@given(st.lists(st.sampled_from(["put", "write", "settle", "cut"]), max_size=60))
def test_whatever_happens_each_connection_carries_the_unsettled_messages_in_order(steps: list[str]) -> None:
    session = welcomed()
    put = settled = 0
    seen: list[int] = []
    for step in steps:
        if step == "put" and session.has_room:
            session.put("x")
            put += 1
        elif step == "write" and (frame := session.outgoing()) is not None:
            seen.append(HEADER.unpack_from(frame)[1])
        elif step == "settle" and seen:
            settled = max(settled, seen[-1])
            session.heard(f'{{"type":"ack","received":{settled}}}')
        elif step == "cut":
            session.offered()
            assert session.outgoing() is None
            session.heard(WELCOME % settled)
            seen = []
        assert seen == list(range(seen[0], seen[0] + len(seen))) if seen else True
        assert session.settled == (put == settled)
    while (frame := session.outgoing()) is not None:
        seen.append(HEADER.unpack_from(frame)[1])
    if put > settled:
        assert seen[-1] == put
