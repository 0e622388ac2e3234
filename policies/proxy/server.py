"""The proxy's connections: CONNECT, TLS by our own authority, then request after request: read, judged, recorded, passed on or refused.

Refused before any rule: a CONNECT to an address or another port, a name that differs between CONNECT, TLS and Host, plain HTTP, upgrades, ambiguous framing
(Content-Length with Transfer-Encoding), bodies beyond their limit, bodies that are compressed. Clients may speak HTTP/2 (ALPN) inside their
tunnel, and gRPC, of which each method that is known here is judged as the REST call that it is.
A body that carries nothing to decide on passes as it comes, once its head was judged and recorded; every answer does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import h11

from audit.log import AuditLog, AuditUnavailable
from domain.boundary.call import Call
from domain.boundary.record import Outcome
from policies.proxy.authority import Authority
from policies.proxy.books import PLATFORM, Books
from policies.proxy.clients import BodyBudget, Client, Clients, Limits, sender
from policies.proxy.exchange import CHUNK, Exchange, Http1Exchange, Send, body_limit, check_head, is_grpc, next_event, passes_through
from policies.proxy.forward import Allowed, Lines, forward, refuse
from policies.proxy.grpc import transcoded
from policies.proxy.hosts import KnownHost, classify
from policies.proxy.http2 import Http2Tunnel
from policies.proxy.judge import Verdict, judge, unreadable
from policies.proxy.patience import Patience
from policies.proxy.platform import Own
from policies.proxy.refusal import refusal
from policies.proxy.replay import Replays
from policies.proxy.request import ApiRequest, Refused
from policies.proxy.upstream import Passing, Upstreams

log = logging.getLogger("spotlane.proxy")


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Tunnel:
    """What holds for every request of one CONNECT."""

    known: KnownHost
    host: str
    client: Client
    lines: Lines
    patience: Patience


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
        own: Own | None = None,
    ) -> None:
        self._own_things = own or Own()
        self._books = books
        self._authority = authority
        self._audit = audit
        self._upstreams = upstreams
        self._clock = clock
        self._open: set[asyncio.Task[None]] = set()
        self._busy = 0
        self._replays = Replays()
        self._bodies = BodyBudget()
        self._limits = limits or Limits()
        self._clients = Clients(books, self._limits)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its first byte to its last."""
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= self._limits.connections:
            log.warning("more than %d connections; one was closed unread", self._limits.connections)
            writer.close()
            return
        self._open.add(task)
        patience = Patience(reader)
        try:
            await self._first(reader, writer, patience)
        except (OSError, h11.ProtocolError, TimeoutError, Refused, asyncio.IncompleteReadError, ssl.SSLError) as error:
            log.debug("connection ended: %r", error)
        except asyncio.CancelledError:
            # The proxy stops. Nobody waits for this task, and asyncio's streams would report its end as an error.
            log.debug("connection dropped")
        except Exception:
            log.exception("a connection failed; its call was not passed on")
        finally:
            self._open.discard(task)
            patience.close()
            writer.close()

    async def drain(self, seconds: float) -> None:
        """Lets calls under way end, at most ``seconds``, then drops every connection."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._busy and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        for task in list(self._open):
            task.cancel()

    async def _first(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: Patience) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
        while True:
            request = await self._head(http, reader, patience, self._limits.head_seconds)
            if not isinstance(request, h11.Request):
                return
            if request.method == b"CONNECT":
                await self._connect(request, http, reader, writer, patience)
                return
            await self._own(request, http, reader, writer)
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _head(self, http: h11.Connection, reader: asyncio.StreamReader, patience: Patience, idle_seconds: float) -> object:
        """The next event; its first byte may take ``idle_seconds``, what follows may not."""
        event = http.next_event()
        if event is not h11.NEED_DATA:
            return event
        http.receive_data(await patience.read(CHUNK, idle_seconds))
        event = http.next_event()
        if event is not h11.NEED_DATA:
            return event
        try:
            async with asyncio.timeout(self._limits.head_seconds):
                return await next_event(http, reader)
        except TimeoutError as error:
            raise Refused("request", f"the head took longer than {self._limits.head_seconds:g} s", 408) from error

    async def _own(self, request: h11.Request, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The proxy's own pages: health, and the audit view for the platform."""
        async with asyncio.timeout(self._limits.body_seconds):
            while not isinstance(event := await next_event(http, reader), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    return
        path, _, query = request.target.decode("ascii").partition("?")
        status = 404
        document: dict[str, object] = {"error": f"no page {path!r} here; the proxy answers CONNECT, /healthz, /audit and /audit/head"}
        if request.method == b"GET" and path == "/healthz":
            status, document = 200, {"status": "ok", "seq": self._audit.seq}
        elif request.method == b"GET" and path in {"/audit", "/audit/head"}:
            client = self._clients.authenticated(request.headers)
            if client is None or client.principal != PLATFORM:
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
        await _answer(http, sender(writer, self._limits.stall_seconds), status, "application/json", json.dumps(document).encode())

    async def _connect(
        self, request: h11.Request, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: Patience
    ) -> None:
        send = sender(writer, self._limits.stall_seconds)
        client = self._clients.authenticated(request.headers)
        if client is None:
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
        known = (classify(host) or self._own_host(host, client.principal)) if port == "443" and not _is_address(host) else None
        with contextlib.ExitStack() as taken:
            try:
                if known is None:
                    raise Refused("host", f"host {host}:{port} is none of the clouds' APIs that are known here")
                if http.trailing_data[0]:
                    raise Refused("request", "bytes came before the tunnel was open", 400)
                taken.enter_context(self._clients.tunnel(client))
            except Refused as refused:
                status = self._record(unreadable(known, client.principal, None, refused), refused.status)
                await _answer(http, send, status, "text/plain", f"Spotlane boundary [{refused.rule}]: {refused.message}\n".encode())
                return
            await self._tunnel(_Tunnel(known, host, client, Lines(known, self._upstreams, host), patience), reader, writer, send)

    async def _tunnel(self, tunnel: _Tunnel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, send: Send) -> None:
        """Opens the tunnel, and serves it until it ends."""
        await send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        named = _require_name(self._authority.context(tunnel.host), tunnel.host)
        await asyncio.wait_for(writer.start_tls(named), self._limits.head_seconds)
        try:
            secured = writer.get_extra_info("ssl_object")
            if secured is not None and secured.selected_alpn_protocol() == "h2":
                await self._serve_http2(tunnel, reader, send)
            else:
                await self._serve(tunnel, reader, send)
        finally:
            tunnel.lines.close()

    def _own_host(self, host: str, principal: str) -> KnownHost | None:
        """A host that only the platform's settings name, for the platform only."""
        return self._own_things.host(host) if principal == PLATFORM else None

    async def _serve(self, tunnel: _Tunnel, reader: asyncio.StreamReader, send: Send) -> None:
        """The requests inside one tunnel, one after the other."""
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
        while True:
            try:
                head = await self._head(http, reader, tunnel.patience, self._limits.idle_seconds)
            except (h11.RemoteProtocolError, Refused) as error:
                refused = error if isinstance(error, Refused) else Refused("request", f"not an HTTP/1.1 request: {error}", 400)
                status = self._record(unreadable(tunnel.known, tunnel.client.principal, None, refused), refused.status)
                if http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    await _answer(http, send, *refusal(tunnel.known, status, refused.rule, refused.message))
                return
            if not isinstance(head, h11.Request):
                return
            await self._call(tunnel, Http1Exchange(http, head, reader, send))
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _serve_http2(self, tunnel: _Tunnel, reader: asyncio.StreamReader, send: Send) -> None:
        """The requests inside one tunnel, several at once."""

        async def serve(exchange: Exchange) -> None:
            await self._call(tunnel, exchange)

        async def unread(exchange: Exchange, refused: Refused) -> None:
            status = self._record(unreadable(tunnel.known, tunnel.client.principal, None, refused), refused.status)
            await refuse(exchange, *refusal(tunnel.known, status, refused.rule, refused.message), refused.message)

        streams = Http2Tunnel(reader, send, serve, unread, self._limits.idle_seconds)
        try:
            await streams.run()
        except Refused as refused:
            self._record(unreadable(tunnel.known, tunnel.client.principal, None, refused), refused.status)
            await streams.goodbye()

    async def _call(self, tunnel: _Tunnel, exchange: Exchange) -> None:
        """One request: read as far as it must be understood, judged, recorded; then refused or passed on."""
        self._busy += 1
        held = 0
        try:
            verdict, request, status, passing = await self._judged(tunnel, exchange)
            held = len(request.body) if request else 0
            status = self._record(verdict, status)
            if request is None or not verdict.allowed or status == 503:
                rule, message = ("audit", "the audit log can't be written, so nothing is passed on") if status == 503 else (verdict.rule, verdict.message)
                await refuse(exchange, *refusal(tunnel.known, status, rule, message), message)
                return
            await forward(Allowed(request, exchange, passing, verdict), tunnel.lines, self._books)
        finally:
            self._bodies.release(held, tunnel.client.principal)
            self._busy -= 1

    async def _judged(self, tunnel: _Tunnel, exchange: Exchange) -> tuple[Verdict, ApiRequest | None, int, Passing | None]:
        """Verdict, request, the status of a refusal, and the body that is still to pass."""
        head, host, known, principal = exchange.head, tunnel.host, tunnel.known, tunnel.client.principal
        request: ApiRequest | None = None
        passing: Passing | None = None
        try:
            self._clients.check(tunnel.client)
            check_head(head, host)
            body = b""
            if is_grpc(head) and not exchange.trailers:
                raise Refused("request", "gRPC goes by HTTP/2 only", 400)
            if not is_grpc(head) and passes_through(head, known):
                passing = Passing(head.length or 0, exchange.body())
            else:
                body = await self._bodies.whole(exchange, body_limit(known), self._limits.body_seconds, principal)
            path, _, query = head.target.decode("ascii").partition("?")
            headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
            request = ApiRequest(head.method.decode("ascii"), host, path, query, headers, body)
            now = self._clock()
            judged = transcoded(request) if is_grpc(head) else request
            verdict, status = judge(judged, known, principal, self._books, now, self._own_things), 403
            if verdict.allowed and verdict.call.access not in {"read", "metadata"}:
                self._replays.check(request, now)
        except Refused as refused:
            verdict, status = unreadable(known, principal, request, refused), refused.status
        except OSError:
            raise
        except Exception as error:
            log.exception("%s %s can't be judged", head.method, host)
            fault = Refused("request", f"the request can't be judged ({type(error).__name__})", 400)
            verdict, status = unreadable(known, principal, request, fault), 400
        return verdict, request, status, passing

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


def _require_name(context: ssl.SSLContext, host: str) -> ssl.SSLContext:
    """Also refuses a client that names no host: the callback is called with None then."""

    def check(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        return None if name is not None and name.lower() == host else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    context.sni_callback = check
    return context


async def _answer(http: h11.Connection, send: Send, status: int, kind: str, body: bytes, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    whole = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *(headers or [])]
    if http.their_state is not h11.DONE:
        whole.append((b"connection", b"close"))
    data = http.send(h11.Response(status_code=status, headers=whole)) or b""
    data += http.send(h11.Data(data=body)) or b""
    await send(data + (http.send(h11.EndOfMessage()) or b""))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
