"""What a release left in users' accounts, as a real engine sees it today: nothing of it would be replaced or deleted, and what is new is named here."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.automation import Deployment
from pulumi.automation.events import EngineEvent

from tests.localcloud.clouds.conftest import Served
from tests.localcloud.providers.conftest import Stage
from tests.localcloud.providers.standing import PROJECT, ground, program, stacks

STATES: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "deployments-0.1.json").read_text())
"""Exports of ``tests.localcloud.providers.standing``, run with the programs of 0.1."""
CHEAP = "region.acme.gcp.europe-west4"


@pytest.fixture
def stage(tmp_path: Path, engine: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A backend of its own, into which the old states are imported."""
    monkeypatch.setenv("PATH", f"{engine.parent}{os.pathsep}{os.environ['PATH']}")
    with ground(tmp_path, served) as stage:
        yield stage


def previewed(stage: Stage, name: str, changes: dict[str, Any] | None = None) -> dict[str, set[str]]:
    """What today's program would do with the old state of ``name``: the logical names of its resources, by the engine's operation."""
    for foundation in [one for one in stacks() if one == name or not one.startswith("placement.")]:
        deployment = json.loads(json.dumps(STATES[foundation]))
        if foundation == name:
            for resource in deployment["resources"]:
                other = (changes or {}).get(resource["urn"].rpartition("::")[2], {})
                resource |= {part: resource.get(part, {}) | other for part in ("inputs", "outputs")}
        stage.stack(lambda: None, foundation, PROJECT).import_stack(Deployment(3, deployment))
    steps: dict[str, set[str]] = {}
    lock = threading.Lock()

    def seen(event: EngineEvent) -> None:
        if event.resource_pre_event is not None and not event.resource_pre_event.metadata.type.startswith("pulumi:"):
            with lock:
                metadata = event.resource_pre_event.metadata
                steps.setdefault(metadata.op.value, set()).add(metadata.urn.rpartition("::")[2])

    stage.stack(program(name), name, PROJECT).preview(on_event=seen)
    return steps


def removed(steps: dict[str, set[str]]) -> dict[str, set[str]]:
    """Of what would happen that which takes something away."""
    return {op: names for op, names in steps.items() if op not in ("same", "create", "update", "read", "refresh")}


@pytest.mark.parametrize("name", [name if name == CHEAP else pytest.param(name, marks=pytest.mark.soak) for name in stacks()])
def test_a_real_engine_replaces_and_deletes_nothing_of_what_a_release_left(name: str, stage: Stage) -> None:
    steps = previewed(stage, name)
    assert removed(steps) == {}
    assert steps["same"]


@pytest.mark.soak
def test_a_state_that_differs_in_what_can_not_change_is_noticed(stage: Stage) -> None:
    steps = previewed(stage, CHEAP, {"network-subnetwork": {"region": "europe-west1"}})
    assert set(removed(steps)) == {"create-replacement", "replace", "delete-replaced"}
    assert set().union(*removed(steps).values()) == {"network-subnetwork"}
