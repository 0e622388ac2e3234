"""The supervisor's commands over one state directory: up, down, status, logs."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from localcloud.state import DEFAULT_PORT_BASE, OFFSETS, LocalState, LocalStateFault, MarketSettings
from localcloud.supervisor import kernel
from localcloud.supervisor.catalog import PROCESSES, PROJECT, ProcessSpec
from localcloud.supervisor.environment import prepare
from localcloud.supervisor.health import fault_of
from localcloud.supervisor.records import ProcessRecord, Records
from localcloud.supervisor.watch import STOP_SECONDS

_UP_SECONDS = 180.0
_GIVE_UP_STARTS = 3
_MACHINE_GRACE_SECONDS = 2.0


class UpFault(Exception):
    """The local cloud can't be started as asked; a person must change something (exit code 2)."""


class StartFailed(Exception):
    """A process didn't come up (exit code 1)."""


@dataclass(frozen=True)
class UpRequest:
    """What ``up`` is asked for; None keeps what the state directory says, or its default."""

    home: Path
    port_base: int | None
    market: dict[str, Any]
    processes: tuple[ProcessSpec, ...]


@dataclass(frozen=True)
class ProcessStatus:
    """One process as ``status`` shows it. ``state``: ``running``, ``starting``, ``failing``, ``waiting`` or ``stopped``; memory in MiB."""

    name: str
    state: str
    pid: int | None
    ports: list[int]
    uptime_seconds: float | None
    memory_mib: float | None
    ceiling_mib: int
    restarts: int
    note: str
    log: str


def up(request: UpRequest, progress: Callable[[str], None]) -> LocalState:
    """Starts what is asked for and returns when it answers. Raises :class:`UpFault`, :class:`StartFailed`."""
    home = request.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / ".lock"):
        state = _wanted_state(home, request)
        records = Records(state.run)
        running = {spec.name for spec in PROCESSES if (record := records.read(spec.name)) is not None and record.alive}
        _check_ports(state, [spec for spec in request.processes if spec.name not in running])
        if shutil.which("node") is None and any(spec.name == "edge" for spec in request.processes):
            raise UpFault("node was not found on PATH; install Node.js 20 or newer")
        state = prepare(state, _engine())
        names = {spec.name for spec in request.processes} | running
        records.want([spec.name for spec in PROCESSES if spec.name in names])
        _start_watcher(state, records)
        _wait_until_well(state, records, request.processes, progress)
    return state


def down(home: Path, purge: bool, progress: Callable[[str], None]) -> int:
    """Stops every process of ``home``, machines included; with ``purge`` its state goes too. The number of processes stopped."""
    home = home.resolve()
    if not home.is_dir():
        return 0
    stopped = 0
    with _locked(home / ".lock"):
        records = Records(home / "run")
        supervisor = records.read("supervisor")
        if supervisor is not None and supervisor.alive:
            kernel.end_processes(lambda: [supervisor.pid] if supervisor.alive else [], STOP_SECONDS)
        for spec in reversed(PROCESSES):
            record = records.read(spec.name)
            if record is not None and record.alive:
                progress(f"stopping {spec.name}")
                leader = record.pid
                kernel.end_processes(lambda leader=leader: kernel.session_members(leader), STOP_SECONDS)  # type: ignore[misc]  # the default binds the loop's pid
                stopped += 1
            records.forget(spec.name)
        ours = os.getpid()
        # Engines that automation had started in sessions of their own, and processes whose record was lost.
        kernel.end_processes(lambda: [pid for pid in kernel.supervised(home) if pid != ours], STOP_SECONDS)
        machines = len(set(kernel.machine_processes(home / "hosts").values()))
        if machines:
            progress(f"stopping {machines} machine{'s' if machines > 1 else ''}")
        kernel.end_processes(lambda: list(kernel.machine_processes(home / "hosts")), _MACHINE_GRACE_SECONDS)
        records.forget("supervisor")
        records.want([])
        if purge:
            _purge(home)
    return stopped + machines


def status(home: Path) -> tuple[list[ProcessStatus], int]:
    """Every process and the number of machines. Asks each process anew."""
    home = home.resolve()
    machines = len(set(kernel.machine_processes(home / "hosts").values()))
    try:
        state = LocalState.load(home)
    except LocalStateFault:
        if (home / "local.json").exists():
            raise
        state = LocalState(home)
    records = Records(state.run)
    found = []
    for spec in PROCESSES:
        record = records.read(spec.name)
        found.append(_status(spec, state, record))
    return found, machines


def supervised(home: Path) -> bool:
    """Whether the watching process of ``home`` lives."""
    record = Records(home.resolve() / "run").read("supervisor")
    return record is not None and record.alive


def document(home: Path, processes: list[ProcessStatus], machines: int) -> dict[str, Any]:
    """``status --json``."""
    return {"home": str(home.resolve()), "supervisor": supervised(home), "machines": machines, "processes": [asdict(one) for one in processes]}


