"""The asynchronous clients: :class:`AsyncClient` for the edge API, :class:`AsyncAutomationClient` for the automation service.

    async with AsyncClient.from_env() as client:
        async for workload in client.workloads():
            print(workload.id)

Generated from ``spotlane/client.py``, ``pages.py``, ``session.py``, ``transport.py`` and ``exchange.py`` by ``tools/sdk/generate.py``; do not edit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Self, TypeVar

import httpcore
from pydantic import BaseModel, TypeAdapter, ValidationError

from spotlane import wire
from spotlane.client import _COMPLETE_SECONDS, _LINES_AT_ONCE, _LINES_SECONDS, _WHOLE_BYTES, api_key_of, require
from spotlane.errors import AnswerNotUnderstood, Fault, NotSignedIn, SpotlaneError, Unreachable
from spotlane.exchange import CONNECTIONS, KEPT, KEPT_SECONDS, Answer, Request, TransportError, answer_of, tls, told
from spotlane.session import _AGAIN, _CUTS, _PAGE, _PAUSE_SECONDS, _SILENT_SECONDS
from spotlane.transport import _ATTEMPTS, _BACKOFF_SECONDS, _LATER, _RETRIED, _advice, _retry_after, raise_for_problem
from spotlane.wire import Token

M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")


class AsyncStream:
    """An answer that is read as it comes."""

    def __init__(self, request: Request, response: httpcore.Response) -> None:
        self._request = request
        self._response = response

    @property
    def is_success(self) -> bool:
        """Whether the status is of 2xx."""
        return 200 <= self._response.status < 300

    async def whole(self) -> Answer:
        """All of it."""
        await self._response.aread()
        return answer_of(self._request, self._response)

    async def lines(self) -> AsyncIterator[str]:
        """Its lines, without their ends."""
        left = b""
        async for part in self._response.aiter_stream():
            *whole, left = (left + part).split(b"\n")
            for line in whole:
                yield line.removesuffix(b"\r").decode(errors="replace")
        if left:
            yield left.decode(errors="replace")


class AsyncHttp:
    """A client with connections of its own; for threads too. Every method raises :class:`TransportError` where there is no answer."""

    def __init__(self, timeout_seconds: float = 30.0) -> None:
        self._seconds = timeout_seconds
        self._pool = httpcore.AsyncConnectionPool(ssl_context=tls(), max_connections=CONNECTIONS, max_keepalive_connections=KEPT, keepalive_expiry=KEPT_SECONDS)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Sends one request, once. ``timeout`` is in seconds, for each wait; None for the client's own."""
        asked = Request.of(method, url, headers, params, json, content, self._seconds if timeout is None else timeout)
        with told():
            response = await self._pool.request(asked.method, asked.url, headers=asked.headers, content=asked.content, extensions=asked.extensions)
        return answer_of(asked, response)

    async def get(self, url: str, *, params: Mapping[str, str] | None = None, timeout: float | None = None) -> Answer:
        """A ``GET``."""
        return await self.request("GET", url, params=params, timeout=timeout)

    @contextlib.asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> AsyncIterator[AsyncStream]:
        """An answer that is read as it comes, for as long as it takes; silence of ``timeout`` seconds ends it."""
        asked = Request.of(method, url, headers, params, None, None, timeout, "identity")
        with told():
            async with self._pool.stream(asked.method, asked.url, headers=asked.headers, extensions=asked.extensions) as response:
                yield AsyncStream(asked, response)

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._pool.aclose()


