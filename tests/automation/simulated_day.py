"""A day of the daemon in minutes of ours: its clock is passed in, feeds, edge and service fail by seeded chance, and what must hold is checked at each step.

The very :class:`Rebalancer` and :class:`Collection`; feeds and edge are fakes that keep state. ``Day.step`` is one minute.
"""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from automation.errors import NothingToMove
from automation.feeds.book import Book
from automation.feeds.collection import Collection
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory, offer_id
from automation.service.rebalancer import Rebalancer
from automation.service.translation import offer_to_wire, quote_from_wire
from automation.settings import PROJECT_ROOT
from domain.catalog import CATALOG, CLOUDS, CloudName, OfferRef
from domain.ports import FeedError, FeedReport, Scope
from domain.prices import Price, Quote, Unknown, known
from spotlane import wire
from spotlane.errors import SpotlaneError, Unreachable
from tests.automation.test_redeploys import workload

M = TypeVar("M", bound=wire.Wire)
START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LIMIT_HOURS = 6.0
_DIGEST = "sha256:" + "0" * 64
_REGIONS = {"aws": ("eu-west-1", "eu-central-1"), "azure": ("westeurope", "northeurope"), "gcp": ("europe-west4", "europe-west1")}
_TYPES = {"aws": "m5.large", "azure": "Standard_D2s_v5", "gcp": "n2-standard-2"}
_TENANTS = ("acme", "globex", "initech")


@dataclass
class Chances:
    """Of each minute; lengths are means in minutes, drawn exponentially."""

    feed_fails: float = 0.01
    feed_minutes: float = 150.0
    edge_fails: float = 0.004
    edge_minutes: float = 25.0
    call_fails: float = 0.003
    """Of each call of the edge: what comes after it in its cycle is not done."""
    crashes: float = 0.003
    interruptions: float = 0.02
    price_changes: float = 0.05
    unsold: float = 0.0
    """Of each offer: for some hours nobody tells its price."""


@dataclass
class Outages:
    """Begin by chance and last a while."""

    dice: random.Random
    chance: float
    minutes: float
    until: datetime = datetime.min.replace(tzinfo=UTC)
    count: int = 0

    def out(self, now: datetime) -> bool:
        """Whether one lasts at ``now``; may begin one."""
        if now < self.until:
            return True
        if self.dice.random() < self.chance:
            self.count += 1
            self.until = now + MINUTE * max(1.0, self.dice.expovariate(1 / self.minutes))
            return True
        return False


class Feed:
    """Prices of one cloud, that walk; while it is out no region answers. Keeps when it last confirmed any."""

    def __init__(self, cloud: CloudName, day: Day) -> None:
        self.cloud = cloud
        self.scope = Scope()
        self._day = day
        self.outages = Outages(day.dice, day.chances.feed_fails, day.chances.feed_minutes)
        refs = [ref for ref in CATALOG.offers() if ref.cloud == cloud and ref.region in _REGIONS[cloud] and ref.instance_type == _TYPES[cloud]]
        self.spot = {ref: day.dice.uniform(0.02, 0.06) for ref in refs}
        self.unsold_until: dict[OfferRef, datetime] = {}
        self._silence = random.Random(day.seed)
        """Of its own, so that days without such hours stay as they were."""
        self.confirmed_at: datetime | None = None

    def collect(self, now: datetime) -> FeedReport:
        if self.outages.out(now):
            return FeedReport(self.cloud, None, errors=(FeedError(self.cloud, "*", "unavailable", "out"),))
        for ref in self.spot:
            if self._day.chances.unsold and self._silence.random() < self._day.chances.unsold:
                self.unsold_until[ref] = now + HOUR * self._silence.uniform(1, 6)
            if self._day.dice.random() < self._day.chances.price_changes:
                self.spot[ref] = min(0.09, max(0.01, self.spot[ref] * self._day.dice.uniform(0.6, 1.6)))
        self.confirmed_at = now
        return FeedReport(self.cloud, now, tuple(Quote(ref, self.told(ref, now), 0.1, "simulated", now, 0.01) for ref in self.spot))

    def told(self, ref: OfferRef, now: datetime) -> Price:
        """The price that it tells of an offer."""
        return Unknown("nobody told it") if now < self.unsold_until.get(ref, now) else self.spot[ref]


