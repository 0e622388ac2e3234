"""A local cloud of the benchmark's own: free ports, a temporary state directory, a tenant with an AWS region, and placement stacks to act on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automation.runs.engine import Engine, PolicyPack
from automation.service.stack_plans import PACK
from automation.service.tenants import TenantFiles
from automation.settings import PROJECT_ROOT
from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import load as load_boundary
from localcloud.state import OFFSETS
from spotlane.wire import Tenant

TENANT = "bench"
REGION = "eu-west-1"
_BOUNDARY = {"name": TENANT, "residency": {"countries": ["IE"]}, "spotOnly": True}
_ACCOUNT, _ZONE_ID = "0" * 32, "1" * 32


@dataclass
class Platform:
    """What a benchmark acts on. ``environment`` is that of a client; engines call the very programs of ``stacks/``."""

    home: Path
    environment: dict[str, str]
    packs: list[PolicyPack]

    def engine(self, *, warm: bool) -> Engine:
        """An engine with the warm language host, or one that spawns its own."""
        return Engine(self.environment["SPOTLANE_ENGINE"], PROJECT_ROOT, self.home / "project", self.engine_environment(warm=warm))

    def engine_environment(self, *, warm: bool) -> dict[str, str]:
        """The environment of such an engine."""
        environment = {**os.environ, **self.environment}
        if not warm:
            environment.pop("PULUMI_DEBUG_LANGUAGES")
        return environment

    def settle(self, engine: Engine, number: int, tag: str) -> str:
        """Writes the settings of placement ``number``, with ``tag`` on its machine; the stack's name."""
        stack = f"placement.{TENANT}.w{number}.1"
        engine.settle(stack, _placement(tag))
        return stack

    def journal(self, stack: str) -> Path:
        """Where an operation's event log goes."""
        return self.home / "journals" / f"{stack}.jsonl"


@contextmanager
def platform(say: Any) -> Iterator[Platform]:
    """Puts it up and takes it down with everything in it."""
    with tempfile.TemporaryDirectory(prefix="spotlane-bench-") as directory:
        home = Path(directory) / "home"
        try:
            say("starting a local cloud")
            parts = "edge,proxy,languagehost,localcloud"
            _local("up", "--home", str(home), "--port-base", str(free_base()), "--only", parts, "--seed", "1")
            environment: dict[str, str] = json.loads(_local("env", "--home", str(home), "--json"))
            yield _founded(home, environment, say)
        finally:
            _local("down", "--home", str(home), "--purge")


def _founded(home: Path, environment: dict[str, str], say: Any) -> Platform:
    tenants = TenantFiles(home)
    digest = compile_boundary(load_boundary(_BOUNDARY)).digest
    tenants.write(Tenant(id=TENANT, boundary=_BOUNDARY, boundary_digest=digest, clouds=["aws"]))
    made = Platform(home, environment, [])
    engine = made.engine(warm=True)
    foundations: dict[str, dict[str, Any]] = {
        f"tenant.{TENANT}": {"boundary": _BOUNDARY, "aws": {"email": f"{TENANT}@example.com"}},
        f"region.{TENANT}.aws.{REGION}": {"cidr": "10.16.0.0/16", "zones": [f"{REGION}a", f"{REGION}b"]},
    }
    for stack, settings in foundations.items():
        say(f"making {stack}")
        engine.settle(stack, settings)
        outcome = engine.up(stack, [PolicyPack(PACK, tenants.pack_config(TENANT))], made.journal(stack))
        if stack.startswith("tenant."):
            tenants.learn(TENANT, outcome.outputs)
    made.packs.append(PolicyPack(PACK, tenants.pack_config(TENANT)))
    return made


def _placement(tag: str) -> dict[str, Any]:
    return {
        "cloud": "aws",
        "region": REGION,
        "zone": f"{REGION}a",
        "instanceType": "m7g.large",
        "arch": "arm64",
        "zoneName": "spotlane.localhost",
        "cloudflareZoneId": _ZONE_ID,
        "cloudflareAccountId": _ACCOUNT,
        "machine": {
            "artifactUrl": "http://127.0.0.1:9/none",
            "artifactDigest": "sha256:" + "0" * 64,
            "command": ["true"],
            "httpPort": 8080,
            "incidentUrl": "http://127.0.0.1:9/incidents",
            "placementToken": "benchmark",
            "originKey": "0" * 64,
        },
        "tags": {"round": tag},
    }


def _local(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "localcloud", *arguments], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def free_base() -> int:
    """The first port of eleven free ones in a row."""
    last = max(OFFSETS.values())
    for base in range(20_000 + os.getpid() % 997 * 11, 32_700, last + 1):
        try:
            for port in range(base, base + last + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise RuntimeError("there are no eleven free ports in a row")
