"""A PostgreSQL of the tests' own: Debian's server on a free port of loopback, its data in a temporary directory, run as an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def installed() -> Path | None:
    """The directory of the newest server's programs; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def server() -> Iterator[str]:
    """Its SQLAlchemy URL, while it runs."""
    with tempfile.TemporaryDirectory(prefix="spotlane-postgres-") as directory, _running(Path(directory)) as url:
        yield url


@contextmanager
def _running(directory: Path) -> Iterator[str]:
    programs = installed()
    assert programs is not None, "ask installed() first"
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(directory, user, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], cwd="/", env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, check=True, stdout=subprocess.DEVNULL)

    data, log = directory / "data", directory / "log"
    run(str(programs / "initdb"), "-D", str(data), "-U", "spotlane", "-A", "trust", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={directory} -c fsync=off"
    run(str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-w", "-o", options, "start")
    try:
        run(str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "spotlane", "runs")
        yield f"postgresql://spotlane@127.0.0.1:{port}/runs"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
