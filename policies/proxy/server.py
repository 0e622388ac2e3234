"""The proxy's connections: CONNECT, TLS by our own authority, then request after request: read whole, judged, recorded, passed on or refused.

Refused before any rule: a CONNECT to an address or another port, a name that differs between CONNECT, TLS and Host, plain HTTP, upgrades, ambiguous framing
(Content-Length with Transfer-Encoding), bodies beyond their limit and bodies that are compressed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ipaddress
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import h11

from domain.boundary.call import Call
from domain.boundary.record import Outcome
from policies.audit.log import AuditLog, AuditUnavailable
from policies.proxy.authority import Authority
from policies.proxy.books import PLATFORM, Books
from policies.proxy.decode_aws import assumed_role
from policies.proxy.hosts import KnownHost, classify
from policies.proxy.judge import Verdict, judge, unreadable
from policies.proxy.refusal import refusal
from policies.proxy.replay import Replays
from policies.proxy.request import ApiRequest, Refused
from policies.proxy.upstream import HOP_BY_HOP, UpstreamConnection, Upstreams

log = logging.getLogger("spotlane.proxy")

BODY_LIMIT = 8 * 1024 * 1024
UPLOAD_LIMIT = 64 * 1024 * 1024
"""Of Cloudflare's script and asset uploads, in bytes."""
_CHUNK = 65536

