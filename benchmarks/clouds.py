"""``clouds``: region and placement stacks on each of the three clouds, and machines made and taken down while the clouds fail.

First each cloud's region and placement stack: seconds and cloud API calls (counted in the inline proxy's audit) of create and destroy, and of a placement's
update what the program and the provider took of it. Then ``samples`` machines are made and destroyed over the three clouds side by side; before 10 % of
each cloud's, drawn from a seed, one of the cloud's own errors is injected. Reported: failures by what they were read as, and what is left afterwards.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from automation.errors import EngineFailed
from automation.runs.engine import Engine, PolicyPack
from automation.runs.events import RunOutcome
from automation.service.stack_plans import PACK
from automation.service.tenants import TenantFiles
from automation.settings import PROJECT_ROOT
from benchmarks.platform import free_base
from benchmarks.report import Result
from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import load as load_boundary
from domain.refusals import read
from spotlane.wire import Tenant

SAMPLES = 100
CHANCE = 0.1
SEED = 5
TENANT = "bench"
_BOUNDARY = {"name": TENANT, "residency": {"countries": ["IE", "NL"]}, "spotOnly": True}
_TRIES = 4
"""Of a destroy that meets a fault itself."""

PLACES = {
    "aws": ("eu-west-1", "eu-west-1a", "m7g.large", "arm64", ["eu-west-1a", "eu-west-1b"]),
    "azure": ("westeurope", "-", "Standard_D2s_v5", "x86_64", ["-"]),
    "gcp": ("europe-west4", "europe-west4-a", "n2-standard-2", "x86_64", ["europe-west4-a"]),
}
CODES = {
    "aws": ["InsufficientInstanceCapacity", "SpotMaxPriceTooLow", "MaxSpotInstanceCountExceeded", "RequestLimitExceeded", "InternalError"],
    "azure": ["AllocationFailed", "SkuNotAvailable", "OperationNotAllowed", "OperationNotAllowed.price", "TooManyRequests", "InternalServerError"],
    "gcp": ["ZONE_RESOURCE_POOL_EXHAUSTED", "QUOTA_EXCEEDED", "rateLimitExceeded", "backendError"],
}
"""What is injected, at random, into each."""


@dataclass
class Ground:
    """A local cloud with one tenant in three clouds."""

    home: Path
    environment: dict[str, str]
    engine: Engine
    packs: list[PolicyPack]

    def up(self, stack: str, settings: dict[str, Any]) -> RunOutcome:
        """As a run does. Raises EngineFailed."""
        self.engine.settle(stack, settings)
        return self.engine.up(stack, self.packs, self._journal(stack))

    def destroy(self, stack: str) -> RunOutcome:
        """As a run does. Raises EngineFailed."""
        return self.engine.destroy(stack, self._journal(stack))

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the local control API."""
        return httpx.request(method, self.environment["SPOTLANE_CONTROL_URL"] + path, json=body, timeout=60).json()

    def calls(self) -> int:
        """Cloud API calls so far, as the proxy recorded them."""
        return sum(1 for line in (self.home / "proxy" / "audit.jsonl").read_text().splitlines() if '"point":"api"' in line)

    def left(self) -> Counter[str]:
        """What is there, by type; machines beside."""
        there = Counter(f"{one['cloud']} {one['kind']}" for one in self.control("GET", "/resources")["resources"])
        return there + Counter({"machine": len(self.control("GET", "/hosts"))})

    def program_seconds(self) -> float:
        """How long the programs of the last update ran: its preview's and its own."""
        lines = (self.home / "logs" / "languagehost.log").read_text().splitlines()
        return sum(float(found[1]) for line in lines[-2:] if (found := re.search(r" ran for ([0-9.]+) s", line)))

    def provider_seconds(self) -> float:
        """How long any provider was at work since the start, summed over the packages."""
        return sum(float(one["seconds"]) for one in self.control("GET", "/providers").values())

    def _journal(self, stack: str) -> Path:
        return self.home / "journals" / f"{stack}.jsonl"


