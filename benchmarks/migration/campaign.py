"""The campaign: the whole local platform, workloads that move in rounds, traffic all the while, and the verdict."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import demo
from benchmarks.migration.traffic import Counts, Rates, Target, Traffic
from benchmarks.platform import free_base
from benchmarks.report import Result
from demo.cast import CAST, HTTP_PORT, TCP_PORT, onboard
from demo.scenario import Director
from demo.stage import Stage
from demo.tally import percentile
from spotlane import artifact, wire
from spotlane.client import AutomationClient, Client

SAMPLES = 52
"""Moves."""
_ROOT = Path(__file__).parents[2]
_WORKLOADS = (("web", 0), ("api", 0), ("web", 1), ("api", 1))
"""Name and owner (index into the cast) of each workload."""
_AT_ONCE = 2
"""Workloads that move together in a round; they take turns."""
_DRAIN_SECONDS = 8.0
"""Longer than the longest stream."""
_ROUND_SECONDS = 30.0
_RATES = Rates(http=132.0, sockets=52, messages=14.0, connections=0.7)
"""For 52 moves, 26 rounds, at least: 102,960 requests, 10,920 messages, 546 connections."""
_MOVE_SECONDS = 240.0
_QUIET_SECONDS = 10.0


@dataclass
class Ground:
    """The platform with its workloads served."""

    stage: Stage
    edge: Client
    automation: AutomationClient
    director: Director
    workloads: list[str]
    moves: list[tuple[float, float]] = field(default_factory=list)
    """When each move began and ended (s, monotonic)."""
    failed_moves: list[str] = field(default_factory=list)


def run(samples: int) -> Result:
    """``samples`` moves, rounded up to whole rounds, under traffic in proportion. Raises StageError where the platform can't be put up."""
    rounds = math.ceil(samples / _AT_ONCE)
    with tempfile.TemporaryDirectory(prefix="spotlane-migration-") as directory:
        # Prices stand nearly still on a market at the pace of the wall clock: no move but those of the benchmark.
        stage = Stage(_ROOT, Path(directory) / "home", free_base(), {"seed": "5", "speed": "1"}, 3600.0)
        try:
            witness = Witness()
            ground = _ground(stage, witness, Path(directory))
            counts = _campaign(ground, rounds)
            counts.witnessed = witness.counts
        finally:
            _say("taking the platform down")
            stage.down(purge=True)
    return _result(ground, counts)


def _ground(stage: Stage, witness: Witness, scratch: Path) -> Ground:
    _say("starting the platform and deploying the edge")
    stage.up()
    stage.deploy_edge()
    edge = Client.from_env(stage.environ)
    automation = AutomationClient.from_env(edge, stage.environ)
    for part in CAST:
        onboard(edge, automation, part)
    archive = artifact.pack(_service(scratch))
    for part in CAST:
        edge.put_artifact(artifact.digest(archive), archive, part.tenant)
    ids = [f"{name}-{CAST[owner].tenant}" for name, owner in _WORKLOADS]
    for one in ids:
        edge.put_workload(one, _spec(archive, witness))
    _say(f"first placements of {', '.join(ids)}")
    automation.daemon(paused=False)
    automation.tick()
    director = Director(stage, edge, automation, _say)
    director.wait("the first placements", _MOVE_SECONDS, lambda: all(director.serves(one) for one in ids))
    automation.daemon(paused=True)
    return Ground(stage, edge, automation, director, ids)


def _service(scratch: Path) -> Path:
    """The demo's service with the benchmark's witness beside it."""
    folder = scratch / "service"
    shutil.copytree(Path(demo.__path__[0]) / "service", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).parent / "service" / "witnessed.py", folder)
    return folder


def _spec(archive: bytes, witness: Witness) -> wire.WorkloadSpec:
    return wire.WorkloadSpec(
        artifact=wire.Artifact(digest=artifact.digest(archive), size_bytes=len(archive)),
        command=["python3", "witnessed.py"],
        env={"WITNESS": witness.address},
        ports=wire.Ports(http=HTTP_PORT, tcp=TCP_PORT),
        health=wire.Health(interval_seconds=2.0, timeout_seconds=5.0, healthy_count=2, unhealthy_count=5),
        resources=wire.Resources(vcpu=2, memory_gib=8),
        drain_seconds=_DRAIN_SECONDS,
    )