_METHODS = frozenset({b"GET", b"HEAD", b"PUT", b"POST", b"PATCH", b"DELETE"})
_REPEATABLE = frozenset({b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"cookie", b"user-agent", b"via"})
_OVERRIDES = frozenset(
    {b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-rewrite-url", b"x-forwarded-host", b"forwarded"}
)
"""Headers by which some front ends take a request for another one than its first line says."""

Send = Callable[[bytes], Awaitable[None]]


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take, in connections and seconds."""

    connections: int = 512
    """Of all clients together; one more is closed unread."""
    head_seconds: float = 20.0
    """From a request's first byte to the end of its head, TLS included."""
    body_seconds: float = 120.0
    """From the head's end to the body's."""
    idle_seconds: float = 120.0
    """Between two requests."""


class Proxy:
    """One listening proxy over one state directory's books, authority and audit log."""

    def __init__(
        self,
        books: Books,
        authority: Authority,
        audit: AuditLog,
        upstreams: Upstreams,
        clock: Callable[[], datetime] = _utc,
        limits: Limits | None = None,
    ) -> None:
        self._books = books
        self._authority = authority
        self._audit = audit
        self._upstreams = upstreams
        self._clock = clock
        self._open: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._replays = Replays()
        self._limits = limits or Limits()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first byte to its last."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= self._limits.connections:
            log.warning("more than %d connections; one was closed unread", self._limits.connections)
            writer.close()
            return
        self._open.add(task)
        try:
            await self._first(reader, writer)
        except (OSError, h11.ProtocolError, TimeoutError, Refused, asyncio.IncompleteReadError, ssl.SSLError) as error:
            log.debug("connection ended: %r", error)
        except Exception:
            log.exception("a connection failed; its call was not passed on")
        finally:
            self._open.discard(task)
            writer.close()

    async def drain(self, seconds: float) -> None:
        """Lets calls under way end, at most ``seconds``, then drops every connection."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._busy and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        for task in list(self._open):
            task.cancel()

    async def _first(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
        while True:
            request = await self._head(http, reader)
            if not isinstance(request, h11.Request):
                return
            if request.method == b"CONNECT":
                await self._connect(request, http, reader, writer)
                return
            await self._own(request, http, reader, writer)
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _head(self, http: h11.Connection, reader: asyncio.StreamReader) -> object:
        """The next event; its first byte may take its time, what follows may not."""
        event = http.next_event()
        if event is not h11.NEED_DATA:
            return event
        # `timeout` and not `wait_for`, which makes a task of its own for every read.
        async with asyncio.timeout(self._limits.idle_seconds):
            http.receive_data(await reader.read(_CHUNK))
        event = http.next_event()
        if event is not h11.NEED_DATA:
            return event
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                return await _next(http, reader)
        except TimeoutError as error:
            raise Refused("request", f"the head took longer than {self._limits.head_seconds:g} s", 408) from error

    async def _own(self, request: h11.Request, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The proxy's own pages: health, and the audit view for the platform."""
        async with asyncio.timeout(self._limits.body_seconds):
            while not isinstance(event := await _next(http, reader), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    return
        path, _, query = request.target.decode("ascii").partition("?")
        status = 404
        document: dict[str, object] = {"error": f"no page {path!r} here; the proxy answers CONNECT, /healthz, /audit and /audit/head"}
        if request.method == b"GET" and path == "/healthz":
            status, document = 200, {"status": "ok", "seq": self._audit.seq}
        elif request.method == b"GET" and path in {"/audit", "/audit/head"}:
            if self._principal(request.headers) != PLATFORM:
                status, document = 401, {"error": "the audit view takes the platform's credential"}
            elif path == "/audit/head":
                status, document = 200, {"point": "api", "seq": self._audit.seq, "hash": self._audit.hash, "at": self._clock().isoformat()}
            else:
                asked = dict(parse_qsl(query))
                try:
                    after, limit = int(asked.get("after", "0")), min(max(int(asked.get("limit", "100")), 1), 1000)
                    status, document = 200, {"entries": self._audit.after(after, limit)}
                except ValueError:
                    status, document = 400, {"error": "after and limit are numbers"}
        elif not path.startswith("/"):
            status, document = 403, {"error": "plain HTTP isn't passed on; use CONNECT"}
        await _answer(http, _sender(writer), status, "application/json", json.dumps(document).encode())

    async def _connect(self, request: h11.Request, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        send = _sender(writer)
        principal = self._principal(request.headers)
        if principal is None:
            await _answer(
                http,
                send,
                407,
                "text/plain",
                b"a principal and its key are needed: http://<principal>:<key>@<proxy>\n",
                [(b"Proxy-Authenticate", b'Basic realm="spotlane"')],
            )
            return
        host, _, port = request.target.decode("ascii").lower().rpartition(":")
        known = classify(host) if port == "443" and not _is_address(host) else None
        try:
            if known is None:
                raise Refused("host", f"host {host}:{port} is none of the clouds' APIs that are known here")
            if http.trailing_data[0]:
                raise Refused("request", "bytes came before the tunnel was open", 400)
        except Refused as refused:
            status = self._record(unreadable(known, principal, None, refused), refused.status)
            await _answer(http, send, status, "text/plain", f"Spotlane boundary [{refused.rule}]: {refused.message}\n".encode())
            return
        await send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        context = self._authority.context(host)
        named = _require_name(context, host)
        await asyncio.wait_for(writer.start_tls(named), self._limits.head_seconds)
        connection = UpstreamConnection(self._upstreams, host)
        try:
            await self._serve(known, host, principal, connection, reader, writer)
        finally:
            connection.close()

    async def _serve(
        self, known: KnownHost, host: str, principal: str, connection: UpstreamConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """The requests inside one tunnel."""
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
        send = _sender(writer)
        while True:
            try:
                head = await self._head(http, reader)
            except (h11.RemoteProtocolError, Refused) as error:
                refused = error if isinstance(error, Refused) else Refused("request", f"not an HTTP/1.1 request: {error}", 400)
                status = self._record(unreadable(known, principal, None, refused), refused.status)
                if http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    await _answer(http, send, *refusal(known, status, refused.rule, refused.message))
                return
            if not isinstance(head, h11.Request):
                return
            self._busy += 1
            try:
                await self._call(head, http, known, host, principal, connection, reader, send)
            finally:
                self._busy -= 1
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _call(
        self,
        head: h11.Request,
        http: h11.Connection,
        known: KnownHost,
        host: str,
        principal: str,
        connection: UpstreamConnection,
        reader: asyncio.StreamReader,
        send: Send,
    ) -> None:
        """One request: read, judged, recorded; then refused or passed on."""
        request: ApiRequest | None = None
        try:
            _check_head(head, host)
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    body = await _body(http, reader, send, UPLOAD_LIMIT if known.kind == "cloudflare" else BODY_LIMIT)
            except TimeoutError as error:
                raise Refused("request", f"the body took longer than {self._limits.body_seconds:g} s", 408) from error
            path, _, query = head.target.decode("ascii").partition("?")
            headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
            request = ApiRequest(head.method.decode("ascii"), host, path, query, headers, body)
            now = self._clock()
            verdict, status = judge(request, known, principal, self._books, now), 403
            if verdict.allowed and verdict.call.access not in {"read", "metadata"}:
                self._replays.check(request, now)
        except Refused as refused:
            verdict, status = unreadable(known, principal, request, refused), refused.status
        except h11.RemoteProtocolError as error:
            fault = Refused("request", f"not an HTTP/1.1 request: {error}", 400)
            verdict, status = unreadable(known, principal, request, fault), 400
        except OSError:
            raise
        except Exception as error:
            log.exception("%s %s can't be judged", head.method, host)
            fault = Refused("request", f"the request can't be judged ({type(error).__name__})", 400)
            verdict, status = unreadable(known, principal, request, fault), 400
        status = self._record(verdict, status)
        if request is None or not verdict.allowed or status == 503:
            rule, message = ("audit", "the audit log can't be written, so nothing is passed on") if status == 503 else (verdict.rule, verdict.message)
            await _answer(http, send, *refusal(known, status, rule, message))
            return
        await self._forward(request, list(head.headers), http, known, verdict, connection, send)

    def _record(self, verdict: Verdict, status: int) -> int:
        """Records the verdict; 503 where it can't be."""
        try:
            for news in self._books.news():
                change = Call("api", "spotlane", news.tenant, "", "boundary", "Change", "write", "global", resource=news.tenant)
                self._audit.record(change, "allow", "boundary", news.what, news.digest, self._clock())
            outcome: Outcome = verdict.outcome or ("allow" if verdict.allowed else "deny")
            self._audit.record(verdict.call, outcome, verdict.rule, verdict.message, verdict.digest, self._clock())
        except AuditUnavailable as error:
            log.error("%s", error)
            return 503
        return status

    async def _forward(
        self,
        request: ApiRequest,
        headers: list[tuple[bytes, bytes]],
        http: h11.Connection,
        known: KnownHost,
        verdict: Verdict,
        connection: UpstreamConnection,
        send: Send,
    ) -> None:
        learns = known.service == "sts" and verdict.call.action.startswith("AssumeRole")
        if learns:
            headers = [(name, value) for name, value in headers if name != b"accept-encoding"]
        started = False
        kept = head = b""
        try:
            async with contextlib.aclosing(connection.exchange(request, headers)) as answer:
                async for event in answer:
                    if isinstance(event, h11.Response):
                        started = True
                        passed = [(name, value) for name, value in event.headers if name not in HOP_BY_HOP]
                        if verdict.outcome == "advise":
                            passed.append((b"spotlane-advice", f"[{verdict.rule}] {verdict.message}"[:500].encode("ascii", "replace")))
                        head = http.send(h11.Response(status_code=event.status_code, headers=passed, reason=event.reason)) or b""
                    elif learns:
                        kept += bytes(event.data)
                    else:
                        # The head goes with the first of the body: most answers are one packet and one TLS record.
                        await send(head + (http.send(h11.Data(data=event.data)) or b""))
                        head = b""
        except (OSError, TimeoutError, h11.RemoteProtocolError, Refused) as error:
            if started:
                raise
            log.warning("%s: upstream failed: %r", request.host, error)
            status, rule = (403, error.rule) if isinstance(error, Refused) else (502, "upstream")
            await _answer(http, send, *refusal(known, status, rule, f"{request.host} doesn't answer ({type(error).__name__}: {error})"))
            return
        if learns:
            if session := assumed_role(request, verdict.call.action, kept):
                self._books.learn_session(*session)
            head += http.send(h11.Data(data=kept)) or b"" if kept else b""
        await send(head + (http.send(h11.EndOfMessage()) or b""))

    def _principal(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The authenticated principal of a ``Proxy-Authorization`` (own pages: ``Authorization`` too), or None."""
        for name, value in headers:
            if name.lower() in {b"proxy-authorization", b"authorization"} and value[:6].lower() == b"basic ":
                try:
                    principal, _, key = base64.b64decode(value[6:], validate=True).decode().partition(":")
                except (binascii.Error, UnicodeDecodeError):
                    return None
                return principal if self._books.authenticate(principal, key) else None
        return None


def _require_name(context: ssl.SSLContext, host: str) -> ssl.SSLContext:
    """Also refuses a client that names no host: the callback is called with None then."""

    def check(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        return None if name is not None and name.lower() == host else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = check
    return context


def _check_head(head: h11.Request, host: str) -> None:
    names = [name for name, _ in head.headers]
    if twice := sorted({name.decode("latin-1") for name in names if names.count(name) > 1 and name not in _REPEATABLE}):
        raise Refused("request", f"the header {', '.join(twice)} stands twice", 400)
    if hiding := sorted(name.decode("latin-1") for name in names if name in _OVERRIDES):
        raise Refused("request", f"the header {', '.join(hiding)} makes it another request", 400)
    if head.method not in _METHODS:
        raise Refused("request", f"method {head.method.decode('latin-1')} isn't passed on", 400)
    if names.count(b"host") != 1 or dict(head.headers)[b"host"].decode("latin-1").lower() not in {host, f"{host}:443"}:
        raise Refused("request", f"the Host header differs from the tunnel's host {host}", 400)
    if not head.target.startswith(b"/"):
        raise Refused("request", "the request's target is not a path", 400)
    if b"upgrade" in names:
        raise Refused("request", "upgrades aren't passed on", 400)
    if b"content-length" in names and b"transfer-encoding" in names:
        raise Refused("request", "Content-Length and Transfer-Encoding contradict each other", 400)
    if not head.target.isascii() or b"#" in head.target:
        raise Refused("request", "the request's target can be read in more than one way", 400)
    encoding = dict(head.headers).get(b"content-encoding", b"identity").lower()
    if encoding not in {b"identity", b"aws-chunked"}:
        raise Refused("request", "compressed bodies can't be judged", 400)


async def _body(http: h11.Connection, reader: asyncio.StreamReader, send: Send, limit: int) -> bytes:
    if http.they_are_waiting_for_100_continue:
        await send(http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await _next(http, reader)
        if isinstance(event, h11.EndOfMessage):
            return b"".join(chunks)
        if not isinstance(event, h11.Data):
            raise ConnectionError("the client went away in the middle of its request")
        size += len(event.data)
        if size > limit:
            raise Refused("request", f"the body is longer than {limit} bytes", 413)
        chunks.append(bytes(event.data))


async def _next(http: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await reader.read(_CHUNK))
    return event


async def _answer(http: h11.Connection, send: Send, status: int, kind: str, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    whole = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *(headers or [])]
    if http.their_state is not h11.DONE:
        whole.append((b"connection", b"close"))
    data = http.send(h11.Response(status_code=status, headers=whole)) or b""
    data += http.send(h11.Data(data=body)) or b""
    await send(data + (http.send(h11.EndOfMessage()) or b""))


def _sender(writer: asyncio.StreamWriter) -> Send:
    async def send(data: bytes) -> None:
        if data:
            writer.write(data)
            await writer.drain()

    return send


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
