"""Hours of the daemon over zones whose capacity comes and goes: the very :class:`Rebalancer`, an edge that takes its time, and what was ready and paid.

A step is a minute. A request for a machine where there is no more capacity fails at once; a machine serves two minutes after it was asked for. One that is
taken back is gone without notice, and the service is told until it is replaced. The capacity is passed in, by zone and minute, for all types together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from automation.feeds.collection import CollectionReport
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from domain.catalog import CATALOG, CloudName, OfferRef
from domain.prices import Quote
from domain.reference import Reference
from domain.scores import Scores
from spotlane import wire
from spotlane.errors import ApiProblem
from tests.automation.test_redeploys import workload

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COLD = 2 * MINUTE
SPOT, ON_DEMAND = 0.02, 0.06
ZONES: tuple[tuple[CloudName, str, str], ...] = tuple(("aws", region, f"{region}{letter}") for region in ("eu-west-1", "eu-central-1") for letter in "abc")
TYPES = tuple(one.name for one in CATALOG.machine_list if one.cloud == "aws" and one.arch == "x86_64" and one.memory_gib >= 4 and not one.gpu)[:5]
_REFUSED = "api error InsufficientInstanceCapacity: none left"
_DIGEST = "sha256:" + "0" * 64


@dataclass
class Prices:
    """A collection whose prices never change, on the world's clock."""

    world: World
    reference: Reference = field(default_factory=Reference)
    scores: Scores = field(default_factory=Scores)

    @property
    def book(self) -> Any:
        return SimpleNamespace(market_now=self.world.now, quotes=self.quotes)

    def quotes(self) -> tuple[Quote, ...]:
        return tuple(
            Quote(ref, SPOT, ON_DEMAND, "test", self.world.now, 0.0002) for zone in self.world.zones for ref in (OfferRef(*zone, kind) for kind in TYPES)
        )

    def collect(self, *_: Any) -> CollectionReport:
        quotes = self.quotes()
        return CollectionReport(quotes, quotes, (), (), frozenset({"aws"}), frozenset({"aws"}))


@dataclass
class Made:
    """A machine: dead once its cloud has taken it back."""

    placement: wire.Placement
    serves_at: datetime
    dead: bool = False


