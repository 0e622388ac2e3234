"""A Pulumi project in a directory of its own, the engine, and a warm host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Project:
    """A project with one stack, ``dev``; ``host_port`` attaches the engine to a warm host."""

    directory: Path
    engine: Path
    host_port: int | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, program: str, name: str = "__main__.py") -> None:
        """Writes a source file."""
        (self.directory / name).write_text(program)

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the engine to its end."""
        return subprocess.run(
            [str(self.engine), *arguments], cwd=self.directory, env=self._environment(), capture_output=True, text=True, timeout=60, check=False
        )

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts the engine."""
        return subprocess.Popen([str(self.engine), *arguments], cwd=self.directory, env=self._environment(), stdout=subprocess.PIPE, text=True)

    def preview(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Previews the stack."""
        return self.pulumi("preview", "--non-interactive", "--color", "never", *arguments)

    def _environment(self) -> dict[str, str]:
        environment = {
            "HOME": str(self.directory),
            "PULUMI_HOME": str(self.directory / ".pulumi-home"),
            "PATH": f"{self.engine.parent}:{ROOT / 'languagehost' / 'bin'}:{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{self.directory / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            **self.environment,
        }
        if self.host_port is not None:
            environment["PULUMI_DEBUG_LANGUAGES"] = f"python:{self.host_port}"
        return environment


@dataclass
class WarmHost:
    """A running warm host."""

    process: subprocess.Popen[str]
    port: int

    def children(self) -> list[int]:
        """Living processes below the host."""
        return descendants(self.process.pid)


def descendants(pid: int) -> list[int]:
    """Living processes below ``pid``, by the kernel's list of children."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


@pytest.fixture(scope="session")
def engine() -> Path:
    """The engine that `make setup` got."""
    found = subprocess.run([sys.executable, str(ROOT / "tools/engine/resolve.py")], stdout=subprocess.PIPE, text=True, check=True)
    return Path(found.stdout.strip())


@pytest.fixture
def warm_host() -> Iterator[WarmHost]:
    """A warm host without preloaded SDKs."""
    process = subprocess.Popen([sys.executable, "-m", "languagehost", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    yield WarmHost(process, int(process.stdout.readline()))
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def project(tmp_path: Path, engine: Path) -> Project:
    """A project whose program runs in this very environment, by a spawned host."""
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(f"name: tiny\nruntime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}\n")
    made = Project(tmp_path, engine)
    assert made.pulumi("stack", "init", "dev").returncode == 0
    return made
