"""The SDK's clients: :class:`Client` for the edge API, :class:`AutomationClient` for the automation service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from spotlane import wire
from spotlane.errors import NotSignedIn
from spotlane.transport import TokenSource, client, raise_for_problem, send

M = TypeVar("M", bound=BaseModel)


class _Session:
    """Requests with a token, answers as models."""

    def __init__(self, service: str, base_url: str, tokens: TokenSource, http: httpx.Client) -> None:
        self._service = service
        self._base = base_url.rstrip("/")
        self._tokens = tokens
        self._http = http

    def call(self, method: str, path: str, *, json: Any = None, content: bytes | None = None, params: dict[str, str | None] | None = None) -> httpx.Response:
        given = {key: value for key, value in (params or {}).items() if value is not None}
        body = json.model_dump(mode="json", by_alias=True) if isinstance(json, BaseModel) else json
        for fresh in (False, True):
            if fresh:
                self._tokens.forget()
            headers = {"authorization": self._tokens.header()}
            answer = send(self._http, self._service, method, self._base + path, headers=headers, params=given, json=body, content=content)
            if answer.status_code != 401:
                break
        raise_for_problem(answer)
        return answer

    def one(self, model: type[M], method: str, path: str, **options: Any) -> M:
        return model.model_validate(self.call(method, path, **options).json())

    def many(self, model: type[M], path: str, **options: Any) -> list[M]:
        return TypeAdapter(list[model]).validate_python(self.call("GET", path, **options).json()["items"])  # type: ignore[valid-type]  # a runtime type


class Client:
    """The edge API. Every method raises :class:`spotlane.errors.SpotlaneError` where it fails.

    >>> Client.from_env().workloads()  # doctest: +SKIP
    """

    def __init__(self, api_url: str, api_key: str, *, timeout_seconds: float = 30.0) -> None:
        self.api_url = api_url.rstrip("/")
        self.http = client(timeout_seconds)
        self.tokens = TokenSource(self.http, self.api_url, api_key)
        self._session = _Session("edge API", self.api_url, self.tokens, self.http)

    @classmethod
    def from_env(cls, environ: dict[str, str] | None = None) -> Client:
        """From ``SPOTLANE_API_URL`` and ``SPOTLANE_API_KEY`` (or the platform's key in ``SPOTLANE_HOME``). Raises :class:`NotSignedIn`."""
        env = dict(os.environ) if environ is None else environ
        return cls(require(env, "SPOTLANE_API_URL"), api_key_of(env))

    def healthy(self) -> bool:
        """Whether the edge API is deployed and answers."""
        root = self.api_url.removesuffix("/v1")
        try:
            return self.http.get(f"{root}/healthz", timeout=3).status_code == 200
        except httpx.TransportError:
            return False

    # Tenants
    def put_tenant(self, tenant: wire.Tenant) -> wire.Tenant:
        """Makes or changes a tenant."""
        return self._session.one(wire.Tenant, "PUT", f"/tenants/{tenant.id}", json=tenant)

    def tenants(self) -> list[wire.Tenant]:
        """All tenants that the key may see."""
        return self._session.many(wire.Tenant, "/tenants")

    def tenant(self, tenant: str) -> wire.Tenant:
        """One tenant."""
        return self._session.one(wire.Tenant, "GET", f"/tenants/{tenant}")

    def delete_tenant(self, tenant: str) -> None:
        """Removes a tenant without workloads."""
        self._session.call("DELETE", f"/tenants/{tenant}")

    def create_key(self, tenant: str, scopes: Iterable[str]) -> wire.ApiKey:
        """A new API key of a tenant, shown once."""
        return self._session.one(wire.ApiKey, "POST", f"/tenants/{tenant}/keys", json={"scopes": list(scopes)})

    # Workloads
    def put_workload(self, workload: str, spec: wire.WorkloadSpec) -> wire.Workload:
        """Declares a workload; its first placement follows with the next cycle of the daemon."""
        return self._session.one(wire.Workload, "PUT", f"/workloads/{workload}", json=spec)

    def workloads(self, tenant: str | None = None) -> list[wire.Workload]:
        """Workloads, of one tenant or of all that the key may see."""
        return self._session.many(wire.Workload, "/workloads", params={"tenant": tenant})

    def workload(self, workload: str) -> wire.Workload:
        """One workload."""
        return self._session.one(wire.Workload, "GET", f"/workloads/{workload}")

    def delete_workload(self, workload: str) -> wire.Workload:
        """Stops a workload; its machines are destroyed after the drain."""
        return self._session.one(wire.Workload, "DELETE", f"/workloads/{workload}")

    def endpoint(self, workload: str) -> wire.Endpoint:
        """Where the workload is reached, for life."""
        return self._session.one(wire.Endpoint, "GET", f"/workloads/{workload}/endpoint")

    def placements(self, workload: str) -> list[wire.Placement]:
        """Every generation of a workload, newest first."""
        return self._session.many(wire.Placement, f"/workloads/{workload}/placements")

    def events(self, workload: str) -> list[wire.WorkloadEvent]:
        """State changes with their reasons, oldest first."""
        return self._session.many(wire.WorkloadEvent, f"/workloads/{workload}/events")

    def put_artifact(self, digest: str, content: bytes) -> None:
        """Stores an artifact under its digest (``sha256:<hex>``)."""
        self._session.call("PUT", f"/artifacts/{digest}", content=content)

    # Moves
    def decide(self, decision: wire.Decision) -> wire.Migration:
        """Proposes a decision. Raises ApiProblem ``lease-held``, ``stale-decision`` or ``price-moved``."""
        return self._session.one(wire.Migration, "POST", f"/workloads/{decision.workload}/decisions", json=decision)

    def migrations(self, workload: str | None = None, *, active: bool = False) -> list[wire.Migration]:
        """Migrations, newest first."""
        return self._session.many(wire.Migration, "/migrations", params={"workload": workload, "active": "true" if active else None})

    def migration(self, migration: str) -> wire.Migration:
        """One migration."""
        return self._session.one(wire.Migration, "GET", f"/migrations/{migration}")

    def deliver(self, migration: str, event: wire.RunEvent) -> None:
        """Tells a waiting saga its run's result; idempotent by run."""
        self._session.call("POST", f"/migrations/{migration}/events", json=event)

    def placement_credentials(self, placement: str) -> wire.PlacementCredentials:
        """What the machine is given: a token good for this placement only, and the key of the edge's signature."""
        return self._session.one(wire.PlacementCredentials, "POST", f"/placements/{placement}/credentials")

    # Prices and ledger
    def put_prices(self, book: wire.PriceBook) -> None:
        """Upserts the quotes of one tick."""
        self._session.call("PUT", "/prices", json=book)

    def prices(self, cloud: str | None = None, region: str | None = None) -> wire.PriceBook:
        """The authoritative book."""
        return self._session.one(wire.PriceBook, "GET", "/prices", params={"cloud": cloud, "region": region})

    def put_ledger_hours(self, hours: list[wire.LedgerHour]) -> None:
        """Freezes hours; idempotent by placement and hour."""
        self._session.call("PUT", "/ledger/hours", json=[hour.model_dump(mode="json", by_alias=True) for hour in hours])

    def ledger(self, tenant: str | None = None, workload: str | None = None) -> wire.Ledger:
        """What was paid, and what on-demand and staying would have cost."""
        return self._session.one(wire.Ledger, "GET", "/ledger", params={"tenant": tenant, "workload": workload})

    def put_audit_head(self, head: wire.AuditHead) -> None:
        """Anchors an enforcer's chain."""
        self._session.call("POST", "/audit/heads", json=head)


class AutomationClient:
    """The automation service; its tokens come from the edge's Auth."""

    def __init__(self, automation_url: str, tokens: TokenSource, *, timeout_seconds: float = 120.0) -> None:
        self.url = automation_url.rstrip("/")
        self._http = client(timeout_seconds)
        self._tokens = tokens
        self._session = _Session("automation service", self.url + "/v1", tokens, self._http)

    @classmethod
    def from_env(cls, edge: Client, environ: dict[str, str] | None = None) -> AutomationClient:
        """From ``SPOTLANE_AUTOMATION_URL``."""
        return cls(require(dict(os.environ) if environ is None else environ, "SPOTLANE_AUTOMATION_URL"), edge.tokens)

    def submit(self, request: wire.RunRequest) -> wire.Run:
        """Accepts one engine operation; the same idempotency key is the same run."""
        return self._session.one(wire.Run, "POST", "/runs", json=request)

    def run(self, run: str) -> wire.Run:
        """One run."""
        return self._session.one(wire.Run, "GET", f"/runs/{run}")

    def runs(self, *, stack: str | None = None, tenant: str | None = None, status: str | None = None, limit: int = 50) -> list[wire.Run]:
        """Runs, newest first."""
        return self._session.many(wire.Run, "/runs", params={"stack": stack, "tenant": tenant, "status": status, "limit": str(limit)})

    def cancel_run(self, run: str) -> wire.Run:
        """Stops a run: one that waits is never begun, one that works lets what it has in hand come to its end. Raises ApiProblem ``run-ended``."""
        return self._session.one(wire.Run, "POST", f"/runs/{run}/cancel")

    def retry_run(self, run: str) -> wire.Run:
        """The operation of a failed or cancelled run once more, as a run of its own. Raises ApiProblem ``run-ended``."""
        return self._session.one(wire.Run, "POST", f"/runs/{run}/retry")

    def run_events(self, run: str, after: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """The engine's events of a run as ``(number, event)``, from after ``after``, as they come, until the run has ended."""
        url = f"{self.url}/v1/runs/{run}/events"
        with self._http.stream("GET", url, headers={"authorization": self._tokens.header(), "last-event-id": str(after)}, timeout=None) as answer:
            if not answer.is_success:
                answer.read()
                raise_for_problem(answer)
            number = 0
            for line in answer.iter_lines():
                field, _, value = line.partition(": ")
                if field == "id":
                    number = int(value)
                elif field == "event":
                    return
                elif field == "data":
                    yield number, json.loads(value)

    def plan(self, tenant: str | None = None, workload: str | None = None) -> wire.Plan:
        """A dry run with dollars."""
        return self._session.one(wire.Plan, "POST", "/plans", json={"tenant": tenant, "workload": workload})

    def move(self, request: wire.MoveRequest) -> wire.Migration:
        """Moves a workload now. Raises ApiProblem with findings where the boundary refuses."""
        return self._session.one(wire.Migration, "POST", "/moves", json=request)

    def check_boundary(self, boundary: wire.Json) -> wire.BoundaryCheck:
        """Checks a boundary's document and gives its digest. Raises ApiProblem ``invalid-boundary`` with every fault."""
        return self._session.one(wire.BoundaryCheck, "POST", "/boundaries", json=wire.BoundaryDocument(boundary=boundary))

    def stacks(self, tenant: str) -> list[wire.StackRef]:
        """The tenant's standing stacks, in the order in which they can be destroyed."""
        return self._session.many(wire.StackRef, f"/tenants/{tenant}/stacks")

    def tick(self) -> wire.TickReport:
        """One cycle of the daemon, now."""
        return self._session.one(wire.TickReport, "POST", "/ticks")

    def daemon(self, *, paused: bool) -> None:
        """Pauses or resumes the daemon."""
        self._session.call("POST", "/daemon", json={"paused": paused})


def require(env: dict[str, str], name: str) -> str:
    """A variable that must be set. Raises :class:`NotSignedIn` saying how to set it."""
    if value := env.get(name):
        return value
    raise NotSignedIn(f'{name} is not set; on the local cloud run `eval "$(spotlane local env)"`, else set it to your platform\'s address')


def api_key_of(env: dict[str, str]) -> str:
    """``SPOTLANE_API_KEY``, or the local platform's key from ``SPOTLANE_HOME``. Raises :class:`NotSignedIn`."""
    if key := env.get("SPOTLANE_API_KEY"):
        return key
    if home := env.get("SPOTLANE_HOME"):
        path = Path(home) / "platform.key"
        if path.is_file():
            return path.read_text().strip()
    raise NotSignedIn("no API key; set SPOTLANE_API_KEY")