class AsyncTokenSource:
    """A token for an API key, exchanged when needed and renewed a minute before it expires."""

    def __init__(self, http: AsyncHttp, api_url: str, api_key: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._url = api_url.rstrip("/") + "/tokens"
        self._key = api_key
        self._monotonic = monotonic
        self._token: Token | None = None
        self._renew_at = 0.0

    async def header(self) -> str:
        """The ``Authorization`` header. Raises :class:`NotSignedIn` for an unknown key, :class:`Unreachable` where there is no answer."""
        if self._token is None or self._monotonic() >= self._renew_at:
            answer = await send(self._http, "edge API", "POST", self._url, json={"apiKey": self._key})
            if answer.status_code in (400, 401, 403, 422):
                raise NotSignedIn("the API key isn't known; check SPOTLANE_API_KEY or ask your administrator for a new key")
            raise_for_problem(answer)
            self._token = Token.model_validate(answer.json())
            self._renew_at = self._monotonic() + max(self._token.expires_in - 60, 5)
        return f"Bearer {self._token.access_token}"

    def forget(self) -> None:
        """Drops the token, so that the next call exchanges the key again."""
        self._token = None


def client(timeout_seconds: float = 30.0) -> AsyncHttp:
    """An HTTP client for Spotlane's own services: never through a proxy, names under ``.localhost`` on loopback."""
    return AsyncHttp(timeout_seconds)


async def send(
    http: AsyncHttp,
    service: str,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    json: Any = None,
    content: bytes | None = None,
    timeout: float | None = None,
) -> Answer:
    """Sends one request; connect errors and 502/503/504 are tried again with backoff (every call of the API is idempotent, by itself or by its key).

    So are 409 and 429 that say after how many seconds, if those are few. ``timeout`` is in seconds; None for the client's own.

    Raises :class:`Unreachable` when there is still no answer.
    """
    wait = _BACKOFF_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = await http.request(method, url, headers=headers, params=params, json=json, content=content, timeout=timeout)
        except TransportError as error:
            if attempt == _ATTEMPTS:
                raise Unreachable(service, url, str(error) or type(error).__name__, _advice(url)) from error
        else:
            later = _retry_after(answer) if answer.status_code in _LATER else None
            if attempt == _ATTEMPTS or (answer.status_code not in _RETRIED and later is None):
                return answer
            wait = max(wait, later or 0.0)
        await asyncio.sleep(wait)
        wait *= 2
    raise AssertionError("the last attempt returns or raises")


class AsyncPages(Generic[M]):
    """A listing of models. Its pages are fetched as it is read, each when the one before is used up; read again, it is asked for again.

    >>> async for migration in AsyncClient.from_env().migrations():  # doctest: +SKIP
    ...     print(migration.id)
    """

    def __init__(self, fetch: Callable[[str | None], Awaitable[tuple[list[M], str | None]]]) -> None:
        self._fetch = fetch

    async def __aiter__(self) -> AsyncIterator[M]:
        """Raises :class:`spotlane.errors.SpotlaneError` where a page can't be had."""
        cursor: str | None = None
        while True:
            items, cursor = await self._fetch(cursor)
            for item in items:
                yield item
            if cursor is None:
                return


class _Session:
    """Requests with a token, answers as models."""

    def __init__(self, service: str, base_url: str, tokens: AsyncTokenSource, http: AsyncHttp) -> None:
        self._service = service
        self._base = base_url.rstrip("/")
        self._tokens = tokens
        self._http = http

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | None = None,
        params: dict[str, str | None] | None = None,
        once: bool = False,
        timeout: float | None = None,
    ) -> Answer:
        """One call. ``once`` has the service do it once, however often it has to be sent."""
        given = {key: value for key, value in (params or {}).items() if value is not None}
        key = {"idempotency-key": uuid.uuid4().hex} if once else {}
        body = json.model_dump(mode="json", by_alias=True) if isinstance(json, BaseModel) else json
        for fresh in (False, True):
            if fresh:
                self._tokens.forget()
            headers = {"authorization": await self._tokens.header(), **key}
            if content is not None:
                headers["content-type"] = "application/octet-stream"
            answer = await send(
                self._http, self._service, method, self._base + path, headers=headers, params=given, json=body, content=content, timeout=timeout
            )
            if answer.status_code != 401:
                break
        raise_for_problem(answer)
        return answer

    async def one(self, model: type[M], method: str, path: str, **options: Any) -> M:
        return self.read(TypeAdapter(model), (await self.call(method, path, **options)).json())

    def many(self, model: type[M], path: str, params: dict[str, str | None] | None = None) -> AsyncPages[M]:
        adapter: TypeAdapter[list[M]] = TypeAdapter(list[model])  # type: ignore[valid-type]  # a runtime type

        async def fetch(cursor: str | None) -> tuple[list[M], str | None]:
            answer = (await self.call("GET", path, params={"limit": str(_PAGE), **(params or {}), "cursor": cursor})).json()
            return (self.read(adapter, answer["items"]), answer.get("next"))

        return AsyncPages(fetch)

    async def follow(self, model: type[M], path: str, params: dict[str, str | None], last: int | None) -> AsyncIterator[M]:
        """A stream's messages after number ``last``, over cuts, until it can't be had any more: refused, or cut too often without a word between."""
        adapter: TypeAdapter[M] = TypeAdapter(model)
        url = self._base + path
        given = {key: value for key, value in params.items() if value is not None}
        number, cuts = (last, 0)
        while True:
            headers = {"authorization": await self._tokens.header()} | ({} if last is None else {"last-event-id": str(last)})
            why: TransportError | None = None
            try:
                async with self._http.stream("GET", url, headers=headers, params=given, timeout=_SILENT_SECONDS) as answer:
                    if not answer.is_success:
                        refused = await answer.whole()
                        cuts += 1
                        if refused.status_code not in _AGAIN or cuts > _CUTS:
                            raise_for_problem(refused)
                        self._tokens.forget()
                    else:
                        async for line in answer.lines():
                            field, _, value = line.partition(": ")
                            if field == "id":
                                number = int(value)
                            elif field == "data":
                                yield self.read(adapter, json.loads(value))
                            elif not line and number is not None:
                                last, cuts = (number, 0)
            except TransportError as error:
                why = error
                cuts += 1
            if why is not None and cuts > _CUTS:
                raise Unreachable(self._service, url, str(why), _advice(url)) from why
            await asyncio.sleep(_PAUSE_SECONDS * (1 + cuts))

    def read(self, adapter: TypeAdapter[V], document: Any) -> V:
        """A document as a value. Raises :class:`AnswerNotUnderstood`: the service is newer than these models."""
        try:
            return adapter.validate_python(document)
        except ValidationError as error:
            faults = [Fault(".".join(str(part) for part in one["loc"]) or "(answer)", one["msg"]) for one in error.errors(include_input=False)]
            raise AnswerNotUnderstood(self._service, faults) from error


