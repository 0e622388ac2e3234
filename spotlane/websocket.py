"""A WebSocket that outlives its connection: the client of ``spotlane.resume.v1`` (docs/websocket-resume.md).

>>> async def talk() -> None:
...     async with await connect("wss://chat-acme.workloads.example.com/chat") as session:
...         await session.send("hello")
...         async for message in session:
...             print(message)

A move of the workload is not seen at all; a connection that breaks (network, redeploy of the edge) is made again, and both sides send
what the other doesn't have.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from spotlane.errors import SpotlaneError, Unreachable
from spotlane.resume import NOT_RESUMABLE, PING, PROTOCOL_FAULT, REPLACED, BadFrame, End, Session

_ACK_MESSAGES = 32
_ACK_SECONDS = 0.05
_FIRST_DELAY_SECONDS = 0.1
"""Delay before the n-th attempt to come back: random below this times 2^n, at most :data:`_LONGEST_DELAY_SECONDS`."""
_LONGEST_DELAY_SECONDS = 5.0
_CONNECT_SECONDS = 20.0
_CLOSE_SECONDS = 10.0
_FINAL = frozenset({REPLACED, NOT_RESUMABLE, PROTOCOL_FAULT})


class SessionEnded(SpotlaneError):
    """The session is over: ``code`` and ``reason`` as its close frame had them (docs/websocket-resume.md lists the gateway's own)."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"the WebSocket session ended with code {code}" + (f": {reason}" if reason else ""))


async def connect(
    url: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    address: tuple[str, int] | None = None,
) -> WebSocketSession:
    """Begins a session with the workload at ``url`` (``ws://`` or ``wss://``).

    ``token`` is for workloads that ask for one, ``subprotocols`` are offered to the machine, ``address`` is where to connect instead of where the
    URL's name leads (names under ``.localhost`` lead to 127.0.0.1, whatever the resolver says, as in browsers).
    Raises :class:`~spotlane.errors.Unreachable` where no connection comes about.
    """
    given = dict(headers or {})
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    session = WebSocketSession(url, given, subprotocols, address)
    await session._begin()
    return session


class WebSocketSession:
    """A session. :meth:`send` and :meth:`recv` are like a WebSocket's; breaks in between are mended. Use by one event loop."""

    def __init__(self, url: str, headers: Mapping[str, str], subprotocols: Sequence[str], address: tuple[str, int] | None) -> None:
        self._url = url
        self._headers = headers
        self._subprotocols = subprotocols
        self._address = address or _loopback(url)
        self._session = Session()
        self._connection: ClientConnection | None = None
        self._inbox: deque[str | bytes] = deque()
        self._changed = asyncio.Condition()
        self._to_write = asyncio.Event()
        self._ended: End | None = None
        self._reconnects = 0
        self._runner: asyncio.Task[None] | None = None

    @property
    def subprotocol(self) -> str | None:
        """The machine's choice among the subprotocols that were offered."""
        return self._session.protocol

    @property
    def reconnects(self) -> int:
        """How often a connection broke and the session went on."""
        return self._reconnects

    @property
    def interruptions(self) -> int:
        """How often the machine's connection broke: answers to what it had taken may be missing (a planned move is none)."""
        return self._session.interruptions

    async def __aenter__(self) -> WebSocketSession:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages until the session ends normally (code 1000). Raises :class:`SessionEnded` for another end."""
        while True:
            try:
                yield await self.recv()
            except SessionEnded as ended:
                if ended.code == 1000:
                    return
                raise

    async def send(self, message: str | bytes) -> None:
        """Sends a message in order; waits while the window is full. It is kept until it is settled, see :meth:`flush`.

        Raises :class:`SessionEnded`, and ValueError for a message that is too large.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended is not None or self._session.has_room)
            self._raise_if_ended()
            self._session.put(message)
        self._to_write.set()

    async def recv(self) -> str | bytes:
        """The next message. Raises :class:`SessionEnded` when there is none and none will come."""
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._inbox) or self._ended is not None)
            if not self._inbox:
                self._raise_if_ended()
            message = self._inbox.popleft()
        self._session.consumed()
        if self._session.unacknowledged >= _ACK_MESSAGES:
            self._to_write.set()
        return message

    async def flush(self) -> None:
        """Waits until everything that was sent is settled: handed to a machine, never to be sent again. Raises :class:`SessionEnded`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended is not None or self._session.settled)
            if not self._session.settled:
                self._raise_if_ended()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Ends the session once what was sent is settled, or after 10 s."""
        if self._ended is None:
            with contextlib.suppress(TimeoutError, SessionEnded):
                await asyncio.wait_for(self.flush(), _CLOSE_SECONDS)
        if self._ended is None:
            await self._end(End(code, reason))
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None
        if self._connection is not None:
            await self._connection.close(code, reason)

    async def _begin(self) -> None:
        try:
            connection = await self._dial()
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, BadFrame) as error:
            advice = "is the workload running, and does it ask for a token? see `spotlane workload show`"
            raise Unreachable("workload", self._url, f"{type(error).__name__}: {error}", advice) from error
        self._runner = asyncio.create_task(self._run(connection))

    async def _dial(self) -> ClientConnection:
        """A connection that has been welcomed."""
        there: dict[str, Any] = {} if self._address is None else {"host": self._address[0], "port": self._address[1], "proxy": None}
        connection = await dial(
            self._url,
            subprotocols=[Subprotocol(one) for one in [*self._session.offered(), *self._subprotocols]],
            additional_headers=self._headers,
            compression=None,
            open_timeout=_CONNECT_SECONDS,
            close_timeout=2.0,
            ping_interval=None,
            max_size=None,
            max_queue=64,
            **there,
        )
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                while not self._session.welcomed:
                    await self._hear(await connection.recv())
        except BaseException:
            connection.transport.abort()
            raise
        return connection

    async def _run(self, connection: ClientConnection | None) -> None:
        while self._ended is None:
            if connection is not None:
                await self._serve(connection)
            connection = await self._again() if self._ended is None else None

    async def _serve(self, connection: ClientConnection) -> None:
        """Carries the session until the connection breaks or the session ends."""
        self._connection = connection
        jobs = [asyncio.create_task(one) for one in (self._read(connection), self._write(connection), self._ping(connection))]
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in jobs:
                job.cancel()
            results = await asyncio.gather(*jobs, return_exceptions=True)
        fault = next((one for one in results if isinstance(one, Exception) and not isinstance(one, ConnectionClosed | TimeoutError | BadFrame | OSError)), None)
        if fault is not None:
            await self._end(End(1011, f"{type(fault).__name__}: {fault}"))
            raise fault
        if connection.close_code is None:
            connection.transport.abort()
        if self._session.end is not None:
            await self._end(self._session.end)
        elif connection.close_code in _FINAL:
            await self._end(End(connection.close_code or 1006, connection.close_reason or ""))

    async def _again(self) -> ClientConnection | None:
        """The session's next connection; None where it could not be resumed in time, which ends it."""
        limit = time.monotonic() + self._session.limits.resume_seconds
        attempt = 0
        while time.monotonic() < limit:
            # The delay keeps the clients of an edge that comes back from coming all at once; it guards nothing.
            await asyncio.sleep(random.random() * min(_FIRST_DELAY_SECONDS * 2**attempt, _LONGEST_DELAY_SECONDS))
            attempt += 1
            try:
                connection = await self._dial()
            except ConnectionClosed as error:
                if error.rcvd is not None and error.rcvd.code in _FINAL:
                    await self._end(End(error.rcvd.code, error.rcvd.reason))
                    return None
            except (OSError, TimeoutError, InvalidHandshake, BadFrame):
                continue
            else:
                self._reconnects += 1
                return connection
        await self._end(End(1006, "the session could not be resumed in time"))
        return None

    async def _read(self, connection: ClientConnection) -> None:
        while True:
            await self._hear(await connection.recv())

    async def _hear(self, frame: str | bytes) -> None:
        message = self._session.heard(frame)
        async with self._changed:
            if message is not None:
                self._inbox.append(message)
            self._changed.notify_all()

    async def _write(self, connection: ClientConnection) -> None:
        """Messages as they come; acknowledgements with them, or by themselves after a while."""
        while True:
            while (frame := self._session.outgoing()) is not None:
                await connection.send(frame)
            if self._session.unacknowledged >= _ACK_MESSAGES:
                await connection.send(self._session.acknowledgement())
            self._to_write.clear()
            try:
                await asyncio.wait_for(self._to_write.wait(), _ACK_SECONDS)
            except TimeoutError:
                if self._session.unacknowledged > 0:
                    await connection.send(self._session.acknowledgement())

    async def _ping(self, connection: ClientConnection) -> None:
        """Both pings: the WebSocket's own finds a dead connection, the protocol's tells the session that its client lives."""
        seconds = self._session.limits.ping_seconds
        while True:
            await asyncio.sleep(seconds)
            await connection.send(PING)
            await asyncio.wait_for(await connection.ping(), seconds)

    async def _end(self, end: End) -> None:
        async with self._changed:
            self._ended = self._ended or end
            self._changed.notify_all()

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise SessionEnded(self._ended.code, self._ended.reason)


def _loopback(url: str) -> tuple[str, int] | None:
    split = urlsplit(url)
    if split.hostname is None or not split.hostname.endswith(".localhost"):
        return None
    return "127.0.0.1", split.port or (443 if split.scheme == "wss" else 80)
