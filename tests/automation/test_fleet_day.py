"""What the daemon makes of an availability over hours in which zones take machines back in bursts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.automation.fleet_day import World, bursts

MINUTES = 150


def lived(directory: Path, *, restarts: int | None = None, seed: int = 0, **rules: Any) -> World:
    """Two machines for so many minutes; the service begins anew every ``restarts`` minutes."""
    directory.mkdir()
    world = World(directory, {"replicas": 2, **rules}, bursts(seed, MINUTES))
    for minute in range(1, MINUTES + 1):
        world.step()
        if restarts is not None and minute % restarts == 0:
            world.stop()
            world.start()
    world.stop()
    return world


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two machines with an availability of 99 %."""
    return lived(tmp_path_factory.mktemp("held") / "world", availability=0.99)


def test_an_availability_is_kept_where_the_number_alone_isnt_and_the_spare_costs_little(tmp_path: Path, held: World) -> None:
    plain = lived(tmp_path / "plain")
    assert held.availability > plain.availability + 0.03
    assert (plain.most, held.most) == (2, 3)
    assert plain.cost < held.cost < 1.6 * plain.cost
    assert held.losses < plain.losses


@pytest.mark.soak
def test_a_service_that_begins_anew_every_ten_minutes_does_the_same(tmp_path: Path, held: World) -> None:
    often = lived(tmp_path / "often", availability=0.99, restarts=10)
    assert (often.availability, often.cost, often.losses) == pytest.approx((held.availability, held.cost, held.losses), rel=0.02)
