"""The only wiring of the automation service: the whole architecture on one page."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from apscheduler.triggers.interval import IntervalTrigger
from dbos import DBOS
from fastapi import FastAPI

from automation.accounts.cloudflare import CloudflareAccount
from automation.accounts.entry import Entry
from automation.calls.fetch import Fetcher
from automation.calls.identities import Identities
from automation.feeds.collection import Collection
from automation.feeds.kept import KeptReference
from automation.http.app import app
from automation.http.tokens import TokenVerifier
from automation.runs.admission import Limits
from automation.runs.database import Database
from automation.runs.engine import Engine
from automation.runs.executor import RunExecutor
from automation.runs.journal import Journals
from automation.runs.members import Members
from automation.runs.queue import Runs, stored_in
from automation.runs.recovery import Recovery
from automation.scheduler.daemon import Daemon, nightly
from automation.scheduler.holds import Holds
from automation.service import drift
from automation.service.ahead import RegionsAhead
from automation.service.audit import AuditAnchor
from automation.service.door import Door
from automation.service.drift import DriftWatch
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.lookup import Lookup
from automation.service.preflight import Preflight
from automation.service.programs import digest_of
from automation.service.rebalancer import Rebalancer
from automation.service.shared_market import SharedMarket
from automation.service.stack_plans import StackPlans
from automation.service.sweep import Sweeper
from automation.service.tenants import TenantFiles
from automation.service.trail import Trail
from automation.service.translation import quote_from_wire
from automation.service.whatif import WhatIfs
from automation.settings import PROJECT_ROOT, AutomationSettings
from spotlane import wire
from spotlane.client import Client, api_key_of
from spotlane.errors import SpotlaneError
from spotlane.exchange import TransportError
from spotlane.transport import client as http_client

_log = structlog.get_logger(__name__)

_AUDIT_SECONDS = 10
_INCIDENT_SECONDS = 1
_DRIFT_HOUR = 3
"""Of the day in UTC, as the sweep's."""
_SWEEP_HOUR = 4
_AHEAD_JITTER_SECONDS = 300


@dataclass
class Service:
    """The running parts; ``close`` ends them in order."""

    api: FastAPI
    runs: Runs
    database: Database
    members: Members
    holds: Holds
    shared: SharedMarket
    daemon: Daemon
    history: QuoteHistory
    feed_watch: FeedWatch
    anchor: AuditAnchor
    trail: Trail
    stop_seconds: int

    def start(self) -> None:
        """Recovers interrupted runs, joins the other service processes and starts the scheduler."""
        self.runs.open()
        self.members.start()
        self.holds.open()
        self.shared.open()
        self.daemon.start()

    def close(self) -> None:
        """Stops the scheduler and the runs, leaves what was in hand to the others, anchors the audit's heads a last time, closes logs and databases."""
        self.daemon.stop()
        self.members.stop(hand_over=self.runs.close(self.stop_seconds))
        self.trail.close()
        try:
            self.anchor.anchor()
        except SpotlaneError as error:
            _log.warning("the audit's last heads weren't anchored", error=str(error))
        self.holds.close()
        self.shared.close()
        self.database.close()
        self.history.close()
        self.feed_watch.close()


