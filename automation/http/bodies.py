"""A limit on request bodies, whether their length is declared or not."""

from __future__ import annotations

import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spotlane.wire import Problem

MAX_BYTES = 1024 * 1024
"""A stack's settings with a boundary of every region take some 40 KiB."""


class BodyTooLarge(Exception):
    """More than :data:`MAX_BYTES` have come."""


class BodyLimit:
    """ASGI middleware: 413 for a longer body, before it is read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One exchange."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not declared.isdigit() or int(declared) > MAX_BYTES:
            await _refuse(send)
            return
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BYTES:
                raise BodyTooLarge
            return message

        async def unless_refused(message: Message) -> None:
            if taken <= MAX_BYTES:  # FastAPI answers 400 by itself for whatever the reading of a body raises
                await send(message)

        with contextlib.suppress(BodyTooLarge):
            await self._app(scope, limited, unless_refused)
        if taken > MAX_BYTES:
            await _refuse(send)


async def _refuse(send: Send) -> None:
    detail = f"a request takes at most {MAX_BYTES} bytes"
    problem = Problem(type="https://spotlane.dev/problems/too-large", title="The body is too large", status=413, detail=detail, findings=None)
    body = problem.model_dump_json(by_alias=True).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
