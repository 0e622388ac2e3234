"""Where the Pulumi engine comes from."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "tools" / "engine" / "resolve.py"


@pytest.fixture
def resolver() -> ModuleType:
    """``tools/engine/resolve.py``, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("resolve_engine", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pulumi(folder: Path, version: str) -> Path:
    """A program that says it is an engine of ``version``."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "pulumi"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)
    return program


def resolve(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{path}:/usr/bin:/bin", "HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    return subprocess.run([sys.executable, str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("version", ["v3.258.0", "v3.300.1-dev.7", "v4.0.0"])
def test_an_engine_on_path_that_is_new_enough_is_taken(tmp_path: Path, version: str) -> None:
    program = pulumi(tmp_path / "bin", version)
    assert resolve(tmp_path / "bin", tmp_path / "cache").stdout.strip() == str(program)


@pytest.mark.parametrize("version", ["v3.257.9", ""])
def test_one_that_is_too_old_or_says_nothing_is_passed_over_for_the_cached_one(tmp_path: Path, resolver: ModuleType, version: str) -> None:
    pulumi(tmp_path / "bin", version)
    pinned = resolver.pinned_version((PROGRAM.parent / "go.mod").read_text())
    cached = pulumi(tmp_path / "cache" / "spotlane" / "engine" / pinned, f"v{pinned}")
    found = resolve(tmp_path / "bin", tmp_path / "cache")
    assert found.stdout.strip() == str(cached)
    assert str(tmp_path / "bin" / "pulumi") in found.stderr


def test_without_engine_release_and_go_it_is_exit_code_2_with_what_to_do(
    tmp_path: Path, resolver: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(resolver, "RELEASES", "http://127.0.0.1:9/none")
    assert resolver.main([]) == 2
    assert "install Pulumi >= " in capsys.readouterr().err


def test_a_host_that_takes_the_connection_and_says_nothing_is_given_up(resolver: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "_SILENCE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(resolver.NotReachable, match=r"no answer|timed out"):
        resolver._download(f"http://127.0.0.1:{silent.getsockname()[1]}/engine")


def test_a_release_that_doesnt_match_its_checksum_is_refused(tmp_path: Path, resolver: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([b"0" * 64 + b"  pulumi-v3.258.0-linux-x64.tar.gz\n", b"not that archive"])
    monkeypatch.setattr(resolver, "_download", lambda url: next(answers))
    monkeypatch.setattr(resolver.platform, "system", lambda: "Linux")
    monkeypatch.setattr(resolver.platform, "machine", lambda: "x86_64")
    with pytest.raises(resolver.NotReachable, match="checksum"):
        resolver._install_release("3.258.0", tmp_path / "engine")
    assert not (tmp_path / "engine").exists()


def test_two_set_ups_at_once_make_one_engine(tmp_path: Path, resolver: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[str] = []

    def install(version: str, target: Path) -> None:
        made.append(version)
        pulumi(target, f"v{version}")

    monkeypatch.setattr(resolver, "_install_release", install)
    found: list[tuple[Path, str]] = []
    threads = [threading.Thread(target=lambda: found.append(resolver.resolve())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert {path for path, _ in found} == {resolver.cache_directory(made[0]) / "pulumi"}
