"""The service's API: who may call what, and errors as problem documents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from automation.errors import (
    AutomationError,
    ForeignMigration,
    InvalidSettings,
    KeyReused,
    MoveRefused,
    RunEnded,
    TooManyRuns,
    UnknownRun,
    UnknownStack,
    UnknownTenant,
)
from automation.http.app import app
from automation.http.bodies import MAX_BYTES
from automation.http.tokens import InvalidToken, Principal
from domain.windows import windows
from spotlane import wire

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Caller:
    """Calls the application in this process."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self._call("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._call("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self._call("PUT", path, **options)

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._api), base_url="http://automation") as client:
                return await client.request(method, path, **options)

        return asyncio.run(call())


class Tokens:
    """The token is the principal: ``<subject> <tenant or -> <scopes>``."""

    def verify(self, authorization: str | None) -> Principal:
        if not authorization:
            raise InvalidToken("a bearer token is needed")
        subject, tenant, *scopes = authorization.removeprefix("Bearer ").split(" ")
        return Principal(subject, frozenset(scopes), None if tenant == "-" else tenant)


class FakeRuns:
    """Keeps what was submitted."""

    def __init__(self) -> None:
        self.known: dict[str, wire.Run] = {}

    def submit(self, request: wire.RunRequest) -> tuple[wire.Run, bool]:
        new = request.idempotency_key not in self.known
        run = wire.Run(
            id=request.idempotency_key,
            stack=request.stack.name,
            operation=request.operation,
            status="queued",
            error=None,
            changes={},
            findings=[],
            outputs={},
            accepted_at=NOW,
            started_at=None,
            finished_at=None,
        )
        return self.known.setdefault(request.idempotency_key, run), new

    def listed(self, *, stack: str | None, tenant: str | None, status: str | None, limit: int) -> list[wire.Run]:
        return [run for run in self.known.values() if status in (None, run.status)][:limit]

    def stop(self, run: str, reason: str) -> wire.Run:
        if (found := self.get(run)).status == "cancelled":
            raise RunEnded(f"{run} has ended")
        self.known[run] = found.model_copy(update={"status": "cancelled", "error": reason})
        return self.known[run]

    def get(self, run: str) -> wire.Run:
        if run not in self.known:
            raise UnknownRun(f"no run has the id {run!r}")
        return self.known[run]


class FakeRebalancer:
    """Refuses every move."""

    def __init__(self) -> None:
        self.planned: list[tuple[str | None, str | None]] = []

    def move(self, request: wire.MoveRequest) -> wire.Migration:
        finding = wire.PolicyFinding(rule="residency", severity="critical", enforcement="mandatory", resource=request.workload, message="outside")
        raise MoveRefused(request.workload, "outside-boundary", [finding])

    def plan(self, tenant: str | None, workload: str | None) -> wire.Plan:
        self.planned.append((tenant, workload))
        return wire.Plan(market_now=NOW, items=[], saving_usd_per_30_days=0)


class FakeDaemon:
    """Counts nudges."""

    def __init__(self) -> None:
        self.paused = False
        self.nudges = 0

    def nudge(self) -> None:
        self.nudges += 1


REFUSALS: dict[str, AutomationError] = {
    "unknown-tenant": UnknownTenant("nobody"),
    "unknown-stack": UnknownStack("region.acme.aws.eu-west-1"),
    "foreign-migration": ForeignMigration("placement.acme.web.2", "globex_web_2"),
    "invalid-settings": InvalidSettings("placement.acme.web.1", ["cidr: missing"]),
    "idempotency-key-reused": KeyReused("k", "run-1"),
    "too-many-runs": TooManyRuns("tenant acme", 3, 5),
}


def barred(request: wire.RunRequest) -> None:
    """Refuses a request whose key names a refusal."""
    if request.idempotency_key in REFUSALS:
        raise REFUSALS[request.idempotency_key]


EDGE = {"authorization": "Bearer edge - service:edge"}
ACME = {"authorization": "Bearer key acme tenant:deploy tenant:read"}
RUN = {"idempotencyKey": "k", "stack": {"kind": "edge"}, "operation": "up"}


