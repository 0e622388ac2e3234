"""pytest fixtures over a platform in memory: its state, its address, clients of it, the environment that names it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spotlane.client import AutomationClient, Client
from spotlane.testing.platform import FakePlatform
from spotlane.testing.server import Served, serve


@pytest.fixture
def spotlane_platform() -> FakePlatform:
    """A fresh platform in memory."""
    return FakePlatform()


@pytest.fixture
def spotlane_served(spotlane_platform: FakePlatform) -> Iterator[Served]:
    """The platform on loopback, until the test has ended."""
    with serve(spotlane_platform) as served:
        yield served


@pytest.fixture
def spotlane_client(spotlane_served: Served) -> Client:
    """A client of the platform's edge API."""
    return spotlane_served.client()


@pytest.fixture
def spotlane_automation(spotlane_served: Served) -> AutomationClient:
    """A client of the platform's automation service."""
    return spotlane_served.automation()


@pytest.fixture
def spotlane_environment(spotlane_served: Served, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The process's environment names the platform, for programs and the command line."""
    for name, value in spotlane_served.environment.items():
        monkeypatch.setenv(name, value)
    return spotlane_served.environment