def bootstrap(settings: AutomationSettings) -> Service:
    """Builds the service from its settings. Raises :class:`spotlane.errors.NotSignedIn` without a key."""
    home = settings.home
    (home / "automation").mkdir(parents=True, exist_ok=True)
    key = settings.api_key or api_key_of({"SPOTLANE_HOME": str(home)})
    edge = Client(settings.api_url, key)
    root = settings.api_url.removesuffix("/v1")

    DBOS(config=stored_in(settings.runs_database, settings.member))
    tenants = TenantFiles(home)
    journals = Journals(home / "automation" / "runs")
    plans = StackPlans(settings, lambda: edge, tenants, hashlib.sha256(key.encode()).hexdigest(), digest_of(PROJECT_ROOT))
    engine = Engine(settings.engine, PROJECT_ROOT, settings.stack_project, os.environ, secrets_provider=settings.secrets_provider)
    fetcher = Fetcher()
    identities = Identities.of(os.environ, fetcher)
    sweeper = Sweeper(edge, engine, Entry(fetcher, identities), lambda: runs.unfinished_stacks())
    lookup = Lookup(tenants, sweeper.accounts, engine.settings, CloudflareAccount(fetcher, identities.cloudflare, os.environ))
    trail = Trail(home, settings.member, tenants.digest)
    executor = RunExecutor(engine, plans, journals, edge.deliver, drift.report, Recovery(engine, lookup), trail)
    limits = Limits(settings.unfinished_runs, settings.unfinished_runs_of_tenant, settings.tenant_runs)
    database = Database(settings.runs_database)
    runs = Runs(executor, journals, settings.concurrent_runs, limits, database.check)
    members = Members(settings.runs_database, settings.member, runs.take_over)

    history = QuoteHistory(home / "automation" / "quotes.sqlite")
    price_limit = timedelta(hours=settings.price_limit_hours)
    feed_watch = FeedWatch(home / "automation" / "feeds.sqlite", price_limit)
    kept = KeptReference(home / "automation" / "reference.json")
    collection = Collection.of_all_clouds(fetcher, pass_on_after=price_limit / 2, restored=[quote_from_wire(quote) for quote in history.latest()], kept=kept)
    if kept.fault is not None:
        _log.warning("reference", fault=kept.fault)
    holds = Holds(settings.runs_database, paused=settings.paused)
    shared = SharedMarket(settings.runs_database, settings.member, lambda: members.alone)
    rebalancer = Rebalancer(edge, collection, history, settings.price_limit_hours, feed_watch, holds=holds.all, trail=trail, shared=shared)
    drift_watch = DriftWatch(edge, plans, runs, lambda: datetime.now(UTC).date())
    preflight = Preflight(settings, edge, engine.version, fetcher, identities, sweeper.accounts)
    anchor = AuditAnchor({"api": home / "proxy" / "audit.jsonl", **trail.logs}, settings.member, edge)
    ahead = RegionsAhead(rebalancer.plan, plans.standing, runs, settings.regions_ahead, lambda: datetime.now(UTC).date())
    daemon = Daemon(
        rebalancer,
        settings.tick_seconds,
        {
            "incidents": (IntervalTrigger(seconds=_INCIDENT_SECONDS), rebalancer.chase),
            "drift": (nightly(_DRIFT_HOUR), drift_watch.look),
            "sweep": (nightly(_SWEEP_HOUR), sweeper.watch),
            "ahead": (IntervalTrigger(hours=1, jitter=_AHEAD_JITTER_SECONDS), ahead.prepare),
        },
        leads=lambda: members.leads,
        switch=holds,
        own={"audit": (IntervalTrigger(seconds=_AUDIT_SECONDS), anchor.anchor)},
    )
    tokens = TokenVerifier(f"{root}/.well-known/jwks.json", f"https://auth.{settings.zone}", settings.edge_key_seconds, edge.revocations)
    door = Door(tenants, lambda: edge, engine.exists)
    whatifs = WhatIfs(edge, collection, history, settings.price_limit_hours, rebalancer.follow)
    api = app(runs, door.check, rebalancer, daemon, plans, tokens, _readiness(edge, home), preflight, sweeper, holds, whatifs)
    return Service(api, runs, database, members, holds, shared, daemon, history, feed_watch, anchor, trail, settings.stop_seconds)


def examine(settings: AutomationSettings) -> wire.Preflight:
    """The preflight in this environment, beside any service: tenants and their quotas are examined where there is an edge already."""
    key = settings.api_key or api_key_of({"SPOTLANE_HOME": str(settings.home)})
    edge, fetcher = Client(settings.api_url, key), Fetcher()
    identities = Identities.of(os.environ, fetcher)
    engine = Engine(settings.engine, PROJECT_ROOT, settings.stack_project, os.environ)
    accounts = Sweeper(edge, engine, Entry(fetcher, identities), set).accounts
    return Preflight(settings, edge, engine.version, fetcher, identities, accounts).examine()


def _readiness(edge: Client, home: Path) -> Callable[[], dict[str, str]]:
    def faults() -> dict[str, str]:
        found = {}
        if not edge.healthy():
            found["edge"] = "the edge API doesn't answer; deploy it with `pulumi up -s edge`"
        proxy = os.environ.get("HTTPS_PROXY", "")
        if not proxy:
            found["proxy"] = "HTTPS_PROXY is not set: without the inline proxy no cloud is called"
        else:
            address = "http://" + proxy.rpartition("@")[2].removeprefix("http://").rstrip("/")
            try:
                with contextlib.closing(http_client(2.0)) as http:
                    status = http.get(f"{address}/healthz").status_code
                if status != 200:
                    found["proxy"] = f"the inline proxy isn't well (it answers {status})"
            except TransportError as error:
                found["proxy"] = f"the inline proxy doesn't answer ({error})"
        if not home.is_dir():
            found["home"] = f"the state directory {home} is gone"
        return found

    return faults
