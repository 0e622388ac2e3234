"""The clouds' HTTP address: an ASGI application that finds the cloud by the ``Host`` header, as the inline proxy passes it on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer

log = logging.getLogger("localcloud.front")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Site:
    """What answers for hosts equal to ``hosts`` or, beginning with a dot, ending in them: a handler or an ASGI application. ``paths`` are its prefixes."""

    hosts: tuple[str, ...]
    handler: Callable[[HttpRequest], HttpAnswer] | None = None
    application: AsgiApp | None = None
    paths: tuple[str, ...] = ("/",)

    def serves(self, host: str, path: str) -> bool:
        """Whether ``host`` and ``path`` are this site's."""
        named = any(host == name or (name.startswith(".") and host.endswith(name)) for name in self.hosts)
        return named and path.startswith(self.paths)


class Front:
    """Dispatches to the first of ``sites`` that serves the host. Handlers block; they run in threads."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = list(sites)
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="cloud")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await _lifespan(receive, send)
            return
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "").rpartition(":")
        name = (host[0] if host[1] and host[2].isdigit() else host[0] + host[1] + host[2]).lower()
        site = next((candidate for candidate in self._sites if candidate.serves(name, scope["path"])), None)
        if site is None:
            message = f"no cloud here answers for host {name!r}; the local cloud serves " + ", ".join(one for site in self._sites for one in site.hosts)
            await _send(send, json_answer(421, {"error": {"code": "UnknownHost", "message": message}}))
        elif site.application is not None:
            await site.application(scope, receive, send)
        else:
            body = await _body(receive)
            headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
            path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
            request = HttpRequest(scope["method"], name, path, scope["query_string"].decode("latin-1"), headers, body)
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, _answer, site.handler, request)
            await _send(send, answer)

    def close(self) -> None:
        """Waits for calls under way and stops the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _answer(handler: Any, request: HttpRequest) -> HttpAnswer:
    try:
        answer: HttpAnswer = handler(request)
    except Exception:
        log.exception("%s %s%s failed", request.method, request.host, request.path)
        return json_answer(500, {"error": {"code": "InternalError", "message": f"{request.method} {request.path} failed; see logs/localcloud.log"}})
    log.debug("%s %s%s → %d", request.method, request.host, request.path, answer.status)
    return answer


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send(send: Send, answer: HttpAnswer) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    if "date" not in answer.headers:
        headers.append((b"date", format_datetime(datetime.now(UTC), usegmt=True).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
