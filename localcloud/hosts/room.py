"""The machine room: starts, interrupts, stops and adopts machines, and tells who asks when one is gone.

What it knows of a machine stands in ``host.json`` in the machine's directory, so that a killed room finds its machines again. Times are wall-clock
seconds since the epoch; notices and deadlines run on the wall clock.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from localcloud.hosts.image import PROJECT, Image
from localcloud.hosts.metadata import PORT as METADATA_PORT
from localcloud.hosts.process import ProcessIdentity, alive, identify, processes_of

State = Literal["running", "interrupting", "stopping", "stopped", "interrupted", "terminated"]

NOTICE_SECONDS = {"aws": 120.0, "azure": 30.0, "gcp": 30.0}
"""What each cloud gives: AWS two minutes, Azure (scheduled events) and GCP thirty seconds."""

STOP_SECONDS = 3.0
"""What a machine gets between the cloud's delete call and the power being cut."""

_NETWORKS = {"aws": "127.11", "azure": "127.12", "gcp": "127.13"}
_LIVING: tuple[State, ...] = ("running", "interrupting", "stopping")
_WATCH_SECONDS = 0.1
_REMEMBER_SECONDS = 3600.0
"""How long an ended machine that its cloud doesn't delete stays in the list (AWS shows terminated instances about an hour)."""

log = logging.getLogger("localcloud.hosts")


class NoSuchMachine(LookupError):
    """No machine has this ``id``."""

    def __init__(self, machine_id: str) -> None:
        self.machine_id = machine_id
        super().__init__(f"machine {machine_id!r}: not known; GET /hosts lists the machines")


@dataclass(frozen=True)
class MachineSpec:
    """What a cloud asks for. ``id`` is unique over all clouds and never given twice; ``resource`` is the cloud's own name of it, ``image`` and
    ``numeric_id`` are what the metadata service shows. ``address``: one that :meth:`MachineRoom.reserve` gave for it; empty: the next free one."""

    id: str
    cloud: Literal["aws", "azure", "gcp"]
    account: str
    region: str
    zone: str
    instance_type: str
    name: str
    user_data: bytes = b""
    spot: bool = True
    image: str = ""
    numeric_id: int = 0
    resource: str = ""
    address: str = ""


@dataclass(frozen=True)
class Machine:
    """A machine as the room knows it. ``deadline`` is when its power is cut, once it is noticed or stopping."""

    id: str
    cloud: str
    account: str
    region: str
    zone: str
    instance_type: str
    name: str
    address: str
    state: State
    created_at: float
    spot: bool = True
    resource: str = ""
    pid: int = 0
    start_time: int = 0
    deadline: float | None = None
    reason: str = ""

    @property
    def living(self) -> bool:
        """Whether it may still have processes."""
        return self.state in _LIVING

    @property
    def process(self) -> ProcessIdentity:
        """Its first process."""
        return ProcessIdentity(self.pid, self.start_time)