def _status(spec: ProcessSpec, state: LocalState, record: ProcessRecord | None) -> ProcessStatus:
    ports = [state.port(endpoint) for endpoint in spec.listens]
    log = str(state.logs / f"{spec.name}.log")
    if record is None or not record.alive:
        waiting = record is not None and record.state == "waiting"
        note = record.note if record is not None else ""
        return ProcessStatus(
            spec.name, "waiting" if waiting else "stopped", None, ports, None, None, spec.memory_mib, record.restarts if record else 0, note, log
        )
    fault = fault_of(spec, state)
    shown = "running" if fault is None else ("starting" if record.state == "starting" else "failing")
    used = round(kernel.memory_mib(record.pid), 1)
    return ProcessStatus(spec.name, shown, record.pid, ports, time.time() - record.started_at, used, spec.memory_mib, record.restarts, fault or "", log)


def _wanted_state(home: Path, request: UpRequest) -> LocalState:
    given = {name: value for name, value in request.market.items() if value is not None}
    if (home / "local.json").exists():
        known = LocalState.load(home)
        alive = [spec.name for spec in PROCESSES if (record := Records(known.run).read(spec.name)) is not None and record.alive]
        base = known.port_base if request.port_base is None else request.port_base
        market = MarketSettings(**{**asdict(known.market), **given})
        if alive and (base, market) != (known.port_base, known.market):
            raise UpFault(
                f"{home} runs already ({', '.join(alive)}) with other ports or market settings; stop it with `spotlane local down --home {home}` first"
            )
    else:
        base = DEFAULT_PORT_BASE if request.port_base is None else request.port_base
        market = MarketSettings(**given)
    last = max(OFFSETS.values())
    if not 1024 <= base <= 65535 - last:
        raise UpFault(f"--port-base {base} is out of range: choose 1024 to {65535 - last}")
    if market.file is not None and not Path(market.file).is_file():
        raise UpFault(f"--market {market.file}: there is no such file")
    if market.speed <= 0:
        raise UpFault(f"--speed {market.speed}: a market's speed is greater than 0")
    return LocalState(home, base, market=market)


def _check_ports(state: LocalState, specs: list[ProcessSpec]) -> None:
    """Raises :class:`UpFault` naming every taken port and who holds it."""
    faults = []
    ours = kernel.supervised(state.home)
    for spec in specs:
        for endpoint in spec.listens:
            port = state.port(endpoint)
            if kernel.port_free(port):
                continue
            holder = kernel.holder_of(port)
            if holder is not None and holder.pid in ours:
                continue  # of an earlier start whose record was lost: the watcher ends it
            who = f"process {holder.pid} ({holder.command[:120]})" if holder else "a program of another user"
            faults.append(f"port {port} ({spec.name}, {endpoint}) is taken by {who}")
    if faults:
        raise UpFault("; ".join(faults) + ". Stop it, or choose other ports with --port-base")


def _engine() -> str:
    """The Pulumi engine's path, got by ``tools/engine`` where there is none yet. Raises :class:`UpFault`."""
    answer = subprocess.run([sys.executable, str(PROJECT / "tools/engine/resolve.py")], stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        raise UpFault("there is no Pulumi engine; run `make setup`")
    return answer.stdout.strip()


def _start_watcher(state: LocalState, records: Records) -> None:
    known = records.read("supervisor")
    if known is not None and known.alive:
        return
    with (state.logs / "supervisor.log").open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "localcloud", "watch", "--home", str(state.home)],
            cwd=PROJECT,
            env={**os.environ, kernel.SUPERVISED: f"{state.home}:supervisor"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _wait_until_well(state: LocalState, records: Records, specs: tuple[ProcessSpec, ...], progress: Callable[[str], None]) -> None:
    started = time.monotonic()
    left = list(specs)
    while left:
        for spec in list(left):
            record = records.read(spec.name)
            if record is None:
                continue
            if record.state == "running" and record.alive:
                progress(f"{spec.name} answers after {time.monotonic() - started:.1f} s")
                left.remove(spec)
            elif record.restarts >= _GIVE_UP_STARTS:
                log = state.logs / f"{spec.name}.log"
                raise StartFailed(f"{spec.name} doesn't start ({record.note or record.state}); the end of {log}:\n{tail(log, 8)}")
        if left and time.monotonic() - started > _UP_SECONDS:
            raise StartFailed(f"{', '.join(spec.name for spec in left)} didn't answer within {_UP_SECONDS:.0f} s; see `spotlane local logs`")
        time.sleep(0.05)


def tail(path: Path, lines: int) -> str:
    """The last ``lines`` of a log, indented."""
    try:
        text = path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return "  (no log)"
    return "\n".join(f"  {line}" for line in text)


def _purge(home: Path) -> None:
    """Removes what a local cloud keeps; a directory that isn't one is left alone."""
    if not (home / "run").is_dir() and not (home / "local.json").exists():
        return
    shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One command at a time on one state directory. Raises :class:`UpFault` when another one takes too long."""
    with path.open("w") as file:
        limit = time.monotonic() + _UP_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > limit:
                    raise UpFault(f"another command is at work on {path.parent}; wait for it, or end it") from error
                time.sleep(0.1)
        yield
