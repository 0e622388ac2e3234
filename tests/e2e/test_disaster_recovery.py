"""What docs/guides/disaster-recovery.md says of a loss, done: the runs' database goes in the middle of a move."""

from __future__ import annotations

import json
import os
import signal

import pytest

from demo.cast import CAST
from spotlane import wire
from spotlane.errors import SpotlaneError
from tests.e2e.conftest import Platform
from tests.e2e.kills import whole

ACME, _ = CAST


def ended(platform: Platform, migration: str) -> bool:
    try:
        return platform.edge.migration(migration).status != "running"
    except SpotlaneError:
        return False


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_move_ends_though_the_runs_database_is_lost_while_its_machine_is_made(platform: Platform) -> None:
    platform.automation.tick()
    asked = platform.automation.move(wire.MoveRequest(workload=ACME.id))
    stack = f"placement.acme.web.{asked.id.rpartition('_')[2]}"
    platform.director.wait("its engine", 60, lambda: any(run.status == "running" for run in platform.automation.runs(stack=stack)))
    before = {run.id for run in platform.automation.runs(stack=stack)}
    home = platform.stage.home
    os.kill(json.loads((home / "run" / "automation.json").read_text())["pid"], signal.SIGKILL)
    for file in (home / "automation").glob("runs.sqlite*"):
        file.unlink()
    platform.director.wait(f"the end of {asked.id}", 240, lambda: ended(platform, asked.id))
    assert platform.edge.migration(asked.id).status == "succeeded"
    whole(platform, ACME)
    # Asked for again by its key: the run has its id of before, and the database that it stands in is new.
    assert {run.id for run in platform.automation.runs(stack=stack, status="succeeded")} == before
    assert "tenant.acme" not in {run.stack for run in platform.automation.runs(limit=500)}