def _campaign(ground: Ground, rounds: int) -> Counts:
    """All rounds under traffic; a round's moves begin together, and a quiet time follows them."""
    traffic = Traffic([_target(ground.edge, one) for one in ground.workloads], _RATES, ground.stage.environ, seed=5)
    loop = asyncio.new_event_loop()
    done: list[Counts] = []
    thread = threading.Thread(target=lambda: done.append(loop.run_until_complete(traffic.run())), name="traffic")
    thread.start()
    try:
        time.sleep(_QUIET_SECONDS)
        for number in range(rounds):
            begun = time.monotonic()
            ground.automation.tick()
            movers = [ground.workloads[(number * _AT_ONCE + place) % len(ground.workloads)] for place in range(_AT_ONCE)]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(lambda one: _move(ground, one), movers))
            took = time.monotonic() - begun
            sent = traffic.counts.http_requests
            _say(f"round {number + 1} of {rounds}: {_AT_ONCE} moves in {took:.1f} s; {sent} requests, faults: {_told(traffic.counts.faults)}")
            time.sleep(max(_QUIET_SECONDS, _ROUND_SECONDS - took))
    finally:
        loop.call_soon_threadsafe(traffic.stop)
        thread.join()
    return done[0]


def _move(ground: Ground, workload: str) -> None:
    begun = time.monotonic()
    migration = ground.automation.move(wire.MoveRequest(workload=workload))
    ground.director.wait(f"the move {migration.id}", _MOVE_SECONDS, lambda: ground.edge.migration(migration.id).status != "running")
    ended = ground.edge.migration(migration.id)
    if ended.status == "succeeded":
        ground.moves.append((begun, time.monotonic()))
    else:
        ground.failed_moves.append(f"{ended.id}: {ended.error}")


def _result(ground: Ground, counts: Counts) -> Result:
    during = [took for at, took in counts.latencies if any(begun <= at <= ended for begun, ended in ground.moves)]
    outside = [took for at, took in counts.latencies if not any(begun <= at <= ended for begun, ended in ground.moves)]
    twice: Counter[str] = Counter({number: count for number, count in counts.witnessed.items() if count > 1})
    if faults := counts.faults + Counter(ground.failed_moves):
        _say(_told(faults))
    claims = {
        "moves": float(len(ground.moves)),
        "http_requests": float(counts.http_requests),
        "http_failed": float(counts.http_failed),
        "ws_messages": float(counts.ws_messages),
        "ws_lost": float(counts.ws_lost),
        "ws_duplicated": float(counts.ws_duplicated),
        "tcp_connections": float(counts.tcp_connections),
        "tcp_failed": float(counts.tcp_failed),
        "p99_ratio_during_moves": _share(during, 0.99) / _share(outside, 0.99),
    }
    others = {
        "moves_failed": float(len(ground.failed_moves)),
        "posts": float(counts.posts),
        "posts_taken_in": float(len(counts.witnessed)),
        "posts_taken_in_twice": float(sum(twice.values()) - len(twice)),
        "streams": float(counts.streams),
        "gib_sent": counts.bytes_sent / 2**30,
        "move_seconds_median": statistics.median(ended - begun for begun, ended in ground.moves),
        "p50_ms_during_moves": _share(during, 0.5),
        "p50_ms_outside_moves": _share(outside, 0.5),
        "p99_ms_during_moves": _share(during, 0.99),
        "p99_ms_outside_moves": _share(outside, 0.99),
        "ws_echo_p50_ms": _share(counts.ws_latencies_ms, 0.5),
        "ws_echo_p99_ms": _share(counts.ws_latencies_ms, 0.99),
    }
    setting = {
        "cpus": os.cpu_count(),
        "workloads": len(ground.workloads),
        "sockets": _RATES.sockets,
        "drain_seconds": _DRAIN_SECONDS,
        "http_per_second": _RATES.http,
    }
    return Result("migration", claims, len(ground.moves), setting, others)


class Witness:
    """Counts what the services say that they have taken in, by number; on loopback, for as long as the process lives."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.address = ""
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="witness", daemon=True).start()
        ready.wait()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._hear, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await server.serve_forever()

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.counts[line.split()[0].decode()] += 1
        writer.close()


def _told(faults: Counter[str]) -> str:
    """The commonest faults, each with how often it came."""
    return "; ".join(f"{count} x {cause}" for cause, count in faults.most_common(10)) or "none"


def _share(values: list[float], share: float) -> float:
    """The percentile; NaN of nothing."""
    found = percentile(values, share)
    return math.nan if found is None else found


def _target(edge: Client, workload: str) -> Target:
    endpoint = edge.endpoint(workload)
    assert endpoint.http and endpoint.websocket and endpoint.tcp_host and endpoint.tcp_port, f"{workload} has all three addresses"
    return Target(workload, endpoint.http, endpoint.websocket.rstrip("/") + "/ws", (endpoint.tcp_host, endpoint.tcp_port))


def _say(text: str) -> None:
    sys.stderr.write(f"migration: {text}\n")
    sys.stderr.flush()
