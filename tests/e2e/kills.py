"""kill -9 of workerd or of its host while a saga stands at a given step, and what must be true afterwards."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from demo.cast import CAST, Part
from spotlane import wire
from spotlane.errors import SpotlaneError
from tests.e2e.conftest import Platform

Victim = Literal["workerd", "host"]
STEPS = (
    wire.MigrationStep.RESERVE,
    wire.MigrationStep.PROVISION,
    wire.MigrationStep.VERIFY,
    wire.MigrationStep.COMMIT,
    wire.MigrationStep.DRAIN,
    wire.MigrationStep.DECOMMISSION,
    wire.MigrationStep.RECORD,
)
_POLL_SECONDS = 0.01
_MOVE_SECONDS = 120.0
_SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Kill:
    """What a kill did: ``at`` is the step at which the saga stood when the signal was sent."""

    victim: Victim
    migration: wire.Migration
    at: wire.MigrationStep


def kill_during(platform: Platform, part: Part, step: wire.MigrationStep, victim: Victim) -> Kill:
    """Asks for a move of ``part``, kills ``victim`` once the saga is at ``step`` (or past it, where it went by between two looks), and waits for the end."""
    platform.director.quiet(part, _MOVE_SECONDS)
    platform.automation.tick()
    asked = platform.automation.move(wire.MoveRequest(workload=part.id))
    at = asked.step
    while _order(at) < _order(step):
        time.sleep(_POLL_SECONDS)
        at = platform.edge.migration(asked.id).step
    os.kill(_victim(platform, victim), signal.SIGKILL)
    platform.director.wait(f"the end of {asked.id}", _MOVE_SECONDS, lambda: _ended(platform, asked.id))
    return Kill(victim, platform.edge.migration(asked.id), at)


def whole(platform: Platform, part: Part) -> None:
    """Exactly one placement of ``part`` serves, it is the one that answers, and no machine runs but those that serve. Raises AssertionError."""
    platform.director.wait(f"{part.id} to be at rest", _SETTLE_SECONDS, lambda: platform.director.running(part))
    serving = [one for one in platform.edge.placements(part.id) if one.state is wire.PlacementState.SERVING]
    workload = platform.edge.workload(part.id)
    assert [one.id for one in serving] == [workload.placement.id if workload.placement else None]
    endpoint = platform.edge.endpoint(part.id)
    assert endpoint.http is not None
    answer = _get(endpoint.http)
    assert answer.status_code == 200 and answer.json()["placement"] == serving[0].id
    expected = {platform.edge.workload(one.id).placement.id for one in CAST}  # type: ignore[union-attr]  # both are at rest
    platform.director.wait("no machine but those that serve", _SETTLE_SECONDS, lambda: len(_machines(platform)) == len(expected))
    assert _placement_stacks(platform) == expected


def _get(url: str) -> httpx.Response:
    split = httpx.URL(url)
    return httpx.get(split.copy_with(host="127.0.0.1"), headers={"host": split.netloc.decode()}, timeout=30, trust_env=False)


def _victim(platform: Platform, victim: Victim) -> int:
    """Its process id."""
    (edge,) = [one for one in platform.stage.status()["processes"] if one["name"] == "edge"]
    host = int(edge["pid"])
    if victim == "host":
        return host
    (workerd,) = [pid for pid in _descendants(host) if Path(f"/proc/{pid}/comm").read_text().strip() == "workerd"]
    return workerd


def _descendants(pid: int) -> list[int]:
    children = [int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()]
    return children + [below for child in children for below in _descendants(child)]


def _ended(platform: Platform, migration: str) -> bool:
    try:
        return platform.edge.migration(migration).status != "running"
    except (SpotlaneError, json.JSONDecodeError):
        return False


def _machines(platform: Platform) -> list[str]:
    return [one["id"] for one in platform.stage.control("GET", "/hosts") if one["state"] == "running"]


def _placement_stacks(platform: Platform) -> set[str]:
    """Placements of which the state backend holds resources."""
    found = set()
    for path in (platform.stage.home / "pulumi").rglob("placement.*.json"):
        if "stacks" in path.parts and path.suffixes[-1] == ".json" and json.loads(path.read_text())["checkpoint"]["latest"].get("resources"):
            _, tenant, workload, generation, *_ = path.name.split(".")
            found.add(f"{tenant}_{workload}_{generation}")
    return found


def _order(step: wire.MigrationStep) -> int:
    return STEPS.index(step) if step in STEPS else len(STEPS)
