"""An allowed call on its way: to the upstream, and its answer back to the client as it comes. A role's new session is learnt on the way."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass

import h2.exceptions
import h11

from policies.proxy.books import Books
from policies.proxy.decode_aws import assumed_role
from policies.proxy.exchange import Exchange, Headers, is_grpc
from policies.proxy.hosts import KnownHost
from policies.proxy.judge import Verdict
from policies.proxy.refusal import refusal
from policies.proxy.request import ApiRequest, Refused
from policies.proxy.upstream import HOP_BY_HOP, ClientWentAway, Passing, UpstreamConnection, UpstreamPool, Upstreams
from policies.proxy.upstream_http2 import Http2Connection

log = logging.getLogger("spotlane.proxy")

_SESSION_BYTES = 1024 * 1024
_GRPC_PERMISSION_DENIED, _GRPC_UNAVAILABLE = b"7", b"14"
"""Codes that gRPC's clients know: after the second they try again."""


class Lines:
    """A tunnel's connections to its host: HTTP/1.1, and HTTP/2 for gRPC."""

    def __init__(self, known: KnownHost, upstreams: Upstreams, host: str) -> None:
        self.known = known
        self.plain = UpstreamPool(lambda: UpstreamConnection(upstreams, host))
        self.grpc = UpstreamPool(lambda: Http2Connection(upstreams, host))

    def close(self) -> None:
        """Drops the idle ones."""
        self.plain.close()
        self.grpc.close()


@dataclass(frozen=True, slots=True)
class Allowed:
    """A call that was judged and recorded; ``passing`` is the body that is still to come."""

    request: ApiRequest
    exchange: Exchange
    passing: Passing | None
    verdict: Verdict


async def forward(call: Allowed, lines: Lines, books: Books) -> None:
    """Carries the call out. An upstream that doesn't answer is a refusal; one that breaks off breaks off the answer."""
    request, exchange, verdict = call.request, call.exchange, call.verdict
    if is_grpc(exchange.head):
        await _forward_grpc(request, exchange, lines)
        return
    learns = lines.known.service == "sts" and verdict.call.action.startswith("AssumeRole")
    headers: Headers = exchange.head.headers
    if learns:
        headers = [(name, value) for name, value in headers if name != b"accept-encoding"]
    started = False
    kept = b""
    try:
        with lines.plain.connection() as connection:
            async with contextlib.aclosing(connection.exchange(request, headers, call.passing)) as answer:
                async for event in answer:
                    if isinstance(event, h11.Response):
                        started = True
                        passed = _passed(event.headers)
                        if verdict.outcome == "advise":
                            passed = [*passed, (b"spotlane-advice", f"[{verdict.rule}] {verdict.message}"[:500].encode("ascii", "replace"))]
                        await exchange.respond(event.status_code, passed, event.reason)
                    elif learns:
                        kept += bytes(event.data)
                        if len(kept) > _SESSION_BYTES:
                            raise ConnectionError(f"the answer of {request.host} to AssumeRole is longer than {_SESSION_BYTES} bytes")
                    else:
                        await exchange.data(bytes(event.data))
    except (OSError, TimeoutError, h11.ProtocolError, Refused) as error:
        if started or isinstance(error, ClientWentAway):
            raise
        await _unanswered(request, exchange, lines, error)
        return
    if learns:
        if session := assumed_role(request, verdict.call.action, kept):
            books.learn_session(*session)
        if kept:
            await exchange.data(kept)
    await exchange.end()


async def _forward_grpc(request: ApiRequest, exchange: Exchange, lines: Lines) -> None:
    """The same by HTTP/2, with the trailers that end a call of gRPC; of an answer that is nothing but a head, that is kept as it is."""
    head: h11.Response | None = None
    started, trailers = False, None
    try:
        with lines.grpc.connection() as connection:
            async with contextlib.aclosing(connection.exchange(request, exchange.head.headers)) as answer:
                async for event in answer:
                    if isinstance(event, h11.Response):
                        head = event
                        continue
                    if head is not None and not started:
                        started = True
                        await exchange.respond(head.status_code, _passed(head.headers))
                    if isinstance(event, h11.EndOfMessage):
                        trailers = [(name, value) for name, value in event.headers if not name.startswith(b":")]
                    else:
                        await exchange.data(bytes(event.data))
    except (OSError, TimeoutError, h2.exceptions.ProtocolError, Refused) as error:
        if started:
            raise
        await _unanswered(request, exchange, lines, error)
        return
    if head is not None and not started:
        await exchange.respond(head.status_code, _passed(head.headers), last=True)
    else:
        await exchange.end(trailers)


async def refuse(exchange: Exchange, status: int, kind: str, body: bytes, message: str) -> None:
    """Answers a call that isn't passed on. A client of gRPC reads it in gRPC's own form: status 200, and a code."""
    if is_grpc(exchange.head) and exchange.trailers:
        reason = (message or "refused by the boundary")[:500].encode("ascii", "replace").replace(b"%", b"%25")
        code = _GRPC_UNAVAILABLE if status >= 500 else _GRPC_PERMISSION_DENIED
        await exchange.respond(200, [(b"content-type", b"application/grpc"), (b"grpc-status", code), (b"grpc-message", reason)], last=True)
        return
    await exchange.respond(status, [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())])
    await exchange.data(body)
    await exchange.end()


async def _unanswered(request: ApiRequest, exchange: Exchange, lines: Lines, error: Exception) -> None:
    log.warning("%s: upstream failed: %r", request.host, error)
    status, rule = (error.status, error.rule) if isinstance(error, Refused) else (502, "upstream")
    message = f"{request.host} doesn't answer ({type(error).__name__}: {error})"
    await refuse(exchange, *refusal(lines.known, status, rule, message), message)


def _passed(headers: h11._headers.Headers) -> Headers:
    passed = [(name, value) for name, value in headers if name not in HOP_BY_HOP]
    return headers if len(passed) == len(headers) else passed
