"""A synchronous HTTP transport that answers in process from an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

Tamper = Callable[[httpx.Request, httpx.Response], httpx.Response]


class AppTransport(httpx.BaseTransport):
    """Keeps the requests that it saw; ``tamper`` may change an answer on its way."""

    def __init__(self, app: Any, tamper: Tamper = lambda _, response: response) -> None:
        self._app = httpx.ASGITransport(app=app)
        self._tamper = tamper
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)

        async def answer() -> httpx.Response:
            response = await self._app.handle_async_request(httpx.Request(request.method, request.url, headers=request.headers, content=request.read()))
            return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

        return self._tamper(request, asyncio.run(answer()))


def client(app: Any, base_url: str = "http://local") -> httpx.Client:
    """A client of ``app``."""
    return httpx.Client(transport=AppTransport(app), base_url=base_url)
