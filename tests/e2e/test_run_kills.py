"""A SIGKILL of the service, an engine or the language host at any point of a run: it ends as what is true, nothing is doubled, leaked, lost or locked."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Platform
from tests.e2e.run_kills import Campaign, points, told

SEED = 7


def test_points_depend_on_the_seed_alone_and_meet_every_victim_at_every_operation_on_every_cloud() -> None:
    found = points(SEED, 60)
    assert found == points(SEED, 60) and found[:9] == points(SEED, 9) and found != points(SEED + 1, 60)
    assert len({(one.cloud, one.operation, one.victim) for one in found[:27]}) == 27


@pytest.mark.timeout(240)
def test_a_kill_at_create_update_and_destroy_leaves_the_clouds_as_the_state_says(platform: Platform) -> None:
    ends = list(Campaign(platform, "share").run(points(SEED, 3)))
    assert [end.faults for end in ends] == [()] * 3, "\n".join(map(told, ends))


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("cloud", "of"),
    [("aws", ":Instance"), pytest.param("azure", ":VirtualMachine", marks=pytest.mark.soak), pytest.param("gcp", ":Instance", marks=pytest.mark.soak)],
)
def test_a_machine_whose_engine_dies_in_its_create_is_found_in_the_cloud_and_taken_over(platform: Platform, cloud: str, of: str) -> None:
    end, log = Campaign(platform, "pending").kill_in_create(cloud, 90 + len(cloud), of)
    assert (end.hit, end.status, end.faults) == (True, "succeeded", ()), told(end)
    assert any("taken over" in line and of in line for line in log), "\n".join(log)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_sixty_kills_leave_the_clouds_as_the_states_say(platform: Platform) -> None:
    for end in Campaign(platform, "soak").run(points(SEED, 60)):
        print(told(end), flush=True)
        assert end.faults == (), told(end)
