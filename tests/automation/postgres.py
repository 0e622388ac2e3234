"""A PostgreSQL of the tests' own: Debian's server on a free port of loopback, its data in a temporary directory, run as an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port


def installed() -> Path | None:
    """The directory of the newest server's programs; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def server() -> Iterator[str]:
    """Its SQLAlchemy URL, while it runs."""
    with stoppable() as found:
        yield found.url


@contextmanager
def stoppable() -> Iterator[Server]:
    """One that can be stopped and started again."""
    with tempfile.TemporaryDirectory(prefix="spotlane-postgres-") as directory:
        found = Server(Path(directory))
        found.start()
        try:
            found.run("createdb", "-h", "127.0.0.1", "-p", str(found.port), "-U", "spotlane", "runs")
            yield found
        finally:
            found.stop()


class Server:
    """Data in ``directory``, on a port of its own."""

    def __init__(self, directory: Path) -> None:
        programs = installed()
        assert programs is not None, "ask installed() first"
        self._programs, self._directory, self._runs = programs, directory, False
        user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self._as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"] if os.geteuid() == 0 else []
        if self._as_user:
            shutil.chown(directory, user, user)
        self.port = free_port()
        self.run("initdb", "-D", str(directory / "data"), "-U", "spotlane", "-A", "trust", "-E", "UTF8", "--no-sync")

    @property
    def url(self) -> str:
        """SQLAlchemy's."""
        return f"postgresql://spotlane@127.0.0.1:{self.port}/runs"

    def run(self, program: str, *arguments: str) -> None:
        """One of PostgreSQL's programs."""
        command = [*self._as_user, str(self._programs / program), *arguments]
        subprocess.run(command, cwd="/", env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Returns once it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self._directory} -c fsync=off"
        self.run("pg_ctl", "-D", str(self._directory / "data"), "-l", str(self._directory / "log"), "-w", "-o", options, "start")
        self._runs = True

    def stop(self) -> None:
        """At once, as by a power cut of the server alone."""
        if self._runs:
            self.run("pg_ctl", "-D", str(self._directory / "data"), "-m", "immediate", "-w", "stop")
        self._runs = False
