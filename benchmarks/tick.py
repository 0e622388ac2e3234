"""``tick``: one cycle of the daemon over 10,000 workloads and 50,000 quotes: seconds, memory, and what each part takes of it.

The very :class:`automation.service.rebalancer.Rebalancer`, on an edge and a collection in memory: HTTP and the feeds' waiting are left out, what the service
itself does is not (models, history in SQLite, ledger, placement, what is told). The first cycle begins from nothing, the later ones are those of every day.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from automation.feeds.collection import CollectionReport
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from automation.service.translation import offer_to_wire, quote_to_wire
from benchmarks.report import Result
from domain.catalog import CATALOG, OfferRef
from domain.prices import Quote
from domain.reference import Reference
from domain.scores import Scores
from spotlane import wire

SAMPLES = 5
_SEED = 11
_START = datetime(2026, 1, 1, tzinfo=UTC)
_STEP = timedelta(minutes=15)
_DIGEST = "sha256:" + "0" * 64
_BOUNDARIES: tuple[dict[str, Any], ...] = (
    {"name": "anywhere"},
    {"name": "gdpr", "residency": {"regimes": ["gdpr"]}},
    {"name": "us", "residency": {"countries": ["US"]}},
)
_PARTS = ("collect", "record", "_close_ledger", "decide", "_keep_regrets", "propose", "_shown")
"""What a cycle is made of, in its order."""


def options(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--workloads", type=int, default=10_000)
    parser.add_argument("--offers", type=int, default=50_000, help="quotes in the book; those beyond the catalogue's are of zones made up beside its own")


def run(samples: int, arguments: argparse.Namespace) -> Result:
    """A first cycle, then ``samples`` more, a quarter of an hour apart; the median of these counts."""
    dice = random.Random(_SEED)
    market = _Market(arguments.offers, dice)
    edge = _Edge(arguments.workloads, market, dice)
    with tempfile.TemporaryDirectory(prefix="spotlane-tick-") as directory:
        history = QuoteHistory(Path(directory) / "quotes.sqlite")
        watch = FeedWatch(Path(directory) / "feeds.sqlite", timedelta(hours=6))
        service = Rebalancer(edge, market, history, 6.0, watch, lambda: market.now)  # type: ignore[arg-type]  # in memory, with the calls in use
        seconds = _metered(service, market, history)
        totals, parts = [], []
        for _ in range(samples + 1):
            seconds.clear()
            begun = time.perf_counter()
            service.tick()
            totals.append(time.perf_counter() - begun)
            parts.append(dict(seconds))
            market.later(dice)
        history.close()
        watch.close()
    middle = sorted(range(1, samples + 1), key=lambda number: totals[number])[samples // 2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    size = {"workloads": float(len(edge.held)), "offers": float(len(market.quotes_now))}
    claims = {"tick_seconds": totals[middle], "peak_gib": peak, **size}
    shares = {f"share_of_{name.strip('_')}": parts[middle].get(name, 0.0) / totals[middle] for name in _PARTS}
    others = shares | {"decisions": float(edge.decided), "slowest_tick_seconds": max(totals), "first_tick_seconds": totals[0]}
    return Result("tick", claims, samples, {"seed": _SEED, "minutes_between": _STEP.total_seconds() / 60}, others)


class _Market:
    """A collection and its book: every quote is confirmed each time, one in twenty has changed."""

    def __init__(self, count: int, dice: random.Random) -> None:
        refs = list(CATALOG.offers())
        refs = [refs[number % len(refs)] if number < len(refs) else _beside(refs[number % len(refs)], number // len(refs)) for number in range(count)]
        self.now = _START
        self.scores = Scores()
        self.reference = Reference()
        self.quotes_now = {ref: Quote(ref, dice.uniform(0.01, 0.5), dice.uniform(0.5, 1.5), "benchmark", self.now, 0.0) for ref in refs}
        self._news = list(self.quotes_now.values())

    @property
    def book(self) -> Any:
        """As the rebalancer asks it."""
        return SimpleNamespace(market_now=self.now, quotes=lambda: tuple(self.quotes_now[ref] for ref in sorted(self.quotes_now)))

    def collect(self, *_: Any) -> Any:
        """What has changed since the last time."""
        return CollectionReport(tuple(self._news), tuple(self.quotes_now.values()), (), (), frozenset({"aws"}), frozenset({"aws"}))

    def later(self, dice: random.Random) -> None:
        """A quarter of an hour passes."""
        self.now += _STEP
        changed = set(dice.sample(sorted(self.quotes_now), len(self.quotes_now) // 20))
        for ref, quote in self.quotes_now.items():
            spot = dice.uniform(0.01, 0.5) if ref in changed else quote.spot
            self.quotes_now[ref] = Quote(ref, spot, quote.on_demand, quote.source, self.now, quote.interruptions_per_hour)
        self._news = [self.quotes_now[ref] for ref in changed]


def _beside(ref: OfferRef, copy: int) -> OfferRef:
    return ref._replace(zone=f"{ref.zone}{copy}")


class _Edge:
    """What the edge holds: one tenant a boundary, workloads that serve; decisions are taken and change nothing."""

    def __init__(self, count: int, market: _Market, dice: random.Random) -> None:
        self.decided = 0
        self._tenants = [wire.Tenant(id=f"tenant{number}", boundary=document, boundary_digest=_DIGEST) for number, document in enumerate(_BOUNDARIES)]
        refs = [ref for ref in market.quotes_now if CATALOG.machine(ref.cloud, ref.instance_type).vcpu >= 2]
        self.held = [_workload(number, self._tenants[number % len(self._tenants)].id, market, dice.choice(refs)) for number in range(count)]

    def tenants(self) -> list[wire.Tenant]:
        """All."""
        return self._tenants

    def workloads(self) -> list[wire.Workload]:
        """All."""
        return self.held

    def migrations(self) -> list[wire.Migration]:
        """None: nothing moved in a month."""
        return []

    def placements(self, workload: str) -> list[wire.Placement]:
        """Of one."""
        return [one.placement for one in self.held if one.id == workload and one.placement is not None]

    def all_placements(self) -> list[wire.Placement]:
        """Of all."""
        return [one.placement for one in self.held if one.placement is not None]

    def put_prices(self, book: wire.PriceBook) -> None:
        """Taken, as the JSON that would be sent."""
        book.model_dump_json(by_alias=True)

    def put_ledger_hours(self, hours: list[wire.LedgerHour]) -> None:
        """Taken, as the JSON that would be sent."""
        for hour in hours:
            hour.model_dump_json(by_alias=True)

    def decide(self, decision: wire.Decision) -> wire.Migration:
        """Counted."""
        self.decided += 1
        return wire.Migration.model_construct(id=f"m{self.decided}", workload=decision.workload, decision=decision)


def _workload(number: int, tenant: str, market: _Market, ref: OfferRef) -> wire.Workload:
    name = f"w{number}"
    placed = wire.Placement.model_construct(
        id=f"{tenant}_{name}_1",
        workload=f"{name}-{tenant}",
        tenant=tenant,
        generation=1,
        state=wire.PlacementState.SERVING,
        offer=offer_to_wire(ref),
        origin="https://o",
        tcp_origin=None,
        quote=quote_to_wire(market.quotes_now[ref]),
        created_at=_START,
        market_created_at=_START,
        market_served_from=_START,
        market_served_until=None,
        fingerprint="a",
    )
    spec = wire.WorkloadSpec.model_validate(
        {
            "artifact": {"digest": _DIGEST, "sizeBytes": 1},
            "command": ["run"],
            "ports": {"http": 8080},
            "resources": {"vcpu": 2, "memoryGib": 4},
            "placement": {"stateGib": 5},
        }
    )
    return wire.Workload.model_construct(
        id=f"{name}-{tenant}",
        tenant=tenant,
        name=name,
        state=wire.WorkloadState.RUNNING,
        reason="",
        spec=spec,
        placement=placed,
        active_migration=None,
        generation=1,
        fingerprint="a",
        created_at=_START,
        updated_at=_START,
    )


def _metered(service: Rebalancer, market: _Market, history: QuoteHistory) -> dict[str, float]:
    """Seconds by part, while the parts are called."""
    seconds: dict[str, float] = {}

    def meter(owner: Any, name: str) -> None:
        act: Callable[..., Any] = getattr(owner, name)

        def metered(*given: Any, **named: Any) -> Any:
            begun = time.perf_counter()
            try:
                return act(*given, **named)
            finally:
                seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun

        setattr(owner, name, metered)

    owners = (market, history, service, service._cycles, service._proposals)
    for name in _PARTS:
        meter(next(one for one in owners if hasattr(one, name)), name)
    return seconds
