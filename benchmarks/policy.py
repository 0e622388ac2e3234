"""``policy``: what a decision costs, what all rules cost over 300 resources, and what it adds to a preview by the real engine."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pulumi_policy import PolicyCustomTimeouts, PolicyResourceOptions, ResourceValidationArgs
from pulumi_policy.proxy import unknown_checking_proxy

from benchmarks.report import Result
from domain.boundary.compiled import compile
from domain.boundary.decide import decide
from domain.boundary.model import load
from policies.facts.reading import Inputs
from policies.facts.resource import Resource
from policies.packs.catalogue import RULES, rules_of
from policies.packs.policies import judge_resource, translate

SAMPLES = 5
RESOURCES = 300
_ROOT = Path(__file__).resolve().parents[1]
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_STACK = "placement.bench.web.1"
_BOUNDARY: dict[str, Any] = {
    "name": "bench",
    "residency": {"regimes": ["gdpr"], "replication": "domestic"},
    "spotOnly": True,
    "encryption": {"disks": True},
    "network": {"publicAddresses": "none", "openIngress": False, "openEgress": False, "instanceMetadataV2": True},
    "requiredTags": ["tenant"],
    "spend": {"usdPerHour": 0.1},
}
_MACHINE: dict[str, Any] = {
    "region": "eu-west-1",
    "instanceType": "m7g.large",
    "subnetId": "subnet-1",
    "instanceMarketOptions": {"marketType": "spot", "spotOptions": {"maxPrice": "0.05", "spotInstanceType": "one-time"}},
    "associatePublicIpAddress": False,
    "metadataOptions": {"httpTokens": "required"},
    "rootBlockDevice": {"encrypted": True, "volumeSize": 16},
    "vpcSecurityGroupIds": ["sg-1", "sg-2"],
    "userDataBase64": "x" * 2000,
    "tags": {"tenant": "bench", "Name": "web"},
}
_KIND = "aws:ec2/instance:Instance"
_PROGRAM = f"""
import pulumi
for number in range({RESOURCES}):
    props = {{**{_MACHINE!r}, "tags": {{"tenant": "bench", "Name": f"web-{{number}}"}}}}
    pulumi.ComponentResource({_KIND!r}, f"web-{{number}}", props).register_outputs(props)
"""


def run(samples: int) -> Result:
    """Decisions and the pack in this process by CPU time; previews by the engine with and without the pack in turns, one uncounted each."""
    decision = min(_decisions() for _ in range(samples))
    # The merged pack and hygiene's, which together hold every rule.
    every = min(_pack("spotlane") + _pack("hygiene") for _ in range(samples))
    merged, alone = (min(_pack(pack) for _ in range(samples)) for pack in ("spotlane", "spend"))
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    with _project() as preview:
        for number in range(samples + 1):
            for side in seconds:
                took = preview(side == "with")
                if number:
                    seconds[side].append(took)
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    claims = {"us_per_decision": decision * 1e6, "pack_cpu_seconds": every, "added_preview_seconds": medians["with"] - medians["without"]}
    others = {
        "merged_pack_cpu_seconds": merged,
        "smallest_pack_cpu_seconds": alone,
        "preview_seconds": medians["without"],
        "preview_seconds_with_pack": medians["with"],
    }
    setting = {"resources": RESOURCES, "rules": len(RULES), "rules_in_merged_pack": len(rules_of("spotlane")), "cpus": os.cpu_count(), "language_host": "warm"}
    return Result("policy", claims, samples, setting, others)


def _decisions() -> float:
    """CPU seconds a decision, half of them inside the boundary and half outside."""
    boundary = compile(load(_BOUNDARY))
    accounts = {"aws": frozenset({"1"})}
    calls = [translate(Resource(_KIND, "web", Inputs({**_MACHINE, "region": region})), "bench") for region in ("eu-west-1", "us-east-1")]
    count = 2000
    begun = time.process_time()
    for number in range(count):
        call = calls[number % 2]
        assert call is not None
        decide(boundary, call, _NOW, accounts)
    return (time.process_time() - begun) / count


def _pack(pack: str) -> float:
    """CPU seconds of one pack over all resources, as the policy SDK hands them over."""
    options = PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [], None)
    config = {"tenant": "bench", "boundary": _BOUNDARY}
    found: list[str] = []
    begun = time.process_time()
    for number in range(RESOURCES):
        urn = f"urn:pulumi:{_STACK}::spotlane::{_KIND}::web-{number}"
        judge_resource(ResourceValidationArgs(_KIND, unknown_checking_proxy(_MACHINE), urn, f"web-{number}", options, None, config), _kept(found), _NOW, pack)
    took = time.process_time() - begun
    if found:
        raise RuntimeError(f"the benchmark's machines should pass: {found[0]}")
    return took


def _kept(found: list[str]) -> Any:
    def report(message: str, urn: str | None = None) -> None:
        found.append(message)

    return report


@contextmanager
def _project() -> Iterator[Any]:
    """A project with one stack, a warm host, and a function that previews and gives the seconds."""
    engine = subprocess.run([sys.executable, str(_ROOT / "tools/engine/resolve.py")], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    host = subprocess.Popen([sys.executable, "-m", "languagehost", "--port", "0"], cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert host.stdout is not None
        port = int(host.stdout.readline())
        with tempfile.TemporaryDirectory(prefix="spotlane-bench-") as directory:
            home = Path(directory)
            (home / "state").mkdir()
            (home / "Pulumi.yaml").write_text(f"name: spotlane\nruntime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n")
            (home / "__main__.py").write_text(_PROGRAM)
            (home / "boundary.yaml").write_text(yaml.safe_dump(_BOUNDARY))
            environment = {
                **os.environ, "HOME": directory, "PULUMI_HOME": str(home / ".pulumi"), "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
                "PULUMI_CONFIG_PASSPHRASE": "bench", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true", "PULUMI_SKIP_UPDATE_CHECK": "1",
                "PULUMI_DEBUG_LANGUAGES": f"python:{port}", "SPOTLANE_BOUNDARY": str(home / "boundary.yaml"),
            }  # fmt: skip
            environment["PATH"] = f"{_ROOT / 'languagehost' / 'bin'}:{os.environ['PATH']}"

            def pulumi(*arguments: str) -> float:
                begun = time.perf_counter()
                done = subprocess.run([engine, *arguments], cwd=home, env=environment, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise RuntimeError(f"pulumi {arguments[0]} failed: {(done.stderr or done.stdout)[-600:]}")
                return time.perf_counter() - begun

            pulumi("stack", "init", _STACK)

            def preview(judged: bool) -> float:
                pack = ["--policy-pack", str(_ROOT / "policies" / "packs" / "spotlane.pack")] if judged else []
                return pulumi("preview", "--non-interactive", "--color", "never", *pack)

            yield preview
    finally:
        host.terminate()
        host.wait()