@dataclass
class Edge:
    """Holds tenants, workloads, placements, migrations and the ledger; a decision is carried out at once. ``faults`` gathers what must never happen."""

    day: Day
    outages: Outages
    held: dict[str, wire.Workload] = field(default_factory=dict)
    placed: dict[str, list[wire.Placement]] = field(default_factory=dict)
    moved: list[wire.Migration] = field(default_factory=list)
    ledger: dict[tuple[str, datetime], wire.LedgerHour] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    book: dict[str, float | None] = field(default_factory=dict)
    """Spot prices by offer, as they were put."""
    kinds: dict[str, int] = field(default_factory=dict)
    reliable: bool = False

    def _call(self) -> None:
        if not self.reliable and (self.outages.out(self.day.now) or self.day.dice.random() < self.day.chances.call_fails):
            raise Unreachable("edge API", "http://api", "refused", "start it")

    def tenants(self) -> list[wire.Tenant]:
        self._call()
        return [wire.Tenant(id=one, boundary={"name": one, "residency": {"regimes": ["gdpr"]}}, boundary_digest=_DIGEST) for one in _TENANTS]

    def workloads(self) -> list[wire.Workload]:
        self._call()
        return list(self.held.values())

    def migrations(self) -> list[wire.Migration]:
        self._call()
        return self.moved[::-1]

    def migration(self, migration: str) -> wire.Migration:
        self._call()
        return next(one for one in self.moved if one.id == migration)

    def placements(self, workload: str) -> list[wire.Placement]:
        self._call()
        return list(self.placed.get(workload, ()))

    def all_placements(self) -> list[wire.Placement]:
        self._call()
        return [one for ones in self.placed.values() for one in ones]

    def put_prices(self, book: wire.PriceBook) -> None:
        self._call()
        self.book.update((offer_id(one.offer), one.spot_usd_per_hour) for one in book.quotes)

    def put_ledger_hours(self, hours: list[wire.LedgerHour]) -> None:
        self._call()
        for hour in map(_received, hours):
            known = self.ledger.setdefault((hour.placement, hour.hour), hour)
            if known != hour:
                self.faults.append(f"{self.day.now}: other figures for {hour.placement} at {hour.hour}: {known.paid_usd}, {hour.paid_usd}")

    def decide(self, decision: wire.Decision) -> wire.Migration:
        self._call()
        decision = _received(decision)
        held, now = self.held[decision.workload], self.day.now
        assert decision.offer is not None
        self.kinds[decision.kind] = self.kinds.get(decision.kind, 0) + 1
        if decision.kind == "move":
            # By the simulator's own knowledge, not by the evidence: both what is left and what is gone to were confirmed within the limit.
            for cloud in {decision.offer.cloud, held.placement.offer.cloud if held.placement else decision.offer.cloud}:
                confirmed = self.day.feeds[cloud].confirmed_at
                if confirmed is None or now - confirmed > timedelta(hours=LIMIT_HOURS):
                    self.faults.append(f"{now}: {decision.workload} moved by prices of {cloud} that were last confirmed at {confirmed}")
        generation = held.generation + 1
        old = [
            one.model_copy(update={"state": wire.PlacementState.DESTROYED, "market_served_until": one.market_served_until or now})
            for one in self.placed.get(held.id, ())
        ]
        assert decision.evidence is not None
        made = wire.Placement.model_validate(
            {"id": f"{held.tenant}_{held.name}_{generation}", "workload": held.id, "tenant": held.tenant, "generation": generation, "state": "SERVING"}
            | {"offer": decision.offer, "origin": "https://o", "tcpOrigin": None, "quote": decision.evidence.quote, "createdAt": now, "marketCreatedAt": now}
            | {"marketServedFrom": now, "fingerprint": "a"}
        )
        self.placed[held.id] = [*old, made]
        self.held[held.id] = held.model_copy(update={"placement": made, "generation": generation, "state": wire.WorkloadState.RUNNING})
        done = wire.Migration.model_validate(
            {"id": made.id, "workload": held.id, "tenant": held.tenant, "generation": generation, "kind": decision.kind, "step": "done", "status": "succeeded"}
            | {"fencingToken": generation, "fromPlacement": decision.from_placement, "routeVersion": generation, "error": None, "startedAt": now}
            | {"finishedAt": now, "decision": decision}
        )
        self.moved.append(done)
        return done


def _received(sent: M) -> M:
    """As it comes out of the wire: what a service sends doesn't live on at the edge."""
    return type(sent).model_validate_json(sent.model_dump_json(by_alias=True))


