"""Before the clouds' address: answers EC2's DescribeSpotPriceHistory from the market, with the market's ``Date``, and passes all else on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from localcloud.market.http import ec2_answer
from localcloud.market.market import Market

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_EC2 = re.compile(r"^ec2\.([a-z0-9-]+)\.amazonaws\.com(?::\d+)?$")
_ACTION = "DescribeSpotPriceHistory"


class PriceGate:
    """An ASGI application around ``inner``. To be served without the server's own ``Date`` header (uvicorn: ``date_header=False``)."""

    def __init__(self, market: Market, inner: AsgiApp) -> None:
        self._market = market
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"), "")
        region = _EC2.match(host.lower())
        if scope["type"] != "http" or region is None:
            await self._inner(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)) | dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        if form.get("Action") != _ACTION:
            await self._inner(scope, _again(messages, receive), send)
            return
        status, answer, headers = await asyncio.to_thread(ec2_answer, self._market, region.group(1), form)
        fields = [(name.encode(), value.encode()) for name, value in {**headers, "content-length": str(len(answer))}.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": answer})


def _again(messages: list[Message], receive: Receive) -> Receive:
    """The messages once more, then whatever comes."""
    waiting = list(messages)

    async def next_message() -> Message:
        return waiting.pop(0) if waiting else await receive()

    return next_message