def run(samples: int) -> Result:
    """Everything, on one local cloud."""
    figures: dict[str, float] = {}
    with _ground() as ground:
        for cloud in PLACES:
            figures |= _stacks(ground, cloud)
        before = ground.left()
        failures, others = _cycles(ground, samples)
        after = ground.left()
        leaked = after - before
        for cloud in PLACES:
            ground.destroy(_region(cloud))
    claims = {
        "cycles": float(samples),
        "leaked_resources": float(sum(number for kind, number in leaked.items() if kind != "machine")),
        "leaked_processes": float(leaked["machine"]),
        "unmapped_errors": float(failures["unknown"]),
    }
    figures["placement_create_seconds"] = sum(figures[f"{cloud}_placement_create_seconds"] for cloud in PLACES) / len(PLACES)
    told = {f"failed_{kind}": float(number) for kind, number in sorted(failures.items())}
    setting = {"cpus": os.cpu_count(), "cycles": samples, "chance_of_a_fault": CHANCE, "seed": SEED, "left": dict(leaked)}
    return Result("clouds", claims, samples, setting, {**figures, **others, **told})


def _stacks(ground: Ground, cloud: str) -> dict[str, float]:
    """Seconds and calls of the cloud's region and placement stack; the region stays."""
    found: dict[str, float] = {}

    def measured(name: str, act: Any) -> None:
        calls, busy, begun = ground.calls(), ground.provider_seconds(), time.perf_counter()
        act()
        found[f"{name}_seconds"] = time.perf_counter() - begun
        found[f"{name}_calls"] = float(ground.calls() - calls)
        found[f"{name}_provider_seconds"] = ground.provider_seconds() - busy
        _say(f"{name}: {found[f'{name}_seconds']:.2f} s, {found[f'{name}_calls']:.0f} calls")

    settings = {"cidr": f"10.{list(PLACES).index(cloud)}.0.0/16", "zones": PLACES[cloud][4]}
    measured(f"{cloud}_region_create", lambda: ground.up(_region(cloud), settings))
    measured(f"{cloud}_region_destroy", lambda: ground.destroy(_region(cloud)))
    measured(f"{cloud}_region_again", lambda: ground.up(_region(cloud), settings))
    stack = f"placement.{TENANT}.{cloud}.1"
    measured(f"{cloud}_placement_create", lambda: ground.up(stack, placement(cloud)))
    found[f"{cloud}_placement_create_program_seconds"] = ground.program_seconds()
    measured(f"{cloud}_placement_destroy", lambda: ground.destroy(stack))
    return found


def planned(samples: int, seed: int) -> dict[str, list[tuple[int, str | None]]]:
    """By cloud, the generation and the fault of each cycle. A share of :data:`CHANCE` of each cloud's cycles meets one, where and which is drawn from
    ``seed``: drawn over all clouds at once, a hundred cycles can leave a cloud with hardly any. No code comes again before all of its cloud came.
    """
    dice = random.Random(seed)
    plan: dict[str, list[tuple[int, str | None]]] = {}
    for place, cloud in enumerate(PLACES):
        numbers = range(place, samples, len(PLACES))
        hit = sorted(dice.sample(numbers, round(len(numbers) * CHANCE)))
        codes = dice.sample(CODES[cloud], len(CODES[cloud]))
        plan[cloud] = [(number + 2, codes[hit.index(number) % len(codes)] if number in hit else None) for number in numbers]
    return plan


