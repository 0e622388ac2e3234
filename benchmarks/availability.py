"""``availability``: replicas on spot machines that come and go, over recorded capacity: round robin, SpotHedge, ours, and the optimum.

The setting is that of SkyServe's paper (Mao et al., EuroSys 2025) and its simulator: three replicas wanted, at most one extra, a cold start of 120 s, on demand
at three times the spot price, steps of 30 s, windows of 24 h drawn at random from a fixed seed; a window is counted from the end of its first cold start.
A request for more machines than a zone has at that step brings as many as there are. Availability is the share of steps with three replicas ready, that is
held for the cold start and since; cost is in per cent of three machines on demand. Nobody knows a zone before the window begins. *Ours* is
:mod:`domain.placement.fleet`. The *optimum* knows the whole window: always three ready at the least cost, by dynamic programming.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Result
from domain.placement.fleet import Goal, Outcome, Replica, Seen, decide, observe

NEEDS_DATA = True
SAMPLES = 30
STEP_SECONDS = 30
COLD = 4
"""Steps of a cold start."""
WANTED, EXTRA, ON_DEMAND = 3, 1, 3
WINDOW = 2880
_SEED = 0

Counts = NDArray[np.int64]
Held = tuple[Counts, Counts]
"""Machines held: spot by step and zone, on demand by step."""


def options(parser: argparse.ArgumentParser) -> None:
    """The benchmark's own options."""
    parser.add_argument("--data", type=Path, required=True, help="directory with one directory a trace: a JSON file a zone (metadata.gap_seconds, data)")
    parser.add_argument("--availability", type=float, default=Goal(WANTED).availability, help="the target of ours")


def run(samples: int, options: argparse.Namespace) -> Result:
    """Each policy over ``samples`` windows of each trace."""
    goal = Goal(WANTED, options.availability, COLD * STEP_SECONDS / 3600, STEP_SECONDS / 3600, EXTRA)
    policies: dict[str, Callable[[Counts, random.Random], Held]] = {
        "ours": lambda window, dice: ours(window, goal),
        "spothedge": spothedge,
        "round_robin": round_robin,
    }
    claims: dict[str, float] = {}
    others: dict[str, float] = {}
    traces = sorted(path for path in options.data.iterdir() if path.is_dir()) if options.data.is_dir() else []
    if not traces:
        raise SystemExit(f"{options.data} holds no traces; --data names a directory with one directory a trace")
    for path in traces:
        trace = load(path)
        if trace.shape[1] <= WINDOW:
            raise SystemExit(f"{path} covers {trace.shape[1] * STEP_SECONDS / 3600:.0f} h; a window needs more than 24")
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in [*policies, "optimum"]}
        starts = np.random.RandomState(_SEED).randint(0, trace.shape[1] - WINDOW, size=samples)
        for number, start in enumerate(starts):
            window = trace[random.Random(number).sample(range(len(trace)), len(trace)), start : start + WINDOW]
            for name, policy in policies.items():
                found[name].append(score(*policy(window, random.Random(number))))
            found["optimum"].append((1.0, optimum(window)))
        for name, figures in found.items():
            available, cost = 100 * np.mean(figures, axis=0)
            into = others if name == "round_robin" else claims
            prefix = path.name if name == "ours" else f"{path.name}_{name}"
            into |= {f"{prefix}_availability_percent": float(available), f"{prefix}_cost_percent": float(cost)}
        others[f"{path.name}_midpoint_cost_percent"] = (claims[f"{path.name}_spothedge_cost_percent"] + claims[f"{path.name}_optimum_cost_percent"]) / 2
    setting = {"replicas": WANTED, "extra": EXTRA, "cold_start_seconds": COLD * STEP_SECONDS, "on_demand_to_spot": ON_DEMAND, "target": goal.availability}
    return Result("availability", claims, samples, setting, others)


