"""An HTTP transport that answers in process from the market's application, for feeds that call the real hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from localcloud.market.http import app
from localcloud.market.market import Market

Tamper = Callable[[httpx.Request, httpx.Response], httpx.Response]


class MarketTransport(httpx.BaseTransport):
    """Keeps the requests that it saw; ``tamper`` may change an answer on its way."""

    def __init__(self, market: Market, tamper: Tamper = lambda _, response: response) -> None:
        self._app = httpx.ASGITransport(app=app(market))
        self._tamper = tamper
        self.seen: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)

        async def answer() -> httpx.Response:
            response = await self._app.handle_async_request(httpx.Request(request.method, request.url, headers=request.headers, content=request.read()))
            return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

        return self._tamper(request, asyncio.run(answer()))
