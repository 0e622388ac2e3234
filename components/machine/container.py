"""A workload that is an OCI image: podman, its pull by digest, and how it is run. Beside boot.py on machines that need it; only the standard library.

Podman comes from Ubuntu's archive (signed, over HTTPS: nothing but port 443 is open outwards) where the machine's image hasn't got it.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

PODMAN = "/usr/bin/podman"
NAME = "spotlane-workload"
PACKAGES = "/etc/spotlane/packages.list"
ARCHIVES = {"x86_64": "https://archive.ubuntu.com/ubuntu", "aarch64": "https://ports.ubuntu.com/ubuntu-ports"}
KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
IDS_FROM, IDS = 1 << 30, 65536
"""The container's users are the machine's from here on: root inside is nobody outside."""
PROCESSES = 4096


def prepare(image: str, seconds: float, say: Callable[[str], None]) -> None:
    """Podman and the image on this machine, tried for ``seconds``. Raises OSError with what podman or apt said last."""
    deadline, wait = time.monotonic() + seconds, 1.0
    if shutil.which("podman") is None:
        install()
    while True:
        # By digest: podman refuses content that isn't what the digest says.
        done = subprocess.run(["podman", "pull", "--quiet", image], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        said = (done.stderr.strip().splitlines() or ["no word"])[-1]
        if time.monotonic() + wait > deadline or done.returncode == 126:
            raise OSError(f"{image}: podman: {said}")
        say(f"{image}: {said}; again in {wait:.2g} s")
        time.sleep(wait)
        wait = min(wait * 2, 15.0)


def install() -> None:
    """Podman from Ubuntu's archive, past the machine's own list of sources. Raises OSError."""
    machine = os.uname().machine
    if machine not in ARCHIVES:
        raise OSError(f"podman: Ubuntu has no archive for {machine}")
    with open("/etc/os-release", encoding="utf-8") as file:
        release = dict(line.strip().split("=", 1) for line in file if "=" in line)
    codename = release.get("VERSION_CODENAME", "").strip('"')
    if not codename:
        raise OSError("podman: /etc/os-release names no VERSION_CODENAME; give the machine an image with podman")
    with open(PACKAGES, "w", encoding="utf-8") as file:
        file.writelines(
            f"deb [signed-by={KEYRING}] {ARCHIVES[machine]} {suite} main universe\n" for suite in (codename, codename + "-updates", codename + "-security")
        )
    sources = [f"Dir::Etc::sourcelist={PACKAGES}", "Dir::Etc::sourceparts=-", "Acquire::Retries=5", "DPkg::Lock::Timeout=300"]
    apt = ["apt-get", "-qq", *(word for option in sources for word in ("-o", option))]
    for step in (["update"], ["install", "-y", "--no-install-recommends", "podman", "crun"]):
        done = subprocess.run([*apt, *step], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError("apt-get {}: {}".format(step[0], (done.stderr.strip().splitlines() or ["no word"])[-1]))
    if shutil.which("podman") is None:
        raise OSError("podman isn't on this machine and can't be installed here; give the workload an artifact instead of an image")


def command(settings: dict[str, Any], environment: dict[str, str], secrets: str) -> list[str]:
    """``podman run``: on the machine's network (the tunnel reaches its ports on the loopback), with a root that can't be written and no power but ports."""
    return [
        PODMAN,
        "run",
        f"--name={NAME}",
        "--replace",
        "--rm",
        "--detach",
        "--pull=never",
        "--network=host",
        # The machine's own resolver, whatever podman would make of resolv.conf: the network's may be out of reach (boot.NO_METADATA).
        *([] if settings["cloudIdentity"] else ["--dns=127.0.0.53"]),
        "--cgroups=split",
        "--sdnotify=conmon",
        "--log-driver=passthrough",
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        f"--uidmap=0:{IDS_FROM}:{IDS}",
        f"--gidmap=0:{IDS_FROM}:{IDS}",
        f"--pids-limit={PROCESSES}",
        "--volume=workload:/var/lib/workload:U",
        f"--stop-timeout={max(1, round(settings['drainSeconds']))}",
        *[f"--env={name}={value}" for name, value in {**environment, "STATE_DIRECTORY": "/var/lib/workload"}.items()],
        f"--env-file={secrets}",
        settings["image"],
        *settings["command"],
    ]


def service(settings: dict[str, Any]) -> list[str]:
    """What the unit says beside its command: the container's own process is the unit's, in the unit's control group."""
    lowest = min(port for port in (settings["httpPort"], settings["tcpPort"]) if port is not None)
    return [
        "Type=notify",
        "NotifyAccess=all",
        "Delegate=yes",
        "KillMode=mixed",
        "SyslogIdentifier=" + NAME,
        # A user of the container isn't one of the machine, to which low ports are closed.
        *([f"ExecStartPre=/usr/sbin/sysctl -q -w net.ipv4.ip_unprivileged_port_start={lowest}"] if lowest < 1024 else []),
        f"ExecStop={PODMAN} rm --force --ignore {NAME}",
        f"ExecStopPost=-{PODMAN} rm --force --ignore {NAME}",
    ]
