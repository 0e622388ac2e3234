"""``python tools/engine/resolve.py [--json]``: the path of a Pulumi engine that is new enough.

In this order: ``pulumi`` on PATH; one built or installed here before; the official installer, given up after 10 s without an answer; a build from Go
modules (go.mod beside this file). Runs on any Python ≥ 3.11 without packages. Exit code 2 with one clear message where none can be had.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from pathlib import Path

LEAST = (3, 258, 0)
HERE = Path(__file__).resolve().parent
_ANSWER_SECONDS = 10
_DOWNLOAD_SECONDS = 300
_DOWNLOADS = "get.pulumi.com"


class NoEngine(Exception):
    """No engine can be had; the message says why and what to do."""


def wanted() -> str:
    """The version that go.mod pins, without the ``v``."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v([0-9.]+)", (HERE / "go.mod").read_text())
    if not found:
        raise NoEngine("tools/engine/go.mod names no version of pulumi/pkg/v3")
    return found.group(1)


def cached(version: str) -> Path:
    """Where the engine of this version is kept, outside of the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "spotlane" / "engine" / version / "pulumi"


def version_of(program: str | Path) -> tuple[int, ...] | None:
    """The version that a program says it is; None for one that says nothing."""
    try:
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
        printed = subprocess.run([str(program), "version"], capture_output=True, text=True, timeout=30, check=False, env=environment).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", printed.strip())
    return tuple(int(part) for part in found.groups()) if found else None


def on_path() -> Path | None:
    """``pulumi`` on PATH, if it is new enough."""
    program = shutil.which("pulumi")
    if program is None:
        return None
    version = version_of(program)
    if version is not None and version >= LEAST:
        return Path(program)
    said = ".".join(map(str, version)) if version else "no version"
    _say(f"pulumi on PATH says {said}; {'.'.join(map(str, LEAST))} or newer is needed, so another is used")
    return None


def installed(version: str, target: Path) -> bool:
    """Downloads the official release; False where its host doesn't answer."""
    try:
        socket.create_connection((_DOWNLOADS, 443), timeout=_ANSWER_SECONDS).close()
        system = {"linux": "linux", "darwin": "darwin"}[sys.platform]
        machine = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}[os.uname().machine]
        url = f"https://{_DOWNLOADS}/releases/sdk/pulumi-v{version}-{system}-{machine}.tar.gz"
        _say(f"downloading Pulumi {version}")
        limit = time.monotonic() + _DOWNLOAD_SECONDS
        with tempfile.TemporaryFile() as archive, urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:
            while block := answer.read(1 << 20):
                archive.write(block)
                if time.monotonic() > limit:
                    raise TimeoutError(f"the download took longer than {_DOWNLOAD_SECONDS} s")
            archive.seek(0)
            with tarfile.open(fileobj=archive, mode="r:gz") as tar:
                target.parent.mkdir(parents=True, exist_ok=True)
                for member in tar.getmembers():
                    if member.isfile() and member.name.startswith("pulumi/"):
                        member.name = Path(member.name).name
                        tar.extract(member, target.parent, filter="data")
        return version_of(target) is not None
    except (OSError, KeyError, tarfile.TarError) as error:
        _say(f"the official installer can't be reached ({type(error).__name__}); building from Go modules")
        return False


def built(version: str, target: Path) -> None:
    """Builds the engine. Raises :class:`NoEngine`."""
    go = shutil.which("go")
    if go is None:
        raise NoEngine("neither a Pulumi engine nor Go was found: install Pulumi (https://www.pulumi.com/docs/iac/download-install/), or Go to build it")
    _say(f"building Pulumi {version} from Go modules; about four minutes on two cores")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"pulumi.{os.getpid()}.new")
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{version}"
    command = [go, "build", "-trimpath", "-ldflags", flags, "-o", str(draft), "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    environment = {**os.environ, "GOFLAGS": "-mod=readonly"}
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as build:
        printed: list[str] = []
        assert build.stdout is not None, "asked for above"
        for line in build.stdout:
            printed.append(line.rstrip())
    if build.returncode != 0:
        draft.unlink(missing_ok=True)
        raise NoEngine("building the engine failed: " + "; ".join(printed[-5:]))
    draft.replace(target)
    _say(f"built in {time.monotonic() - begun:.0f} s")


def resolve() -> Path:
    """An engine that is new enough. Raises :class:`NoEngine`."""
    if found := on_path():
        return found
    version = wanted()
    target = cached(version)
    if (version_of(target) or (0,)) >= LEAST:
        return target
    if not installed(version, target):
        built(version, target)
    if (version_of(target) or (0,)) < LEAST:
        raise NoEngine(f"{target} doesn't say its version; remove it and run `make setup` again")
    return target


def _say(text: str) -> None:
    sys.stderr.write(f"engine: {text}\n")
    sys.stderr.flush()


def main(argv: list[str]) -> int:
    """Prints the path."""
    try:
        program = resolve()
    except NoEngine as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    if "--json" in argv:
        sys.stdout.write(json.dumps({"program": str(program), "version": ".".join(map(str, version_of(program) or ()))}) + "\n")
    else:
        sys.stdout.write(f"{program}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
