"""Where a program's output goes: the engine's log. Nobody reads the standard output of a host that engines attach to."""

from __future__ import annotations

import threading
from typing import Any

import grpc

from languagehost import protocol

_MAX_LINE = 1_000_000
"""Characters of a line that are passed on; a message has a limit of its own."""


class EngineConsole:
    """Sends lines to the engine at ``address``, standard error as well as standard output as information: Python writes its warnings there."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=protocol.CHANNEL_OPTIONS)
        self._engine: Any = protocol.engine_grpc.EngineStub(self._channel)
        self._lock = threading.Lock()

    def line(self, stream: int, text: str) -> None:
        """One line; lost if the engine is gone."""
        request = protocol.engine.LogRequest(severity=protocol.engine.LogSeverity.Value("INFO"), message=text[:_MAX_LINE], streamId=stream)
        try:
            with self._lock:
                self._engine.Log(request, timeout=10)
        except grpc.RpcError:
            return

    def close(self) -> None:
        """No further line."""
        self._channel.close()