def load(directory: Path) -> Counts:
    """Machines to be had, by zone and step of 30 s; as long as the shortest zone's record. Ends the run at a file that isn't of the format."""
    zones = []
    for path in sorted(directory.glob("*.json")):
        try:
            document: Any = json.loads(path.read_text())
            gap, counts = document["metadata"]["gap_seconds"], document["data"]
            if gap % STEP_SECONDS or not counts or any(not isinstance(one, int) or one < 0 for one in counts):
                raise ValueError(f"gap_seconds must be a multiple of {STEP_SECONDS}, data whole numbers of machines")
        except (KeyError, TypeError, ValueError) as error:
            raise SystemExit(f"{path} is no record of capacity: {error}") from error
        zones.append(np.repeat(np.array(counts, dtype=np.int64), int(gap) // STEP_SECONDS))
    if not zones:
        raise SystemExit(f"{directory} holds no JSON file of a zone")
    shortest = min(len(one) for one in zones)
    return np.array([one[:shortest] for one in zones])


def ready(held: Counts) -> Counts:
    """Of machines held by step (rows), how many have been held for a cold start; from the end of the first cold start on."""
    return np.lib.stride_tricks.sliding_window_view(held, COLD + 1, axis=0).min(axis=-1)


def score(spot: Counts, on_demand: Counts) -> tuple[float, float]:
    """Share of steps with enough ready, and cost relative to all on demand."""
    enough = ready(spot).sum(axis=1) + ready(on_demand) >= WANTED
    paid = spot[COLD:].sum() + ON_DEMAND * on_demand[COLD:].sum()
    return float(enough.mean()), float(paid / (ON_DEMAND * WANTED * len(enough)))


def round_robin(window: Counts, dice: random.Random) -> Held:
    """Spot only: what is missing is asked for in one zone after the other."""
    spot, zone = np.zeros(window.shape[::-1], dtype=np.int64), 0
    for step in range(len(spot)):
        asked = spot[step - 1].copy() if step else spot[0].copy()
        for _ in range(WANTED - int(asked.sum())):
            asked[zone] += 1
            zone = (zone + 1) % len(window)
        spot[step] = np.minimum(asked, window[:, step])
    return spot, np.zeros(len(spot), dtype=np.int64)


def spothedge(window: Counts, dice: random.Random) -> Held:
    """As section 4 of the paper has it.

    One spot machine more than wanted; new ones in zones that aren't thought preempted, first those with none of ours. A zone that takes back or refuses is
    thought preempted until it serves again; when hardly any zone is left all are tried anew. On demand for what is missing of wanted and extra,
    kept through the cold start of its successor.
    """
    zones = len(window)
    spot, on_demand = np.zeros((window.shape[1], zones), dtype=np.int64), np.zeros(window.shape[1], dtype=np.int64)
    active, asked_before = list(range(zones)), np.zeros(zones, dtype=np.int64)
    fell_back, fallback = -COLD, 0
    for step in range(len(spot)):
        before = spot[step - 1] if step else np.zeros(zones, dtype=np.int64)
        running = int(spot[step - 1 - COLD : step].min(axis=0).sum()) if step > COLD else 0
        if running < WANTED + EXTRA:
            on_demand[step] = fallback = min(WANTED, WANTED + EXTRA - running)
            fell_back = step
        elif step - fell_back < COLD:
            on_demand[step] = fallback
        for zone in range(zones):
            if asked_before[zone] > before[zone] and zone in active:
                active.remove(zone)
            elif 0 < asked_before[zone] == before[zone] and zone not in active:
                active.append(zone)
        if len(active) <= max(0, min(1, zones - 3)):
            active = list(range(zones))
        asked = before.copy()
        for _ in range(WANTED + EXTRA - int(before.sum())):
            asked[dice.choice([zone for zone in active if asked[zone] == 0] or active)] += 1
        spot[step] = np.minimum(asked, window[:, step])
        asked_before = asked
    return spot, on_demand


def ours(window: Counts, goal: Goal) -> Held:
    """:func:`domain.placement.fleet.decide` at every step, told afterwards what came of it."""
    names = [f"zone-{number}" for number in range(len(window))]
    prices = dict.fromkeys(names, 1.0)
    spot, on_demand = np.zeros(window.shape[::-1], dtype=np.int64), np.zeros(window.shape[1], dtype=np.int64)
    seen, replicas = Seen(), ()
    for step in range(len(spot)):
        hours = step * STEP_SECONDS / 3600
        standing = int(on_demand[step - COLD : step].min()) if step >= COLD else 0
        plan = decide(goal, replicas, standing, prices, float(ON_DEMAND), seen, hours)
        outcomes: list[Outcome] = []
        now: list[Replica] = []
        for number, name in enumerate(names):
            kept = sorted((one for one in plan.keep if one.zone == name), key=lambda one: one.since)
            asked = len(kept) + plan.launch.get(name, 0)
            if asked:
                got = min(asked, int(window[number, step]))
                outcomes.append(Outcome(name, len(kept), asked, got))
                now += [*kept[:got], *[Replica(name, hours)] * (got - len(kept))]
                spot[step, number] = got
        seen = observe(seen, outcomes, hours + STEP_SECONDS / 3600, goal)
        replicas, on_demand[step] = tuple(now), plan.on_demand
    return spot, on_demand


def optimum(window: Counts) -> float:
    """The least cost at which enough are always ready, relative to all on demand.

    A state says how many are ready in each zone and on demand. To have one more ready somewhere costs a cold start of that machine before; a state can
    hold as long as every zone has had that many for a cold start. Between two changes of what zones have, nothing is gained by a change.
    """
    zones = len(window)
    bound = ready(window.T)
    changes = [0, *(np.flatnonzero((np.diff(bound, axis=0) != 0).any(axis=1)) + 1).tolist(), len(bound)]
    states = np.array([one for one in itertools.product(range(WANTED + EXTRA + 1), repeat=zones + 1) if WANTED <= sum(one) <= WANTED + EXTRA])
    prices = np.array([1] * zones + [ON_DEMAND])
    start_up = np.maximum(states[np.newaxis, :, :] - states[:, np.newaxis, :], 0) @ (prices * COLD)
    holding = states @ prices
    least: NDArray[np.float64] = np.zeros(len(states))
    for number, (begin, end) in enumerate(itertools.pairwise(changes)):
        if number:
            least = (least[:, np.newaxis] + start_up).min(axis=0)
        fits = (states[:, :zones] <= bound[begin]).all(axis=1)
        least = np.where(fits, least + holding * (end - begin), np.inf)
    return float(least.min() / (ON_DEMAND * WANTED * len(bound)))
