"""One WebSocket of the resume protocol: numbered messages, each of which must come back once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

_RESUME = Subprotocol("spotlane.resume.v1")
_LAST_ECHO_SECONDS = 30.0


class Talk:
    """One connection and its messages, ``per_second``."""

    def __init__(self, url: str, per_second: float) -> None:
        self._url, self._per_second = url, per_second
        self._echoed: Counter[int] = Counter()
        self.sent = 0
        self.faults: Counter[str] = Counter()

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
        split = urlsplit(self._url)
        begun = time.monotonic()
        try:
            address = "127.0.0.1" if (split.hostname or "").endswith(".localhost") else split.hostname
            async with connect(self._url, host=address, port=split.port, subprotocols=[_RESUME], proxy=None, max_queue=1024, open_timeout=60) as connection:
                reader = asyncio.ensure_future(self._read(connection))
                for number in itertools.count():
                    await asyncio.sleep(max(0.0, begun + number / self._per_second - time.monotonic()))
                    if stop.is_set():
                        break
                    await connection.send(str(number))
                    self.sent += 1
                limit = time.monotonic() + _LAST_ECHO_SECONDS
                while self.lost and time.monotonic() < limit and not reader.done():
                    await asyncio.sleep(0.05)
                reader.cancel()
        except (WebSocketException, OSError, TimeoutError) as error:
            self.faults[f"websocket {type(error).__name__}: {error}"] += 1
            self.sent = max(self.sent, 1)

    async def _read(self, connection: ClientConnection) -> None:
        async for message in connection:
            self._echoed[int(message)] += 1