class AsyncClient:
    """The edge API. Every method raises :class:`spotlane.errors.SpotlaneError` where it fails.

    >>> AsyncClient.from_env().workloads()  # doctest: +SKIP
    """

    def __init__(self, api_url: str, api_key: str, *, timeout_seconds: float = 30.0) -> None:
        self.api_url = api_url.rstrip("/")
        self.http = client(timeout_seconds)
        self.tokens = AsyncTokenSource(self.http, self.api_url, api_key)
        self._session = _Session("edge API", self.api_url, self.tokens, self.http)

    @classmethod
    def from_env(cls, environ: dict[str, str] | None = None) -> AsyncClient:
        """From ``SPOTLANE_API_URL`` and ``SPOTLANE_API_KEY`` (or the platform's key in ``SPOTLANE_HOME``). Raises :class:`NotSignedIn`."""
        env = dict(os.environ) if environ is None else environ
        return cls(require(env, "SPOTLANE_API_URL"), api_key_of(env))

    async def healthy(self) -> bool:
        """Whether the edge API is deployed and answers."""
        root = self.api_url.removesuffix("/v1")
        try:
            return (await self.http.get(f"{root}/healthz", timeout=3)).status_code == 200
        except TransportError:
            return False

    async def put_tenant(self, tenant: wire.Tenant) -> wire.Tenant:
        """Makes or changes a tenant."""
        return await self._session.one(wire.Tenant, "PUT", f"/tenants/{tenant.id}", json=tenant)

    def tenants(self) -> AsyncPages[wire.Tenant]:
        """All tenants that the key may see."""
        return self._session.many(wire.Tenant, "/tenants")

    async def tenant(self, tenant: str) -> wire.Tenant:
        """One tenant."""
        return await self._session.one(wire.Tenant, "GET", f"/tenants/{tenant}")

    async def delete_tenant(self, tenant: str) -> None:
        """Removes a tenant without workloads."""
        await self._session.call("DELETE", f"/tenants/{tenant}")

    async def create_key(self, tenant: str, scopes: Iterable[str], *, name: str = "", expires_at: datetime | None = None) -> wire.ApiKey:
        """A new API key of a tenant, shown once; its scopes are among the caller's."""
        request = {"name": name, "scopes": list(scopes), "expiresAt": expires_at.isoformat() if expires_at else None}
        return await self._session.one(wire.ApiKey, "POST", f"/tenants/{tenant}/keys", json=request, once=True)

    def keys(self, tenant: str) -> AsyncPages[wire.KeyInfo]:
        """A tenant's keys without their secrets."""
        return self._session.many(wire.KeyInfo, f"/tenants/{tenant}/keys")

    async def revoke_key(self, tenant: str, key: str) -> None:
        """Deletes a key; its tokens are refused at every router within a second."""
        await self._session.call("DELETE", f"/tenants/{tenant}/keys/{key}")

    async def revoke(self, tenant: str, revocation: wire.Revocation) -> None:
        """Refuses the tokens of a subject, or one token."""
        await self._session.call("POST", f"/tenants/{tenant}/revocations", json=revocation)

    def revocations(self) -> AsyncPages[wire.Revoked]:
        """Everything that is refused though it hasn't expired: for services that check tokens themselves."""
        return self._session.many(wire.Revoked, "/revocations")

    async def create_platform_key(self, scopes: Iterable[str], *, name: str = "", expires_at: datetime | None = None) -> wire.ApiKey:
        """A new key of the platform, shown once."""
        request = {"name": name, "scopes": list(scopes), "expiresAt": expires_at.isoformat() if expires_at else None}
        return await self._session.one(wire.ApiKey, "POST", "/keys", json=request, once=True)

    def platform_keys(self) -> AsyncPages[wire.KeyInfo]:
        """The platform's keys without their secrets."""
        return self._session.many(wire.KeyInfo, "/keys")

    async def revoke_platform_key(self, key: str) -> None:
        """Deletes a key of the platform."""
        await self._session.call("DELETE", f"/keys/{key}")

    async def rotate_signing_key(self, *, revoke_old: bool = False) -> wire.SigningKeys:
        """Begins the next signing key. ``revoke_old`` is for a leaked one: every token until now is refused."""
        return await self._session.one(wire.SigningKeys, "POST", "/keys/rotate", json=wire.KeyRotation(revoke_old=revoke_old), once=True)

    async def put_workload(self, workload: str, spec: wire.WorkloadSpec) -> wire.Workload:
        """Declares a workload; its first placement follows with the next cycle of the daemon."""
        return await self._session.one(wire.Workload, "PUT", f"/workloads/{workload}", json=spec)

    def workloads(self, tenant: str | None = None) -> AsyncPages[wire.Workload]:
        """Workloads, of one tenant or of all that the key may see."""
        return self._session.many(wire.Workload, "/workloads", {"tenant": tenant})

    async def workload(self, workload: str) -> wire.Workload:
        """One workload."""
        return await self._session.one(wire.Workload, "GET", f"/workloads/{workload}")

    async def delete_workload(self, workload: str) -> wire.Workload:
        """Stops a workload; its machines are destroyed after the drain."""
        return await self._session.one(wire.Workload, "DELETE", f"/workloads/{workload}")

    async def endpoint(self, workload: str) -> wire.Endpoint:
        """Where the workload is reached, for life."""
        return await self._session.one(wire.Endpoint, "GET", f"/workloads/{workload}/endpoint")

    def placements(self, workload: str) -> AsyncPages[wire.Placement]:
        """Every generation of a workload, newest first."""
        return self._session.many(wire.Placement, f"/workloads/{workload}/placements")

    def workload_runs(self, workload: str) -> AsyncPages[wire.Run]:
        """The engine's runs for a workload's moves: what works or waits first, then what has ended, newest first; without the stacks' outputs."""
        return self._session.many(wire.Run, f"/workloads/{workload}/runs")

    def events(self, workload: str) -> AsyncPages[wire.WorkloadEvent]:
        """State changes with their reasons, oldest first."""
        return self._session.many(wire.WorkloadEvent, f"/workloads/{workload}/events")

    async def follow_events(self, workload: str, after: int = 0) -> AsyncIterator[wire.WorkloadEvent]:
        """State changes from after number ``after``, as they come (:meth:`changes`); it goes on until the caller stops reading."""
        last = after
        async for change in self.changes(workload.rpartition("-")[2]):
            if change.kind == "everything" or (change.kind == "event" and change.subject == workload):
                async for one in self.events(workload):
                    if one.seq > last:
                        last = one.seq
                        yield one

    async def machine_logs(self, workload: str, *, placement: str | None = None, after: int | None = None, limit: int = 200) -> wire.MachineLogs:
        """Lines of one of a workload's machines: ``placement``, or the first that serves, else the newest.

        The first ``limit`` (at most 1,000) after line number ``after``, 0 for the first that are kept; without it the last ones. They are kept for a day, and
        only of a workload whose file says ``logs: true``: ``told`` says whether it did.
        """
        asked = {"placement": placement, "after": None if after is None else str(after), "limit": str(limit)}
        return await self._session.one(wire.MachineLogs, "GET", f"/workloads/{workload}/logs", params=asked)

    async def follow_machine_logs(self, workload: str, *, placement: str | None = None, since: wire.MachineLogs | None = None) -> AsyncIterator[wire.LogLine]:
        """Lines of one of a workload's machines, the last 200 and then as they come; asked for every second, until the caller stops reading.

        Where no ``placement`` is named and the workload moves, what is left of the machine's lines comes and then the next machine's, from its first on.
        ``since``, an answer of :meth:`machine_logs`, has it go on where that ends. A number that is missing between two lines of a machine is a lost line.
        """
        last: dict[str, int] = {}
        shown = placement
        found = await self.machine_logs(workload, placement=placement) if since is None else since.model_copy(update={"lines": []})
        while True:
            if found.placement is not None:
                shown, last[found.placement] = (found.placement, found.next)
                for item in found.lines:
                    yield item
            if not found.lines:
                await asyncio.sleep(_LINES_SECONDS)
            after = last.get(shown or "", 0)
            found = await self.machine_logs(workload, placement=placement, after=after, limit=_LINES_AT_ONCE)
            if shown is not None and found.placement != shown:
                left = await self.machine_logs(workload, placement=shown, after=after, limit=_LINES_AT_ONCE)
                if left.lines or found.placement is None:
                    found = left
                else:
                    found = await self.machine_logs(workload, placement=found.placement, after=last.get(found.placement, 0), limit=_LINES_AT_ONCE)

    def all_events(self, tenant: str | None = None) -> AsyncPages[wire.WorkloadEvent]:
        """State changes of every workload that the key may see, newest first."""
        return self._session.many(wire.WorkloadEvent, "/events", {"tenant": tenant})

    def changes(self, tenant: str | None = None, *, after: int | None = None) -> AsyncIterator[wire.Change]:
        """What changes, as it changes, of one tenant or of all that the key may see: that it has changed, not what it has become.

        Without ``after`` (the ``seq`` of the last change seen) it begins with ``everything``, so that one loop reads first and follows then. It goes on
        until the caller stops reading, also over cuts. Raises ApiProblem ``too-many-streams`` where too many follow already.
        """
        return self._session.follow(wire.Change, "/changes", {"tenant": tenant}, after)

    async def placement(self, placement: str) -> wire.Placement:
        """One generation."""
        return await self._session.one(wire.Placement, "GET", f"/placements/{placement}")

    def all_placements(self, tenant: str | None = None, *, state: wire.PlacementState | None = None) -> AsyncPages[wire.Placement]:
        """Generations of every workload that the key may see, by id."""
        return self._session.many(wire.Placement, "/placements", {"tenant": tenant, "state": state})

    async def put_artifact(self, digest: str, content: bytes, tenant: str | None = None) -> None:
        """Stores an artifact under its digest (``sha256:<hex>``), a large one in parts. ``tenant`` says whose, where the key is of none."""
        whose = {"tenant": tenant}
        if len(content) <= _WHOLE_BYTES:
            await self._session.call("PUT", f"/artifacts/{digest}", content=content, params=whose)
            return
        request = wire.UploadRequest(size_bytes=len(content))
        upload = await self._session.one(wire.Upload, "POST", f"/artifacts/{digest}/uploads", json=request, params=whose, once=True)
        path = f"/artifacts/{digest}/uploads/{upload.id}"
        try:
            for number, start in enumerate(range(0, len(content), upload.part_size_bytes), 1):
                await self._session.call("PUT", f"{path}/parts/{number}", content=content[start : start + upload.part_size_bytes], params=whose)
            await self._session.call("POST", f"{path}/complete", params=whose, timeout=_COMPLETE_SECONDS)
        except SpotlaneError:
            with contextlib.suppress(SpotlaneError):
                await self._session.call("DELETE", path, params=whose)
            raise

    async def decide(self, decision: wire.Decision) -> wire.Migration:
        """Proposes a decision. Raises ApiProblem ``lease-held``, ``stale-decision`` or ``price-moved``."""
        return await self._session.one(wire.Migration, "POST", f"/workloads/{decision.workload}/decisions", json=decision, once=True)

    def migrations(self, workload: str | None = None, *, active: bool = False) -> AsyncPages[wire.Migration]:
        """Migrations, newest first."""
        return self._session.many(wire.Migration, "/migrations", {"workload": workload, "active": "true" if active else None})

    async def migration(self, migration: str) -> wire.Migration:
        """One migration."""
        return await self._session.one(wire.Migration, "GET", f"/migrations/{migration}")

    async def deliver(self, migration: str, event: wire.RunEvent) -> None:
        """Tells a waiting saga its run's result; idempotent by run."""
        await self._session.call("POST", f"/migrations/{migration}/events", json=event)

    def decisions(self, workload: str | None = None) -> AsyncPages[wire.Decision]:
        """Decisions that became migrations, newest first."""
        return self._session.many(wire.Decision, "/decisions", {"workload": workload})

    async def placement_credentials(self, placement: str) -> wire.PlacementCredentials:
        """What the machine is given: a token good for this placement only, and the key of the edge's signature."""
        return await self._session.one(wire.PlacementCredentials, "POST", f"/placements/{placement}/credentials", once=True)

    async def put_prices(self, book: wire.PriceBook) -> None:
        """Upserts the quotes of one tick."""
        await self._session.call("PUT", "/prices", json=book)

    async def prices(self, cloud: str | None = None, region: str | None = None) -> wire.PriceBook:
        """The authoritative book."""
        return await self._session.one(wire.PriceBook, "GET", "/prices", params={"cloud": cloud, "region": region})

    async def put_ledger_hours(self, hours: list[wire.LedgerHour]) -> None:
        """Freezes hours; idempotent by placement and hour."""
        await self._session.call("PUT", "/ledger/hours", json=[hour.model_dump(mode="json", by_alias=True) for hour in hours])

    async def ledger(self, tenant: str | None = None, workload: str | None = None) -> wire.Ledger:
        """What was paid, and what on-demand and staying would have cost."""
        return await self._session.one(wire.Ledger, "GET", "/ledger", params={"tenant": tenant, "workload": workload})

    def ledger_hours(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> AsyncPages[wire.LedgerHour]:
        """Every frozen hour, newest first; of one calendar month (``YYYY-MM``, UTC) where one is asked for."""
        return self._session.many(wire.LedgerHour, "/ledger/hours", {"tenant": tenant, "workload": workload, "month": month})

    def ledger_moves(self, tenant: str | None = None, workload: str | None = None) -> AsyncPages[wire.LedgerMove]:
        """What each move was expected to save, by migration."""
        return self._session.many(wire.LedgerMove, "/ledger/moves", {"tenant": tenant, "workload": workload})

    def ledger_months(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> AsyncPages[wire.WorkloadMonth]:
        """What each workload's hours come to, by calendar month (``YYYY-MM``, UTC) and workload."""
        return self._session.many(wire.WorkloadMonth, "/ledger/months", {"tenant": tenant, "workload": workload, "month": month})

    def alerts(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> AsyncPages[wire.SpendAlert]:
        """Alerts of monthly caps, newest first."""
        return self._session.many(wire.SpendAlert, "/alerts", {"tenant": tenant, "workload": workload, "month": month})

    async def raise_alerts(self, alerts: Sequence[wire.SpendAlert]) -> Sequence[wire.SpendAlert]:
        """Raises alerts, each once a month for its owner and per cent; those that are new."""
        sent = [one.model_dump(mode="json", by_alias=True) for one in alerts]
        return (await self._session.one(wire.SpendAlerts, "PUT", "/alerts", json=sent)).items

    def audit_heads(self) -> AsyncPages[wire.AuditHead]:
        """Anchored heads of the enforcers' chains, newest first."""
        return self._session.many(wire.AuditHead, "/audit/heads")

    async def put_audit_head(self, head: wire.AuditHead) -> None:
        """Anchors an enforcer's chain."""
        await self._session.call("POST", "/audit/heads", json=head)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.http.aclose()


class AsyncAutomationClient:
    """The automation service; its tokens come from the edge's Auth."""

    def __init__(self, automation_url: str, tokens: AsyncTokenSource, *, timeout_seconds: float = 120.0) -> None:
        self.url = automation_url.rstrip("/")
        self._http = client(timeout_seconds)
        self._tokens = tokens
        self._session = _Session("automation service", self.url + "/v1", tokens, self._http)

    @classmethod
    def from_env(cls, edge: AsyncClient, environ: dict[str, str] | None = None) -> AsyncAutomationClient:
        """From ``SPOTLANE_AUTOMATION_URL``."""
        return cls(require(dict(os.environ) if environ is None else environ, "SPOTLANE_AUTOMATION_URL"), edge.tokens)

    async def submit(self, request: wire.RunRequest) -> wire.Run:
        """Accepts one engine operation; the same idempotency key is the same run."""
        return await self._session.one(wire.Run, "POST", "/runs", json=request)

    async def run(self, run: str) -> wire.Run:
        """One run."""
        return await self._session.one(wire.Run, "GET", f"/runs/{run}")

    async def runs(self, *, stack: str | None = None, tenant: str | None = None, status: str | None = None, limit: int = 50) -> list[wire.Run]:
        """Runs, newest first."""
        asked = {"stack": stack, "tenant": tenant, "status": status, "limit": str(limit)}
        return [one async for one in self._session.many(wire.Run, "/runs", asked)]

    async def cancel_run(self, run: str) -> wire.Run:
        """Stops a run: one that waits is never begun, one that works lets what it has in hand come to its end. Raises ApiProblem ``run-ended``."""
        return await self._session.one(wire.Run, "POST", f"/runs/{run}/cancel")

    async def retry_run(self, run: str) -> wire.Run:
        """The operation of a failed or cancelled run once more, as a run of its own. Raises ApiProblem ``run-ended``."""
        return await self._session.one(wire.Run, "POST", f"/runs/{run}/retry")

    async def run_events(self, run: str, after: int = 0) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """The engine's events of a run as ``(number, event)``, from after ``after``, as they come, until the run has ended."""
        url = f"{self.url}/v1/runs/{run}/events"
        headers = {"authorization": await self._tokens.header(), "last-event-id": str(after)}
        number = 0
        try:
            async with self._http.stream("GET", url, headers=headers) as answer:
                if not answer.is_success:
                    raise_for_problem(await answer.whole())
                async for line in answer.lines():
                    field, _, value = line.partition(": ")
                    if field == "id":
                        number = int(value)
                    elif field == "event":
                        return
                    elif field == "data":
                        yield (number, json.loads(value))
        except TransportError as error:
            raise Unreachable("automation service", url, str(error), _advice(url)) from error

    async def plan(self, tenant: str | None = None, workload: str | None = None) -> wire.Plan:
        """A dry run with dollars."""
        return await self._session.one(wire.Plan, "POST", "/plans", json={"tenant": tenant, "workload": workload})

    async def spend(self, tenant: str | None = None) -> wire.Spend:
        """Monthly caps, and how their months stand: paid, projected, alerts apart (:meth:`Client.alerts`)."""
        return await self._session.one(wire.Spend, "GET", "/spend", params={"tenant": tenant})

    async def move(self, request: wire.MoveRequest) -> wire.Migration:
        """Moves a workload now. Raises ApiProblem with findings where the boundary refuses."""
        return await self._session.one(wire.Migration, "POST", "/moves", json=request)

    async def what_if(self, request: wire.WhatIfRequest) -> wire.WhatIf:
        """What a changed boundary would cost, now and over recorded prices. Raises ApiProblem ``invalid-boundary`` with every fault."""
        return await self._session.one(wire.WhatIf, "POST", "/whatifs", json=request)

    async def check_boundary(self, boundary: wire.Json) -> wire.BoundaryCheck:
        """Checks a boundary's document and gives its digest. Raises ApiProblem ``invalid-boundary`` with every fault."""
        return await self._session.one(wire.BoundaryCheck, "POST", "/boundaries", json=wire.BoundaryDocument(boundary=boundary))

    def stacks(self, tenant: str) -> AsyncPages[wire.StackRef]:
        """The tenant's standing stacks, in the order in which they can be destroyed."""
        return self._session.many(wire.StackRef, f"/tenants/{tenant}/stacks")

    async def preflight(self) -> wire.Preflight:
        """Whether credentials, accounts, quotas and the proxy are there; nothing is made."""
        return await self._session.one(wire.Preflight, "GET", "/preflight")

    async def sweep(self, request: wire.SweepRequest) -> wire.Sweep:
        """What no stack owns in tenants' accounts; removed where the request says so."""
        return await self._session.one(wire.Sweep, "POST", "/sweeps", json=request)

    async def feeds(self) -> wire.Feeds:
        """How the price feeds do, and what was held back last."""
        return await self._session.one(wire.Feeds, "GET", "/feeds")

    async def tick(self) -> wire.TickReport:
        """One cycle of the daemon, now."""
        return await self._session.one(wire.TickReport, "POST", "/ticks")

    async def holds(self) -> list[wire.Hold]:
        """What the daemon leaves alone, as far as the key may see it."""
        return self._session.read(TypeAdapter(list[wire.Hold]), (await self._session.call("GET", "/holds")).json()["items"])

    async def hold(self, hold: wire.Hold) -> wire.Hold:
        """Puts a hold in its subject's place; one that holds nothing takes it away."""
        return await self._session.one(wire.Hold, "PUT", "/holds", json=hold)

    async def daemon(self, *, paused: bool) -> None:
        """Pauses or resumes the daemon."""
        await self._session.call("POST", "/daemon", json={"paused": paused})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._http.aclose()
