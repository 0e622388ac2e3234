"""The wheel without extras is the SDK: it stands in an environment of its own with what its metadata asks for and nothing else."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from spotlane import __version__
from spotlane.testing import Served

ROOT = Path(__file__).resolve().parents[2]
SDK = {
    *("httpcore", "anyio", "h11", "certifi", "idna"),
    *("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions"),
}
"""Every distribution that the SDK needs: ten at most, and a new one is a decision."""
_USE = """
import asyncio, os, sys
import spotlane.aio, spotlane.client, spotlane.testing, spotlane.wire, spotlane.report, spotlane.forecast
client = spotlane.client.Client.from_env()
async def healthy():
    async with spotlane.aio.AsyncClient.from_env() as edge:
        return await edge.healthy()
assert asyncio.run(healthy())
print(sorted(one.id for one in client.tenants()), sorted({"yaml", "typer", "rich", "keyring", "websockets", "httpx"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


def asked_for(requirements: Iterable[str], extras: Iterable[str] = ()) -> set[str]:
    """Every distribution that the requirements bring where ``extras`` are asked for, theirs included, as installed here."""
    found: set[str] = set()
    for text in requirements:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        try:
            theirs = distribution(name).requires or []
        except PackageNotFoundError:
            pytest.skip(f"{name} isn't installed here")
        found |= {name} | asked_for(theirs, requirement.extras)
    return found


def test_the_sdk_asks_for_what_is_listed_and_the_command_line_is_an_extra(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        metadata = email.message_from_bytes(opened.read(f"spotlane-{__version__}.dist-info/METADATA"))
        assert {name.split("/")[0] for name in opened.namelist()} == {"spotlane", f"spotlane-{__version__}.dist-info"}
    requirements = metadata.get_all("Requires-Dist") or []
    assert asked_for(requirements) == SDK
    assert len(SDK) <= 10
    assert {"typer", "rich", "pyyaml", "keyring"} <= asked_for(requirements, ["cli"])
    assert "websockets" in asked_for(requirements, ["websocket"]) and metadata["Version"] == __version__


def test_it_stands_alone_and_says_how_to_get_the_command_line(wheel: Path, tmp_path: Path, spotlane_served: Served) -> None:
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False, symlinks=True)
    python = fresh / "bin" / "python"
    packages = next((fresh / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(packages)
    for name in SDK:  # what an index would give, from this environment
        one = distribution(name)
        for file in one.files or []:
            source = Path(str(one.locate_file(file)))
            if ".." not in file.parts and source.is_file() and "__pycache__" not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, packages / file)
    environment = {**spotlane_served.environment, "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    used = subprocess.run([python, "-c", _USE], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (used.stdout, used.stderr) == ("[] []\n", "")
    program = subprocess.run([python, "-m", "spotlane", "status"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (program.returncode, "pip install 'spotlane[cli]'" in program.stderr, "Traceback" in program.stderr) == (2, True, False)
