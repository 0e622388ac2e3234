"""Programs of other languages than the components': the real engine, the package as a plugin, the local clouds beneath."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud.providers.server import Providers
from tests.localcloud.clouds.conftest import served
from tests.localcloud.providers.conftest import engine, providers

__all__ = ["engine", "providers", "served"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "provider"


@dataclass
class Project:
    """A project with one stack, ``dev``."""

    directory: Path
    engine: Path
    providers: Providers

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the engine to its end."""
        environment = {
            **os.environ,
            "HOME": str(self.directory),
            "PULUMI_HOME": str(self.directory / ".pulumi-home"),
            "PATH": f"{self.engine.parent}:{ROOT / 'languagehost' / 'bin'}:{os.environ['PATH']}",
            "VIRTUAL_ENV": sys.prefix,
            "PULUMI_BACKEND_URL": f"file://{self.directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_DEBUG_PROVIDERS": self.providers.debug_providers,
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        }
        command = [str(self.engine), *arguments, "--non-interactive", "--color", "never"]
        return subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True, timeout=120, check=False)

    def begin(self, document: str) -> None:
        """Writes ``Pulumi.yaml`` and makes the stack."""
        (self.directory / "Pulumi.yaml").write_text(document)
        (self.directory / "state").mkdir()
        made = self.pulumi("stack", "init", "dev")
        assert made.returncode == 0, made.stdout + made.stderr

    def resources(self) -> dict[str, dict[str, Any]]:
        """The state: type token → resource; of several, the last."""
        exported = self.pulumi("stack", "export")
        assert exported.returncode == 0, exported.stderr
        return {one["type"]: one for one in json.loads(exported.stdout)["deployment"].get("resources", [])}


@pytest.fixture
def project(tmp_path: Path, engine: Path, providers: Providers) -> Project:
    """A project without a program."""
    directory = tmp_path / "project"
    directory.mkdir()
    return Project(directory, engine, providers)


@pytest.fixture
def yaml_host(engine: Path) -> None:
    """Pulumi's own language host of YAML, which its releases bring and ``make yaml-host`` builds."""
    if shutil.which("pulumi-language-yaml", path=f"{engine.parent}:{os.environ['PATH']}") is None:
        pytest.skip("there is no pulumi-language-yaml beside the engine or on PATH; `make yaml-host` builds it")


@pytest.fixture(scope="session")
def python_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's Python SDK, written by the engine's generator and installed into a directory for a program to lie in."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go to run the engine's generator; Pulumi's own releases bring it in their language hosts")
    written = tmp_path_factory.mktemp("sdk")
    generator = [go, "run", "-buildvcs=false", "./sdkgen", "python", str(PACKAGE / "schema.json"), str(written)]
    subprocess.run(generator, cwd=ROOT / "tools" / "engine", check=True, timeout=110)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-compile"]
    subprocess.run([*pip, "--target", str(written / "installed"), str(written)], check=True, timeout=60)
    return written / "installed"
