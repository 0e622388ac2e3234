"""``python tools/engine/resolve.py [--json]``: prints the path of a Pulumi engine that is new enough, and gets one where there is none.

In this order: PATH, the cache (``${XDG_CACHE_HOME:-~/.cache}/spotlane/engine/<version>``), the official release, a build with Go from the module
beside this file. Standard library only: it runs before anything is installed. Exit code 2 where no way is open, with what to do.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
MINIMUM = (3, 258, 0)
RELEASES = "https://get.pulumi.com/releases/sdk"
"""Where the official installer finds its archives (its ``install.sh``)."""

_SILENCE_SECONDS = 10.0
_DOWNLOAD_SECONDS = 600.0
_PROGRESS_SECONDS = 15.0


class NoEngine(Exception):
    """No way to an engine is open; the message says what to do."""


class NotReachable(Exception):
    """The official release can't be had from here."""


def parse_version(text: str) -> tuple[int, int, int] | None:
    """``v3.258.0`` and the like as numbers; None where ``text`` is no version (a build without one prints nothing)."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def pinned_version(go_mod: str) -> str:
    """The engine's version in ``go.mod``, without its ``v``."""
    match = re.search(r"^\s*(?:require\s+)?github\.com/pulumi/pulumi/pkg/v3 v(\d+\.\d+\.\d+)\b", go_mod, re.MULTILINE)
    if match is None:
        raise NoEngine(f"{HERE / 'go.mod'} doesn't name github.com/pulumi/pulumi/pkg/v3")
    return match[1]


def version_of(program: Path | str) -> tuple[int, int, int] | None:
    """What ``program version`` says; None where it can't be asked."""
    try:
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
        answer = subprocess.run([str(program), "version"], capture_output=True, text=True, timeout=30, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(answer.stdout)


def cache_directory(version: str) -> Path:
    """Where an engine of ``version`` is kept for all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base, "spotlane", "engine", version)


def resolve() -> tuple[Path, str]:
    """The engine's path and where it comes from. Raises :class:`NoEngine`."""
    on_path = shutil.which("pulumi")
    if on_path:
        found = version_of(on_path)
        if found is not None and found >= MINIMUM:
            return Path(on_path), "path"
        told = ".".join(map(str, found)) if found else "of unknown version"
        _say(f"the engine {on_path} ({told}) is older than {'.'.join(map(str, MINIMUM))}; another one is used")
    version = pinned_version((HERE / "go.mod").read_text(encoding="utf-8"))
    directory = cache_directory(version)
    program = directory / "pulumi"
    if version_of(program) == parse_version(version):
        return program, "cache"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two set-ups at once: the second takes what the first has made
        if version_of(program) == parse_version(version):
            return program, "cache"
        return _obtain(version, directory)


def _obtain(version: str, directory: Path) -> tuple[Path, str]:
    partial = directory.with_name(f"{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _install_release(version, partial)
        source = "release"
    except NotReachable as error:
        _say(f"the official release of Pulumi {version} can't be had ({error}); building it with Go")
        _build(version, partial)
        source = "build"
    if version_of(partial / "pulumi") != parse_version(version):
        raise NoEngine(f"the engine got from the {source} doesn't run on this machine; install Pulumi >= {version} yourself and put it on PATH")
    shutil.rmtree(directory, ignore_errors=True)
    partial.rename(directory)
    return directory / "pulumi", source


def _install_release(version: str, target: Path) -> None:
    """Unpacks the official archive into ``target``. Raises :class:`NotReachable`."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system())
    machine = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}.get(platform.machine().lower())
    if system is None or machine is None:
        raise NotReachable(f"there is none for {platform.system()} on {platform.machine()}")
    name = f"pulumi-v{version}-{system}-{machine}.tar.gz"
    sums = _download(f"{RELEASES}/pulumi-{version}-checksums.txt").decode("utf-8", "replace")
    wanted = next((line.split()[0] for line in sums.splitlines() if line.endswith(name)), None)
    archive = _download(f"{RELEASES}/{name}")
    if hashlib.sha256(archive).hexdigest() != wanted:
        raise NotReachable(f"{name} doesn't match its published checksum")
    target.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files.getmembers():
            if member.isfile() and (source := files.extractfile(member)) is not None:
                file = target / Path(member.name).name
                file.write_bytes(source.read())
                file.chmod(0o755)


def _download(url: str) -> bytes:
    """The body of ``url``; given up after ten seconds without a byte, name resolution included. Raises :class:`NotReachable`."""
    state: dict[str, float] = {"heard": time.monotonic()}
    parts: list[bytes] = []
    faults: list[str] = []

    def fetch() -> None:
        try:
            with urllib.request.urlopen(url, timeout=_SILENCE_SECONDS) as answer:
                while part := answer.read(1 << 18):
                    parts.append(part)
                    state["heard"] = time.monotonic()
        except (OSError, ValueError) as error:
            faults.append(str(getattr(error, "reason", error)))

    thread = threading.Thread(target=fetch, daemon=True)
    started = time.monotonic()
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        if time.monotonic() - state["heard"] > _SILENCE_SECONDS:
            raise NotReachable(f"no answer for {_SILENCE_SECONDS:.0f} s")
        if time.monotonic() - started > _DOWNLOAD_SECONDS:
            raise NotReachable(f"not done in {_DOWNLOAD_SECONDS:.0f} s")
    if faults:
        raise NotReachable(faults[0])
    return b"".join(parts)


def _build(version: str, target: Path) -> None:
    """Builds the engine into ``target``. Raises :class:`NoEngine`."""
    go = shutil.which("go")
    if go is None:
        raise NoEngine(f"there is neither Pulumi nor Go: install Pulumi >= {version} (https://www.pulumi.com/docs/install/), or Go, and run this again")
    target.mkdir(parents=True)
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version}"
    command = [go, "build", "-buildvcs=false", "-o", str(target / "pulumi"), "-ldflags", flags, "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    started = time.monotonic()
    _say(f"building the Pulumi engine {version} with {go}: about 4 minutes on two cores, once")
    child = subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines: list[str] = []
    assert child.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(child.stdout or ()), daemon=True)
    reader.start()
    try:
        while True:
            try:
                child.wait(_PROGRESS_SECONDS)
                break
            except subprocess.TimeoutExpired:
                _say(f"building the Pulumi engine: {time.monotonic() - started:.0f} s, {len(lines)} messages")
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    reader.join(5)
    if child.returncode != 0:
        raise NoEngine("go build failed; its last lines:\n  " + "\n  ".join(line.rstrip() for line in lines[-8:]))
    _say(f"the engine was built in {time.monotonic() - started:.0f} s")


def _say(text: str) -> None:
    sys.stderr.write(f"engine: {text}\n")
    sys.stderr.flush()


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 with the path on standard output; 2 where there is no way to an engine."""
    parser = argparse.ArgumentParser(prog="resolve.py", description="Finds, installs or builds the Pulumi engine.")
    parser.add_argument("--json", action="store_true", help="path, version and source as one JSON object")
    arguments = parser.parse_args(argv)
    try:
        program, source = resolve()
    except (NoEngine, OSError) as error:
        _say(str(error))
        return 2
    if arguments.json:
        version = ".".join(map(str, version_of(program) or ()))
        sys.stdout.write(json.dumps({"path": str(program), "version": version, "source": source}) + "\n")
    else:
        sys.stdout.write(f"{program}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
