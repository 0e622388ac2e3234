"""``router``: what our router costs a request, against a Worker that only passes on and against no Worker at all.

Each side has a workerd of its own, so that its CPU time can be told apart (``/proc/<pid>/stat``). The router is the deployed bundle with its bindings:
a route from a replica, distinct tokens checked against the JWKS, each request signed for its machine. One connection, one request at a time; the sides
take turns in rounds within one run, and requests go to each Worker's own socket.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import Result

SAMPLES = 20_000
_TOKENS = 1_000
_ROUND = 100
_HERE = Path(__file__).parent
_TICKS = os.sysconf("SC_CLK_TCK")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n" + b'{"machine":"of-benchmarks"}'


@dataclass
class Side:
    """One way to the origin: where it is reached, with what requests, by which process (None: none of its own)."""

    name: str
    port: int
    requests: Sequence[bytes]
    process: int | None = None
    microseconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0


def run(samples: int) -> Result:
    """``samples`` requests of each side, in rounds; before them each side has seen every token twice."""
    with ExitStack() as stack:
        origin = stack.enter_context(_origin())
        _say("starting two workerds and issuing tokens")
        passthrough, router = (stack.enter_context(_started(name, origin)) for name in ("passthrough", "router"))
        requests = [_request(router["host"], token) for token in router["tokens"]]
        assert len(set(requests)) == _TOKENS, "the tokens are not distinct"
        sides = [
            Side("direct", origin, requests),
            Side("passthrough", passthrough["port"], requests, passthrough["workerd"]),
            Side("router", router["port"], requests, router["workerd"]),
        ]
        first = [_round(side, _TOKENS, 0, counted=False) for side in sides]
        for side in sides:
            _round(side, _TOKENS, 0, counted=False)
        size = min(_ROUND, samples)
        for number in range(max(samples // size, 1)):
            for at in range(len(sides)):
                _round(sides[(number + at) % len(sides)], size, number * size, counted=True)
            if number % 20 == 19:
                _say(f"{(number + 1) * size} of {samples} requests of each side")
        _refuses(sides[2], router["host"])
    ours = sides[2]
    counted = len(ours.microseconds)
    p50 = {side.name: statistics.median(side.microseconds) for side in sides}
    cpu = {side.name: side.cpu_seconds / counted * 1e6 for side in sides if side.process is not None}
    claims = {"router_p50_ratio": p50["router"] / p50["passthrough"], "router_cpu_ratio": cpu["router"] / cpu["passthrough"]}
    others = {
        **{f"{name}_p50_us": value for name, value in p50.items()},
        **{f"{side.name}_p99_us": statistics.quantiles(side.microseconds, n=100)[98] for side in sides},
        **{f"{name}_cpu_us": value for name, value in cpu.items()},
        "router_first_use_of_a_token_cpu_us": first[2] / _TOKENS * 1e6,
    }
    setting = {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "tokens": _TOKENS, "connections": 1, "access": "token", "origin_signature": "on"}
    return Result("router", claims, counted, setting, others)


def _round(side: Side, count: int, offset: int, *, counted: bool) -> float:
    """``count`` requests over one connection, tokens in turn; CPU seconds of the side's process."""
    begun = _cpu(side.process)
    took = []
    with socket.create_connection(("127.0.0.1", side.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(count):
            request = side.requests[(offset + at) % len(side.requests)]
            sent = time.perf_counter_ns()
            connection.sendall(request)
            _read(connection, side.name)
            took.append((time.perf_counter_ns() - sent) / 1000)
    spent = _cpu(side.process) - begun
    if counted:
        side.microseconds += took
        side.cpu_seconds += spent
    return spent


def _read(connection: socket.socket, name: str) -> None:
    """One whole answer of the origin's; anything else ends the benchmark."""
    answer = b""
    while not answer.endswith(b'"of-benchmarks"}'):
        more = connection.recv(65536)
        answer += more
        if not more or not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{name} answered {answer[:300]!r}")


def _refuses(side: Side, host: str) -> None:
    """The router must have looked at the tokens: one that isn't signed by Auth is refused."""
    token = side.requests[0].split(b"Bearer ")[1].split(b"\r\n")[0].decode()
    head, body, signature = token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    with socket.create_connection(("127.0.0.1", side.port)) as connection:
        connection.sendall(_request(host, forged))
        answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 401"):
        raise RuntimeError(f"the router took a forged token: {answer[:200]!r}")


def _request(host: str, token: str) -> bytes:
    lines = [
        "GET /v1/items/42?page=3 HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        "User-Agent: spotlane-benchmarks",
        "Accept: application/json",
        "CF-Connecting-IP: 192.0.2.7",
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Proto: http",
        "X-Request-Id: 7f9c24e8-3b12-4fef-91e0-6d3e1c0a2b55",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _cpu(process: int | None) -> float:
    """User and system seconds of a process's threads; the clock tick is 10 ms, so that only sums over rounds mean something."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def _origin() -> Iterator[int]:
    """The machine: answers every request with the same document, as fast as it reads. In a process of its own."""
    with subprocess.Popen([sys.executable, "-m", "benchmarks.router"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_HERE.parent) as process:
        assert process.stdout and process.stdin
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


@contextmanager
def _started(side: str, origin: int) -> Iterator[dict[str, Any]]:
    command = ["node", str(_HERE / "edge" / "start.mjs"), side, str(origin), str(_TOKENS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_HERE.parent) as process:
        assert process.stdout and process.stdin
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the {side} side didn't start; is the edge built (npm run build)?")
            yield json.loads(line)
        finally:
            process.stdin.close()


def _serve() -> None:
    """The origin's process: until its standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


def _answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        pending = b""
        while more := connection.recv(65536):
            pending += more
            while b"\r\n\r\n" in pending:
                pending = pending.split(b"\r\n\r\n", 1)[1]
                connection.sendall(_ANSWER)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    _serve()