class Examined:
    """A preflight of which one check failed."""

    def examine(self) -> wire.Preflight:
        return wire.Preflight(ready=False, checks=[wire.Check(part="aws", name="credentials", status="failed", detail="none", remedy="set them")])


class Swept:
    """Finds one orphan, and removes it when told."""

    def look(self, request: wire.SweepRequest) -> wire.Sweep:
        orphan = {"tenant": request.tenant or "acme", "cloud": "aws", "account": "1", "region": "eu-west-1", "kind": "instance", "id": "i-1", "stack": "s"}
        outcome = "removed" if request.remove else "found"
        return wire.Sweep.model_validate({"accounts": 1, "orphans": [orphan | {"reason": "no-stack", "detail": "gone", "outcome": outcome}]})


@pytest.fixture
def parts() -> tuple[Caller, FakeRebalancer]:
    rebalancer = FakeRebalancer()
    api = app(FakeRuns(), barred, rebalancer, None, None, Tokens(), lambda: {"edge": "away"}, Examined(), Swept(), None, None)  # type: ignore[arg-type]  # fakes with the calls in use
    return Caller(api), rebalancer


def test_a_new_run_is_accepted_and_the_same_again_is_known(parts: tuple[Caller, FakeRebalancer]) -> None:
    client, _ = parts
    first, second = (client.post("/v1/runs", json=RUN, headers=EDGE) for _ in range(2))
    assert (first.status_code, second.status_code, first.json()["id"], first.json()) == (202, 200, "k", second.json())


@pytest.mark.parametrize(("headers", "status", "word"), [({}, 401, "not-signed-in"), (ACME, 403, "forbidden")])
def test_a_run_needs_the_edges_token(parts: tuple[Caller, FakeRebalancer], headers: dict[str, str], status: int, word: str) -> None:
    answer = parts[0].post("/v1/runs", json=RUN, headers=headers)
    assert (answer.status_code, answer.headers["content-type"], answer.json()["type"].rsplit("/", 1)[1]) == (status, "application/problem+json", word)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("unknown-tenant", 404),
        ("unknown-stack", 404),
        ("foreign-migration", 403),
        ("invalid-settings", 422),
        ("idempotency-key-reused", 422),
        ("too-many-runs", 429),
    ],
)
def test_what_isnt_taken_in_has_its_status_and_its_problem_and_nothing_is_stored(parts: tuple[Caller, FakeRebalancer], word: str, status: int) -> None:
    client, _ = parts
    answer = client.post("/v1/runs", json={**RUN, "idempotencyKey": word}, headers=EDGE)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (status, word)
    assert answer.headers.get("retry-after") == ("5" if status == 429 else None)
    assert client.get("/v1/runs", headers=EDGE).json() == {"items": []}


def test_a_body_beyond_the_limit_is_refused_with_a_declared_length_and_without(parts: tuple[Caller, FakeRebalancer]) -> None:
    client, _ = parts

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BYTES // 65536 + 1):
            yield b" " * 65536

    for content in (b" " * (MAX_BYTES + 1), chunks()):
        answer = client.post("/v1/runs", content=content, headers=EDGE)
        assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (413, "too-large")
    assert client.get("/v1/runs", headers=EDGE).json() == {"items": []}


def test_an_unknown_run_is_a_404(parts: tuple[Caller, FakeRebalancer]) -> None:
    assert parts[0].get("/v1/runs/none", headers=EDGE).status_code == 404


def test_runs_are_listed_by_status_and_one_that_waits_is_cancelled_once(parts: tuple[Caller, FakeRebalancer]) -> None:
    client, _ = parts
    client.post("/v1/runs", json=RUN, headers=EDGE)
    assert client.post("/v1/runs/k/cancel", headers=ACME).status_code == 403
    cancelled = client.post("/v1/runs/k/cancel", headers=EDGE)
    assert (cancelled.status_code, cancelled.json()["status"], cancelled.json()["error"]) == (202, "cancelled", "cancelled by edge")
    again = client.post("/v1/runs/k/cancel", headers=EDGE)
    assert (again.status_code, again.json()["type"].rsplit("/", 1)[1]) == (409, "run-ended")
    assert [len(client.get(f"/v1/runs?status={status}", headers=EDGE).json()["items"]) for status in ("cancelled", "queued")] == [1, 0]
    assert client.get("/v1/runs?status=lost", headers=EDGE).status_code == 422


