"""The fake platform's calls: method and path to what :class:`~spotlane.testing.platform.FakePlatform` does. Nothing here knows sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from spotlane import wire
from spotlane.testing.platform import FakePlatform, Refused, digest

M = TypeVar("M", bound=BaseModel)
V = TypeVar("V")
AUTOMATION = "/automation"
"""Under this path stands the automation service."""
_TOKEN = "token-of-"


@dataclass(frozen=True)
class Call:
    """A request, with the names in its path."""

    platform: FakePlatform
    names: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes

    def asked(self, model: type[M]) -> M:
        """The body as a model. Raises :class:`Refused`."""
        try:
            return model.model_validate_json(self.body)
        except ValidationError as error:
            raise Refused(422, "invalid-request", "The request is not valid", "; ".join(str(one["loc"]) for one in error.errors())) from error

    def page(self, items: Sequence[BaseModel]) -> dict[str, Any]:
        """One page of a listing."""
        start, limit = int(self.query.get("cursor", "0")), int(self.query.get("limit", "100"))
        shown = items[start : start + limit]
        following = str(start + limit) if start + limit < len(items) else None
        return {"items": [one.model_dump(mode="json", by_alias=True) for one in shown], "next": following}

    def of(self, items: Sequence[M]) -> list[M]:
        """The items of the tenant and the workload that the query names."""
        tenant, workload = self.query.get("tenant"), self.query.get("workload")
        kept = [one for one in items if tenant is None or getattr(one, "tenant", getattr(one, "workload", "").rpartition("-")[2]) == tenant]
        kept = [one for one in kept if workload is None or getattr(one, "workload", None) == workload]
        month = self.query.get("month")
        return [one for one in kept if month is None or month == (f"{one.hour:%Y-%m}" if isinstance(one, wire.LedgerHour) else getattr(one, "month", month))]


Answer = tuple[int, Any]
Handler = Callable[[Call], Answer]


def known(items: Mapping[str, V], name: str) -> V:
    """One of them. Raises :class:`Refused`."""
    if name not in items:
        raise Refused(404, "not-found", "No such thing", name)
    return items[name]


def _put_tenant(call: Call) -> Answer:
    tenant = call.asked(wire.Tenant)
    call.platform.tenants[tenant.id] = tenant
    return 200, tenant


def _delete_tenant(call: Call) -> Answer:
    tenant = known(call.platform.tenants, call.names[0])
    if any(one.tenant == tenant.id and one.state is not wire.WorkloadState.TERMINATED for one in call.platform.workloads.values()):
        raise Refused(409, "in-use", "The tenant has workloads", tenant.id)
    del call.platform.tenants[tenant.id]
    return 204, None


def _keys(call: Call) -> Answer:
    tenant = known(call.platform.tenants, call.names[0])
    return 200, call.page([one for one in call.platform.keys.values() if one.tenant == tenant.id])


def _new_key(call: Call) -> Answer:
    tenant = known(call.platform.tenants, call.names[0])
    return 201, call.platform.new_key(tenant.id, call.asked(wire.KeyRequest))


def _workloads(call: Call) -> Answer:
    found = [one for _, one in sorted(call.platform.workloads.items())]
    return 200, call.page(call.of(found))


def _remove(call: Call) -> Answer:
    known(call.platform.workloads, call.names[0])
    return 202, call.platform.remove(call.names[0])


def _endpoint(call: Call) -> Answer:
    known(call.platform.workloads, call.names[0])
    return 200, call.platform.endpoint(call.names[0])


def _run_events(call: Call) -> Answer:
    known(call.platform.runs, call.names[0])
    return 200, call.platform.run_events(call.names[0])


def _delete_key(call: Call) -> Answer:
    known(call.platform.keys, call.names[-1])
    call.platform.revoke_key(call.names[-1])
    return 204, None


def _rotated(call: Call) -> Answer:
    now = call.platform.market.now
    return 201, wire.SigningKeys(keys=[wire.SigningKey(kid="k2", created_at=now, signs_from=now, retires_at=None)])


def _put_artifact(call: Call) -> Answer:
    call.platform.artifacts[call.names[0]] = call.body
    return 204, None


def _put_prices(call: Call) -> Answer:
    call.platform.market.tell(call.asked(wire.PriceBook).quotes)
    return 204, None


def _prices(call: Call) -> Answer:
    cloud, region = call.query.get("cloud"), call.query.get("region")
    market = call.platform.market
    found = [one for one in market.quotes.values() if cloud in (None, one.offer.cloud) and region in (None, one.offer.region)]
    return 200, wire.PriceBook(market_now=market.now, quotes=found)


def _ledger(call: Call) -> Answer:
    hours = call.of(call.platform.hours)
    return 200, wire.Ledger(totals=call.platform.totals(hours), hours=hours[-100:][::-1], moves=call.of(call.platform.moves))


def _months(call: Call) -> Answer:
    hours = call.of(call.platform.hours)
    found = []
    for workload, month in sorted({(one.workload, f"{one.hour:%Y-%m}") for one in hours}):
        sums = call.platform.totals([one for one in hours if (one.workload, f"{one.hour:%Y-%m}") == (workload, month)])
        found.append(wire.WorkloadMonth(workload=workload, tenant=workload.rpartition("-")[2], month=month, **sums.model_dump()))
    return 200, call.page(found)


def _raised(call: Call) -> Answer:
    given = [wire.SpendAlert.model_validate(one) for one in json.loads(call.body)]
    known_ones = {(one.owner, one.month, one.percent) for one in call.platform.alerts}
    fresh = [one for one in given if (one.owner, one.month, one.percent) not in known_ones]
    call.platform.alerts += fresh
    return 200, wire.SpendAlerts(items=fresh)


def _put_hours(call: Call) -> Answer:
    given = [wire.LedgerHour.model_validate(one) for one in json.loads(call.body, parse_float=Decimal)]
    frozen = {(one.placement, one.hour) for one in call.platform.hours}
    call.platform.hours += [one for one in given if (one.placement, one.hour) not in frozen]
    return 204, None


def _put_head(call: Call) -> Answer:
    call.platform.heads.append(call.asked(wire.AuditHead))
    return 204, None


def _migrations(call: Call) -> Answer:
    found = call.of(list(call.platform.migrations.values()))[::-1]
    return 200, call.page([one for one in found if call.query.get("active") != "true" or one.status == "running"])


def _decisions(call: Call) -> Answer:
    return 200, call.page([one.decision for one in call.of(list(call.platform.migrations.values()))][::-1])


def _placements(call: Call) -> Answer:
    found = call.of(sorted(call.platform.placements.values(), key=lambda one: one.id))
    return 200, call.page([one for one in found if call.query.get("state") in (None, one.state)])


def _credentials(call: Call) -> Answer:
    known(call.platform.placements, call.names[0])
    return 201, {"accessToken": "test", "tokenType": "Bearer", "expiresIn": 900, "scopes": ["placement"], "originKey": "00" * 32}


def _boundary(call: Call) -> Answer:
    regions: dict[str, list[str]] = {}
    for one in call.platform.market.quotes.values():
        if one.offer.region not in regions.setdefault(one.offer.cloud, []):
            regions[one.offer.cloud].append(one.offer.region)
    return 200, wire.BoundaryCheck(digest=digest(call.asked(wire.BoundaryDocument).boundary), regions=regions)


def _plan(call: Call) -> Answer:
    asked = json.loads(call.body or b"{}")
    if asked.get("workload"):
        known(call.platform.workloads, asked["workload"])
    return 200, call.platform.plan(asked.get("tenant"), asked.get("workload"))


def _move(call: Call) -> Answer:
    request = call.asked(wire.MoveRequest)
    known(call.platform.workloads, request.workload)
    return 202, call.platform.move(request)


def _runs(call: Call) -> Answer:
    stack, tenant, status = (call.query.get(name) for name in ("stack", "tenant", "status"))
    newest = [(ident, one) for ident, one in reversed(call.platform.runs.items()) if stack in (None, one.stack) and status in (None, one.status)]
    return 200, call.page([one for ident, one in newest if tenant in (None, call.platform.requests[ident].stack.tenant)])


def _workload_runs(call: Call) -> Answer:
    owner = known(call.platform.workloads, call.names[0])
    newest = [one for ident, one in reversed(call.platform.runs.items()) if call.platform.requests[ident].stack.tenant == owner.tenant]
    return 200, call.page([one.model_copy(update={"outputs": {}}) for one in newest if one.stack.startswith(f"placement.{owner.tenant}.{owner.name}.")])


def _cancel(call: Call) -> Answer:
    one = known(call.platform.runs, call.names[0])
    if one.status not in ("queued", "running"):
        raise Refused(409, "run-ended", "The run has ended", f"{one.id} {one.status}")
    call.platform.runs[one.id] = one.model_copy(update={"status": "cancelled", "finished_at": call.platform.market.now})
    return 200, call.platform.runs[one.id]


def _retry(call: Call) -> Answer:
    one = known(call.platform.runs, call.names[0])
    if one.status not in ("failed", "cancelled"):
        raise Refused(409, "run-ended", "The run has ended", f"{one.id} {one.status}")
    request = call.platform.requests[one.id]
    return 202, call.platform.run(request.model_copy(update={"idempotency_key": f"{request.idempotency_key}:again:{len(call.platform.runs)}"}))


def _preflight(call: Call) -> Answer:
    proxy = wire.Check(part="proxy", name="reached", status="ok", detail="the inline proxy answers")
    return 200, wire.Preflight(ready=True, checks=[proxy])


def _feeds(call: Call) -> Answer:
    market, clouds = call.platform.market, ("aws", "azure", "gcp")
    counts = {cloud: sum(one.offer.cloud == cloud for one in market.quotes.values()) for cloud in clouds}
    answered = {"observedAt": market.now, "answeredAt": market.now, "stale": 0, "doubtful": 0, "faults": []}
    feeds = [answered | {"cloud": one, "fresh": counts[one]} for one in clouds]
    return 200, wire.Feeds.model_validate({"marketNow": market.now, "feeds": feeds, "heldBack": []})


def _daemon(call: Call) -> Answer:
    call.platform.paused = bool(json.loads(call.body)["paused"])
    return 200, {"paused": call.platform.paused}


def _events(call: Call) -> Answer:
    known(call.platform.workloads, call.names[0])
    return 200, call.page([one for one in call.platform.events if one.workload == call.names[0]])


def _generations(call: Call) -> Answer:
    known(call.platform.workloads, call.names[0])
    return 200, call.page([one for one in call.platform.placements.values() if one.workload == call.names[0]][::-1])


def _machine_logs(call: Call) -> Answer:
    known(call.platform.workloads, call.names[0])
    after, limit = call.query.get("after"), int(call.query.get("limit", "200"))
    if not 1 <= limit <= 1000:
        raise Refused(422, "invalid-request", "The request is not valid", "limit must be a whole number from 1 to 1000")
    return 200, call.platform.machine_logs(call.names[0], call.query.get("placement"), None if after is None else int(after), limit)


_CALLS: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/tenants", lambda call: (200, call.page(list(call.platform.tenants.values())))),
    ("PUT", "/tenants/{}", _put_tenant),
    ("GET", "/tenants/{}", lambda call: (200, known(call.platform.tenants, call.names[0]))),
    ("DELETE", "/tenants/{}", _delete_tenant),
    ("POST", "/tenants/{}/keys", _new_key),
    ("GET", "/tenants/{}/keys", _keys),
    ("DELETE", "/tenants/{}/keys/{}", _delete_key),
    ("POST", "/tenants/{}/revocations", lambda call: (204, None)),
    ("GET", "/revocations", lambda call: (200, call.page([]))),
    ("POST", "/keys", lambda call: (201, call.platform.new_key(None, call.asked(wire.KeyRequest)))),
    ("GET", "/keys", lambda call: (200, call.page([one for one in call.platform.keys.values() if one.tenant is None]))),
    ("DELETE", "/keys/{}", _delete_key),
    ("POST", "/keys/rotate", _rotated),
    ("GET", "/workloads", _workloads),
    ("PUT", "/workloads/{}", lambda call: (200, call.platform.declare(call.names[0], call.asked(wire.WorkloadSpec)))),
    ("GET", "/workloads/{}", lambda call: (200, known(call.platform.workloads, call.names[0]))),
    ("DELETE", "/workloads/{}", _remove),
    ("GET", "/workloads/{}/endpoint", _endpoint),
    ("GET", "/workloads/{}/placements", _generations),
    ("GET", "/workloads/{}/events", _events),
    ("GET", "/workloads/{}/runs", _workload_runs),
    ("GET", "/workloads/{}/logs", _machine_logs),
    ("POST", "/logs", lambda call: (200, call.platform.take_lines(call.asked(wire.LogBatch)))),
    ("GET", "/events", lambda call: (200, call.page(call.of(call.platform.events)[::-1]))),
    ("GET", "/changes", lambda call: (200, call.platform.changes)),
    ("POST", "/workloads/{}/decisions", lambda call: (202, call.platform.place(call.asked(wire.Decision)))),
    ("GET", "/placements", _placements),
    ("GET", "/placements/{}", lambda call: (200, known(call.platform.placements, call.names[0]))),
    ("POST", "/placements/{}/credentials", _credentials),
    ("GET", "/migrations", _migrations),
    ("GET", "/migrations/{}", lambda call: (200, known(call.platform.migrations, call.names[0]))),
    ("POST", "/migrations/{}/events", lambda call: (204, None)),
    ("GET", "/decisions", _decisions),
    ("PUT", "/prices", _put_prices),
    ("GET", "/prices", _prices),
    ("GET", "/ledger", _ledger),
    ("PUT", "/ledger/hours", _put_hours),
    ("GET", "/ledger/hours", lambda call: (200, call.page(call.of(call.platform.hours)[::-1]))),
    ("GET", "/ledger/moves", lambda call: (200, call.page(call.of(call.platform.moves)))),
    ("GET", "/ledger/months", _months),
    ("GET", "/alerts", lambda call: (200, call.page(call.of(call.platform.alerts)))),
    ("PUT", "/alerts", _raised),
    ("PUT", "/artifacts/{}", _put_artifact),
    ("POST", "/audit/heads", _put_head),
    ("GET", "/audit/heads", lambda call: (200, call.page(call.platform.heads))),
)
_AUTOMATION: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/runs", lambda call: (202, call.platform.run(call.asked(wire.RunRequest)))),
    ("GET", "/runs", _runs),
    ("GET", "/runs/{}", lambda call: (200, known(call.platform.runs, call.names[0]))),
    ("GET", "/runs/{}/events", _run_events),
    ("POST", "/runs/{}/cancel", _cancel),
    ("POST", "/runs/{}/retry", _retry),
    ("POST", "/plans", _plan),
    ("POST", "/moves", _move),
    ("GET", "/spend", lambda call: (200, call.platform.spend(call.query.get("tenant")))),
    ("POST", "/boundaries", _boundary),
    ("GET", "/tenants/{}/stacks", lambda call: (200, call.page([one for one in call.platform.stacks.values() if one.tenant == call.names[0]]))),
    ("GET", "/preflight", _preflight),
    ("POST", "/sweeps", lambda call: (200, wire.Sweep(orphans=[], accounts=3 * len(call.platform.tenants)))),
    ("GET", "/feeds", _feeds),
    ("POST", "/ticks", lambda call: (200, call.platform.tick())),
    ("GET", "/holds", lambda call: (200, {"items": [one.model_dump(mode="json", by_alias=True) for one in call.platform.holds]})),
    ("PUT", "/holds", lambda call: (200, call.platform.hold(call.asked(wire.Hold)))),
    ("POST", "/daemon", _daemon),
)


def _compiled(prefix: str, calls: tuple[tuple[str, str, Handler], ...]) -> list[tuple[str, re.Pattern[str], Handler]]:
    return [(method, re.compile(re.escape(prefix) + path.replace("{}", "([^/]+)") + "$"), handler) for method, path, handler in calls]


ROUTES = [*_compiled("/v1", _CALLS), *_compiled(f"{AUTOMATION}/v1", _AUTOMATION)]


def answer(platform: FakePlatform, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Answer:
    """What the platform answers: a status and a model, a document or None. Refusals come as problem documents."""
    with platform.lock:
        try:
            return _answer(platform, method, path, query, headers, body)
        except Refused as refusal:
            return refusal.problem.status, refusal.problem


def _answer(platform: FakePlatform, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Answer:
    for fault in platform.faults:
        if fault.times > 0 and fault.method == method and path.endswith(fault.path):
            fault.times -= 1
            raise fault.refusal
    if (method, path) == ("GET", "/healthz"):
        return 200, {"status": "ok"}
    call = Call(platform, (), query, body)
    if (method, path) == ("POST", "/v1/tokens"):
        owner = platform.secrets.get(call.asked(wire.TokenRequest).api_key)
        if owner is None:
            raise Refused(401, "unknown-key", "The key isn't known")
        return 200, wire.Token(access_token=_TOKEN + owner, expires_in=900, scopes=["platform:admin"])
    if headers.get("authorization", "").removeprefix("Bearer ").removeprefix(_TOKEN) not in platform.secrets.values():
        raise Refused(401, "not-signed-in", "A valid token is needed")
    for verb, pattern, handler in ROUTES:
        if verb == method and (found := pattern.match(path)):
            return handler(Call(platform, found.groups(), query, body))
    raise Refused(404, "unknown-call", "No such resource", path)
