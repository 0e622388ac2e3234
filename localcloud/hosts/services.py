"""A machine's services: what systemd does with its units, one state machine a unit, driven by child exits and the clock.

Imported by the machine's first process, so only the standard library. Times are seconds on the monotonic clock.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

from localcloud.hosts import metadata
from localcloud.hosts.units import Command, Unit, UnitError, locate, parse_unit

Reply = Callable[[int, str], None]
"""Answers a ``systemctl`` call: its exit code and output."""

NO_SUCH_UNIT = 5
NOT_ACTIVE = 3
OF_THE_SYSTEM = frozenset({"systemd-journald.service"})
"""Units of every machine that ours only start again; here the console takes their part."""


class Paths(NamedTuple):
    """Where the machine's things are; ``rebase`` moves an absolute path of the machine below its root."""

    units: str
    environment: dict[str, str]
    rebase: Callable[[str], str]


class _Service:
    """One unit's present life."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.state = "inactive"
        self.queue: list[Command] = []
        self.command: Command | None = None
        self.pid = 0
        self.post: list[Command] = []
        self.post_pid = 0
        self.restart_at: float | None = None
        self.kill_at: float | None = None
        self.starts: list[float] = []
        self.again = False
        self.waiting: list[Reply] = []

    def settle(self, code: int, output: str = "") -> None:
        waiting, self.waiting = self.waiting, []
        for reply in waiting:
            reply(code, output)


class Services:
    """The units of one machine. ``spawn(argv, environment, directory, unit)`` starts a process of ``unit`` in its own group and returns its pid."""

    def __init__(self, paths: Paths, spawn: Callable[[list[str], dict[str, str], str, str], int], log: Callable[[str], None]) -> None:
        self._paths = paths
        self._spawn = spawn
        self._log = log
        self._services: dict[str, _Service] = {}
        self._going_down = False

    def call(self, verb: str, names: list[str], now_flag: bool, now: float, reply: Reply) -> None:
        """Carries out ``systemctl verb names``; ``reply`` comes when systemctl would return."""
        if verb in ("daemon-reload", "reset-failed", "mask", "unmask", "set-default", "preset") or (verb in ("enable", "disable") and not now_flag):
            reply(0, "")
            return
        verb = {"enable": "start", "disable": "stop", "reload-or-restart": "restart", "try-restart": "restart"}.get(verb, verb)
        if not names:
            reply(0, "\n".join(f"{name} {service.state}" for name, service in sorted(self._services.items())))
            return
        names = [name if "." in name else name + ".service" for name in names]
        if OF_THE_SYSTEM.issuperset(names):
            reply(0, "")
            return
        if verb in ("is-active", "is-failed", "is-enabled", "status", "show"):
            self._query(verb, names, reply)
            return
        if verb not in ("start", "stop", "restart", "kill"):
            reply(1, f"Unknown command verb {verb!r}.")
            return
        gathered = _Gathered(len(names), reply)
        for name in names:
            try:
                self._change(verb, name, now, gathered.one)
            except UnitError as error:
                gathered.one(NO_SUCH_UNIT, str(error))

    def exited(self, pid: int, code: int, now: float) -> bool:
        """Takes note that child ``pid`` ended with ``code`` (negative: by that signal); False if it is no service's."""
        after = next((candidate for candidate in self._services.values() if candidate.post_pid == pid), None)
        if after is not None:
            self._checked(after, code, now)
            return True
        service = next((candidate for candidate in self._services.values() if candidate.pid == pid), None)
        if service is None:
            return False
        name = service.unit.name
        service.pid = 0
        self._end_post(service)
        failed = code != 0 and not (service.command is not None and service.command.may_fail)
        if service.state == "deactivating":
            _signal_group(pid, signal.SIGKILL)
            self._stopped(service, now)
        elif service.queue and not failed:
            self._next(service, now)
        elif service.unit.kind == "oneshot" and not failed:
            service.state = "active" if service.unit.remain_after_exit else "inactive"
            service.settle(0)
        else:
            self._log(f"{name}: main process exited, code={code}")
            _signal_group(pid, signal.SIGKILL)
            self._after_exit(service, code, failed, now)
        return True

    def tick(self, now: float) -> None:
        """Does what is due: restarts, SIGKILL for what did not stop in time, and the next stop of a machine that goes down."""
        if self._going_down:
            self.stop_all(now)
        for service in self._services.values():
            if service.restart_at is not None and now >= service.restart_at:
                service.restart_at = None
                self._begin(service, now)
            if service.kill_at is not None and now >= service.kill_at:
                service.kill_at = None
                _signal_group(service.pid, signal.SIGKILL)

    def next_due(self) -> float | None:
        """When :meth:`tick` has something to do."""
        times = [time for service in self._services.values() for time in (service.restart_at, service.kill_at) if time is not None]
        return min(times, default=None)

    def stop_all(self, now: float) -> None:
        """Stops every service; the machine is going down. One that starts before others (``Before=``) is stopped once they have."""
        self._going_down = True
        living = {name for name, service in self._services.items() if service.pid or service.post_pid}
        for name, service in self._services.items():
            if service.state in ("active", "activating") and not living.intersection(service.unit.before):
                self._change("stop", name, now, lambda code, output: None)

    def running(self) -> bool:
        """Whether any service's process lives."""
        return any(service.pid or service.post_pid for service in self._services.values())

    def _query(self, verb: str, names: list[str], reply: Reply) -> None:
        states = []
        for name in names:
            service = self._services.get(name)
            known = service is not None or os.path.exists(os.path.join(self._paths.units, name))
            states.append("enabled" if verb == "is-enabled" and known else service.state if service else "inactive")
        good = {"is-failed": ("failed",), "is-enabled": ("enabled",)}.get(verb, ("active",))
        reply(0 if all(state in good for state in states) or verb == "show" else NOT_ACTIVE, "\n".join(states))

    def _change(self, verb: str, name: str, now: float, reply: Reply) -> None:
        service = self._services.get(name)
        running = service is not None and service.state in ("active", "activating", "deactivating")
        if verb == "kill":
            if service is not None and service.pid:
                _signal_group(service.pid, signal.SIGTERM)
            reply(0, "")
        elif verb == "stop" or (verb == "restart" and running and service is not None and service.pid):
            if service is None:
                reply(0, "")
                return
            service.again = verb == "restart"
            self._stop(service, now, reply)
        elif running and verb == "start":
            reply(0, "")
        else:
            service = self._load(name)
            service.waiting.append(reply)
            self._begin(service, now)

    def _load(self, name: str) -> _Service:
        try:
            with open(os.path.join(self._paths.units, name), encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise UnitError(name, f"Unit {name} not found.") from error
        unit = parse_unit(name, text, self._paths.environment)
        # The machine's own address, whatever the unit says: all machines share this computer's ports.
        unit.environment["HOST"] = self._paths.environment["HOST"]
        if metadata.ADDRESS in unit.denied:
            # Nothing here drops packets by process, so a unit that may not ask the metadata service isn't told where it is.
            self._log(f"{name}: IPAddressDeny= is left aside; the unit isn't told where the metadata service is")
            for variable in (variable for variables in metadata.VARIABLES.values() for variable in variables):
                unit.environment.pop(variable, None)
        service = self._services.setdefault(name, _Service(unit))
        service.unit = unit
        return service

    def _begin(self, service: _Service, now: float) -> None:
        service.starts = [start for start in service.starts if now - start < service.unit.burst_seconds]
        if len(service.starts) >= service.unit.burst > 0:
            self._log(f"{service.unit.name}: start request repeated too quickly")
            self._fail(service, "start-limit-hit")
            return
        service.starts.append(now)
        for variable, path in service.unit.directories:
            rebased = self._paths.rebase(path)
            os.makedirs(rebased, exist_ok=True)
            service.unit.environment[variable] = rebased
        service.state = "activating"
        service.queue = [*service.unit.pre, *service.unit.start]
        self._next(service, now)

    def _next(self, service: _Service, now: float) -> None:
        command = service.queue.pop(0)
        service.command = command
        directory = service.unit.working_directory.lstrip("-").replace("~", self._paths.environment["HOME"])
        try:
            service.pid = self._spawn(locate(command.argv, service.unit.environment["PATH"]), service.unit.environment, directory, service.unit.name)
        except OSError as error:
            self._log(f"{service.unit.name}: {command.argv[0]}: {error.strerror}")
            self._after_exit(service, 203, True, now)
            return
        if not service.queue and service.unit.kind != "oneshot":
            service.post = list(service.unit.post)
            service.kill_at = now + service.unit.start_seconds if service.post else None
            self._after_start(service)

    def _after_start(self, service: _Service) -> None:
        """Runs what is to run once the service has started; then it is active."""
        if not service.post:
            service.kill_at = None
            service.state = "active"
            service.settle(0)
            return
        argv = locate(service.post.pop(0).argv, service.unit.environment["PATH"])
        try:
            service.post_pid = self._spawn(argv, service.unit.environment, self._paths.environment["HOME"], service.unit.name)
        except OSError as error:
            self._log(f"{service.unit.name}: {argv[0]}: {error.strerror}")
            _signal_group(service.pid, signal.SIGTERM)

    def _checked(self, service: _Service, code: int, now: float) -> None:
        """An ``ExecStartPost=`` has ended: with a failure the service goes too."""
        service.post_pid = 0
        if service.state != "activating":
            return
        if code != 0:
            self._log(f"{service.unit.name}: ExecStartPost ended with {code}")
            service.post, service.kill_at = [], now + service.unit.stop_seconds
            _signal_group(service.pid, signal.SIGTERM)
        else:
            self._after_start(service)

    def _end_post(self, service: _Service) -> None:
        service.post, service.kill_at = [], None
        _signal_group(service.post_pid, signal.SIGKILL)
        service.post_pid = 0

    def _after_exit(self, service: _Service, code: int, failed: bool, now: float) -> None:
        restart = service.unit.restart
        wanted = {"always": True, "on-failure": failed, "on-abnormal": code < 0, "on-abort": code < 0, "on-success": not failed}
        if wanted.get(restart, False):
            service.state = "activating"
            service.restart_at = now + service.unit.restart_seconds
            service.settle(1 if failed else 0)
        elif failed:
            self._fail(service, f"exit-code {code}")
        else:
            service.state = "inactive"
            service.settle(0)

    def _fail(self, service: _Service, why: str) -> None:
        service.state = "failed"
        service.settle(1, f"Job for {service.unit.name} failed: {why}.")

    def _stop(self, service: _Service, now: float, reply: Reply) -> None:
        service.restart_at = None
        service.queue = []
        if service.state != "deactivating":
            self._end_post(service)
        if not service.pid:
            service.state = "inactive"
            reply(0, "")
            return
        service.waiting.append(reply)
        if service.state != "deactivating":
            service.state = "deactivating"
            service.kill_at = now + service.unit.stop_seconds
            if service.unit.mixed:
                os.kill(service.pid, signal.SIGTERM)
            else:
                _signal_group(service.pid, signal.SIGTERM)

    def _stopped(self, service: _Service, now: float) -> None:
        service.kill_at = None
        service.state = "inactive"
        if service.again:
            service.again = False
            try:
                self._begin(self._load(service.unit.name), now)
            except UnitError as error:
                service.settle(NO_SUCH_UNIT, str(error))
        else:
            service.settle(0)


class _Gathered:
    """One reply out of several: the highest code, all output."""

    def __init__(self, count: int, reply: Reply) -> None:
        self._left = count
        self._code = 0
        self._lines: list[str] = []
        self._reply = reply

    def one(self, code: int, output: str) -> None:
        self._left -= 1
        self._code = max(self._code, code)
        self._lines.extend([output] if output else [])
        if self._left == 0:
            self._reply(self._code, "\n".join(self._lines))


def _signal_group(group: int, number: int) -> None:
    if group:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
