"""The automation service's HTTP API (docs/architecture.md, "Automation API"): what the edge and the CLI need, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from automation.errors import (
    AutomationError,
    DatabaseAway,
    EngineMissing,
    ForeignMigration,
    InvalidBoundary,
    InvalidSettings,
    KeyReused,
    MoveRefused,
    NothingToMove,
    RunEnded,
    TooManyRuns,
    TrailAway,
    UnknownRun,
    UnknownStack,
    UnknownTenant,
)
from automation.http.bodies import BodyLimit
from automation.http.tokens import InvalidToken, Principal, TokenVerifier
from automation.runs.queue import Runs
from automation.scheduler.daemon import Daemon
from automation.scheduler.holds import Holds
from automation.service.boundaries import check
from automation.service.preflight import Preflight
from automation.service.rebalancer import Rebalancer
from automation.service.stack_plans import StackPlans
from automation.service.sweep import Sweeper
from automation.service.whatif import WhatIfs
from domain.windows import WindowError
from spotlane import wire
from spotlane.errors import ApiProblem, SpotlaneError, Unreachable


def principal(request: Request, authorization: Annotated[str | None, Header()] = None) -> Principal:
    """The caller, by the bearer token."""
    tokens: TokenVerifier = request.app.state.tokens
    return tokens.verify(authorization)


Caller = Annotated[Principal, Depends(principal)]


class Forbidden(Exception):
    """The principal lacks the scope; the text names it."""


class PlanRequest(BaseModel):
    """Whose plan; null for all."""

    tenant: str | None = None
    workload: str | None = None


class DaemonRequest(BaseModel):
    """Pause or resume."""

    paused: bool


def app(
    runs: Runs,
    door: Callable[[wire.RunRequest], None],
    rebalancer: Rebalancer,
    daemon: Daemon,
    plans: StackPlans,
    tokens: TokenVerifier,
    ready: Callable[[], dict[str, str]],
    preflight: Preflight,
    sweeper: Sweeper,
    holds: Holds,
    whatifs: WhatIfs,
) -> FastAPI:
    """The ASGI application. ``door`` raises for a run that isn't taken in; ``ready`` gives the faults that keep the service from working, by part."""
    api = FastAPI(title="Spotlane automation", version="1", docs_url=None, redoc_url=None)

    api.state.tokens = tokens
    api.add_middleware(BodyLimit)

    @api.post("/v1/runs", response_model=wire.Run)
    def submit(request: wire.RunRequest, caller: Caller, response: Response) -> wire.Run:
        need(caller, "service:edge", "platform:admin")
        door(request)
        run, new = runs.submit(request)
        response.status_code = 202 if new else 200
        return run

    @api.get("/v1/runs/{run}")
    def show(run: str, caller: Caller) -> wire.Run:
        need(caller, "service:edge", "platform:admin")
        return runs.get(run)

    @api.get("/v1/runs")
    def listed(
        caller: Caller,
        stack: str | None = None,
        tenant: str | None = None,
        status: Annotated[str | None, Query(pattern="^(queued|running|succeeded|failed|cancelled)$")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> dict[str, list[wire.Run]]:
        need(caller, "service:edge", "platform:admin")
        return {"items": runs.listed(stack=stack, tenant=tenant, status=status, limit=limit)}

    @api.post("/v1/runs/{run}/cancel", status_code=202)
    def cancel(run: str, caller: Caller) -> wire.Run:
        need(caller, "service:edge", "platform:admin")
        return runs.stop(run, f"cancelled by {caller.subject}")

    @api.post("/v1/runs/{run}/retry", status_code=202)
    def retry(run: str, caller: Caller) -> wire.Run:
        need(caller, "service:edge", "platform:admin")
        return runs.again(run)

    @api.get("/v1/runs/{run}/events")
    def follow(run: str, caller: Caller, last_event_id: Annotated[int, Header()] = 0) -> StreamingResponse:
        need(caller, "service:edge", "platform:admin")
        runs.get(run)

        async def lines() -> AsyncIterator[str]:
            async for number, line in runs.journals.follow(run, lambda: runs.ended(run), last_event_id):
                yield f"id: {number}\ndata: {line}\n\n"
            yield f"event: end\ndata: {runs.get(run).model_dump_json(by_alias=True)}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    @api.post("/v1/plans")
    def plan(request: PlanRequest, caller: Caller) -> wire.Plan:
        if "platform:admin" not in caller.scopes:
            request = PlanRequest(tenant=own_tenant(caller), workload=request.workload)
        return rebalancer.plan(tenant=request.tenant, workload=request.workload)

    @api.get("/v1/spend")
    def spend(caller: Caller, tenant: str | None = None) -> wire.Spend:
        if not caller.scopes & {"platform:admin", "service:edge"}:
            tenant = own_tenant(caller)
        return rebalancer.spend(tenant)

    @api.post("/v1/whatifs")
    def what_if(request: wire.WhatIfRequest, caller: Caller) -> wire.WhatIf:
        if "service:edge" not in caller.scopes and not caller.may_act_for(request.tenant, "tenant:read", "tenant:deploy", "tenant:admin"):
            raise Forbidden(f"trying a boundary on {request.tenant} needs the scope tenant:read of that tenant")
        return whatifs.answer(request)

    @api.get("/v1/feeds")
    def feeds(caller: Caller) -> wire.Feeds:
        need(caller, "platform:admin", "tenant:read", "tenant:deploy", "tenant:admin")
        return rebalancer.feeds()

    @api.post("/v1/moves")
    def move(request: wire.MoveRequest, caller: Caller) -> wire.Migration:
        tenant = request.workload.rpartition("-")[2]
        if not caller.may_act_for(tenant, "tenant:deploy", "tenant:admin"):
            raise Forbidden(f"moving {request.workload} needs the scope tenant:deploy of tenant {tenant}")
        return rebalancer.move(request)

    @api.post("/v1/boundaries")
    def boundary(request: wire.BoundaryDocument, caller: Caller) -> wire.BoundaryCheck:
        need(caller, "platform:admin", "tenant:admin", "service:edge")
        return check(request)

    @api.get("/v1/tenants/{tenant}/stacks")
    def standing(tenant: str, caller: Caller) -> dict[str, list[wire.StackRef]]:
        need(caller, "platform:admin")
        return {"items": plans.standing(tenant)}

    @api.get("/v1/preflight")
    def examine(caller: Caller) -> wire.Preflight:
        need(caller, "platform:admin")
        return preflight.examine()

    @api.post("/v1/sweeps")
    def sweep(request: wire.SweepRequest, caller: Caller) -> wire.Sweep:
        need(caller, "platform:admin")
        return sweeper.look(request)

    @api.post("/v1/ticks")
    def tick(caller: Caller) -> wire.TickReport:
        need(caller, "platform:admin")
        return daemon.tick_now()

    @api.post("/v1/nudges", status_code=202)
    def nudge(caller: Caller) -> dict[str, bool]:
        need(caller, "service:edge", "platform:admin")
        daemon.nudge()
        return {"paused": daemon.paused}

    @api.post("/v1/daemon")
    def switch(request: DaemonRequest, caller: Caller) -> dict[str, bool]:
        need(caller, "platform:admin")
        daemon.pause() if request.paused else daemon.resume()
        return {"paused": daemon.paused}

    @api.get("/v1/holds")
    def held(caller: Caller) -> dict[str, list[wire.Hold]]:
        return {"items": [one for one in holds.listed() if _may_hold(caller, one, "tenant:read", "tenant:deploy", "tenant:admin")]}

    @api.put("/v1/holds")
    def hold(request: wire.Hold, caller: Caller) -> wire.Hold:
        if not _may_hold(caller, request, "tenant:deploy", "tenant:admin"):
            raise Forbidden("a hold needs the scope tenant:deploy of its tenant, one of the whole platform needs platform:admin")
        return holds.put(request)

    @api.post("/v1/incidents")
    def incident(report: wire.Incident, caller: Caller) -> dict[str, str]:
        need(caller, "service:edge", "platform:admin")
        migration = rebalancer.incident(report)
        return {"migration": migration.id} if migration else {}

    @api.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/readyz")
    def readyz() -> Response:
        faults = ready()
        return JSONResponse({"status": "ok" if not faults else "not ready", "faults": faults}, status_code=200 if not faults else 503)

    @api.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    _problems(api)
    return api


def need(caller: Principal, *scopes: str) -> None:
    """Raises :class:`Forbidden` where the caller has none of ``scopes``."""
    if not caller.scopes.intersection(scopes):
        raise Forbidden(f"this call needs one of the scopes {', '.join(scopes)}")


def own_tenant(caller: Principal) -> str:
    """The tenant that the caller may read. Raises :class:`Forbidden` where it is bound to none: None would be all."""
    need(caller, "tenant:read", "tenant:deploy", "tenant:admin")
    if caller.tenant is None:
        raise Forbidden("this token is bound to no tenant")
    return caller.tenant


def _may_hold(caller: Principal, hold: wire.Hold, *scopes: str) -> bool:
    tenant = hold.workload.rpartition("-")[2] if hold.workload is not None else hold.tenant
    return "platform:admin" in caller.scopes or (tenant is not None and caller.may_act_for(tenant, *scopes))


def _problems(api: FastAPI) -> None:
    """Every error leaves as a problem document (RFC 9457); this is the one place where ours become public words."""

    def problem(error: Exception) -> wire.Problem:
        match error:
            case RequestValidationError():
                faults = "; ".join(".".join(str(part) for part in fault["loc"]) + ": " + str(fault["msg"]) for fault in error.errors())
                return _problem("invalid-request", "The request is not valid", 422, faults)
            case InvalidToken():
                return _problem("not-signed-in", "A valid token is needed", 401, str(error))
            case Forbidden():
                return _problem("forbidden", "The token's scopes don't allow this", 403, str(error))
            case UnknownRun():
                return _problem("unknown-run", "No such run", 404, str(error))
            case UnknownTenant():
                return _problem("unknown-tenant", "No such tenant", 404, str(error))
            case UnknownStack():
                return _problem("unknown-stack", "No such stack", 404, str(error))
            case ForeignMigration():
                return _problem("foreign-migration", "The migration is another workload's", 403, str(error))
            case InvalidSettings():
                return _problem("invalid-settings", "The stack's settings are not valid", 422, str(error))
            case WindowError():
                return _problem("invalid-hold", "The hold is not valid", 422, str(error))
            case KeyReused():
                return _problem("idempotency-key-reused", "The idempotency key belongs to another request", 422, str(error))
            case TooManyRuns():
                return _problem("too-many-runs", "A limit of unfinished runs is reached", 429, str(error))
            case RunEnded():
                return _problem("run-ended", "The run has ended", 409, str(error))
            case MoveRefused():
                return _problem("move-refused", "The move was refused", 409, str(error), error.findings)
            case InvalidBoundary():
                return _problem("invalid-boundary", "The boundary is not valid", 422, str(error))
            case NothingToMove():
                return _problem("nothing-to-move", "The workload can't move now", 409, str(error))
            case ApiProblem():
                return error.problem
            case EngineMissing() | DatabaseAway() | TrailAway() | Unreachable():
                return _problem("unavailable", "A part is away", 503, str(error))
            case AutomationError() | SpotlaneError():
                return _problem("failed", "The call failed", 500, str(error))
        return _problem("internal", "The service failed", 500, f"{type(error).__name__}; the service's log says more")

    async def answer(_: Request, error: Exception) -> Response:
        document = problem(error)
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyRuns) else None
        return JSONResponse(
            document.model_dump(mode="json", by_alias=True), status_code=document.status, headers=headers, media_type="application/problem+json"
        )

    handler: Callable[[Request, Exception], Awaitable[Response]] = answer
    for kind in (RequestValidationError, InvalidToken, Forbidden, WindowError, AutomationError, SpotlaneError):
        api.add_exception_handler(kind, handler)


def _problem(word: str, title: str, status: int, detail: str, findings: list[wire.PolicyFinding] | None = None) -> wire.Problem:
    return wire.Problem(type=f"https://spotlane.dev/problems/{word}", title=title, status=status, detail=detail, findings=findings)
