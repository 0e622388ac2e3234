"""The demo's plot, told to the local market: prices move, an interruption comes, a move that would leave a boundary is refused.

Each scene waits for what it needs to see (never for a fixed time) and gives up at its limit, so that a slow machine tells the same story.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from demo.cast import CAST, Part
from demo.stage import Stage
from spotlane import wire
from spotlane.client import AutomationClient, Client
from spotlane.errors import ApiProblem, StillRunning
from spotlane.exchange import TransportError
from spotlane.transport import client

_POLL_SECONDS = 0.3
_MARKET_DAY = 86_400.0
_FOREIGN = wire.OfferRef(cloud="aws", region="us-east-1", zone="us-east-1a", instance_type="m5.large")


@dataclass
class Plot:
    """What happened, for the report."""

    refusals: list[str] = field(default_factory=list)
    interrupted: list[str] = field(default_factory=list)


@dataclass
class Director:
    """Runs the scenes."""

    stage: Stage
    edge: Client
    automation: AutomationClient
    tell: Callable[[str], None]
    plot: Plot = field(default_factory=Plot)

    def wait(self, what: str, seconds: float, seen: Callable[[], bool]) -> None:
        """Waits until ``seen``. Raises :class:`StillRunning`."""
        limit = time.monotonic() + seconds
        while not seen():
            if time.monotonic() > limit:
                raise StillRunning(what, seconds)
            time.sleep(_POLL_SECONDS)

    def running(self, part: Part) -> bool:
        """Whether the part's workload serves and nothing of it moves."""
        return self.serves(part.id)

    def serves(self, workload: str) -> bool:
        """Whether a workload serves and nothing of it moves."""
        one = self.edge.workload(workload)
        return one.state is wire.WorkloadState.RUNNING and one.active_migration is None

    def quiet(self, part: Part, limit: float) -> None:
        """Waits until the part's workload serves and nothing of it moves. Raises :class:`StillRunning`."""
        self.wait(f"a quiet moment of {part.id}", limit, lambda: self.running(part))

    def first_url(self, limit: float) -> str:
        """The address of the first workload that answers at it, whichever is first. Raises :class:`StillRunning`."""
        found: list[str] = []

        def answers() -> bool:
            for part in CAST:
                url = self.edge.endpoint(part.id).http
                with suppress(TransportError), closing(client(2.0)) as http:
                    if url is not None and http.get(url).is_success:
                        found.append(url)
                        return True
            return False

        self.wait("the first URL that answers", limit, answers)
        return found[0]

    def first_placements(self, limit: float) -> None:
        """Every workload gets its first machine."""
        for part in CAST:
            self.wait(f"the first placement of {part.id}", limit, lambda p=part: self.running(p))  # type: ignore[misc]
            self.tell(f"{part.id} serves from {self._where(part)}")

    def dearer(self, part: Part, factor: float, limit: float) -> None:
        """The cloud on which the workload runs becomes dearer; the daemon moves it elsewhere."""
        placed = self.edge.workload(part.id).placement
        if placed is None:
            raise StillRunning(f"a placement of {part.id}", 0)
        event = {"kind": "repricing", "cloud": placed.offer.cloud, "factor": factor, "duration_seconds": 90 * _MARKET_DAY}
        self.stage.control("POST", "/market/events", event)
        self.tell(f"spot prices on {placed.offer.cloud} rise {factor:g}-fold; {part.id} runs there")
        self.automation.tick()
        self.wait(f"a decision to move {part.id}", limit, lambda: self._decided(part, placed.id))
        self._moved(part, placed.id, limit)

    def recorded_move(self, cycles: int, limit: float) -> None:
        """In a replay: the recording passes in ``cycles`` leaps, a cycle of the daemon after each, until its prices alone have moved a workload."""
        market = self.stage.control("GET", "/market")
        now, end = datetime.fromisoformat(market["now"]), datetime.fromisoformat(market["ends_at"])
        leap = (end - now) / cycles
        self.tell(f"the recorded prices of {now:%Y-%m-%d} to {end:%Y-%m-%d} pass, {leap.total_seconds() / _MARKET_DAY:.1f} days a cycle")
        for number in range(1, cycles + 1):
            if any(one.kind == "move" for one in self.automation.tick().started):
                break
            self.stage.control("POST", "/market/clock", {"advance_to": (now + number * leap).isoformat()})
        self.wait("a move by the recorded prices", limit, self._moved_by_price)
        for part in CAST:
            self.quiet(part, limit)
            self.tell(f"{part.id} serves from {self._where(part)} on {self.stage.control('GET', '/market')['now'][:10]}")

    def _moved_by_price(self) -> bool:
        return any(one.kind == "move" and one.status == "succeeded" for one in self.edge.migrations())

    def interruption(self, part: Part, limit: float) -> None:
        """The cloud takes the workload's machine back, with its usual notice."""
        self.quiet(part, limit)
        placed = self.edge.workload(part.id).placement
        if placed is None:
            raise StillRunning(f"a placement of {part.id}", 0)
        machine = self.machine(part, placed)
        self.stage.control("POST", f"/hosts/{machine['id']}/interrupt", {})
        self.plot.interrupted.append(placed.id)
        self.tell(f"{placed.offer.cloud} takes {part.id}'s machine back")
        self._moved(part, placed.id, limit)

    def refused(self, part: Part) -> None:
        """A person asks for a move out of the boundary; a program tries to pass by placement and call the cloud itself."""
        self.quiet(part, 60)
        try:
            self.automation.move(wire.MoveRequest(workload=part.id, offer=_FOREIGN))
        except ApiProblem as problem:
            if problem.word != "move-refused" or not problem.findings:
                raise
            self.plot.refusals.append(f"placement: {problem.findings[0].message}")
            self.tell(f"moving {part.id} to us-east-1 is refused: {problem.findings[0].message}")
        verdict = self._past_placement(part)
        if verdict is not None:
            self.plot.refusals.append(f"inline proxy: {verdict}")
            self.tell(f"a call to the cloud itself is refused too: {verdict}")

    def _past_placement(self, part: Part) -> str | None:
        """Asks Azure for a resource group in the US in the tenant's own subscription; the proxy's refusal."""
        subscription = self._subscription(part)
        if subscription is None:
            return None
        environ = self.stage.environ
        url = f"https://management.azure.com/subscriptions/{subscription}/resourceGroups/out-of-bounds?api-version=2024-11-01"
        trust = ssl.create_default_context(cafile=environ["SSL_CERT_FILE"])
        with httpx.Client(proxy=environ["HTTPS_PROXY"], verify=trust, timeout=15) as client:
            answer = client.put(url, json={"location": "eastus"}, headers={"authorization": "Bearer demo"})
        if answer.status_code != 403:
            return None
        return str(answer.json()["error"]["message"])

    def _subscription(self, part: Part) -> str | None:
        accounts = self._accounts(part).get("azure", [])
        return accounts[0] if accounts else None

    def _accounts(self, part: Part) -> dict[str, list[str]]:
        """The tenant's accounts, by cloud, as the enforcers know them."""
        path = self.stage.home / "proxy" / "tenants" / f"{part.tenant}.json"
        found: dict[str, list[str]] = json.loads(path.read_text())["accounts"]
        return found

    def _decided(self, part: Part, source: str) -> bool:
        """Whether the part moves away from ``source``, or has. Once it is free to, the daemon's next cycle is asked for instead of being waited for."""
        one = self.edge.workload(part.id)
        if one.placement is None or one.placement.id != source:
            return True
        if one.active_migration is None:
            self.automation.tick()
        return one.active_migration not in (None, source)

    def _moved(self, part: Part, source: str, limit: float) -> None:
        """Until another machine serves; the old one may still drain."""

        def elsewhere() -> bool:
            one = self.edge.workload(part.id)
            return one.placement is not None and one.placement.id != source

        self.wait(f"{part.id}'s move away from {source}", limit, elsewhere)
        self.tell(f"{part.id} now serves from {self._where(part)}")

    def _where(self, part: Part) -> str:
        placed = self.edge.workload(part.id).placement
        if placed is None:
            return "nowhere"
        return f"{placed.offer.cloud}/{placed.offer.region} {placed.offer.instance_type} at {placed.quote.spot_usd_per_hour:.4f} USD/h"

    def machine(self, part: Part, placed: wire.Placement) -> dict[str, object]:
        accounts = self._accounts(part).get(placed.offer.cloud, [])
        hosts = self.stage.control("GET", "/hosts")
        found = [
            one
            for one in hosts
            if one["state"] == "running"
            and one["account"] in accounts
            and (one["cloud"], one["region"], one["instance_type"]) == (placed.offer.cloud, placed.offer.region, placed.offer.instance_type)
        ]
        if not found:
            raise StillRunning(f"a machine of {placed.id}", 0)
        return dict(found[-1])