class MachineRoom:
    """All machines below ``directory``. ``edge`` is ``host:port`` of the edge's connector address. Thread-safe."""

    def __init__(self, directory: Path, edge: str) -> None:
        self._directory = directory
        self._edge = edge
        self._lock = threading.RLock()
        self._machines: dict[str, Machine] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._listeners: list[Callable[[Machine], None]] = []
        self._closed = threading.Event()
        directory.mkdir(parents=True, exist_ok=True)
        self._adopt()
        self._watcher = threading.Thread(target=self._watch, name="machine-room", daemon=True)
        self._watcher.start()

    def on_gone(self, listener: Callable[[Machine], None]) -> None:
        """``listener`` is told of every machine that ended without being asked to: state ``interrupted`` or ``stopped``."""
        self._listeners.append(listener)

    def machines(self) -> list[Machine]:
        """Every machine that isn't forgotten, oldest first."""
        with self._lock:
            return sorted(self._machines.values(), key=lambda machine: (machine.created_at, machine.id))

    def get(self, machine_id: str) -> Machine | None:
        """The machine ``machine_id``, or None."""
        return self._machines.get(machine_id)

    def start(self, spec: MachineSpec) -> Machine:
        """Starts a machine; one that runs under this id already is returned as it is."""
        with self._lock:
            known = self._machines.get(spec.id)
            if known is not None and known.living:
                return known
            address = known.address if known else spec.address or self._free_address(spec.cloud)
            now = time.time()
            folder = self.folder(spec.id)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            facts: dict[str, Any] = asdict(spec) | {"address": address, "created_at": now, "user_data": spec.user_data.decode("utf-8", "replace")}
            boot = Image(folder, self._edge).lay_out(facts, spec.user_data)
            _write(folder / "boot.json", boot)
            child = self._launch(folder)
            identity = identify(child.pid) or ProcessIdentity(child.pid, 0)
            machine = Machine(
                spec.id,
                spec.cloud,
                spec.account,
                spec.region,
                spec.zone,
                spec.instance_type,
                spec.name,
                address,
                "running",
                now,
                spec.spot,
                spec.resource,
                *identity,
            )
            self._children[spec.id] = child
            self._keep(machine)
            log.info("machine %s started at %s (%s %s)", machine.id, address, machine.region, machine.instance_type)
            return machine

    def reserve(self, cloud: str) -> str:
        """An address for a machine to come, where a cloud gives public addresses before their machines; no other machine gets it for a long while."""
        with self._lock:
            return self._free_address(cloud)

    def interrupt(self, machine_id: str, notice_seconds: float | None = None, reason: str = "capacity reclaimed") -> Machine:
        """Gives the machine its notice; at the deadline its power is cut. Raises :class:`NoSuchMachine`."""
        with self._lock:
            machine = self._known(machine_id)
            if machine.state != "running":
                return machine
            now = time.time()
            deadline = now + (NOTICE_SECONDS[machine.cloud] if notice_seconds is None else notice_seconds)
            notice = {"id": str(uuid.uuid4()).upper(), "kind": "interruption", "issued_at": now, "deadline": deadline}
            _write(self.folder(machine_id) / "notice.json", notice)
            machine = replace(machine, state="interrupting", deadline=deadline, reason=reason)
            self._keep(machine)
            log.info("machine %s interrupted, %.0f s left: %s", machine_id, deadline - now, reason)
            return machine

    def rebalance(self, machine_id: str) -> None:
        """Tells the machine that its risk of interruption has risen (AWS only shows it). Raises :class:`NoSuchMachine`."""
        with self._lock:
            machine = self._known(machine_id)
            if machine.state == "running":
                notice = {"id": str(uuid.uuid4()).upper(), "kind": "rebalance", "issued_at": time.time(), "deadline": None}
                _write(self.folder(machine_id) / "notice.json", notice)

    def stop(self, machine_id: str, seconds: float = STOP_SECONDS) -> None:
        """Shuts the machine down and forgets it: services get SIGTERM, after ``seconds`` the power is cut. Unknown machines are gone already."""
        with self._lock:
            machine = self._machines.get(machine_id)
            if machine is None:
                return
            if not machine.living:
                self._forget(machine)
            elif machine.state != "stopping":
                _signal(machine.process, signal.SIGTERM)
                self._keep(replace(machine, state="stopping", deadline=time.time() + seconds, reason="deleted"))

    def close(self) -> None:
        """Stops watching. Machines go on."""
        self._closed.set()
        self._watcher.join(timeout=5)

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH_SECONDS):
            for machine in self.machines():
                try:
                    if machine.living:
                        self._look_after(machine.id)
                    elif time.time() - (machine.deadline or machine.created_at) > _REMEMBER_SECONDS:
                        self.stop(machine.id)
                except Exception:
                    log.exception("machine %s: could not be looked after", machine.id)

    def _look_after(self, machine_id: str) -> None:
        with self._lock:
            machine = self._machines.get(machine_id)
            if machine is None or not machine.living:
                return
            child = self._children.get(machine_id)
            lives = (child is None or child.poll() is None) and alive(machine.process)
            approved = machine.state == "interrupting" and (self.folder(machine_id) / "approved").exists()
            due = approved or (machine.deadline is not None and time.time() >= machine.deadline)
            if lives and not due:
                return
            self._cut_power(machine)
            if machine.state == "stopping":
                self._forget(machine)
                return
            ended = replace(machine, state="interrupted" if machine.state == "interrupting" else "stopped", pid=0, start_time=0)
            self._keep(ended)
        log.info("machine %s is %s", machine_id, ended.state)
        for listener in self._listeners:
            listener(ended)

    def _cut_power(self, machine: Machine) -> None:
        """SIGKILL to everything that the machine started, in whatever session, until nothing is left."""
        marker = str(self.folder(machine.id))
        for _ in range(50):
            session = machine.pid if machine.pid and (alive(machine.process) or machine.id in self._children) else None
            pids = processes_of(marker, session)
            child = self._children.get(machine.id)
            if not pids and (child is None or child.poll() is not None):
                break
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.01)
        self._children.pop(machine.id, None)

    def _launch(self, folder: Path) -> subprocess.Popen[bytes]:
        python = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())
        environment = json.loads((folder / "boot.json").read_text(encoding="utf-8"))["environment"]
        with (folder / "console.log").open("ab") as console:
            return subprocess.Popen(
                [python, "-S", "-m", "localcloud.hosts.vm", "--dir", str(folder)],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def _adopt(self) -> None:
        for path in sorted(self._directory.glob("*/host.json")):
            try:
                machine = Machine(**json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                log.warning("%s: not a machine's record: %s", path, error)
                continue
            self._machines[machine.id] = machine
        for folder in self._directory.iterdir():
            if folder.is_dir() and not (folder / "host.json").exists():
                # Killed between a machine's launch and its record: no cloud knows this machine.
                for pid in processes_of(str(folder)):
                    os.kill(pid, signal.SIGKILL)
                shutil.rmtree(folder, ignore_errors=True)

    def _free_address(self, cloud: str) -> str:
        path = self._directory / "addresses.json"
        counters: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        taken = {machine.address for machine in self._machines.values()}
        # Each local cloud begins elsewhere: two that look for an address at once would find the same one unused.
        first = zlib.crc32(bytes(self._directory.resolve()))
        while True:
            counters[cloud] = (counters.get(cloud, first) + 1) % 60_000
            high, low = divmod(counters[cloud], 250)
            address = f"{_NETWORKS[cloud]}.{high}.{low + 2}"
            if address not in taken and _unused(address):
                _write(path, counters)
                return address

    def _known(self, machine_id: str) -> Machine:
        machine = self._machines.get(machine_id)
        if machine is None:
            raise NoSuchMachine(machine_id)
        return machine

    def folder(self, machine_id: str) -> Path:
        """The directory of a machine."""
        return self._directory / machine_id

    def _keep(self, machine: Machine) -> None:
        _write(self.folder(machine.id) / "host.json", asdict(machine))
        self._machines[machine.id] = machine

    def _forget(self, machine: Machine) -> None:
        self._machines.pop(machine.id, None)
        shutil.rmtree(self.folder(machine.id), ignore_errors=True)
        log.info("machine %s is gone", machine.id)


def _unused(address: str) -> bool:
    """Whether no machine of another local cloud on this computer has the address: its metadata service would answer ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, METADATA_PORT))
        except OSError as error:
            return error.errno != errno.EADDRINUSE  # what else is wrong with it, the machine itself will say
    return True


def _signal(process: ProcessIdentity, number: int) -> None:
    if alive(process):
        os.kill(process.pid, number)


def _write(path: Path, value: object) -> None:
    """Writes JSON by rename: a reader or a crash never sees half of it."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)
