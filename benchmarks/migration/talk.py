"""One WebSocket of the resume protocol: numbered messages, each of which must come back once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter

from spotlane.errors import SpotlaneError
from spotlane.websocket import WebSocketSession, connect

_LAST_ECHO_SECONDS = 30.0


class Talk:
    """One connection and its messages, ``per_second``."""

    def __init__(self, url: str, per_second: float) -> None:
        self._url, self._per_second = url, per_second
        self._echoed: Counter[int] = Counter()
        self.sent = 0
        self.faults: Counter[str] = Counter()
        self.latencies_ms: list[float] = []
        self._sent_at: dict[int, float] = {}

    @property
    def lost(self) -> int:
        """Messages that never came back."""
        return sum(1 for number in range(self.sent) if self._echoed[number] == 0)

    @property
    def duplicated(self) -> int:
        """Messages that came back more than once, as often as they did."""
        return sum(count - 1 for count in self._echoed.values() if count > 1)

    async def run(self, stop: asyncio.Event) -> None:
        """Talks until ``stop`` is set, then waits for the last echoes."""
        begun = time.monotonic()
        try:
            async with await connect(self._url) as session:
                reader = asyncio.ensure_future(self._read(session))
                for number in itertools.count():
                    await asyncio.sleep(max(0.0, begun + number / self._per_second - time.monotonic()))
                    if stop.is_set():
                        break
                    self._sent_at[number] = time.monotonic()
                    await session.send(str(number))
                    self.sent += 1
                limit = time.monotonic() + _LAST_ECHO_SECONDS
                while self.lost and time.monotonic() < limit and not reader.done():
                    await asyncio.sleep(0.05)
                reader.cancel()
        except (SpotlaneError, TimeoutError) as error:
            self.faults[f"websocket {type(error).__name__}: {error}"] += 1
            self.sent = max(self.sent, 1)

    async def _read(self, session: WebSocketSession) -> None:
        async for message in session:
            number = int(message)
            self._echoed[number] += 1
            if (sent_at := self._sent_at.pop(number, None)) is not None:
                self.latencies_ms.append((time.monotonic() - sent_at) * 1000)
