"""A gateway of ``spotlane.resume.v1`` with an echo for a machine, on loopback: keeps its sessions, and fails where a test says so."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

RESUME = "spotlane.resume.v1"
HEADER = struct.Struct(">BQQ")


@dataclass
class Kept:
    """One session as the gateway holds it."""

    taken: list[tuple[int, bytes]] = field(default_factory=list)
    said: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    last: int = 0
    connection: ServerConnection | None = None


@dataclass
class Gateway:
    """What it does is in its fields: each may be changed while it runs."""

    cut_after: int | None = None
    """Breaks a connection off after so many data frames."""
    window: int = 256
    answers: bool = True
    close_with: tuple[int, str] | None = None
    """Ends the session in place of the next answer."""
    refuse_resumption: bool = False
    sessions: dict[str, Kept] = field(default_factory=dict)
    connections: int = 0
    acknowledged: int = 0
    offers: list[list[str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/chat"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Gateway]:
        async with serve(self._serve, "127.0.0.1", 0, subprotocols=[Subprotocol(RESUME)], compression=None, max_size=None) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield self

    async def say(self, text: str) -> None:
        """A message of the machine's that nobody asked for, to every session."""
        for kept in self.sessions.values():
            await self._say(kept, 1, text.encode())

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        offered = [one.strip() for one in connection.request.headers["Sec-WebSocket-Protocol"].split(",")]
        self.offers.append(offered)
        self.connections += 1
        resumption = next((one.removeprefix(f"{RESUME}.") for one in offered if one.startswith(f"{RESUME}.")), None)
        if resumption is not None and self.refuse_resumption:
            return await connection.close(4901, "no such session")
        token, received = resumption.rsplit(".", 1) if resumption else (f"{len(self.sessions)}.secret", "0")
        kept = self.sessions.setdefault(token, Kept())
        kept.connection = connection
        welcome = {
            "type": "welcome",
            "token": "" if resumption else token,
            "resumed": resumption is not None,
            "received": len(kept.taken),
            "protocol": next((one for one in offered if not one.startswith(RESUME)), None),
            "limits": {"messageBytes": 1024, "windowMessages": self.window, "windowBytes": 65536, "resumeSeconds": 5, "pingSeconds": 0.2},
        }
        try:
            await connection.send(json.dumps(welcome))
            for sequence in range(int(received) + 1, kept.last + 1):
                kind, body = kept.said[sequence]
                await connection.send(HEADER.pack(kind, sequence, len(kept.taken)) + body)
            await self._talk(connection, kept)
        except ConnectionClosed:
            pass

    async def _talk(self, connection: ServerConnection, kept: Kept) -> None:
        count = 0
        async for frame in connection:
            if isinstance(frame, str):
                given = json.loads(frame)
                if given["type"] == "ping":
                    await connection.send('{"type":"pong"}')
                else:
                    self.acknowledged = max(self.acknowledged, given["received"])
                continue
            kind, sequence, acknowledged = HEADER.unpack_from(frame)
            self.acknowledged = max(self.acknowledged, acknowledged)
            assert sequence <= len(kept.taken) + 1, "a gap"
            if sequence == len(kept.taken) + 1 and self.answers:
                kept.taken.append((kind, frame[HEADER.size :]))
                if self.close_with is not None:
                    code, reason = self.close_with
                    await connection.send(json.dumps({"type": "end", "code": code, "reason": reason}))
                    return await connection.close(code, reason)
                await self._say(kept, kind, frame[HEADER.size :])
            count += 1
            if self.cut_after is not None and count >= self.cut_after:
                connection.transport.abort()

    async def _say(self, kept: Kept, kind: int, body: bytes) -> None:
        kept.last += 1
        kept.said[kept.last] = (kind, body)
        assert kept.connection is not None
        try:
            await kept.connection.send(HEADER.pack(kind, kept.last, len(kept.taken)) + body)
        except ConnectionClosed:
            await asyncio.sleep(0)
