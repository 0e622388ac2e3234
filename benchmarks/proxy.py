"""``proxy``: one call direct, through the inline proxy and through mitmproxy with the same rule, on kept connections, the sides in turns.

mitmproxy's pins conflict with ours, so it runs in an environment of its own: ``SPOTLANE_BENCH_MITMPROXY`` names the environment's directory, else one is made
in a temporary directory (a minute, and the package index).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.report import Result

SAMPLES = 10
_CALLS = 200
"""Of each side in one round."""
_ROOT = Path(__file__).resolve().parents[1]
_SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
_HOST = "management.azure.com"
_BODY = json.dumps(
    {"location": "westeurope", "tags": {"tenant": "bench"}, "properties": {"priority": "Spot", "hardwareProfile": {"vmSize": "D2s_v5"}}}
).encode()
_PATH = f"/subscriptions/{_SUBSCRIPTION}/resourceGroups/web/providers/Microsoft.Compute/virtualMachines/web?api-version=2024-11-01"
_REQUEST = f"PUT {_PATH} HTTP/1.1\r\nHost: {_HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n".encode() + _BODY
_PINS = ("mitmproxy==11.0.2", "pydantic", "pyyaml", "botocore")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def run(samples: int) -> Result:
    """``samples`` rounds of each side after an uncounted one."""
    with tempfile.TemporaryDirectory(prefix="spotlane-bench-") as directory, _upstream() as port:
        home = Path(directory)
        _write_books(home, port)
        environment = _mitmproxy_environment(home)
        with _ours(home) as ours, _mitmproxy(home, environment, port) as theirs:
            sides: dict[str, _Side] = {"direct": _Side(None, port, None), "ours": ours, "mitmproxy": theirs}
            walls: dict[str, list[float]] = {name: [] for name in sides}
            cpu: dict[str, list[float]] = {name: [] for name in sides}
            for number in range(samples + 1):
                for name, side in sides.items():
                    before = side.cpu_seconds()
                    seconds = side.round()
                    if number:
                        walls[name] += seconds
                        cpu[name].append((side.cpu_seconds() - before) / _CALLS)
            for side in sides.values():
                side.close()
    p50 = {name: statistics.median(values) * 1000 for name, values in walls.items()}
    used = {name: statistics.median(values) * 1000 for name, values in cpu.items()}
    claims = {"cpu_ratio_to_mitmproxy": used["ours"] / used["mitmproxy"], "added_p50_ms": p50["ours"] - p50["direct"]}
    others = {f"p50_ms_{name}": value for name, value in p50.items()} | {f"cpu_ms_per_call_{name}": used[name] for name in ("ours", "mitmproxy")}
    setting = {"calls": samples * _CALLS, "call": "ARM PUT of a virtual machine", "tls": "client to proxy", "mitmproxy": _PINS[0], "cpus": os.cpu_count()}
    return Result("proxy", claims, samples, setting, others)


class _Side:
    """One kept connection to one way; ``process`` is the proxy whose CPU time counts."""

    def __init__(self, process: subprocess.Popen[bytes] | None, port: int, ca: Path | None) -> None:
        self._process = process
        self._socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ca is not None:
            credential = b64encode(b"platform:k").decode()
            self._socket.sendall(f"CONNECT {_HOST}:443 HTTP/1.1\r\nHost: {_HOST}:443\r\nProxy-Authorization: Basic {credential}\r\n\r\n".encode())
            answer = self._socket.recv(4096)
            if b" 200 " not in answer.split(b"\r\n", 1)[0]:
                raise RuntimeError(f"no tunnel: {answer[:200]!r}")
            self._socket = ssl.create_default_context(cafile=str(ca)).wrap_socket(self._socket, server_hostname=_HOST)

    def round(self) -> list[float]:
        """Seconds of each call of one round."""
        found = []
        for _ in range(_CALLS):
            begun = time.perf_counter()
            self._socket.sendall(_REQUEST)
            answer = b""
            while not answer.endswith(b"{}"):
                more = self._socket.recv(65536)
                if not more:
                    raise RuntimeError("the connection was closed")
                answer += more
            found.append(time.perf_counter() - begun)
            if b" 200 " not in answer.split(b"\r\n", 1)[0]:
                raise RuntimeError(f"the call was refused: {answer[:300]!r}")
        return found

    def cpu_seconds(self) -> float:
        """CPU time of the proxy's process so far; 0 where there is none."""
        if self._process is None:
            return 0.0
        # clock_getcpuclockid(3) of another process: nanoseconds, where /proc/<pid>/stat counts hundredths of a second.
        return time.clock_gettime((~self._process.pid << 3) | 2)

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()


