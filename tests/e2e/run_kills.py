"""kill -9 of the automation service, of a run's engine or of the language host at seeded points of runs, and what must be true of the clouds afterwards.

A cycle is a placement stack's create, update and destroy, over the service's own API; each of the three has one kill. The whole is a list of points that
only depends on the seed, so that any slice of it can be repeated: ``python -m tests.e2e.run_kills --seed 7 --from 20 --count 10``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import httpx

from benchmarks.clouds import PLACES, placement
from spotlane import wire
from spotlane.errors import SpotlaneError
from tests.e2e.conftest import Platform, stand

Victim = Literal["engine", "service", "languagehost"]
Operation = Literal["create", "update", "destroy"]
TENANT = "acme"
WORKLOAD = "soak"
_DISKS = {"volume", "microsoft.compute/disks", "compute#disk"}
"""Kinds that come and go with a machine; no state holds them."""
_POLL_SECONDS = 0.02
_RUN_SECONDS = 180.0
_TRIES = 4
"""Of an operation whose run failed because its language host was killed: that is its true end, and a retry is what a user would do."""


@dataclass(frozen=True)
class Point:
    """One kill: ``at`` is the part of the run's usual time after which it comes."""

    number: int
    cloud: str
    operation: Operation
    victim: Victim
    at: float