def test_a_wrong_request_names_its_fields(parts: tuple[Caller, FakeRebalancer]) -> None:
    answer = parts[0].post("/v1/runs", json={**RUN, "operation": "explode"}, headers=EDGE)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (422, "invalid-request")
    assert "body.operation" in answer.json()["detail"]


def test_a_refused_move_carries_its_findings(parts: tuple[Caller, FakeRebalancer]) -> None:
    answer = parts[0].post("/v1/moves", json={"workload": "web-acme"}, headers=ACME)
    assert (answer.status_code, [finding["rule"] for finding in answer.json()["findings"]]) == (409, ["residency"])


def test_a_tenant_moves_only_its_own(parts: tuple[Caller, FakeRebalancer]) -> None:
    assert parts[0].post("/v1/moves", json={"workload": "api-globex"}, headers=ACME).status_code == 403


def test_a_tenants_plan_is_narrowed_to_the_tenant(parts: tuple[Caller, FakeRebalancer]) -> None:
    client, rebalancer = parts
    assert client.post("/v1/plans", json={"tenant": "globex"}, headers=ACME).status_code == 200
    assert rebalancer.planned == [("acme", None)]


def test_readiness_names_what_is_away(parts: tuple[Caller, FakeRebalancer]) -> None:
    client, _ = parts
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["faults"]) == (503, {"edge": "away"})


def test_the_edge_may_nudge_the_daemon_and_nobody_else() -> None:
    daemon = FakeDaemon()
    client = Caller(app(FakeRuns(), barred, FakeRebalancer(), daemon, None, Tokens(), dict, Examined(), Swept(), None, None))  # type: ignore[arg-type]  # fakes with the calls in use
    assert [client.post("/v1/nudges", headers=who).status_code for who in (EDGE, ACME)] == [202, 403]
    assert daemon.nudges == 1


def test_accounts_are_examined_and_swept_by_the_platform_alone(parts: tuple[Caller, FakeRebalancer]) -> None:
    client, _ = parts
    admin, tenant = {"authorization": "Bearer root - platform:admin"}, {"authorization": "Bearer a acme tenant:admin"}
    assert client.get("/v1/preflight", headers=admin).json()["checks"][0]["remedy"] == "set them"
    assert client.post("/v1/sweeps", json={"tenant": "acme", "remove": True}, headers=admin).json()["orphans"][0]["outcome"] == "removed"
    assert client.get("/v1/preflight", headers=tenant).status_code == 403
    assert client.post("/v1/sweeps", json={}, headers=tenant).status_code == 403


class Held:
    """Holds of two tenants, and what was put."""

    def __init__(self) -> None:
        self.put_: list[wire.Hold] = []

    def listed(self) -> list[wire.Hold]:
        return [wire.Hold(paused=True), wire.Hold(tenant="acme", paused=True), wire.Hold(workload="api-globex", paused=True)]

    def put(self, hold: wire.Hold) -> wire.Hold:
        windows([*hold.only, *hold.never])
        self.put_.append(hold)
        return hold


def test_a_tenant_holds_its_own_and_sees_no_other_hold() -> None:
    holds = Held()
    client = Caller(app(FakeRuns(), barred, FakeRebalancer(), None, None, Tokens(), dict, Examined(), Swept(), holds, None))  # type: ignore[arg-type]  # fakes with the calls in use
    assert client.get("/v1/holds", headers=ACME).json()["items"] == [wire.Hold(tenant="acme", paused=True).model_dump(by_alias=True)]
    own = {"workload": "web-acme", "paused": True}
    assert client.put("/v1/holds", json=own, headers=ACME).status_code == 200
    for foreign in ({"workload": "api-globex"}, {"tenant": "globex"}, {"paused": True}):
        assert client.put("/v1/holds", json=foreign, headers=ACME).status_code == 403
    wrong = client.put("/v1/holds", json={"tenant": "acme", "only": ["now and then"]}, headers=ACME)
    assert (wrong.status_code, wrong.json()["type"]) == (422, "https://spotlane.dev/problems/invalid-hold")
    assert [one.workload for one in holds.put_] == ["web-acme"]
