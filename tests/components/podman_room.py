"""A machine's image as real podman pulls and runs it, in a room of its own.

``python -m tests.components.podman_room <directory>``, as root in a mount namespace. Where the kernel offers the first version of control groups too, the
second is mounted over them here, for podman and crun take no mixture. What is seen is printed as one JSON object. Everything that podman keeps is in
``<directory>``.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.machine import container

GROUPS = Path("/sys/fs/cgroup")
SCRIPT = """trap 'echo the workload ends; exit 0' TERM
echo the workload is up
(: > /open/file) 2>/dev/null && echo root is written >> "$STATE_DIRECTORY/seen"
while read -r line; do echo "$line"; done < /proc/self/status >> "$STATE_DIRECTORY/seen"
echo "secret: $PASSWORD" >> "$STATE_DIRECTORY/seen"
echo done > "$STATE_DIRECTORY/done"
while :; do sleep 0.05; done
"""


def layer() -> bytes:
    """A root with a shell, ``sleep`` and the libraries of both, from this machine, and a directory that anybody may write."""
    programs = [Path(shutil.which(name) or "").resolve() for name in ("sh", "sleep")]
    libraries = {Path(path) for one in programs for path in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", one], capture_output=True, text=True).stdout)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        everybodys = tarfile.TarInfo("open")
        everybodys.type, everybodys.mode = tarfile.DIRTYPE, 0o777
        tar.addfile(everybodys)
        for name, source in [("bin/sh", programs[0]), ("bin/sleep", programs[1]), *((str(path).lstrip("/"), path.resolve()) for path in sorted(libraries))]:
            information = tarfile.TarInfo(name)
            information.size, information.mode = source.stat().st_size, 0o755
            tar.addfile(information, io.BytesIO(source.read_bytes()))
    return packed.getvalue()


class Registry:
    """An image by the OCI distribution protocol. ``failures``: that many pulls are answered 503; ``forged``: the layer is another one than its digest says."""

    def __init__(self) -> None:
        self.failures = 0
        self.forged = False
        root = layer()
        packed = gzip.compress(root, mtime=0)
        machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        configuration = json.dumps({"architecture": machine, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(root)]}}).encode()
        kind = "application/vnd.oci.image.{}".format
        self._blobs = {digest(packed): packed, digest(configuration): configuration}
        self._layer = digest(packed)
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": kind("manifest.v1+json"),
                "config": {"mediaType": kind("config.v1+json"), "digest": digest(configuration), "size": len(configuration)},
                "layers": [{"mediaType": kind("layer.v1.tar+gzip"), "digest": digest(packed), "size": len(packed)}],
            }
        ).encode()
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # the library's name
                status, kind, body = registry.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET  # the library's name

            def log_message(self, format: str, *arguments: object) -> None:  # the library's name
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.image = f"{self.address}/acme/web@{digest(self._manifest)}"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, type and body of what is asked for."""
        if path == "/v2/":
            return 200, "application/json", b"{}"
        if "/manifests/" in path:
            if self.failures:
                self.failures -= 1
                return 503, "text/plain", b"away"
            return 200, "application/vnd.oci.image.manifest.v1+json", self._manifest
        name = path.rpartition("/")[2]
        body = self._blobs[name]
        return 200, "application/octet-stream", body[:-8] + b"\0" * 8 if self.forged and name == self._layer else body


def digest(content: bytes) -> str:
    """As OCI writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def unit() -> set[str]:
    """Puts this process into a control group as systemd puts a unit; the controllers that there are."""
    if not (GROUPS / "cgroup.controllers").exists():
        subprocess.run(["mount", "-t", "cgroup2", "none", GROUPS], check=True)
    own = GROUPS / f"spotlane-podman-{os.getpid()}"
    own.mkdir()
    (own / "cgroup.procs").write_text(str(os.getpid()))
    return set((GROUPS / "cgroup.controllers").read_text().split())


def leave() -> None:
    """Out of the control group, and takes it away."""
    own = GROUPS / f"spotlane-podman-{os.getpid()}"
    for process in own.rglob("cgroup.procs"):
        for one in process.read_text().split():
            (GROUPS / "cgroup.procs").write_text(one)
    for group in sorted((path for path in own.rglob("*") if path.is_dir()), reverse=True):
        group.rmdir()
    own.rmdir()


def configure(directory: Path, registry: str) -> None:
    """Podman's files: its storage here, this registry without TLS, and limits that need no privilege to set."""
    files = {
        "CONTAINERS_CONF": '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n[engine]\ncgroup_manager = "cgroupfs"\nruntime = "crun"\n',
        "CONTAINERS_STORAGE_CONF": f'[storage]\ndriver = "overlay"\ngraphroot = "{directory}/storage"\nrunroot = "{directory}/run"\n',
        "CONTAINERS_REGISTRIES_CONF": f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n',
    }
    for name, text in files.items():
        path = directory / name.lower()
        path.write_text(text)
        os.environ[name] = str(path)


