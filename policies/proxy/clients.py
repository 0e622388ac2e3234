"""Who is connected, and what one of them may take of what all share: connections, time, memory.

A tenant's credential is the tenant's to give away. Whoever holds it gets a share, never so much that the platform's own calls or another tenant's find no room.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from policies.proxy.books import PLATFORM, Books
from policies.proxy.exchange import Exchange, Send
from policies.proxy.request import Refused

CREDENTIAL_SECONDS = 1.0
"""How long a credential that was good is believed on an open tunnel."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may take, in connections and seconds."""

    connections: int = 512
    """Of all clients together; one more is closed unread."""
    tunnels: int = 128
    """Of one tenant's credential; the platform isn't held to it."""
    head_seconds: float = 20.0
    """From a request's first byte to the end of its head, TLS included; and from a connection's beginning to its first byte."""
    body_seconds: float = 120.0
    """From the head's end to the body's."""
    idle_seconds: float = 120.0
    """Between two requests."""
    stall_seconds: float = 60.0
    """Until a client has taken what waits for it of an answer."""


@dataclass(slots=True)
class Client:
    """Whoever authenticated itself at the door. ``sure_at`` is when that was last found true (the clock of :class:`Clients`)."""

    principal: str
    key_sha256: str
    sure_at: float


class Clients:
    """The clients of one proxy. ``clock`` is monotonic, in seconds."""

    def __init__(self, books: Books, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._books = books
        self._limits = limits
        self._clock = clock
        self._tunnels: Counter[str] = Counter()

    def authenticated(self, headers: Iterable[tuple[bytes, bytes]]) -> Client | None:
        """Whose ``Proxy-Authorization`` (own pages: ``Authorization`` too) it is, or None."""
        for name, value in headers:
            if name.lower() in {b"proxy-authorization", b"authorization"} and value[:6].lower() == b"basic ":
                try:
                    principal, _, key = base64.b64decode(value[6:], validate=True).decode().partition(":")
                except (binascii.Error, UnicodeDecodeError):
                    return None
                client = Client(principal, hashlib.sha256(key.encode()).hexdigest(), self._clock())
                return client if self._books.knows(principal, client.key_sha256) else None
        return None

    def check(self, client: Client) -> None:
        """Raises :class:`Refused` where the client's credential was taken back since it connected: a tunnel lives longer than a key may."""
        now = self._clock()
        if now - client.sure_at < CREDENTIAL_SECONDS:
            return
        if not self._books.knows(client.principal, client.key_sha256):
            raise Refused("account", f"the credential by which {client.principal!r} connected is good no longer; connect with the present one")
        client.sure_at = now

    @contextlib.contextmanager
    def tunnel(self, client: Client) -> Iterator[None]:
        """One tunnel of the client's, for as long as the block runs. Raises :class:`Refused` where it has its share."""
        tenant = client.principal != PLATFORM
        if tenant and self._tunnels[client.principal] >= self._limits.tunnels:
            raise Refused("request", f"{client.principal!r} has {self._limits.tunnels} connections open already; close some and try again", 429)
        self._tunnels[client.principal] += 1
        try:
            yield
        finally:
            self._tunnels[client.principal] -= 1


class BodyBudget:
    """Memory for bodies that are read whole, in bytes: of all clients together, and of one tenant a quarter of it."""

    def __init__(self, limit: int = 256 * 1024 * 1024) -> None:
        self._limit = limit
        self._of: Counter[str] = Counter()
        self.held = 0

    async def whole(self, exchange: Exchange, limit: int, seconds: float, principal: str) -> bytes:
        """The whole body, within ``seconds``; :meth:`release` its length afterwards.

        Raises :class:`Refused` beyond ``limit`` bytes, where it takes longer, or where all together or this tenant hold too much.
        """
        if (exchange.head.length or 0) > limit:
            raise Refused("request", f"the body is longer than {limit} bytes", 413)
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in exchange.body(asyncio.get_running_loop().time() + seconds):
                size += len(chunk)
                self._take(len(chunk), principal)
                if size > limit:
                    raise Refused("request", f"the body is longer than {limit} bytes", 413)
                chunks.append(chunk)
        except TimeoutError as error:
            self.release(size, principal)
            raise Refused("request", f"the body took longer than {seconds:g} s", 408) from error
        except BaseException:
            self.release(size, principal)
            raise
        return b"".join(chunks)

    def _take(self, size: int, principal: str) -> None:
        self.held += size
        self._of[principal] += size
        share = self._limit if principal == PLATFORM else self._limit // 4
        if self.held > self._limit or self._of[principal] > share:
            raise Refused("request", f"bodies of more than {min(share, self.held)} bytes are being judged already; try again", 429)

    def release(self, size: int, principal: str) -> None:
        """Gives ``size`` bytes back."""
        self.held -= size
        self._of[principal] -= size


def sender(writer: asyncio.StreamWriter, stall_seconds: float) -> Send:
    """Writes to a client, at the pace at which it reads. Raises ``TimeoutError`` for one that takes nothing, ``ConnectionError`` for one that is gone."""

    async def send(data: bytes) -> None:
        if not data:
            return
        writer.write(data)
        # Most answers are with the kernel at once: those need no timer.
        if writer.transport.get_write_buffer_size() or writer.is_closing():
            async with asyncio.timeout(stall_seconds):
                await writer.drain()

    return send