def _cycles(ground: Ground, samples: int) -> tuple[Counter[str], dict[str, float]]:
    """``samples`` machines made and taken down, a cloud a thread; failures by what they were read as."""
    plan = planned(samples, SEED)
    failures: Counter[str] = Counter()
    injected: Counter[str] = Counter()
    unmet: Counter[str] = Counter()

    def cycle(cloud: str) -> None:
        for number, code in plan[cloud]:
            stack = f"placement.{TENANT}.{cloud}.{number}"
            fault = None
            if code is not None:
                injected[code] += 1
                fault = ground.control("POST", "/faults", {"code": code, "count": 1})["id"]
            try:
                ground.up(stack, placement(cloud))
            except EngineFailed as error:
                failures[_read(error)] += 1
                _say(f"{stack}: {code}: read as {_read(error)}: {' '.join(error.diagnostics)[:160]}")
            for _ in range(_TRIES):
                try:
                    ground.destroy(stack)
                    break
                except EngineFailed as error:
                    failures[_read(error)] += 1
                    _say(f"{stack}: destroy: {code}: read as {_read(error)}")
            if fault is not None:
                unmet[str(code)] += sum(one["id"] == fault and one["met"] == 0 for one in ground.control("GET", "/faults"))
                ground.control("DELETE", f"/faults/{fault}")
            if number % 10 == 0:
                _say(f"cycle {number} of {samples}")

    with ThreadPoolExecutor(len(PLACES)) as pool:
        list(pool.map(cycle, PLACES))
    total = {"faults_injected": float(sum(injected.values())), "faults_unmet": float(sum(unmet.values()))}
    return failures, total | {f"injected_{code}": float(number) for code, number in sorted(injected.items())}


def _read(error: EngineFailed) -> str:
    """The kind of the refusal; ``server-error`` for a cloud's 5xx, which isn't one."""
    text = " ".join(error.diagnostics)
    kind = read(error.diagnostics).kind
    return (
        "server-error"
        if kind == "unknown" and any(code in text for code in ("InternalError", "InternalServerError", "backendError", "Backend Error"))
        else str(kind)
    )


def _region(cloud: str) -> str:
    return f"region.{TENANT}.{cloud}.{PLACES[cloud][0]}"


def placement(cloud: str) -> dict[str, Any]:
    """The settings of one machine."""
    region, zone, instance_type, arch, _ = PLACES[cloud]
    return {
        "cloud": cloud,
        "region": region,
        "zone": zone,
        "instanceType": instance_type,
        "arch": arch,
        "maxUsdPerHour": None if cloud == "gcp" else 5.0,
        "zoneName": "spotlane.localhost",
        "cloudflareZoneId": "1" * 32,
        "cloudflareAccountId": "0" * 32,
        "machine": {
            "artifactUrl": "http://127.0.0.1:9/none",
            "artifactDigest": "sha256:" + "0" * 64,
            "command": ["true"],
            "httpPort": 8080,
            "incidentUrl": "http://127.0.0.1:9/incidents",
            "placementToken": "benchmark",
            "originKey": "0" * 64,
        },
    }


@contextmanager
def _ground() -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="spotlane-bench-") as directory:
        home = Path(directory) / "home"
        try:
            _local("up", "--home", str(home), "--port-base", str(free_base()), "--only", "edge,proxy,languagehost,localcloud", "--seed", "1")
            environment: dict[str, str] = json.loads(_local("env", "--home", str(home), "--json"))
            engine = Engine(environment["SPOTLANE_ENGINE"], PROJECT_ROOT, home / "project", {**os.environ, **environment})
            tenants = TenantFiles(home)
            digest = compile_boundary(load_boundary(_BOUNDARY)).digest
            tenants.write(Tenant(id=TENANT, boundary=_BOUNDARY, boundary_digest=digest, clouds=["aws", "azure", "gcp"]))
            ground = Ground(home, environment, engine, [PolicyPack(PACK, tenants.pack_config(TENANT))])
            outcome = ground.up(f"tenant.{TENANT}", _tenant())
            tenants.learn(TENANT, outcome.outputs)
            yield ground
        finally:
            _local("down", "--home", str(home), "--purge")


def _tenant() -> dict[str, Any]:
    return {
        "boundary": _BOUNDARY,
        "aws": {"email": f"{TENANT}@example.com"},
        "azure": {"billingScope": "/providers/Microsoft.Billing/billingAccounts/spotlane/enrollmentAccounts/spotlane"},
        "gcp": {"projectId": f"spotlane-{TENANT}", "folderId": "folders/100000000000", "billingAccount": "000000-000000-000000"},
    }


def _local(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "localcloud", *arguments], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def _say(text: str) -> None:
    sys.stderr.write(f"clouds: {text}\n")
    sys.stderr.flush()