@dataclass
class Day:
    """The world and the service in it. ``directory`` keeps the service's history over its crashes."""

    directory: Path
    seed: int
    workloads: int = 30
    chances: Chances = field(default_factory=Chances)
    now: datetime = START
    crashed: int = 0
    cycles: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.feeds: dict[str, Feed] = {cloud: Feed(cloud, self) for cloud in CLOUDS}
        self.edge = Edge(self, Outages(self.dice, self.chances.edge_fails, self.chances.edge_minutes))
        for number in range(self.workloads):
            tenant = _TENANTS[number % len(_TENANTS)]
            blank = workload("a", None)
            changed: dict[str, Any] = {
                "id": f"w{number}-{tenant}",
                "tenant": tenant,
                "name": f"w{number}",
                "state": wire.WorkloadState.PENDING,
                "generation": 0,
            }
            self.edge.held[f"w{number}-{tenant}"] = blank.model_copy(update=changed)
        self._start()

    def _start(self) -> None:
        clock: Callable[[], datetime] = lambda: self.now  # noqa: E731  # the day's, which goes on
        self.history = QuoteHistory(self.directory / "quotes.sqlite")
        self.watch = FeedWatch(self.directory / "feeds.sqlite", timedelta(hours=LIMIT_HOURS))
        restored = Book(quote_from_wire(quote) for quote in self.history.latest())
        collection = Collection(list(self.feeds.values()), restored, clock, timedelta(hours=LIMIT_HOURS / 2))
        self.service = Rebalancer(self.edge, collection, self.history, LIMIT_HOURS, self.watch, clock)  # type: ignore[arg-type]  # the calls in use

    def step(self) -> None:
        """One minute: perhaps a crash, perhaps an interruption, and a cycle."""
        self.now += MINUTE
        if self.dice.random() < self.chances.crashes:
            self.crashed += 1
            self.history.close()
            self.watch.close()
            self._start()
        if self.dice.random() < self.chances.interruptions:
            self._interrupt()
        try:
            self.service.chase()
            self.service.tick()
            self.cycles += 1
            self.unclosed()
            self.untold()
        except (SpotlaneError, NothingToMove):  # away, or no prices yet
            self.failed += 1

    def _interrupt(self) -> None:
        running = [one for one in self.edge.held.values() if one.placement is not None]
        if not running:
            return
        victim = self.dice.choice(running).placement
        assert victim is not None
        notice = {"placement": victim.id, "kind": "interruption", "deadline": self.now + 2 * MINUTE, "detail": "the market took it back"}
        try:
            self.service.incident(wire.Incident.model_validate(notice))
        except (SpotlaneError, NothingToMove):
            return  # it is kept, and chased with the next cycle

    def untold(self) -> None:
        """After a whole cycle the edge has the price of every offer that a feed confirmed in it."""
        for feed in self.feeds.values():
            if feed.confirmed_at == self.now:
                told = {offer_id(offer_to_wire(ref)): known(feed.told(ref, self.now)) for ref in feed.spot}
                wrong = [one for one in told if self.edge.book.get(one) != told[one]]
                self.edge.faults += [f"{self.now}: the edge has {self.edge.book.get(one)} for {one}, it is {told[one]}" for one in wrong]

    def unclosed(self) -> None:
        """After a whole cycle: every hour that a placement served and that has ended by the market's clock is in the ledger, with all of its seconds."""
        told = max((feed.confirmed_at for feed in self.feeds.values() if feed.confirmed_at is not None), default=None)
        if told is None:
            return
        for placement in (one for ones in self.edge.placed.values() for one in ones):
            served_from, served_until = placement.market_served_from, placement.market_served_until
            assert served_from is not None
            hour = served_from.replace(minute=0, second=0, microsecond=0)
            last = served_until or told
            while hour < last:
                begin, end = max(hour, served_from), min(hour + HOUR, served_until or hour + HOUR)
                if end > begin and end <= told and self._known_by(placement, told, end):
                    row = self.edge.ledger.get((placement.id, hour))
                    if row is None and (told >= hour + 2 * HOUR or self._priced(placement, begin)):
                        self.edge.faults.append(f"{self.now}: {placement.id} has no close of {hour}")
                    elif row is not None and abs(row.seconds - (end - begin).total_seconds()) > 1e-6:
                        self.edge.faults.append(f"{self.now}: {placement.id} at {hour}: {row.seconds} s of {(end - begin).total_seconds()}")
                hour += HOUR

    def _priced(self, placement: wire.Placement, begin: datetime) -> bool:
        """Whether every price of the hour is known; one that isn't may be waited for until an hour after its end."""
        mine = sorted(self.placed_by(placement.workload), key=lambda one: one.generation)
        before = [one for one in mine if one.generation < placement.generation][-1:]
        quotes = [self.history.in_force(one.offer, begin) for one in (placement, mine[0], *before)]
        return all(quote is not None and quote.spot_usd_per_hour is not None for quote in quotes)

    def placed_by(self, workload: str) -> list[wire.Placement]:
        """Every placement of a workload."""
        return self.edge.placed[workload]

    def _known_by(self, placement: wire.Placement, told: datetime, end: datetime) -> bool:
        """What ended in this very cycle is closed by the next one: the ledger closes before decisions are carried out."""
        return placement.market_served_until is None or self.now - placement.market_served_until >= MINUTE

    def settle(self) -> None:
        """Everything answers again; two cycles."""
        self.edge.reliable = True
        for feed in self.feeds.values():
            feed.outages.chance, feed.outages.until = 0.0, self.now
        self.chances.crashes = self.chances.interruptions = 0.0
        for _ in range(2):
            self.step()


def held_bytes() -> int:
    """Memory that the service's own modules hold, by tracemalloc."""
    gc.collect()
    rooms = [tracemalloc.Filter(True, f"{PROJECT_ROOT / room}/*") for room in ("automation", "domain")]
    return sum(one.size for one in tracemalloc.take_snapshot().filter_traces(rooms).statistics("filename"))
