"""First boot of a spot machine: fetches the workload, connects the tunnel, starts the services. Run by cloud-init as root; safe to run again.

Reads /etc/spotlane/machine.json (written by the same user data). Only the standard library of Ubuntu 24.04's python3.
"""

import hashlib
import http.client
import importlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse
from typing import Any

SETTINGS = "/etc/spotlane/machine.json"
WORKLOADS = "/opt/spotlane/workload"
AGENT = "/opt/spotlane/agent.py"
JOURNAL_READER = "/opt/spotlane/journal.py"
SECRETS = "/etc/spotlane/workload.env"
TUNNEL_TOKEN = "/etc/spotlane/tunnel.token"
UNITS = "/etc/systemd/system"
SERVICES = ("spotlane-workload.service", "cloudflared.service", "spotlane-agent.service")
BOOT = "/opt/spotlane/boot.py"
JOURNAL = "/etc/systemd/journald.conf.d/spotlane.conf"
CLOUDFLARED = "/usr/local/bin/cloudflared"
PYTHON = "/usr/bin/python3"

FETCH_SECONDS = 300.0
"""How long the artifact's source may be away before the boot gives up."""
START_SECONDS = 900
"""How long the service may take until its port answers; then it is started anew."""

JOURNAL_LIMITS = "[Journal]\nSystemMaxUse=256M\nSystemKeepFree=1G\nRuntimeMaxUse=64M\nMaxRetentionSec=14day\n"
"""A service that talks without end fills no disk (journald.conf(5)); a burst of one unit is cut by journald's own rate limit."""

CLOUDFLARED_VERSION = "2026.5.1"
CLOUDFLARED_URL = "https://github.com/cloudflare/cloudflared/releases/download/%s/cloudflared-linux-%s"
CLOUDFLARED_SHA256 = {
    "amd64": "3c6a5ba995a258dbe90f98e5fdb2c2620b7be72c3ca761614f6eb52aee252cea",
    "arm64": "7b7a8b9a2764acab0fecda633cb54a6c0df42d7f8ca1ec45c78333c2227d8d91",
}
"""From the release's notes."""


class BootError(Exception):
    """The machine can't serve; the message says what is wrong."""


def say(text: str) -> None:
    """One line on the console."""
    print("spotlane-boot: " + text, flush=True)


def connect(url: urllib.parse.SplitResult, timeout: float) -> http.client.HTTPConnection:
    """A connection to the host of ``url``. Names under .localhost are the loopback's own (RFC 6761, section 6.3)."""
    host = url.hostname or ""
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, url.port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection("127.0.0.1" if host.endswith(".localhost") else host, url.port, timeout=timeout)


def fetch_once(address: str, headers: dict[str, str], path: str) -> str:
    """One GET of ``address`` into ``path``, redirects followed without the headers; returns the SHA-256 in hex."""
    for _ in range(5):
        url = urllib.parse.urlsplit(address)
        connection = connect(url, 30)
        try:
            target = (url.path or "/") + ("?" + url.query if url.query else "")
            connection.request("GET", target, headers={"Host": url.netloc, "User-Agent": "spotlane-boot", **headers})
            answer = connection.getresponse()
            if answer.status in (301, 302, 303, 307, 308):
                address, headers = urllib.parse.urljoin(address, answer.getheader("Location", "")), {}
                continue
            if answer.status in (400, 401, 403, 410):
                raise BootError(f"{address} answered {answer.status} {answer.reason}")
            if answer.status != 200:
                raise OSError(f"answered {answer.status} {answer.reason}")
            digest = hashlib.sha256()
            with open(path, "wb") as file:
                while chunk := answer.read(1 << 18):
                    digest.update(chunk)
                    file.write(chunk)
            return digest.hexdigest()
        finally:
            connection.close()
    raise OSError("redirects without end")


def fetch(address: str, headers: dict[str, str], path: str, sha256: str) -> None:
    """``address`` into ``path``, tried again until FETCH_SECONDS have passed. Raises BootError if it is refused, stays away or isn't ``sha256``."""
    deadline, wait = time.monotonic() + FETCH_SECONDS, 0.25
    while True:
        try:
            found = fetch_once(address, headers, path)
            break
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() + wait > deadline:
                raise BootError(f"{address}: {error}") from error
            say(f"{address}: {error}; again in {wait:.2g} s")
            time.sleep(wait)
            wait = min(wait * 2, 10.0)
    if found != sha256:
        raise BootError(f"{address} has sha256 {found}, expected {sha256}")