def points(seed: int, count: int = 60) -> list[Point]:
    """The first ``count`` of the seed's points: every victim at every operation on every cloud before one comes again."""
    dice = random.Random(seed)
    clouds, operations, victims = list(PLACES), get_args(Operation), get_args(Victim)
    return [
        Point(number, clouds[number // 3 % 3], operations[number % 3], victims[(number + number // 9) % 3], dice.uniform(0.05, 0.95)) for number in range(count)
    ]


@dataclass(frozen=True)
class End:
    """How the run of a point ended, and after how many runs more its operation was done; ``faults`` is empty where everything is as it must be."""

    point: Point
    status: str
    error: str | None
    more: int
    hit: bool
    seconds: float
    faults: tuple[str, ...] = ()


@dataclass
class Campaign:
    """Runs points on a platform. ``usual`` is how long each operation takes undisturbed, by cloud, measured once."""

    platform: Platform
    tag: str
    usual: dict[tuple[str, str], float] = field(default_factory=dict)

    def prepare(self, cloud: str) -> None:
        """The foundations of a cloud, and one undisturbed cycle to measure by."""
        if (cloud, "create") in self.usual:
            return
        self._ended(self._submit(cloud, 1, "create", "foundations"))
        self._ended(self._submit(cloud, 1, "destroy", "foundations"))
        operations: tuple[Operation, ...] = get_args(Operation)
        for operation in operations:
            begun = time.monotonic()
            run = self._ended(self._submit(cloud, 2, operation, "usual"))
            assert run.status == "succeeded", run.error
            self.usual[cloud, operation] = time.monotonic() - begun

    def run(self, slice_: list[Point]) -> Iterator[End]:
        """The points of a slice in their order. A slice that begins in the middle of a cycle does what comes before it undisturbed."""
        before = self.lying()
        for place, point in enumerate(slice_):
            generation = 3 + point.number // 3
            self.prepare(point.cloud)
            if place == 0 or point.operation == "create":
                before = self.lying()
                for earlier in get_args(Operation)[: get_args(Operation).index(point.operation)]:
                    assert self._ended(self._submit(point.cloud, generation, earlier, "before")).status == "succeeded"
            yield self._kill(point, generation, before)

    def _kill(self, point: Point, generation: int, before: frozenset[str]) -> End:
        begun = time.monotonic()
        run = self._submit(point.cloud, generation, point.operation, f"point-{point.number}")
        time.sleep(point.at * self.usual[point.cloud, point.operation])
        hit = self._strike(point.victim, run.id)
        ended = self._ended(run)
        more, last = 0, ended
        faults = self._untrue(ended, point, generation, before)
        while last.status != "succeeded" and more < _TRIES:
            more += 1
            last = self._ended(self._submit(point.cloud, generation, point.operation, f"point-{point.number}-again-{more}"))
            faults += self._untrue(last, point, generation, before)
        if last.status != "succeeded":
            faults.append(f"{point.operation} did not succeed in {more} runs more: {last.error}")
        return End(point, ended.status, ended.error, more, hit, time.monotonic() - begun, tuple(faults))

    def _submit(self, cloud: str, generation: int, operation: Operation, why: str) -> wire.Run:
        stack = wire.StackRef(kind="placement", tenant=TENANT, workload=WORKLOAD, generation=generation)
        settings = None if operation == "destroy" else _changed(cloud) if operation == "update" else placement(cloud)
        request = wire.RunRequest(
            idempotency_key=f"soak-{self.tag}-{cloud}-{generation}-{operation}-{why}",
            stack=stack,
            operation="destroy" if operation == "destroy" else "up",
            settings=settings,
            allow=["replace", "delete"] if operation == "update" else [],
        )
        return self._patiently(lambda: self.platform.automation.submit(request))

    def _ended(self, run: wire.Run) -> wire.Run:
        limit = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < limit:
            found = self._patiently(lambda: self.platform.automation.run(run.id))
            if found.status not in ("queued", "running"):
                return found
            time.sleep(_POLL_SECONDS)
        raise AssertionError(f"{run.id} of {run.stack} did not end in {_RUN_SECONDS:.0f} s")

    def _patiently(self, ask: Callable[[], wire.Run]) -> wire.Run:
        """Asks again while the service is being started again."""
        limit = time.monotonic() + 60.0
        while True:
            try:
                return ask()
            except (SpotlaneError, json.JSONDecodeError):
                if time.monotonic() > limit:
                    raise
                time.sleep(0.1)

    def kill_in_create(self, cloud: str, generation: int, of: str) -> tuple[End, list[str]]:
        """kill -9 of the engine while the create of the resource whose type ends in ``of`` is pending in the stack's state; and the log of its recovery."""
        self.prepare(cloud)
        before, begun, log = self.lying(), time.monotonic(), self.platform.stage.home / "logs" / "automation.log"
        point, stack = Point(generation, cloud, "create", "engine", 0.0), f"placement.{TENANT}.{WORKLOAD}.{generation}"
        run = self._submit(cloud, generation, "create", "pending")
        file = self.platform.stage.home / "pulumi" / ".pulumi" / "stacks" / "spotlane" / f"{stack}.json"
        while not any(one["resource"]["type"].endswith(of) for one in _state(file).get("pending_operations") or []):
            assert time.monotonic() - begun < _RUN_SECONDS, f"no create of {of} was pending"
        # Held still, it can't learn what came of its call: the machine is made, and its create stays pending. It may have to be let go on to the call itself.
        engine = int(json.loads((self.platform.stage.home / "automation" / "runs" / f"{run.id}.pid").read_text())["pid"])
        os.kill(engine, signal.SIGSTOP)
        while not self._machine_within(0.5, before):
            assert time.monotonic() - begun < _RUN_SECONDS, "the cloud made no machine"
            os.kill(engine, signal.SIGCONT)
            time.sleep(0.005)
            os.kill(engine, signal.SIGSTOP)
        hit = _killed(engine)
        ended = self._ended(run)
        faults = self._untrue(ended, point, generation, before)
        told = [line for line in log.read_text().splitlines() if stack in line and '"event": "run ' not in line]
        gone = self._ended(self._submit(cloud, generation, "destroy", "pending"))
        faults += self._untrue(gone, Point(generation, cloud, "destroy", "engine", 0.0), generation, before)
        return End(point, ended.status, ended.error, 0, hit, time.monotonic() - begun, tuple(faults)), told

    def _machine_within(self, seconds: float, before: frozenset[str]) -> bool:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if any(one.startswith("machine ") for one in self.lying() - before):
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _strike(self, victim: Victim, run: str) -> bool:
        """Sends the signal; whether there was something to kill. An engine that isn't there yet is waited for while the run lasts."""
        if victim != "engine":
            name = "automation" if victim == "service" else victim
            document = json.loads((self.platform.stage.home / "run" / f"{name}.json").read_text())
            return _killed(int(document["pid"]))
        record = self.platform.stage.home / "automation" / "runs" / f"{run}.pid"
        while True:
            try:
                return _killed(int(json.loads(record.read_text())["pid"]))
            except (OSError, ValueError):
                if self._patiently(lambda: self.platform.automation.run(run)).status not in ("queued", "running"):
                    return False

    def lying(self) -> frozenset[str]:
        """What the clouds hold, as lines."""
        stage = self.platform.stage
        found = {f"{one['cloud']} {one['kind']} {one['id']}" for one in stage.control("GET", "/resources")["resources"]}
        found |= {f"machine {one['id']}" for one in stage.control("GET", "/hosts") if one["state"] == "running"}
        return frozenset(found | {f"cloudflare tunnel {one['name']} {one['id']}" for one in self._tunnels()})

    def _tunnels(self) -> list[dict[str, Any]]:
        base = f"http://127.0.0.1:{self.platform.stage.port_base + 10}/client/v4/accounts/{'0' * 32}/cfd_tunnel?is_deleted=false&per_page=1000"
        answer = httpx.get(base, headers={"authorization": "Bearer local"}, timeout=30, trust_env=False)
        found: list[dict[str, Any]] = answer.raise_for_status().json()["result"]
        return found

    def _untrue(self, run: wire.Run, point: Point, generation: int, before: frozenset[str]) -> list[str]:
        """What the clouds and the stack's state disagree in after a run has ended, and locks that stand."""
        stack = f"placement.{TENANT}.{WORKLOAD}.{generation}"
        backend = self.platform.stage.home / "pulumi" / ".pulumi"
        faults = [f"locked: {lock.name}" for lock in (backend / "locks").rglob("*.json") if stack in lock.parts]
        state = _state(backend / "stacks" / "spotlane" / f"{stack}.json")
        faults += [f"pending: {one['resource']['urn']}" for one in state.get("pending_operations") or []]
        ids = [str(one["id"]).lower() for one in state.get("resources") or [] if one.get("custom") and one.get("id") and "pulumi:" not in one["type"][:7]]
        now = self.lying()
        new = sorted(now - before)
        faults += [f"gone that was there before: {one}" for one in sorted(before - now)]
        disks = [one for one in new if one.split(" ")[1].lower() in _DISKS]
        faults += [f"leaked: {one}" for one in new if not one.startswith("machine ") and one not in disks and not _held(one, ids)]
        machines = sum(1 for one in new if one.startswith("machine "))
        declared = sum(1 for one in state.get("resources") or [] if one["type"].endswith((":Instance", ":VirtualMachine")))
        if machines != declared:
            faults.append(f"{machines} machines run, the state holds {declared}")
        if len(disks) > machines:
            faults.append(f"{machines} machines have {len(disks)} disks: {disks}")
        everywhere = Counter(one["name"] for one in self._tunnels())
        faults += [f"{number} tunnels are called {name}" for name, number in everywhere.items() if number > 1]
        if run.status == "succeeded" and (declared == 1) == (point.operation == "destroy"):
            faults.append(f"{point.operation} succeeded and the state holds {declared} machines")
        return faults


def _changed(cloud: str) -> dict[str, Any]:
    """The machine's settings with something else in them that is updated in place: tags; on Google, whose disks keep their labels, the drain."""
    settings = placement(cloud)
    if cloud == "gcp":
        return settings | {"machine": settings["machine"] | {"drainSeconds": 17}}
    return settings | {"tags": {"round": "2"}}


def _held(line: str, ids: list[str]) -> bool:
    """Whether one of a state's ids is that of the resource."""
    name = line.rpartition(" ")[2].lower()
    return any(name == id or id.endswith(f"/{name}") or name.endswith(f"/{id}") for id in ids)


def _state(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())["checkpoint"].get("latest") or {}
    except (FileNotFoundError, json.JSONDecodeError):  # not there yet, or being written
        return {}


def _killed(pid: int) -> bool:
    """Whether there was something to kill; what waits to be started again has no process, and 0 would be this program's own group."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def told(end: End) -> str:
    """One line of JSON."""
    point = end.point
    return json.dumps(
        {"point": point.number, "cloud": point.cloud, "operation": point.operation, "victim": point.victim, "at": round(point.at, 2), "hit": end.hit}
        | {"status": end.status, "runs_more": end.more, "seconds": round(end.seconds, 1), "error": end.error, "faults": list(end.faults)}
    )


def main(argv: list[str] | None = None) -> int:
    """Exit code 1 where a point left something untrue."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.run_kills", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--from", type=int, default=0, dest="first", help="number of the first point")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--home", type=Path, required=True, help="an empty directory for the platform")
    arguments = parser.parse_args(argv)
    chosen = points(arguments.seed, arguments.first + arguments.count)[arguments.first :]
    with contextmanager(stand)(arguments.home) as platform:
        campaign = Campaign(platform, f"{arguments.seed}-{arguments.first}")
        untrue = 0
        for end in campaign.run(chosen):
            print(told(end), flush=True)
            untrue += bool(end.faults)
    return 1 if untrue else 0


if __name__ == "__main__":
    sys.exit(main())
