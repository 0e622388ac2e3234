"""A SIGKILL of workerd, or of the host that runs it, at any step of a saga loses nothing: it ends committed or compensated, one placement serves."""

from __future__ import annotations

import itertools

import pytest

from demo.cast import CAST
from demo.strike import strike
from spotlane import wire
from tests.e2e.conftest import Platform
from tests.e2e.kills import STEPS, Victim, kill_during, whole

pytestmark = pytest.mark.timeout(600)
ACME, _ = CAST


@pytest.mark.parametrize(
    ("victim", "step"),
    [("workerd", wire.MigrationStep.PROVISION), ("host", wire.MigrationStep.COMMIT), ("workerd", wire.MigrationStep.DRAIN)],
)
def test_a_kill_leaves_one_serving_placement_and_no_machine_more(platform: Platform, victim: Victim, step: wire.MigrationStep) -> None:
    kill = kill_during(platform, ACME, step, victim)
    assert kill.migration.step in (wire.MigrationStep.DONE, wire.MigrationStep.COMPENSATED)
    whole(platform, ACME)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_kills_at_every_step_end_every_migration_and_leak_nothing(own_platform: Platform) -> None:
    platform = own_platform
    victims: tuple[Victim, ...] = ("workerd", "host")
    for number, (victim, step) in enumerate(itertools.product(victims, STEPS)):
        part = CAST[number % len(CAST)]
        kill = kill_during(platform, part, step, victim)
        print(f"{victim} at {kill.at.value}: {kill.migration.id} {kill.migration.step.value}", flush=True)
        assert kill.migration.step in (wire.MigrationStep.DONE, wire.MigrationStep.COMPENSATED)
        whole(platform, part)
    assert strike(platform.stage, platform.edge, platform.automation, platform.director).faults == []
