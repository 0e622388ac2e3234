"""What the relay says of itself: ``GET /healthz`` and ``GET /metrics`` (Prometheus text format 0.0.4) on an address of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from .relay import Relay


def unready(relay: Relay) -> list[str]:
    """Workloads of which the edge has told nothing yet."""
    return sorted(label for label, follower in relay.followers.items() if follower.heard_at is None)


def metrics(relay: Relay, now: float) -> str:
    """The relay's figures."""
    lines = [f"spotlane_relay_taken {relay.taken}", f"spotlane_relay_limit {relay.settings.max_connections}"]
    for label, counters in sorted(relay.counters.items()):
        of = f'workload="{label}"'
        lines.append(f"spotlane_relay_connections{{{of}}} {sum(1 for one in relay.connections if one.label == label)}")
        lines.append(f"spotlane_relay_joined_total{{{of}}} {counters.joined}")
        lines += [f'spotlane_relay_refused_total{{{of},why="{why}"}} {count}' for why, count in sorted(counters.refused.items())]
        lines += [f'spotlane_relay_ended_total{{{of},why="{why}"}} {count}' for why, count in sorted(counters.ended.items())]
        lines.append(f'spotlane_relay_bytes_total{{{of},direction="in"}} {counters.bytes_in}')
        lines.append(f'spotlane_relay_bytes_total{{{of},direction="out"}} {counters.bytes_out}')
        if (follower := relay.followers.get(label)) is not None:
            lines.append(f"spotlane_relay_route_version{{{of}}} {follower.route.version}")
            if follower.heard_at is not None:
                lines.append(f"spotlane_relay_route_age_seconds{{{of}}} {now - follower.heard_at:.3f}")
    return "\n".join(lines) + "\n"


async def serve(relay: Relay, address: tuple[str, int], clock: Callable[[], float] = time.monotonic) -> asyncio.Server:
    """Answers on ``address``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(5.0):
                request = (await reader.readuntil(b"\r\n\r\n")).split(b" ")
                status, body = "404 Not Found", "not found\n"
                if request[:2] == [b"GET", b"/metrics"]:
                    status, body = "200 OK", metrics(relay, clock())
                elif request[:2] == [b"GET", b"/healthz"]:
                    waiting = unready(relay)
                    status, body = ("503 Service Unavailable", "no route yet of " + ", ".join(waiting) + "\n") if waiting else ("200 OK", "ok\n")
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
                )
                await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, *address)