@dataclass
class World:
    """The zones, the edge with one workload, and the service."""

    directory: Path
    rules: dict[str, Any]
    capacity: Callable[[int, int], int]
    """(zone, minute) to machines that may be had."""
    zones: Sequence[tuple[CloudName, str, str]] = ZONES
    now: datetime = START
    minute: int = 0
    machines: dict[str, Made] = field(default_factory=dict)
    moved: list[wire.Migration] = field(default_factory=list)
    generation: int = 0
    first: str | None = None
    paid: float = 0.0
    steps: int = 0
    enough: int = 0
    most: int = 0
    losses: int = 0

    def __post_init__(self) -> None:
        self.blank = workload("a", None)
        self.start()

    def start(self) -> None:
        """A service that knows nothing but what the edge keeps."""
        self.history = QuoteHistory(self.directory / f"quotes-{self.minute}.sqlite")
        self.watch = FeedWatch(self.directory / f"feeds-{self.minute}.sqlite", timedelta(hours=6))
        self.service = Rebalancer(self, Prices(self), self.history, 6.0, self.watch, lambda: self.now)  # type: ignore[arg-type]  # the calls in use

    def stop(self) -> None:
        self.history.close()
        self.watch.close()

    # What the service asks of the edge

    def tenants(self) -> list[wire.Tenant]:
        return [wire.Tenant(id="acme", boundary={"name": "acme", "residency": {"regimes": ["gdpr"]}}, boundary_digest=_DIGEST)]

    def workloads(self) -> list[wire.Workload]:
        held = {name: one.placement for name, one in self.machines.items() if one.placement.state is wire.PlacementState.SERVING}
        first = held.get(self.first or "")
        lost = self.first in self.machines and self.machines[self.first or ""].dead
        state = wire.WorkloadState.PENDING if first is None else wire.WorkloadState.INTERRUPTED if lost else wire.WorkloadState.RUNNING
        rules = self.blank.spec.placement.model_copy(update=self.rules)
        changes = {"spec": self.blank.spec.model_copy(update={"placement": rules}), "placement": first, "state": state, "active_migration": self.active}
        return [self.blank.model_copy(update=changes | {"further": [one for name, one in held.items() if name != self.first], "generation": self.generation})]

    def migrations(self) -> list[wire.Migration]:
        return self.moved[::-1]

    def placements(self, _: str) -> list[wire.Placement]:
        return [one.placement for one in self.machines.values()]

    def put_prices(self, _: wire.PriceBook) -> None:
        """Taken."""

    def put_ledger_hours(self, _: list[wire.LedgerHour]) -> None:
        """Taken."""

    def decide(self, decision: wire.Decision) -> wire.Migration:
        at_work = self.at_work
        beside = all(one.kind == "interruption" and one.from_placement != decision.from_placement for one in at_work)
        if at_work and (decision.kind != "interruption" or (at_work[0].kind == "interruption" and not beside)):
            raise ApiProblem(wire.Problem(type="https://spotlane.dev/problems/lease-held", title="moving already", status=409))
        if at_work and not beside:
            self._end(at_work[0].id, "it gave way to a machine of the workload that goes")
        self.generation += 1
        ident = f"acme_web_{self.generation}"
        known = {"id": ident, "workload": "web-acme", "tenant": "acme", "generation": self.generation, "kind": decision.kind, "step": "provision"}
        known |= {"status": "running", "fencingToken": 1, "fromPlacement": decision.from_placement, "routeVersion": None, "error": None}
        migration = wire.Migration.model_validate(known | {"startedAt": self.now, "finishedAt": None, "decision": decision})
        self.moved.append(migration)
        if decision.kind == "retire":
            self._left(decision.from_placement or "")
            self._end(ident, None)
            return migration
        assert decision.offer is not None and decision.evidence is not None
        if decision.capacity == "spot" and self._held(decision.offer) >= self._free(decision.offer):
            self._end(ident, _REFUSED)
            return migration
        made = wire.Placement.model_validate(
            {"id": ident, "workload": "web-acme", "tenant": "acme", "generation": self.generation, "state": "PROVISIONING", "offer": decision.offer}
            | {"origin": "https://o", "tcpOrigin": None, "quote": decision.evidence.quote, "createdAt": self.now, "marketCreatedAt": self.now}
            | {"fingerprint": "a", "capacity": decision.capacity}
        )
        self.machines[ident] = Made(made, self.now + COLD)
        return migration

    # What happens meanwhile

    def step(self) -> None:
        """A minute: what is taken back, what is ready, a cycle, and the count."""
        self.now += MINUTE
        self.minute += 1
        for zone in self.zones:
            self._take_back(zone)
        while self.at_work and self.machines[self.at_work[0].id].serves_at <= self.now:
            self._serve(self.at_work[0].id)
        for name, one in list(self.machines.items()):
            if one.dead and one.placement.state is wire.PlacementState.SERVING:
                self.service.incident(wire.Incident(placement=name, kind="interruption", deadline=self.now, detail="taken back"))
        self.service.tick()
        alive = [one for one in self.machines.values() if not one.dead and one.placement.state is not wire.PlacementState.DESTROYED]
        serving = [one for one in alive if one.placement.state is wire.PlacementState.SERVING]
        self.paid += sum(SPOT if one.placement.capacity == "spot" else ON_DEMAND for one in alive) / 60
        self.steps += 1
        self.enough += len(serving) >= self.rules["replicas"]
        self.most = max(self.most, len(serving))

    @property
    def at_work(self) -> list[wire.Migration]:
        """What isn't at its end, in the order in which it commits: rescues of several machines make theirs at once."""
        return [one for one in self.moved if one.status == "running"]

    @property
    def active(self) -> str | None:
        """The migration at work on the workload."""
        return next((one.id for one in self.at_work), None)

    @property
    def availability(self) -> float:
        """The share of minutes in which enough machines served."""
        return self.enough / self.steps

    @property
    def cost(self) -> float:
        """Of what as many machines on demand as asked for would have cost."""
        return self.paid / (self.rules["replicas"] * ON_DEMAND * self.steps / 60)

    def _free(self, offer: Any) -> int:
        return self.capacity([zone[2] for zone in self.zones].index(offer.zone), self.minute)

    def _held(self, offer: Any) -> int:
        gone = wire.PlacementState.DESTROYED
        mine = [one for one in self.machines.values() if not one.dead and one.placement.state is not gone and one.placement.capacity == "spot"]
        return sum(1 for one in mine if one.placement.offer.zone == offer.zone)

    def _take_back(self, zone: tuple[CloudName, str, str]) -> None:
        gone = wire.PlacementState.DESTROYED
        mine = [one for one in self.machines.values() if one.placement.offer.zone == zone[2] and one.placement.capacity == "spot"]
        alive = [one for one in mine if not one.dead and one.placement.state is not gone]
        for one in alive[self.capacity(self.zones.index(zone), self.minute) :]:
            self.losses += 1
            one.dead = True
            if any(each.id == one.placement.id for each in self.at_work):
                self._end(one.placement.id, _REFUSED)

    def _serve(self, name: str) -> None:
        migration = next(one for one in self.moved if one.id == name)
        one = self.machines[name]
        one.placement = one.placement.model_copy(update={"state": wire.PlacementState.SERVING, "market_served_from": self.now})
        left = migration.from_placement
        if self.first is None or left == self.first:
            self.first = name
        if left is not None:
            self._left(left)
        self._end(name, None)

    def _left(self, name: str) -> None:
        one = self.machines[name]
        one.placement = one.placement.model_copy(update={"state": wire.PlacementState.DESTROYED, "market_served_until": self.now})
        if self.first == name:
            others = (each for each, made in self.machines.items() if made.placement.state is wire.PlacementState.SERVING)
            self.first = next(others, None)

    def _end(self, name: str, error: str | None) -> None:
        at = next(number for number, one in enumerate(self.moved) if one.id == name)
        status = "succeeded" if error is None else "failed"
        changes = {
            "status": status,
            "error": error,
            "finished_at": self.now,
            "step": wire.MigrationStep.DONE if error is None else wire.MigrationStep.COMPENSATED,
        }
        self.moved[at] = self.moved[at].model_copy(update=changes)
        if error is not None and name in self.machines:
            made = self.machines[name]
            made.placement = made.placement.model_copy(update={"state": wire.PlacementState.DESTROYED})


def bursts(seed: int, minutes: int, calm: float = 150.0, rough: float = 30.0) -> Callable[[int, int], int]:
    """Capacity by zone: two machines in calm spells, none or one from minute to minute in rough ones; lengths in minutes are means, drawn exponentially."""
    dice = random.Random(seed)
    table: list[list[int]] = []
    for _ in ZONES:
        row: list[int] = []
        while len(row) <= minutes:
            row += [2] * max(1, int(dice.expovariate(1 / calm)))
            row += [dice.choice([0, 0, 1]) for _ in range(max(1, int(dice.expovariate(1 / rough))))]
        table.append(row)
    return lambda zone, minute: table[zone][minute]
