"""The market of the local cloud: prices, capacity and interruptions at any moment of its clock, with what was done to it on purpose.

A pool that loses its capacity takes its running machines back. Prices and capacity are functions of seed and moment.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from domain.catalog import OfferRef
from localcloud.market.capacity import Capacity, bucket
from localcloud.market.clock import KEEP_SECONDS, Clock, Reading
from localcloud.market.events import Event, event, from_document
from localcloud.market.model import ModelSource
from localcloud.market.replay import ReplaySource
from localcloud.market.source import Change, Floats, PriceSource, pool_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MarketSettings:
    """What the market plays. ``source`` is a recording (None: the seeded model), ``speed`` market seconds per wall second, ``start`` its first moment."""

    seed: int = 1
    speed: float = 60.0
    start: datetime | None = None
    source: Path | None = None
    running: bool = True


@dataclass(frozen=True, slots=True)
class Reclaim:
    """A pool takes its machines back; a part that is None means all of them."""

    cloud: str
    region: str | None = None
    zone: str | None = None
    instance_type: str | None = None

    def takes(self, cloud: str, region: str, zone: str, instance_type: str) -> bool:
        """Whether a machine there is taken."""
        mine = (self.cloud, self.region, self.zone, self.instance_type)
        return all(part is None or part == given for part, given in zip(mine, (cloud, region, zone, instance_type), strict=True))


class Market:
    """Made by :meth:`open`. Safe to use from several threads."""

    def __init__(self, home: Path, source: PriceSource, seed: int, clock: Clock, events: list[Event], identity: dict[str, Any]) -> None:
        self._home = home
        self._clock = clock
        self._seed = seed
        self._events = events
        self._identity = identity
        self._lock = threading.RLock()
        self._callbacks: list[Callable[[Reclaim], None]] = []
        self._stop = threading.Event()
        self._watcher: threading.Thread | None = None
        self._polled = clock.seconds()
        self._capacity = Capacity(seed)
        self.source = source

    @classmethod
    def open(cls, home: Path, settings: MarketSettings, monotonic: Callable[[], float] = time.monotonic) -> Market:
        """The market kept in ``home``, or a new one there if that plays something else. Raises :class:`RecordingError` for a bad file."""
        home.mkdir(parents=True, exist_ok=True)
        source: PriceSource = ModelSource(settings.seed) if settings.source is None else _replay(settings.source)
        start = source.starts_at if settings.start is None else settings.start
        identity = {
            "seed": settings.seed,
            "source": None if settings.source is None else str(settings.source.resolve()),
            "start": start.timestamp(),
        }
        kept = _load(home / "state.json")
        if kept is not None and kept["identity"] == identity:
            reading, events = Reading(**kept["clock"]), [from_document(one) for one in kept["events"]]
        else:
            reading, events = Reading(start.timestamp(), settings.speed, settings.running), []
        market = cls(home, source, settings.seed, Clock(reading, monotonic), events, identity)
        market.keep()
        return market

    # The clock

    def now(self) -> datetime:
        """The market's time."""
        return self._clock.now()

    def set_clock(self, speed: float | None = None, running: bool | None = None, advance_to: datetime | None = None) -> None:
        """Sets speed, pauses or resumes, jumps forward. Raises :class:`ClockError`."""
        self._clock.set(speed, running, advance_to)
        self.keep()
        self.poll()

    def advance(self, seconds: float) -> None:
        """Jumps forward by market seconds."""
        self.set_clock(advance_to=datetime.fromtimestamp(self._clock.seconds() + seconds, UTC))

    def describe(self) -> dict[str, Any]:
        """``now``, ``speed``, ``running``, ``source``, ``ends_at`` as the control API shows them."""
        ends = self.source.ends_at
        return {
            "now": self.now().isoformat(),
            "speed": self._clock.speed,
            "running": self._clock.running,
            "source": self.source.name,
            "ends_at": None if ends is None else ends.isoformat(),
        }

    # Prices and capacity now

    def spot_price(self, cloud: str, region: str, zone: str, instance_type: str) -> float | None:
        """USD/h; None where the market doesn't sell the type."""
        return self._price(OfferRef(cloud, region, zone, instance_type), self.spot)

    def on_demand_price(self, cloud: str, region: str, zone: str, instance_type: str) -> float | None:
        """USD/h; None where the market doesn't price the type."""
        return self._price(OfferRef(cloud, region, zone, instance_type), self.on_demand)

    def has_capacity(self, cloud: str, region: str, zone: str, instance_type: str) -> bool:
        """Whether a spot machine of the type would be given out in the zone."""
        ref = OfferRef(cloud, region, zone, instance_type)
        return self.spot_price(*ref) is not None and self._gives(ref)

    def likelihood(self, ref: OfferRef) -> float:
        """How likely a request for a spot machine of an offer of the catalogue is met now, as its cloud would score it: 0 while it has none."""
        return self._capacity.likelihood(ref) if self._gives(ref) else 0.0

    def interruption_bucket(self, region: str, instance_type: str) -> int:
        """The Spot Advisor's bucket of an AWS pool, 0 (rare) to 4."""
        return bucket(self._seed, "aws", region, instance_type)

    # Prices at any moment, by region

    def pools(self, cloud: str, region: str) -> tuple[OfferRef, ...]:
        """The pools that a region prices."""
        return self.source.pools(cloud, region)

    def spot(self, cloud: str, region: str, at: float) -> Floats:
        """USD/h of each pool at a moment, with the repricings in force."""
        prices = self.source.spot(cloud, region, at)
        for one in self._of("repricing", cloud, region):
            if one.holds(at):
                prices = prices * np.array([one.factor if one.concerns(ref) else 1.0 for ref in self.pools(cloud, region)], dtype=np.float64)
        return prices

    def since(self, cloud: str, region: str, at: float) -> Floats:
        """When each pool's price in force took effect, seconds since the epoch."""
        began = self.source.since(cloud, region, at)
        for one in self._of("repricing", cloud, region):
            for moment in _edges(one, at):
                concerned = np.array([one.concerns(ref) for ref in self.pools(cloud, region)], dtype=np.bool_)
                began = np.where(concerned, np.maximum(began, moment), began)
        return began

    def on_demand(self, cloud: str, region: str, at: float) -> Floats:
        """USD/h of each pool's type on demand."""
        return self.source.on_demand(cloud, region, at)

    def changes(self, cloud: str, region: str, start: float, end: float) -> list[Change]:
        """Every change of a spot price in (start, end], oldest first."""
        repricings = self._of("repricing", cloud, region)
        if not repricings:
            return self.source.changes(cloud, region, start, end)
        found = {
            (one.pool, one.at): Change(one.pool, one.at, one.usd_per_hour * self._factor(one.pool, one.at, repricings))
            for one in self.source.changes(cloud, region, start, end)
        }
        for repricing in repricings:
            for moment in _edges(repricing, end):
                if moment > start:
                    prices = self.spot(cloud, region, moment)
                    for ref, price in zip(self.pools(cloud, region), prices, strict=True):
                        if repricing.concerns(ref) and not np.isnan(price):
                            found[ref, moment] = Change(ref, moment, float(price))
        return sorted(found.values(), key=lambda change: (change.at, change.pool))

    # What the price APIs answer with

    def feed_time(self, cloud: str, region: str | None) -> float | None:
        """The moment as of which the price API of a region (None: one for all regions) answers; None while it is out."""
        at = self._clock.seconds()
        with self._lock:
            meant = [one for one in self._events if one.holds(at) and one.answers_for(cloud, region)]
        if any(one.kind == "feed_outage" for one in meant):
            return None
        return min([at, *(one.at for one in meant if one.kind == "feed_delay")])

    # Events

    def inject(self, document: dict[str, Any]) -> Event:
        """Does something to the market, from now on. Raises :class:`EventError` with every fault."""
        made = event(document, float(int(self._clock.seconds())))
        with self._lock:
            self._events.append(made)
        self.keep()
        if made.kind == "interruption":
            self._tell(Reclaim(made.cloud, made.region, made.zone, made.instance_type))
        return made

    def on_interruption(self, callback: Callable[[Reclaim], None]) -> None:
        """Calls back when a pool takes its machines back; from the thread of :meth:`poll` or :meth:`inject`."""
        self._callbacks.append(callback)

    def poll(self) -> None:
        """Tells of the pools that lost their capacity since the last call, but for those that time passes too fast for (adr/0008)."""
        with self._lock:
            before, self._polled = self._polled, self._clock.seconds()
        for ref in self._capacity.lost(before, self._polled, self._clock.speed):
            if not self._meant(ref, "plenty"):
                self._tell(Reclaim(*ref))

    def start(self) -> None:
        """Polls and keeps the clock in a thread of its own until :meth:`close`."""
        self._watcher = threading.Thread(target=self._watch, name="market", daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stops the thread and keeps the clock's exact reading."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
        self.keep(ahead=False)

    def keep(self, ahead: bool = True) -> None:
        """Writes clock and events, so that a restart goes on."""
        with self._lock:
            document = {
                "identity": self._identity,
                "clock": asdict(self._clock.reading(ahead)),
                "events": [one.document() for one in self._events],
            }
            path = self._home / "state.json"
            draft = path.with_suffix(".draft")
            draft.write_text(json.dumps(document, indent=1))
            os.replace(draft, path)

    def _watch(self) -> None:
        while not self._stop.wait(KEEP_SECONDS):
            self.keep()
            self.poll()

    def _tell(self, reclaim: Reclaim) -> None:
        for callback in self._callbacks:
            callback(reclaim)

    def _gives(self, ref: OfferRef) -> bool:
        return not self._meant(ref, "outage", "interruption") and (self._meant(ref, "plenty") or self._capacity.has(ref, self._clock.seconds()))

    def _meant(self, ref: OfferRef, *kinds: str) -> bool:
        """Whether an event of these kinds is in force for the offer now."""
        at = self._clock.seconds()
        with self._lock:
            return any(one.kind in kinds and one.holds(at) and one.concerns(ref) for one in self._events)

    def _of(self, kind: str, cloud: str, region: str) -> list[Event]:
        with self._lock:
            return [one for one in self._events if one.kind == kind and one.cloud == cloud and one.region in (None, region)]

    def _factor(self, ref: OfferRef, at: float, repricings: list[Event]) -> float:
        factors = [one.factor for one in repricings if one.factor is not None and one.holds(at) and one.concerns(ref)]
        return float(np.prod(factors))

    def _price(self, ref: OfferRef, figures_of: Callable[[str, str, float], Floats]) -> float | None:
        pool, pools = pool_of(ref), self.pools(ref.cloud, ref.region)
        if pool not in pools or (ref.cloud != "aws" and not self._capacity.knows(ref)):
            return None
        price = float(figures_of(ref.cloud, ref.region, self._clock.seconds())[pools.index(pool)])
        return None if np.isnan(price) else price


def _replay(path: Path) -> ReplaySource:
    source = ReplaySource(path)
    for note in source.notes:
        _log.warning("%s: %s", path, note)
    return source


def _edges(repricing: Event, until: float) -> list[float]:
    """The moments at which a repricing begins and ends, as far as they have come."""
    ends = [] if repricing.duration_seconds is None else [repricing.at + repricing.duration_seconds]
    return [moment for moment in (repricing.at, *ends) if moment <= until]


def _load(path: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return document
