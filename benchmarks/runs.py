"""``runs``: plain `pulumi up`, the Automation API as the SDK drives it, and ours, side by side on the placement stacks of one local cloud.

Each side previews with the packs, then acts. First one stack is created, left as it is and destroyed, the sides taking turns; then a tag of the machine changes
on 1, 2, 4 and 8 stacks at once. The two rivals spawn a language host for each program, as they do by themselves.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from pulumi import automation

from automation.runs.engine import Engine
from benchmarks.platform import Platform, platform
from benchmarks.report import Result

SAMPLES = 3
AT_ONCE = (1, 2, 4, 8)


class Side(Protocol):
    """One way of running the engine. Both calls preview first where the way has a preview."""

    def up(self, stack: str) -> None:
        """Preview with the packs, then update."""
        ...

    def destroy(self, stack: str) -> None:
        """Destroys what the stack holds."""
        ...


@dataclass(frozen=True)
class Ours:
    """The automation service's engine with the warm language host."""

    ground: Platform
    engine: Engine

    def up(self, stack: str) -> None:
        """As a run does."""
        self.engine.up(stack, self.ground.packs, self.ground.journal(stack))

    def destroy(self, stack: str) -> None:
        """As a run does; the stack is forgotten, too."""
        self.engine.destroy(stack, self.ground.journal(stack))


@dataclass(frozen=True)
class Plain:
    """The command line: one process, which previews and updates."""

    ground: Platform

    def up(self, stack: str) -> None:
        """``pulumi up --yes``."""
        packs = [flag for pack in self.ground.packs for flag in ("--policy-pack", str(pack.program), "--policy-pack-config", str(pack.config))]
        self._pulumi("up", stack, *packs)

    def destroy(self, stack: str) -> None:
        """``pulumi destroy --yes``."""
        self._pulumi("destroy", stack, "--remove")

    def _pulumi(self, operation: str, stack: str, *flags: str) -> None:
        environment = self.ground.engine_environment(warm=False)
        command = [environment["SPOTLANE_ENGINE"], operation, "--yes", "--non-interactive", "-s", stack, "-C", str(self.ground.home / "project"), *flags]
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)


@dataclass(frozen=True)
class AutomationApi:
    """Pulumi's SDK: ``preview`` and ``up`` are processes of their own."""

    ground: Platform

    def up(self, stack: str) -> None:
        """``Stack.preview`` and ``Stack.up``."""
        selected = self._selected(stack)
        programs, configs = [str(pack.program) for pack in self.ground.packs], [str(pack.config) for pack in self.ground.packs]
        selected.preview(policy_packs=programs, policy_pack_configs=configs)
        selected.up(policy_packs=programs, policy_pack_configs=configs)

    def destroy(self, stack: str) -> None:
        """``Stack.destroy``."""
        self._selected(stack).destroy(remove=True)

    def _selected(self, stack: str) -> automation.Stack:
        environment = self.ground.engine_environment(warm=False)
        os.environ["PATH"] = environment["PATH"]  # where the SDK looks for the engine
        return automation.select_stack(stack, work_dir=str(self.ground.home / "project"), opts=automation.LocalWorkspaceOptions(env_vars=environment))


def run(samples: int) -> Result:
    """``samples`` turns of create, no-op and destroy a side after one uncounted; then each number at once, once."""
    with platform(_say) as ground:
        engine = ground.engine(warm=True)
        sides: dict[str, Side] = {"ours": Ours(ground, engine), "plain": Plain(ground), "automation_api": AutomationApi(ground)}
        seconds = _one_by_one(ground, engine, sides, samples)
        rates = _at_once(ground, engine, sides)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    setting = {"cpus": os.cpu_count(), "stack": "placement on AWS", "packs": 1, "preview": "each side", "at_once": f"1 to {max(AT_ONCE)}"}
    return Result("runs", claims(medians, rates), samples, setting, others(medians, rates))


def claims(medians: Mapping[tuple[str, str], float], rates: Mapping[tuple[str, int], float]) -> dict[str, float]:
    """Seconds that ours takes to make a placement, how many times that a spawned host takes (plain ``pulumi up``), and ours over the Automation API's
    updates, 4 at once."""
    return {
        "update_seconds": medians["ours", "create"],
        "spawned_ratio": medians["plain", "create"] / medians["ours", "create"],
        "automation_api_throughput_ratio": rates["ours", 4] / rates["automation_api", 4],
    }


def others(medians: Mapping[tuple[str, str], float], rates: Mapping[tuple[str, int], float]) -> dict[str, float]:
    """Every side's seconds and rates, and the throughput's ratio for each number at once."""
    found = {f"{name}_{operation}_seconds": value for (name, operation), value in medians.items()}
    found |= {f"{name}_updates_per_second_{number}": value for (name, number), value in rates.items()}
    return found | {f"throughput_ratio_{number}": rates["ours", number] / rates["automation_api", number] for number in AT_ONCE}


def _one_by_one(ground: Platform, engine: Engine, sides: dict[str, Side], samples: int) -> dict[tuple[str, str], list[float]]:
    """Seconds by side and operation."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for turn in range(samples + 1):
        for number, (name, side) in enumerate(sides.items(), 20):
            stack = ground.settle(engine, number, f"{name}-{turn}")
            for operation, act in (("create", side.up), ("noop", side.up), ("destroy", side.destroy)):
                took = _timed(act, [stack])
                if turn:
                    seconds.setdefault((name, operation), []).append(took)
                    _say(f"turn {turn} of {samples}, {name}, {operation}: {took:.2f} s")
    return seconds


def _at_once(ground: Platform, engine: Engine, sides: dict[str, Side]) -> dict[tuple[str, int], float]:
    """Updates/s by side and number at once."""
    stacks = [ground.settle(engine, number, "first") for number in range(max(AT_ONCE))]
    _timed(sides["ours"].up, stacks)
    rates = {}
    for number in AT_ONCE:
        for name, side in sides.items():
            for index in range(number):
                ground.settle(engine, index, f"{name}-{number}")
            rates[name, number] = number / _timed(side.up, stacks[:number])
            _say(f"{number} at once, {name}: {rates[name, number]:.3f} updates/s")
    return rates


def _timed(act: Callable[[str], None], stacks: Sequence[str]) -> float:
    """Seconds until ``act`` is done for all of ``stacks`` at once."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(stacks)) as pool:
        list(pool.map(act, stacks))
    return time.perf_counter() - begun


def _say(text: str) -> None:
    sys.stderr.write(f"runs: {text}\n")
    sys.stderr.flush()
