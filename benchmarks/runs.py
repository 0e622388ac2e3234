"""``runs``: an update of a placement stack by the warm language host against a spawned one, and four at once against the SDK's Automation API.

An update changes one tag of the machine, under the boundary's pack. The two sides take turns in one run, on the same stacks of one local cloud.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pulumi import automation

from automation.runs.engine import Engine
from benchmarks.platform import Platform, platform
from benchmarks.report import Result

SAMPLES = 8
_AT_ONCE = 4
_ROUNDS = 3


def run(samples: int) -> Result:
    """``samples`` updates of each side after one uncounted each; then rounds of four at once."""
    with platform(_say) as ground:
        warm, spawned = ground.engine(warm=True), ground.engine(warm=False)
        sides = {"warm": warm, "spawned": spawned}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(samples + 1):
            for name, engine in sides.items():
                took = _update(ground, engine, 0, f"{name}-{number}")
                if number:
                    seconds[name].append(took)
                    _say(f"update {number} of {samples}, {name}: {took:.2f} s")
        ours, theirs = _throughput(ground, warm)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    claims = {
        "update_seconds": medians["warm"],
        "spawned_ratio": medians["spawned"] / medians["warm"],
        "automation_api_throughput_ratio": ours / theirs,
    }
    others = {
        "spawned_update_seconds": medians["spawned"],
        "update_seconds_slowest": max(seconds["warm"]),
        "updates_per_second_four_at_once": ours,
        "automation_api_updates_per_second_four_at_once": theirs,
    }
    setting = {"cpus": os.cpu_count(), "stack": "placement on AWS", "packs": 1, "preview": "yes", "automation_api_preview": "no", "at_once": _AT_ONCE}
    return Result("runs", claims, samples, setting, others)


def _update(ground: Platform, engine: Engine, number: int, tag: str) -> float:
    """Seconds of preview and update; the settings are written before."""
    stack = ground.settle(engine, number, tag)
    begun = time.perf_counter()
    outcome = engine.up(stack, ground.packs, ground.journal(stack))
    took = time.perf_counter() - begun
    assert outcome.changes, f"{stack}: the tag {tag} changed nothing"
    return took


def _throughput(ground: Platform, engine: Engine) -> tuple[float, float]:
    """Updates/s of four stacks at once: ours, and the Automation API's, which updates without a preview and by a spawned host."""
    environment = ground.engine_environment(warm=False)
    os.environ["PATH"] = environment["PATH"]  # where the SDK looks for the engine
    project = str(ground.home / "project")
    stacks = [f"placement.bench.w{number}.1" for number in range(_AT_ONCE)]

    def ours(number: int) -> None:
        engine.up(stacks[number], ground.packs, ground.journal(stacks[number]))

    def theirs(number: int) -> None:
        options = automation.LocalWorkspaceOptions(env_vars=environment)
        stack = automation.select_stack(stacks[number], work_dir=project, opts=options)
        pack = ground.packs[0]
        stack.up(policy_packs=[str(pack.program)], policy_pack_configs=[str(pack.config)] if pack.config else None)

    took = {"ours": 0.0, "theirs": 0.0}
    sides: dict[str, Callable[[int], None]] = {"ours": ours, "theirs": theirs}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number in range(_AT_ONCE):
            _update(ground, engine, number, "first")
        for turn in range(_ROUNDS):
            for name, side in sides.items():
                for number in range(_AT_ONCE):
                    ground.settle(engine, number, f"{name}-{turn}")
                begun = time.perf_counter()
                list(pool.map(side, range(_AT_ONCE)))
                took[name] += time.perf_counter() - begun
                _say(f"{_AT_ONCE} at once, round {turn + 1} of {_ROUNDS}, {name}")
    updates = _AT_ONCE * _ROUNDS
    return updates / took["ours"], updates / took["theirs"]


def _say(text: str) -> None:
    sys.stderr.write(f"runs: {text}\n")
    sys.stderr.flush()
