"""The attached providers under a real engine, against the local AWS, Azure and GCP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from localcloud.providers.server import Providers, ProviderSettings, start
from tests.localcloud.clouds.conftest import Served, served
from tools.engine.resolve import NoEngine, resolve

__all__ = ["served"]

Program = Callable[[], None]


class Stage:
    """A project with a state of its own, whose programs run in this process against ``providers``."""

    def __init__(self, directory: Path, providers: Providers) -> None:
        self._directory = directory
        self.providers = providers

    def stack(self, program: Program, name: str = "test", project: str = "providers") -> automation.Stack:
        """Stack ``name`` of ``project`` with ``program``."""
        backend = self._directory / "state"
        backend.mkdir(exist_ok=True)
        environment = {
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_HOME": str(self._directory / "home"),
            "PULUMI_DEBUG_PROVIDERS": self.providers.debug_providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        }
        settings = automation.ProjectSettings(name=project, runtime="python", backend=automation.ProjectBackend(backend.as_uri()))
        options = automation.LocalWorkspaceOptions(work_dir=str(self._directory), project_settings=settings, env_vars=environment)
        return automation.create_or_select_stack(name, project_name=project, program=program, opts=options)

    def resources(self, program: Program, name: str = "test") -> dict[str, dict[str, Any]]:
        """The state of a stack: logical name → resource."""
        deployment: Any = self.stack(program, name).export_stack().deployment
        return {resource["urn"].rsplit("::", 1)[-1]: resource for resource in deployment.get("resources", [])}


@pytest.fixture(scope="session")
def engine() -> Path:
    """The engine; what needs it is skipped where there is none."""
    try:
        return resolve()[0]
    except NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture
def providers(tmp_path: Path, served: Served) -> Iterator[Providers]:
    """The three providers of machine clouds, on free ports."""
    settings = ProviderSettings(tmp_path / "spotlane", "", tmp_path / "none.pem", {"*": served.state.url("clouds")})
    running = start({"aws": 0, "azure-native": 0, "gcp": 0}, settings)
    yield running
    running.stop(0.5)


@pytest.fixture
def stage(tmp_path: Path, engine: Path, providers: Providers, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A place to run programs in."""
    monkeypatch.setenv("PATH", f"{engine.parent}{os.pathsep}{os.environ['PATH']}")
    return Stage(tmp_path, providers)
