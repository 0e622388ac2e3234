"""Reads that end after so many seconds, for who reads often: one timer of a connection runs on over many reads, where ``asyncio.timeout`` sets one for each."""

from __future__ import annotations

import asyncio


class Patience:
    """Reads of one stream, one at a time. A stream that was too slow once is broken: it gives nothing more."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._loop = asyncio.get_running_loop()
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, size: int, seconds: float) -> bytes:
        """What has come, at most ``size`` bytes; b"" at the end. Raises ``TimeoutError`` where nothing came for ``seconds``."""
        self._until = until = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > until:
            self._set(until)
        try:
            return await self._reader.read(size)
        finally:
            self._until = None

    def close(self) -> None:
        """Ends the timer, which would keep the stream and all behind it until it rings."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, when: float) -> None:
        self.close()
        self._timer = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._until is None:
            return
        if self._loop.time() < self._until:
            self._set(self._until)
        else:
            self._reader.set_exception(TimeoutError("nothing came for too long"))