@contextlib.contextmanager
def manager(directory: Path) -> Iterator[list[str]]:
    """systemd's end of sd_notify: the lines that have come."""
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(directory / "notify"))
        listening.settimeout(10)
        os.environ["NOTIFY_SOCKET"] = str(directory / "notify")

        def listen() -> None:
            with contextlib.suppress(OSError):
                while "READY=1" not in heard:
                    heard.extend(listening.recv(4096).decode().split("\n"))

        thread = threading.Thread(target=listen)
        thread.start()
        yield heard
        thread.join()


def refusal(image: str) -> str:
    """What :func:`components.machine.container.prepare` says where it gives up; empty where it doesn't."""
    try:
        container.prepare(image, 0.0, lambda line: None)
    except OSError as error:
        return str(error)
    return ""


def main(directory: Path) -> dict[str, Any]:
    """All of it; nothing of podman's is left behind."""
    controllers = unit()
    try:
        return run(directory, controllers)
    finally:
        subprocess.run([container.PODMAN, "system", "reset", "--force"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=30)
        leave()


def run(directory: Path, controllers: set[str]) -> dict[str, Any]:
    """Pulls, runs, stops."""
    registry = Registry()
    configure(directory, registry.address)
    seen: dict[str, Any] = {}
    registry.forged = True
    seen["forged"] = refusal(registry.image)
    registry.forged, registry.failures = False, 1
    said: list[str] = []
    container.prepare(registry.image, 60.0, said.append)
    seen["said"] = said
    secrets = directory / "workload.env"
    secrets.write_text("PASSWORD=open sesame\n")
    settings = {"image": registry.image, "command": ["/bin/sh", "-c", SCRIPT], "drainSeconds": 5, "httpPort": 8080, "tcpPort": None, "cloudIdentity": False}
    command = container.command(settings, {"PORT": "8080"}, str(secrets))
    if "pids" not in controllers:
        command = [word for word in command if not word.startswith("--pids-limit")]
        command.insert(2, "--pids-limit=0")
    with manager(directory) as heard, (directory / "output").open("wb") as output:
        subprocess.run(command, stdout=output, stderr=output, check=True, timeout=60)
    seen["heard"] = [line.partition("=")[0] for line in heard]
    process = int(next(line for line in heard if line.startswith("MAINPID=")).partition("=")[2])
    volume = directory / "storage/volumes/workload/_data"
    limit = time.monotonic() + 30
    while not (volume / "done").exists():
        assert time.monotonic() < limit, (directory / "output").read_text()
        time.sleep(0.05)
    inside = (volume / "seen").read_text()
    seen["root"] = "root is written" in inside
    seen["secret"] = "secret: open sesame" in inside
    seen["status"] = {name: value.split() for name, _, value in (line.partition(":\t") for line in inside.splitlines()) if value}
    # conmon's child: the shell, as the machine sees it.
    child = int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])
    seen["user"] = os.stat(f"/proc/{child}").st_uid - container.IDS_FROM
    seen["group"] = f"spotlane-podman-{os.getpid()}" in Path(f"/proc/{child}/cgroup").read_text()
    seen["told"] = [argument for argument in Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0") if "sesame" in argument]
    stop = next(line.partition("=")[2] for line in container.service(settings) if line.startswith("ExecStop="))
    begun = time.monotonic()
    subprocess.run(stop.split(), check=True, stdout=subprocess.DEVNULL, timeout=30)
    seen["stopped in time"] = time.monotonic() - begun < 5
    seen["gone"] = not Path(f"/proc/{child}").exists()
    seen["output"] = (directory / "output").read_text().splitlines()[-2:]
    return seen


if __name__ == "__main__":
    signal.alarm(100)
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