@contextlib.contextmanager
def _upstream() -> Iterator[int]:
    """A server that reads a request and answers at once, as cheaply as it can."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        with client:
            while more := client.recv(65536):
                data += more
                while (end := data.find(b"\r\n\r\n")) >= 0:
                    head = data[:end].lower()
                    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
                    if len(data) < end + 4 + length:
                        break
                    data = data[end + 4 + length :]
                    client.sendall(_ANSWER)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def _write_books(home: Path, port: int) -> None:
    tenants = home / "proxy" / "tenants"
    tenants.mkdir(parents=True)
    boundary: dict[str, Any] = {"name": "bench", "residency": {"regimes": ["gdpr"]}, "spotOnly": True, "requiredTags": ["tenant"]}
    (tenants / "bench.json").write_text(json.dumps({"tenant": "bench", "boundary": boundary, "accounts": {"azure": [_SUBSCRIPTION]}}))
    (home / "proxy" / "principals.json").write_text(json.dumps({"platform": hashlib.sha256(b"k").hexdigest()}))
    (home / "upstreams.json").write_text(json.dumps({_HOST: f"http://127.0.0.1:{port}"}))


@contextlib.contextmanager
def _ours(home: Path) -> Iterator[_Side]:
    environment = {**os.environ, "SPOTLANE_PROXY_UPSTREAMS": str(home / "upstreams.json")}
    command = [sys.executable, "-m", "policies.proxy", "--home", str(home), "--port", "0"]
    with _running(command, environment) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().strip().rpartition(b":")[2])
        yield _Side(process, port, home / "proxy" / "ca.pem")


@contextlib.contextmanager
def _mitmproxy(home: Path, environment: Path, upstream: int) -> Iterator[_Side]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    variables = {**os.environ, "BENCH_PROXY_HOME": str(home), "BENCH_UPSTREAM_PORT": str(upstream), "PYTHONPATH": str(_ROOT)}
    options = ["rawtcp=false", "connection_strategy=lazy", f"confdir={home / 'mitmproxy'}", "http2=false", "flow_detail=0"]
    command = [str(environment / "bin" / "python"), str(environment / "bin" / "mitmdump"), "-q", "--listen-host", "127.0.0.1", "-p", str(port)]
    command += [part for option in options for part in ("--set", option)] + ["-s", str(_ROOT / "benchmarks" / "rivals" / "mitmproxy_addon.py")]
    with _running(command, variables) as process:
        limit = time.monotonic() + 60
        ca = home / "mitmproxy" / "mitmproxy-ca-cert.pem"
        while True:
            try:
                side = _Side(process, port, ca)
                break
            except (OSError, ValueError):
                if process.poll() is not None or time.monotonic() > limit:
                    raise RuntimeError("mitmproxy doesn't start") from None
                time.sleep(0.2)
        yield side


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _mitmproxy_environment(home: Path) -> Path:
    """The environment with mitmproxy. Raises ``RuntimeError`` where it can't be had."""
    if given := os.environ.get("SPOTLANE_BENCH_MITMPROXY"):
        return Path(given)
    environment = home / "mitmproxy-env"
    sys.stderr.write("installing mitmproxy into an environment of its own\n")
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    done = subprocess.run([str(environment / "bin" / "pip"), "install", "-q", *_PINS], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mitmproxy can't be installed: {done.stderr.strip()[-400:]}; SPOTLANE_BENCH_MITMPROXY may name an environment that has it")
    return environment
