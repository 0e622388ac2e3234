"""The SDK's clients: :class:`Client` for the edge API, :class:`AutomationClient` for the automation service."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from spotlane import wire
from spotlane.errors import NotSignedIn, SpotlaneError, Unreachable
from spotlane.exchange import TransportError
from spotlane.pages import Pages
from spotlane.session import Session
from spotlane.transport import TokenSource, _advice, client, raise_for_problem

_WHOLE_BYTES = 64 * 1024 * 1024
"""An artifact above this size goes in parts; the edge takes at most 90 MiB at once."""
_COMPLETE_SECONDS = 900.0
"""The edge reads a whole artifact again before it stands."""

_LINES_AT_ONCE, _LINES_SECONDS = 1000, 1.0
"""Lines of a machine that are read at once, at most as many as the edge gives, and the pause where there was none."""


class Client:
    """The edge API. Every method raises :class:`spotlane.errors.SpotlaneError` where it fails.

    >>> Client.from_env().workloads()  # doctest: +SKIP
    """

    def __init__(self, api_url: str, api_key: str, *, timeout_seconds: float = 30.0) -> None:
        self.api_url = api_url.rstrip("/")
        self.http = client(timeout_seconds)
        self.tokens = TokenSource(self.http, self.api_url, api_key)
        self._session = Session("edge API", self.api_url, self.tokens, self.http)

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
        except TransportError:
            return False

    # Tenants
    def put_tenant(self, tenant: wire.Tenant) -> wire.Tenant:
        """Makes or changes a tenant."""
        return self._session.one(wire.Tenant, "PUT", f"/tenants/{tenant.id}", json=tenant)

    def tenants(self) -> Pages[wire.Tenant]:
        """All tenants that the key may see."""
        return self._session.many(wire.Tenant, "/tenants")

    def tenant(self, tenant: str) -> wire.Tenant:
        """One tenant."""
        return self._session.one(wire.Tenant, "GET", f"/tenants/{tenant}")

    def delete_tenant(self, tenant: str) -> None:
        """Removes a tenant without workloads."""
        self._session.call("DELETE", f"/tenants/{tenant}")

    # Keys and tokens
    def create_key(self, tenant: str, scopes: Iterable[str], *, name: str = "", expires_at: datetime | None = None) -> wire.ApiKey:
        """A new API key of a tenant, shown once; its scopes are among the caller's."""
        request = {"name": name, "scopes": list(scopes), "expiresAt": expires_at.isoformat() if expires_at else None}
        return self._session.one(wire.ApiKey, "POST", f"/tenants/{tenant}/keys", json=request, once=True)

    def keys(self, tenant: str) -> Pages[wire.KeyInfo]:
        """A tenant's keys without their secrets."""
        return self._session.many(wire.KeyInfo, f"/tenants/{tenant}/keys")

    def revoke_key(self, tenant: str, key: str) -> None:
        """Deletes a key; its tokens are refused at every router within a second."""
        self._session.call("DELETE", f"/tenants/{tenant}/keys/{key}")

    def revoke(self, tenant: str, revocation: wire.Revocation) -> None:
        """Refuses the tokens of a subject, or one token."""
        self._session.call("POST", f"/tenants/{tenant}/revocations", json=revocation)

    def revocations(self) -> Pages[wire.Revoked]:
        """Everything that is refused though it hasn't expired: for services that check tokens themselves."""
        return self._session.many(wire.Revoked, "/revocations")

    def create_platform_key(self, scopes: Iterable[str], *, name: str = "", expires_at: datetime | None = None) -> wire.ApiKey:
        """A new key of the platform, shown once."""
        request = {"name": name, "scopes": list(scopes), "expiresAt": expires_at.isoformat() if expires_at else None}
        return self._session.one(wire.ApiKey, "POST", "/keys", json=request, once=True)

    def platform_keys(self) -> Pages[wire.KeyInfo]:
        """The platform's keys without their secrets."""
        return self._session.many(wire.KeyInfo, "/keys")

    def revoke_platform_key(self, key: str) -> None:
        """Deletes a key of the platform."""
        self._session.call("DELETE", f"/keys/{key}")

    def rotate_signing_key(self, *, revoke_old: bool = False) -> wire.SigningKeys:
        """Begins the next signing key. ``revoke_old`` is for a leaked one: every token until now is refused."""
        return self._session.one(wire.SigningKeys, "POST", "/keys/rotate", json=wire.KeyRotation(revoke_old=revoke_old), once=True)

    # Workloads
    def put_workload(self, workload: str, spec: wire.WorkloadSpec) -> wire.Workload:
        """Declares a workload; its first placement follows with the next cycle of the daemon."""
        return self._session.one(wire.Workload, "PUT", f"/workloads/{workload}", json=spec)

    def workloads(self, tenant: str | None = None) -> Pages[wire.Workload]:
        """Workloads, of one tenant or of all that the key may see."""
        return self._session.many(wire.Workload, "/workloads", {"tenant": tenant})

    def workload(self, workload: str) -> wire.Workload:
        """One workload."""
        return self._session.one(wire.Workload, "GET", f"/workloads/{workload}")

    def delete_workload(self, workload: str) -> wire.Workload:
        """Stops a workload; its machines are destroyed after the drain."""
        return self._session.one(wire.Workload, "DELETE", f"/workloads/{workload}")

    def endpoint(self, workload: str) -> wire.Endpoint:
        """Where the workload is reached, for life."""
        return self._session.one(wire.Endpoint, "GET", f"/workloads/{workload}/endpoint")

    def placements(self, workload: str) -> Pages[wire.Placement]:
        """Every generation of a workload, newest first."""
        return self._session.many(wire.Placement, f"/workloads/{workload}/placements")

    def workload_runs(self, workload: str) -> Pages[wire.Run]:
        """The engine's runs for a workload's moves: what works or waits first, then what has ended, newest first; without the stacks' outputs."""
        return self._session.many(wire.Run, f"/workloads/{workload}/runs")

    def events(self, workload: str) -> Pages[wire.WorkloadEvent]:
        """State changes with their reasons, oldest first."""
        return self._session.many(wire.WorkloadEvent, f"/workloads/{workload}/events")

    def follow_events(self, workload: str, after: int = 0) -> Iterator[wire.WorkloadEvent]:
        """State changes from after number ``after``, as they come (:meth:`changes`); it goes on until the caller stops reading."""
        last = after
        for change in self.changes(workload.rpartition("-")[2]):
            if change.kind == "everything" or (change.kind == "event" and change.subject == workload):
                for one in self.events(workload):
                    if one.seq > last:
                        last = one.seq
                        yield one

    def machine_logs(self, workload: str, *, placement: str | None = None, after: int | None = None, limit: int = 200) -> wire.MachineLogs:
        """Lines of one of a workload's machines: ``placement``, or the first that serves, else the newest.

        The first ``limit`` (at most 1,000) after line number ``after``, 0 for the first that are kept; without it the last ones. They are kept for a day, and
        only of a workload whose file says ``logs: true``: ``told`` says whether it did.
        """
        asked = {"placement": placement, "after": None if after is None else str(after), "limit": str(limit)}
        return self._session.one(wire.MachineLogs, "GET", f"/workloads/{workload}/logs", params=asked)

    def follow_machine_logs(self, workload: str, *, placement: str | None = None, since: wire.MachineLogs | None = None) -> Iterator[wire.LogLine]:
        """Lines of one of a workload's machines, the last 200 and then as they come; asked for every second, until the caller stops reading.

        Where no ``placement`` is named and the workload moves, what is left of the machine's lines comes and then the next machine's, from its first on.
        ``since``, an answer of :meth:`machine_logs`, has it go on where that ends. A number that is missing between two lines of a machine is a lost line.
        """
        last: dict[str, int] = {}
        shown = placement
        found = self.machine_logs(workload, placement=placement) if since is None else since.model_copy(update={"lines": []})
        while True:
            if found.placement is not None:
                shown, last[found.placement] = found.placement, found.next
                yield from found.lines
            if not found.lines:
                time.sleep(_LINES_SECONDS)
            after = last.get(shown or "", 0)
            found = self.machine_logs(workload, placement=placement, after=after, limit=_LINES_AT_ONCE)
            if shown is not None and found.placement != shown:
                left = self.machine_logs(workload, placement=shown, after=after, limit=_LINES_AT_ONCE)
                if left.lines or found.placement is None:
                    found = left
                else:
                    found = self.machine_logs(workload, placement=found.placement, after=last.get(found.placement, 0), limit=_LINES_AT_ONCE)

    def all_events(self, tenant: str | None = None) -> Pages[wire.WorkloadEvent]:
        """State changes of every workload that the key may see, newest first."""
        return self._session.many(wire.WorkloadEvent, "/events", {"tenant": tenant})

    def changes(self, tenant: str | None = None, *, after: int | None = None) -> Iterator[wire.Change]:
        """What changes, as it changes, of one tenant or of all that the key may see: that it has changed, not what it has become.

        Without ``after`` (the ``seq`` of the last change seen) it begins with ``everything``, so that one loop reads first and follows then. It goes on
        until the caller stops reading, also over cuts. Raises ApiProblem ``too-many-streams`` where too many follow already.
        """
        return self._session.follow(wire.Change, "/changes", {"tenant": tenant}, after)

    def placement(self, placement: str) -> wire.Placement:
        """One generation."""
        return self._session.one(wire.Placement, "GET", f"/placements/{placement}")

    def all_placements(self, tenant: str | None = None, *, state: wire.PlacementState | None = None) -> Pages[wire.Placement]:
        """Generations of every workload that the key may see, by id."""
        return self._session.many(wire.Placement, "/placements", {"tenant": tenant, "state": state})

    def put_artifact(self, digest: str, content: bytes, tenant: str | None = None) -> None:
        """Stores an artifact under its digest (``sha256:<hex>``), a large one in parts. ``tenant`` says whose, where the key is of none."""
        whose = {"tenant": tenant}
        if len(content) <= _WHOLE_BYTES:
            self._session.call("PUT", f"/artifacts/{digest}", content=content, params=whose)
            return
        request = wire.UploadRequest(size_bytes=len(content))
        upload = self._session.one(wire.Upload, "POST", f"/artifacts/{digest}/uploads", json=request, params=whose, once=True)
        path = f"/artifacts/{digest}/uploads/{upload.id}"
        try:
            for number, start in enumerate(range(0, len(content), upload.part_size_bytes), 1):
                self._session.call("PUT", f"{path}/parts/{number}", content=content[start : start + upload.part_size_bytes], params=whose)
            self._session.call("POST", f"{path}/complete", params=whose, timeout=_COMPLETE_SECONDS)
        except SpotlaneError:
            with contextlib.suppress(SpotlaneError):
                self._session.call("DELETE", path, params=whose)
            raise

    # Moves
    def decide(self, decision: wire.Decision) -> wire.Migration:
        """Proposes a decision. Raises ApiProblem ``lease-held``, ``stale-decision`` or ``price-moved``."""
        return self._session.one(wire.Migration, "POST", f"/workloads/{decision.workload}/decisions", json=decision, once=True)

    def migrations(self, workload: str | None = None, *, active: bool = False) -> Pages[wire.Migration]:
        """Migrations, newest first."""
        return self._session.many(wire.Migration, "/migrations", {"workload": workload, "active": "true" if active else None})

    def migration(self, migration: str) -> wire.Migration:
        """One migration."""
        return self._session.one(wire.Migration, "GET", f"/migrations/{migration}")

    def deliver(self, migration: str, event: wire.RunEvent) -> None:
        """Tells a waiting saga its run's result; idempotent by run."""
        self._session.call("POST", f"/migrations/{migration}/events", json=event)

    def decisions(self, workload: str | None = None) -> Pages[wire.Decision]:
        """Decisions that became migrations, newest first."""
        return self._session.many(wire.Decision, "/decisions", {"workload": workload})

    def placement_credentials(self, placement: str) -> wire.PlacementCredentials:
        """What the machine is given: a token good for this placement only, and the key of the edge's signature."""
        return self._session.one(wire.PlacementCredentials, "POST", f"/placements/{placement}/credentials", once=True)

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

    def ledger_hours(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> Pages[wire.LedgerHour]:
        """Every frozen hour, newest first; of one calendar month (``YYYY-MM``, UTC) where one is asked for."""
        return self._session.many(wire.LedgerHour, "/ledger/hours", {"tenant": tenant, "workload": workload, "month": month})

    def ledger_moves(self, tenant: str | None = None, workload: str | None = None) -> Pages[wire.LedgerMove]:
        """What each move was expected to save, by migration."""
        return self._session.many(wire.LedgerMove, "/ledger/moves", {"tenant": tenant, "workload": workload})

    def ledger_months(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> Pages[wire.WorkloadMonth]:
        """What each workload's hours come to, by calendar month (``YYYY-MM``, UTC) and workload."""
        return self._session.many(wire.WorkloadMonth, "/ledger/months", {"tenant": tenant, "workload": workload, "month": month})

    def alerts(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> Pages[wire.SpendAlert]:
        """Alerts of monthly caps, newest first."""
        return self._session.many(wire.SpendAlert, "/alerts", {"tenant": tenant, "workload": workload, "month": month})

    def raise_alerts(self, alerts: Sequence[wire.SpendAlert]) -> Sequence[wire.SpendAlert]:
        """Raises alerts, each once a month for its owner and per cent; those that are new."""
        sent = [one.model_dump(mode="json", by_alias=True) for one in alerts]
        return self._session.one(wire.SpendAlerts, "PUT", "/alerts", json=sent).items

    def audit_heads(self) -> Pages[wire.AuditHead]:
        """Anchored heads of the enforcers' chains, newest first."""
        return self._session.many(wire.AuditHead, "/audit/heads")

    def put_audit_head(self, head: wire.AuditHead) -> None:
        """Anchors an enforcer's chain."""
        self._session.call("POST", "/audit/heads", json=head)


class AutomationClient:
    """The automation service; its tokens come from the edge's Auth."""

    def __init__(self, automation_url: str, tokens: TokenSource, *, timeout_seconds: float = 120.0) -> None:
        self.url = automation_url.rstrip("/")
        self._http = client(timeout_seconds)
        self._tokens = tokens
        self._session = Session("automation service", self.url + "/v1", tokens, self._http)

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
        asked = {"stack": stack, "tenant": tenant, "status": status, "limit": str(limit)}
        return list(self._session.many(wire.Run, "/runs", asked))

    def cancel_run(self, run: str) -> wire.Run:
        """Stops a run: one that waits is never begun, one that works lets what it has in hand come to its end. Raises ApiProblem ``run-ended``."""
        return self._session.one(wire.Run, "POST", f"/runs/{run}/cancel")

    def retry_run(self, run: str) -> wire.Run:
        """The operation of a failed or cancelled run once more, as a run of its own. Raises ApiProblem ``run-ended``."""
        return self._session.one(wire.Run, "POST", f"/runs/{run}/retry")

    def run_events(self, run: str, after: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
        """The engine's events of a run as ``(number, event)``, from after ``after``, as they come, until the run has ended."""
        url = f"{self.url}/v1/runs/{run}/events"
        headers = {"authorization": self._tokens.header(), "last-event-id": str(after)}
        number = 0
        try:
            with self._http.stream("GET", url, headers=headers) as answer:
                if not answer.is_success:
                    raise_for_problem(answer.whole())
                for line in answer.lines():
                    field, _, value = line.partition(": ")
                    if field == "id":
                        number = int(value)
                    elif field == "event":
                        return
                    elif field == "data":
                        yield number, json.loads(value)
        except TransportError as error:
            raise Unreachable("automation service", url, str(error), _advice(url)) from error

    def plan(self, tenant: str | None = None, workload: str | None = None) -> wire.Plan:
        """A dry run with dollars."""
        return self._session.one(wire.Plan, "POST", "/plans", json={"tenant": tenant, "workload": workload})

    def spend(self, tenant: str | None = None) -> wire.Spend:
        """Monthly caps, and how their months stand: paid, projected, alerts apart (:meth:`Client.alerts`)."""
        return self._session.one(wire.Spend, "GET", "/spend", params={"tenant": tenant})

    def move(self, request: wire.MoveRequest) -> wire.Migration:
        """Moves a workload now. Raises ApiProblem with findings where the boundary refuses."""
        return self._session.one(wire.Migration, "POST", "/moves", json=request)

    def what_if(self, request: wire.WhatIfRequest) -> wire.WhatIf:
        """What a changed boundary would cost, now and over recorded prices. Raises ApiProblem ``invalid-boundary`` with every fault."""
        return self._session.one(wire.WhatIf, "POST", "/whatifs", json=request)

    def check_boundary(self, boundary: wire.Json) -> wire.BoundaryCheck:
        """Checks a boundary's document and gives its digest. Raises ApiProblem ``invalid-boundary`` with every fault."""
        return self._session.one(wire.BoundaryCheck, "POST", "/boundaries", json=wire.BoundaryDocument(boundary=boundary))

    def stacks(self, tenant: str) -> Pages[wire.StackRef]:
        """The tenant's standing stacks, in the order in which they can be destroyed."""
        return self._session.many(wire.StackRef, f"/tenants/{tenant}/stacks")

    def preflight(self) -> wire.Preflight:
        """Whether credentials, accounts, quotas and the proxy are there; nothing is made."""
        return self._session.one(wire.Preflight, "GET", "/preflight")

    def sweep(self, request: wire.SweepRequest) -> wire.Sweep:
        """What no stack owns in tenants' accounts; removed where the request says so."""
        return self._session.one(wire.Sweep, "POST", "/sweeps", json=request)

    def feeds(self) -> wire.Feeds:
        """How the price feeds do, and what was held back last."""
        return self._session.one(wire.Feeds, "GET", "/feeds")

    def tick(self) -> wire.TickReport:
        """One cycle of the daemon, now."""
        return self._session.one(wire.TickReport, "POST", "/ticks")

    def holds(self) -> list[wire.Hold]:
        """What the daemon leaves alone, as far as the key may see it."""
        return self._session.read(TypeAdapter(list[wire.Hold]), self._session.call("GET", "/holds").json()["items"])

    def hold(self, hold: wire.Hold) -> wire.Hold:
        """Puts a hold in its subject's place; one that holds nothing takes it away."""
        return self._session.one(wire.Hold, "PUT", "/holds", json=hold)

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
