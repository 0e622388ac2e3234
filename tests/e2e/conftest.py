"""The whole of Spotlane on free ports and a state directory of its own: slow to put up, so every end-to-end test shares it, and taken down after the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.cast import CAST, declare, onboard
from demo.scenario import Director
from demo.stage import Stage
from domain.catalog import CLOUDS
from spotlane import wire
from spotlane.client import AutomationClient, Client
from tests.ports import free_base

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Platform:
    """What the tests act on."""

    stage: Stage
    edge: Client
    automation: AutomationClient
    director: Director
    allowed: dict[str, wire.BoundaryCheck]


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The local cloud with the edge deployed, both tenants onboarded and their workloads served."""
    yield from stand(tmp_path_factory.mktemp("platform"))


@pytest.fixture
def own_platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform for one test alone, which may take all of it down."""
    yield from stand(tmp_path_factory.mktemp("own"))


def stand(home: Path) -> Iterator[Platform]:
    """Puts the whole up in ``home``, gives it once, and takes it down."""
    stage = Stage(ROOT, home, free_base(), {"seed": "11", "speed": "3600"}, 1.0)
    try:
        stage.up()
        for cloud in CLOUDS:
            # A test says itself what can't be had: else one move of some hundred is refused, and it isn't the test's that asked for it.
            stage.control("POST", "/market/events", {"kind": "plenty", "cloud": cloud})
        stage.deploy_edge()
        edge = Client.from_env(stage.environ)
        automation = AutomationClient.from_env(edge, stage.environ)
        director = Director(stage, edge, automation, lambda text: None)
        director.wait("the edge API", 60, edge.healthy)
        allowed = {part.tenant: onboard(edge, automation, part) for part in CAST}
        for part in CAST:
            declare(edge, part)
        automation.daemon(paused=False)
        director.first_placements(180)
        automation.daemon(paused=True)
        yield Platform(stage, edge, automation, director, allowed)
    finally:
        stage.down(purge=True)