def unpack(archive: str, directory: str) -> None:
    """The gzipped tar in ``directory``, made whole or not at all. Entries that point outside, devices and foreign owners are refused."""
    if os.path.isdir(directory):
        return
    os.makedirs(os.path.dirname(directory), mode=0o755, exist_ok=True)
    partial = tempfile.mkdtemp(prefix=".partial-", dir=os.path.dirname(directory))
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(partial, filter="data")
        os.chmod(partial, 0o755)
        os.rename(partial, directory)
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise BootError(f"artifact: {error}") from error


def write(path: str, text: str, mode: int) -> None:
    """``text`` in ``path`` by rename, never readable by more than ``mode`` says."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    os.replace(path + ".new", path)


def quoted(text: str) -> str:
    """``text`` as systemd.syntax(7) quotes it, with % taken literally; plain words stay plain."""
    text = text.replace("%", "%%")
    if re.fullmatch(r"[\w./:=,@%+-]+", text, re.ASCII):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


HARDENING = """NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077"""
"""What every unit gives up (systemd.exec(5)). Not MemoryDenyWriteExecute: runtimes that compile as they go are what most services run on."""


NO_METADATA = "IPAddressDeny=169.254.169.254 fd00:ec2::254 fd20:ce::254"
"""The metadata services of all clouds (systemd.resource-control(5)): the kernel drops what the unit, and a container within it, sends there. Names are still
looked up: at the stub of systemd-resolved, which is no part of the unit (Google's name server has the same address)."""


def environment_of(settings: dict[str, Any]) -> dict[str, str]:
    """The workload's environment but for what is secret, by name."""
    environment = {**settings["env"], "HOST": "0.0.0.0"}
    environment.update({"SPOTLANE_" + key.upper(): settings[key] for key in ("placement", "cloud", "region")})
    for name, port in (("PORT_HTTP", settings["httpPort"]), ("PORT_TCP", settings["tcpPort"])):
        if port is not None:
            environment[name] = str(port)
    return dict(sorted(environment.items()))


def workload_unit(settings: dict[str, Any], directory: str) -> str:
    """The service itself, as a user of its own, on every address of the machine (only the tunnel reaches it: nothing comes in from outside)."""
    return unit_of(
        settings,
        program(settings["command"], directory),
        "DynamicUser=yes",
        "StateDirectory=workload",
        f"WorkingDirectory={directory}",
        *["Environment=" + quoted(f"{name}={value}") for name, value in environment_of(settings).items()],
        f"EnvironmentFile={SECRETS}",
        HARDENING,
        *([] if settings["cloudIdentity"] else [NO_METADATA]),
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
    )


def image_unit(settings: dict[str, Any]) -> str:
    """The service as a container of podman's, which keeps the sandbox; the unit watches over it."""
    part = container()
    command = part.command(settings, environment_of(settings), SECRETS)
    return unit_of(settings, command, *part.service(settings), *([] if settings["cloudIdentity"] else [NO_METADATA]))


def unit_of(settings: dict[str, Any], command: list[str], *more: str) -> str:
    """A unit of the workload: started again whenever it ends, ready once each of its ports answers."""
    ports = " ".join(str(port) for port in (settings["httpPort"], settings["tcpPort"]) if port is not None)
    return "\n".join(
        [
            "[Unit]",
            "Description=Spotlane workload of {}".format(settings["placement"]),
            "After=network-online.target",
            "StartLimitIntervalSec=0",
            "[Service]",
            "ExecStart={}".format(" ".join(quoted(part).replace("$", "$$") for part in command)),
            f"ExecStartPost={PYTHON} {BOOT} ready {ports}",
            f"TimeoutStartSec={START_SECONDS}s",
            "Restart=always",
            "RestartSec=500ms",
            f"TimeoutStopSec={max(1, round(settings['drainSeconds'] + 5))}s",
            *more,
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def ready(ports: list[int]) -> None:
    """Returns once each of ``ports`` takes a connection; systemd ends the wait when it has lasted too long. ``HOST`` is where the service listens."""
    for port in ports:
        while True:
            try:
                socket.create_connection((os.environ.get("HOST", "127.0.0.1"), port), timeout=2.0).close()
                break
            except OSError:
                time.sleep(0.05)


def container() -> Any:
    """The program beside this one that only a machine with an image has."""
    return importlib.import_module((__package__ + "." if __package__ else "") + "container")


def workload_secrets(settings: dict[str, Any]) -> str:
    """The part of the workload's environment that only root may read: a unit's own is shown to every user of the machine."""
    return "SPOTLANE_ORIGIN_KEY={}\n".format(settings["originKey"]) if settings.get("originKey") else ""


def program(command: list[str], directory: str) -> list[str]:
    """``command`` with its program as a path: systemd looks names up in its own PATH, and a file of the artifact has none."""
    first = command[0]
    if os.path.isabs(first):
        return command
    inside = os.path.join(directory, first)
    if os.path.isfile(inside):
        return [inside, *command[1:]]
    return [shutil.which(first) or first, *command[1:]]


def service_unit(description: str, command: str, *more: str, before: str = "") -> str:
    """One of our own services; it starts ``before`` those units, and stops after them."""
    return "\n".join(
        [
            "[Unit]",
            "Description=" + description,
            *(["Before=" + before] if before else []),
            "After=network-online.target",
            "StartLimitIntervalSec=0",
            "[Service]",
            "ExecStart=" + command,
            "Restart=always",
            "RestartSec=1s",
            "TimeoutStopSec=10s",
            HARDENING,
            # Root for its files, and none of root's powers.
            "CapabilityBoundingSet=",
            *more,
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )


def install_cloudflared() -> None:
    """Cloudflare's connector from its pinned release, unless the image has one."""
    if shutil.which("cloudflared"):
        return
    machine = os.uname().machine
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine)
    if arch is None:
        raise BootError(f"cloudflared has no release for {machine}")
    partial = CLOUDFLARED + ".new"
    fetch(CLOUDFLARED_URL % (CLOUDFLARED_VERSION, arch), {}, partial, CLOUDFLARED_SHA256[arch])
    os.chmod(partial, 0o755)
    os.replace(partial, CLOUDFLARED)


def artifact(settings: dict[str, Any]) -> str:
    """The directory of the unpacked artifact, fetched unless it is there. Raises BootError."""
    digest = settings["artifactDigest"].removeprefix("sha256:")
    directory = os.path.join(WORKLOADS, digest)
    if not os.path.isdir(directory):
        os.makedirs(WORKLOADS, mode=0o755, exist_ok=True)
        archive = os.path.join(WORKLOADS, digest + ".tar.gz")
        fetch(settings["artifactUrl"], {"Authorization": "Bearer " + settings["placementToken"]}, archive, digest)
        unpack(archive, directory)
        os.unlink(archive)
    return directory


def tell(settings: dict[str, Any]) -> None:
    """Starts what tells the journal's lines, ahead of all that may fail: that is when lines are asked for. Without it the machine serves too."""
    more = ["StateDirectory=spotlane-journal", "Restart=on-failure", "KillMode=mixed", NO_METADATA]
    unit = service_unit("Spotlane journal of " + settings["placement"], f"{PYTHON} {JOURNAL_READER}", *more, before=" ".join(SERVICES))
    write(os.path.join(UNITS, "spotlane-journal.service"), unit, 0o644)
    subprocess.run(["systemctl", "daemon-reload"], check=False)
    subprocess.run(["systemctl", "enable", "--now", "spotlane-journal.service"], check=False)


def main() -> None:
    """The boot, in the order in which a failure costs least. Raises BootError, OSError, CalledProcessError."""
    with open(SETTINGS, encoding="utf-8") as file:
        settings = json.load(file)
    write(JOURNAL, JOURNAL_LIMITS, 0o644)
    subprocess.run(["systemctl", "restart", "systemd-journald.service"], check=True)
    if settings.get("logUrl"):
        tell(settings)
    if settings.get("image"):
        container().prepare(settings["image"], FETCH_SECONDS, say)
        workload = image_unit(settings)
    else:
        workload = workload_unit(settings, artifact(settings))
    tunnel = service_unit(
        "Cloudflare Tunnel of " + settings["placement"],
        "{} tunnel --no-autoupdate run --token-file {}".format(shutil.which("cloudflared") or CLOUDFLARED, TUNNEL_TOKEN),
        NO_METADATA,
    )
    agent = service_unit("Spotlane agent of " + settings["placement"], f"{PYTHON} {AGENT}", "StateDirectory=spotlane-agent")
    write(TUNNEL_TOKEN, settings["tunnelToken"], 0o600)
    write(SECRETS, workload_secrets(settings), 0o600)
    write(os.path.join(UNITS, "spotlane-workload.service"), workload, 0o644)
    write(os.path.join(UNITS, "spotlane-agent.service"), agent, 0o644)
    write(os.path.join(UNITS, "cloudflared.service"), tunnel, 0o644)
    install_cloudflared()
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    subprocess.run(["systemctl", "enable", "--now", *SERVICES], check=True)
    say("{} is up".format(settings["placement"]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["ready"]:
        ready([int(port) for port in sys.argv[2:]])
        sys.exit(0)
    try:
        main()
    except (BootError, subprocess.CalledProcessError, OSError) as failure:
        say(f"failed: {failure}")
        sys.exit(1)
