"""A machine's directory, laid out before its first process starts: root, boot files, boot script, programs that stand in for a system's.

hosts/<id>/host.json     what the machine room knows      hosts/<id>/boot.json  what the machine knows of itself
hosts/<id>/root/         plays the machine's /            hosts/<id>/bin/       systemctl, cloudflared, …
hosts/<id>/boot.sh       runcmd and scripts               hosts/<id>/console.log
hosts/<id>/journal/      what its units wrote
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from localcloud.hosts import metadata
from localcloud.hosts.cloudinit import BootPlan, UserDataError, boot_plan
from localcloud.hosts.process import MARKER
from localcloud.hosts.rebase import Rebase

PROJECT = Path(__file__).resolve().parents[2]

MODULES = ("systemctl", "journalctl", "cloudflared")
"""Programs played by a module of this package."""

HARMLESS: tuple[str, ...] = ("useradd", "adduser", "groupadd", "addgroup", "usermod", "chown", "chgrp", "apt-get", "apt", "dnf", "yum", "apk", "loginctl")
HARMLESS += ("hostnamectl", "timedatectl", "sysctl", "modprobe", "iptables", "nft", "swapoff", "setcap", "restorecon", "semanage", "growpart", "resize2fs")
"""Programs that need root and whose effect a machine here doesn't need: they succeed and do nothing."""

NO_CONTAINERS = "a machine of the local cloud is a process and runs no OCI image; give the workload an artifact instead, or place it in a real cloud"
"""What ``podman`` answers here: its containers would outlive a machine whose power is cut, and all machines share this computer's ports."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """The directory of one machine, at ``directory``; its tunnels go to the edge at ``edge`` (``host:port``)."""

    directory: Path
    edge: str

    def lay_out(self, machine: metadata.Machine, user_data: bytes) -> dict[str, object]:
        """Writes everything but ``host.json``; returns the content of ``boot.json``. A faulty user data boots an empty machine, as in the clouds."""
        root, programs = self.directory / "root", self.directory / "bin"
        for folder in ("etc/systemd/system", "opt", "var/lib", "var/log", "run", "root", "usr/local/bin", "home", "srv"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        programs.mkdir(exist_ok=True)
        self._write_programs(programs)
        try:
            plan = boot_plan(user_data)
        except UserDataError as error:
            self._say(f"cloud-init: {error}")
            plan = BootPlan()
        if plan.ignored:
            self._say(f"cloud-init: left out: {', '.join(plan.ignored)}")
        rebase = Rebase(root, programs, (*MODULES, *HARMLESS, "podman", "sudo", "python3"))
        self._write_files(plan, rebase)
        self._write_script(plan, rebase)
        return {**machine, "environment": self._environment(machine)}

    def _environment(self, machine: metadata.Machine) -> dict[str, str]:
        service = f"{machine['address']}:{metadata.PORT}"
        found = {name: form.format(service) for name, form in metadata.VARIABLES[machine["cloud"]].items()}
        return {
            "PATH": f"{self.directory / 'bin'}:{self.directory / 'root/usr/local/bin'}:{SYSTEM_PATH}",
            "HOME": str(self.directory / "root/root"),
            "LANG": "C.UTF-8",
            "HOST": machine["address"],
            "LOCALCLOUD_EDGE": self.edge,
            MARKER: str(self.directory),
            **found,
        }

    def _write_programs(self, programs: Path) -> None:
        python = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
        (programs / "python3").symlink_to(python)
        project, machine = shlex.quote(str(PROJECT)), shlex.quote(str(self.directory))
        for name in MODULES:
            options = "" if name == "cloudflared" else f" --machine {machine}"
            _script(programs / name, f'PYTHONPATH={project} exec {shlex.quote(python)} -S -m localcloud.hosts.{name}{options} "$@"')
        for name in HARMLESS:
            _script(programs / name, "exit 0")
        _script(programs / "podman", f"echo {shlex.quote(NO_CONTAINERS)} >&2; exit 126")
        _script(programs / "sudo", 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"')

    def _write_files(self, plan: BootPlan, rebase: Rebase) -> None:
        for file in plan.files:
            path = rebase.path(file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                content = rebase.text(file.content.decode()).encode()
            except UnicodeDecodeError:
                content = file.content
            with path.open("ab" if file.append else "wb") as target:
                target.write(content)
            path.chmod(file.mode)

    def _write_script(self, plan: BootPlan, rebase: Rebase) -> None:
        lines = [rebase.text(command) for command in plan.commands]
        for number, script in enumerate(plan.scripts):
            path = self.directory / f"root/var/lib/cloud/instance/scripts/part-{number:03d}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rebase.text(script), encoding="utf-8")
            path.chmod(0o700)
            lines.append(shlex.quote(str(path)))
        (self.directory / "boot.sh").write_text("\n".join(["#!/bin/sh", *lines, ""]), encoding="utf-8")

    def _say(self, line: str) -> None:
        with (self.directory / "console.log").open("a", encoding="utf-8") as console:
            console.write(line + "\n")


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    os.chmod(path, 0o755)
