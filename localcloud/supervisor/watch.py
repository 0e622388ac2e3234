"""The watching process: starts what shall run, in order, and starts anew what dies, stops answering or takes too much memory.

It owns nothing that its death would lose: its children stand in ``run/``, and the next watcher takes them over. SIGTERM ends it and leaves them be.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FrameType

from localcloud.hosts.process import identify
from localcloud.state import LocalState
from localcloud.supervisor import kernel
from localcloud.supervisor.catalog import PROCESSES, PROJECT, ProcessSpec
from localcloud.supervisor.environment import program_path
from localcloud.supervisor.health import fault_of
from localcloud.supervisor.records import ProcessRecord, Records

log = logging.getLogger("localcloud.supervisor")

STOP_SECONDS = 10.0
"""What a process gets between SIGTERM and SIGKILL."""

_ROUND_SECONDS = 0.1
_HEALTH_SECONDS = 2.0
_MEMORY_SECONDS = 10.0
_FAILING_SECONDS = 60.0
"""How long a living process may fail its health check before it is started anew."""

_LONGEST_BACKOFF_SECONDS = 30.0
_SETTLED_SECONDS = 60.0
"""A process that lived so long starts its backoff from the beginning."""


def backoff_seconds(restarts: int) -> float:
    """The wait before restart number ``restarts`` (from 1): 0.5 s, doubling up to half a minute."""
    return min(_LONGEST_BACKOFF_SECONDS, 0.5 * 2.0 ** (max(restarts, 1) - 1))


@dataclass
class _Watched:
    """One process under watch; times are monotonic seconds."""

    spec: ProcessSpec
    record: ProcessRecord | None = None
    child: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    checked_at: float = 0.0
    measured_at: float = 0.0
    well_at: float = 0.0
    restarts: int = 0

    @property
    def alive(self) -> bool:
        if self.child is not None and self.child.poll() is not None:
            return False
        return self.record is not None and self.record.alive


class Watcher:
    """Watches the processes named in ``run/wanted.json``. ``clock`` is monotonic."""

    def __init__(self, state: LocalState, environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._records = Records(state.run)
        self._clock = clock
        inherited = {**environment, **state.environment}
        inherited["PATH"] = program_path(state.environment["SPOTLANE_ENGINE"], environment.get("PATH", os.defpath))
        self._environment = inherited
        self._watched: dict[str, _Watched] = {spec.name: _Watched(spec, self._records.read(spec.name)) for spec in PROCESSES}
        self._stopped = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._stopped:
            for name in self._records.wanted():
                if name in self._watched and not self._stopped:
                    self._look_after(self._watched[name])
            time.sleep(_ROUND_SECONDS)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopped = True

    def _look_after(self, one: _Watched) -> None:
        now = self._clock()
        if not one.alive:
            if one.record is not None and one.record.pid:
                self._lost(one, now)
            if now >= one.start_at and self._well(one.spec.after):
                self._start(one, now)
            return
        assert one.record is not None
        settled = one.record.state == "running"
        if now - one.checked_at >= (_HEALTH_SECONDS if settled else _ROUND_SECONDS):
            self._check(one, now)
        if settled and now - one.measured_at >= _MEMORY_SECONDS:
            self._measure(one, now)

    def _well(self, names: tuple[str, ...]) -> bool:
        """Whether those of ``names`` that shall run do."""
        wanted = self._records.wanted()
        return all((record := self._watched[name].record) is not None and record.state == "running" for name in names if name in wanted)

    def _start(self, one: _Watched, now: float) -> None:
        spec = one.spec
        for pid in self._strays(one):
            log.warning("%s: ending process %s of an earlier start that left no record", spec.name, pid)
            kernel.end_processes(lambda leader=pid: kernel.session_members(leader), 1.0)  # type: ignore[misc]  # the default binds the loop's pid
        taken = next((self._state.port(endpoint) for endpoint in spec.listens if not kernel.port_free(self._state.port(endpoint))), None)
        if taken is not None:
            self._wait(one, now, f"port {taken} is taken by {_named(taken)}")
            return
        environment = {**self._environment, kernel.SUPERVISED: f"{self._state.home}:{spec.name}"}
        with (self._state.logs / f"{spec.name}.log").open("ab") as output:
            try:
                child = subprocess.Popen(
                    spec.command(self._state),
                    cwd=PROJECT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                self._wait(one, now, f"{spec.command(self._state)[0]} can't be started: {error}")
                return
        identity = identify(child.pid)
        one.child = child
        one.well_at = one.checked_at = now
        self._keep(one, ProcessRecord(spec.name, child.pid, identity.start_time if identity else 0, time.time(), one.restarts))
        log.info("%s: started as process %s", spec.name, child.pid)

    def _strays(self, one: _Watched) -> list[int]:
        """Leaders of sessions that run this very program for this home: a watcher died between a start and its record."""
        wanted = " ".join(one.spec.command(self._state))
        return [
            pid
            for pid, name in kernel.supervised(self._state.home).items()
            if name == one.spec.name and kernel.session_of(pid) == pid and kernel.command_of(pid) == wanted
        ]

    def _lost(self, one: _Watched, now: float) -> None:
        assert one.record is not None
        code = one.child.poll() if one.child is not None else None
        end = "" if code is None else f" with {f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'}"
        one.child = None
        leader = one.record.pid
        kernel.end_processes(lambda: kernel.session_members(leader), 1.0)
        if time.time() - one.record.started_at > _SETTLED_SECONDS and one.record.state == "running":
            one.restarts = 0
        self._wait(one, now, f"ended{end}")

    def _wait(self, one: _Watched, now: float, note: str) -> None:
        one.restarts += 1
        one.start_at = now + backoff_seconds(one.restarts)
        log.warning("%s: %s; starting it again in %.1f s", one.spec.name, note, one.start_at - now)
        self._keep(one, ProcessRecord(one.spec.name, 0, 0, time.time(), one.restarts, "waiting", note))

    def _check(self, one: _Watched, now: float) -> None:
        assert one.record is not None
        one.checked_at = now
        fault = fault_of(one.spec, self._state)
        if fault is None:
            one.well_at = self._clock()
            if one.record.state != "running":
                log.info("%s: answers", one.spec.name)
                self._keep(one, replace(one.record, state="running", note=""))
            return
        limit = one.spec.start_seconds if one.record.state == "starting" else _FAILING_SECONDS
        if self._clock() - one.well_at > limit:
            self._end(one, f"didn't answer for {limit:.0f} s: {fault}")
        elif one.record.state == "running":
            self._keep(one, replace(one.record, state="failing", note=fault))

    def _measure(self, one: _Watched, now: float) -> None:
        assert one.record is not None
        one.measured_at = now
        used = kernel.memory_mib(one.record.pid)
        self._keep(one, replace(one.record, memory_mib=round(used, 1)))
        if used > one.spec.memory_mib:
            self._end(one, f"took {used:.0f} MiB, its ceiling is {one.spec.memory_mib} MiB")

    def _end(self, one: _Watched, why: str) -> None:
        assert one.record is not None
        log.error("%s: %s", one.spec.name, why)
        leader = one.record.pid
        kernel.end_processes(lambda: _living(leader, one.child), STOP_SECONDS)
        one.child = None
        self._wait(one, self._clock(), why)

    def _keep(self, one: _Watched, record: ProcessRecord) -> None:
        one.record = record
        self._records.write(record)


def _living(leader: int, child: subprocess.Popen[bytes] | None) -> list[int]:
    if child is not None:
        child.poll()  # takes its exit status, or it would stay in the process table
    return kernel.session_members(leader)


def _named(port: int) -> str:
    holder = kernel.holder_of(port)
    return f"process {holder.pid} ({holder.command[:120]})" if holder else "another program"


def main(state: LocalState) -> int:
    """Watches until SIGTERM; exit code 0."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    identity = identify(os.getpid())
    assert identity is not None
    Records(state.run).write(ProcessRecord("supervisor", identity.pid, identity.start_time, time.time(), state="running"))
    Watcher(state, os.environ).run()
    return 0
