"""Where a workload's connections go: routes as the edge tells them, followed by long polls.

A follower keeps the last route while the edge is away: origins are never given to another machine, so that a route out of date costs a dial that fails,
never a wrong machine.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .proxy_protocol import Version
from .streams import HEAD_LIMIT, Connect, connect

POLL_SECONDS = 30.0
"""Longer than the edge keeps a follower waiting (20 s)."""
_PAUSES = (0.2, 5.0)
"""Seconds before asking again after a failure: the first, and the longest."""
_DOCUMENT_LIMIT = 1024 * 1024


@dataclass(frozen=True)
class Target:
    """One machine. ``proxy_protocol``: the header that its service expects."""

    placement: str
    origin: str
    weight: float
    healthy: bool
    proxy_protocol: Version = "off"


@dataclass(frozen=True)
class Route:
    """A workload's machines at one version, and the seconds that connections keep to one that left."""

    version: int
    targets: tuple[Target, ...]
    drain_seconds: float

    def choose(self, random: float, failed: str | None = None) -> Target | None:
        """One of the healthy targets by weight, for ``random`` in [0, 1); a standby (weight 0) where no other is healthy, None where none is.

        Another than the placement that has ``failed``, where there is one.
        """
        healthy = [one for one in self.targets if one.healthy]
        healthy = [one for one in healthy if one.placement != failed] or healthy
        usable = [one for one in healthy if one.weight > 0]
        if not usable:
            return healthy[0] if healthy else None
        left = random * sum(one.weight for one in usable)
        for one in usable:
            left -= one.weight
            if left < 0:
                return one
        return usable[-1]

    def names(self, placement: str) -> bool:
        """Whether the placement is among the targets, in rotation or not."""
        return any(one.placement == placement for one in self.targets)


NOWHERE = Route(0, (), 0.0)


def route_of(document: Any) -> Route:
    """The edge's answer as a route. Raises ValueError where it is none."""
    try:
        targets = tuple(
            Target(str(one["placement"]), str(one["origin"]), float(one["weight"]), bool(one["healthy"]), one.get("proxyProtocol", "off"))
            for one in document["targets"]
        )
        return Route(int(document["version"]), targets, float(document["drainSeconds"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a route: {error}") from error


Ask = Callable[[str], Awaitable[Route]]
"""Asks ``tcp.<zone>`` for a path; raises OSError or ValueError."""


class EdgeRoutes:
    """``GET https://tcp.<zone>/tcp/<label>``."""

    def __init__(self, base: str, opens: Connect = connect) -> None:
        self._url = urllib.parse.urlsplit(base)
        self._context = ssl.create_default_context() if self._url.scheme == "https" else None
        self._opens = opens

    async def __call__(self, path: str) -> Route:
        """The route at ``path``."""
        async with asyncio.timeout(POLL_SECONDS):
            host = self._url.hostname or ""
            reader, writer = await self._opens(host, self._url.port or (443 if self._context else 80), self._context)
            try:
                lines = [f"GET {path} HTTP/1.1", f"Host: {self._url.netloc}", "User-Agent: spotlane-relay", "Accept: application/json", "Connection: close"]
                writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
                await writer.drain()
                return route_of(json.loads(await _body(reader)))
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                raise OSError(f"{path}: the edge's answer broke off") from error
            finally:
                writer.close()


async def _body(reader: asyncio.StreamReader) -> bytes:
    """The body of an answer 200. Raises OSError for any other."""
    head = (await reader.readuntil(b"\r\n\r\n"))[:HEAD_LIMIT].decode("latin-1").split("\r\n")
    status = head[0].split(" ")[1] if " " in head[0] else head[0]
    if status != "200":
        raise OSError(f"the edge answered {status}")
    names = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if "chunked" in names.get("transfer-encoding", "").lower():
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            if len(body) + size > _DOCUMENT_LIMIT:
                raise ValueError(f"a route of more than {_DOCUMENT_LIMIT} bytes")
            body += (await reader.readexactly(size + 2))[:-2]
        return body
    length = int(names.get("content-length", _DOCUMENT_LIMIT))
    return await reader.readexactly(length) if "content-length" in names else await reader.read(length)


class Follower:
    """Keeps one workload's route; tells of each newer one. A version never goes back."""

    def __init__(self, label: str, ask: Ask, moved: Callable[[Route], None], clock: Callable[[], float]) -> None:
        self.label = label
        self.route = NOWHERE
        self.heard_at: float | None = None
        self._ask = ask
        self._moved = moved
        self._clock = clock

    async def follow(self) -> None:
        """Follows until cancelled."""
        pause = _PAUSES[0]
        while True:
            begun = self._clock()
            try:
                news = self._take(await self._ask(f"/tcp/{self.label}?after={self.route.version}"))
                pause = _PAUSES[0]
                # An edge that answers the same at once instead of waiting must not be asked in a tight loop.
                if not news and self._clock() - begun < 1.0:
                    await asyncio.sleep(pause)
            except (OSError, ValueError, TimeoutError):
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSES[1])

    async def refresh(self) -> Route:
        """The route past the edge's caches; the last known one where the edge can't say."""
        try:
            async with asyncio.timeout(5.0):
                self._take(await self._ask(f"/tcp/{self.label}?fresh=1"))
        except (OSError, ValueError, TimeoutError):
            pass
        return self.route

    def _take(self, route: Route) -> bool:
        self.heard_at = self._clock()
        if route.version <= self.route.version:
            return False
        self.route = route
        self._moved(route)
        return True
