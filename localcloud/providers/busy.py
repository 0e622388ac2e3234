"""How long the providers were at work: the time in which at least one call was under way, by package."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc


class Busy(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Meters one provider's unary calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._since = 0.0
        self._total = 0.0
        self._calls = 0

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Wraps a unary call; streams and unknown methods are passed on."""
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def metered(request: Any, context: Any) -> Any:
            self.begin()
            try:
                return handler.unary_unary(request, context)
            finally:
                self.end()

        return grpc.unary_unary_rpc_method_handler(metered, handler.request_deserializer, handler.response_serializer)

    def begin(self) -> None:
        """A call has come."""
        with self._lock:
            if self._under_way == 0:
                self._since = self._clock()
            self._under_way += 1
            self._calls += 1

    def end(self) -> None:
        """It is answered."""
        with self._lock:
            self._under_way -= 1
            if self._under_way == 0:
                self._total += self._clock() - self._since

    def document(self) -> dict[str, float]:
        """``{"seconds", "calls"}`` since the start; a call under way counts up to now."""
        with self._lock:
            now = self._clock() - self._since if self._under_way else 0.0
            return {"seconds": self._total + now, "calls": float(self._calls)}
