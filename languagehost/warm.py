"""Programs as forks of a zygote. A zygote that dies is started anew; its runs fail, the next ones don't."""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from languagehost.runs import Console, OutputPipe, Run, SpawnedPrograms, StartedProgram

ZYGOTE = Path(__file__).with_name("zygote.py")
_LOST = -9


class WarmProgram:
    """A fork on its way."""

    def __init__(self, owner: _Connection, number: int, outputs: list[OutputPipe]) -> None:
        self._owner = owner
        self._number = number
        self._outputs = outputs
        self._exited = threading.Event()
        self._code = _LOST

    def wait(self) -> int:
        """See :class:`languagehost.runs.StartedProgram`."""
        self._exited.wait()
        for output in self._outputs:
            output.drained(2.0)
        return self._code

    def end(self) -> None:
        """The zygote sends SIGTERM, and SIGKILL after a grace."""
        self._owner.send({"end": self._number}, [])

    def ended(self, code: int) -> None:
        """The zygote has told its exit code."""
        self._code = code
        self._exited.set()


class _Connection:
    """One zygote process and its socket."""

    def __init__(self, preload: list[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(ZYGOTE), "--socket", str(theirs.fileno()), "--preload", ",".join(preload)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self.ready = threading.Event()
        self.alive = True
        self._lock = threading.Lock()
        self._programs: dict[int, WarmProgram] = {}
        threading.Thread(target=self._listen, name="zygote", daemon=True).start()

    def start(self, number: int, run: Run, console: Console) -> WarmProgram:
        outputs = [OutputPipe(1, console.line), OutputPipe(2, console.line)]
        program = WarmProgram(self, number, outputs)
        request = os.memfd_create("run")
        try:
            with os.fdopen(os.dup(request), "w", encoding="utf-8") as file:
                file.write(run.to_json())
            with self._lock:
                if not self.alive:
                    raise BrokenPipeError("the zygote is gone")
                self._programs[number] = program
            self.send({"start": number}, [request, *(output.write_end for output in outputs)])
        finally:
            os.close(request)
            for output in outputs:
                output.handed_over()
        return program

    def send(self, frame: dict[str, Any], descriptors: list[int]) -> None:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        with self._lock, contextlib.suppress(OSError):
            self._channel.sendmsg([json.dumps(frame).encode()], ancillary)

    def close(self) -> None:
        """The zygote kills its programs and ends when its socket does."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        while True:
            try:
                data = self._channel.recv(4096)
            except OSError:
                data = b""
            if not data:
                break
            frame = json.loads(data)
            if "ready" in frame:
                self.ready.set()
                sys.stderr.write(f"language host: {frame['ready']} modules loaded in {frame['seconds']} s\n")
            elif "exited" in frame:
                with self._lock:
                    program = self._programs.pop(frame["exited"], None)
                if program is not None:
                    program.ended(frame["code"])
        with self._lock:
            self.alive = False
            lost, self._programs = self._programs, {}
        self.ready.set()
        for program in lost.values():
            program.ended(_LOST)


class WarmPrograms:
    """Forks for programs of this very interpreter, processes of their own for those of another one."""

    def __init__(self, preload: list[str]) -> None:
        self._preload = preload
        self._spawned = SpawnedPrograms()
        self._lock = threading.Lock()
        self._number = 0
        self._connection = _Connection(preload)

    @property
    def zygote(self) -> int:
        """The zygote's pid."""
        return self._connection.process.pid

    def start(self, run: Run, console: Console) -> StartedProgram:
        """See :class:`languagehost.runs.Programs`. A run that comes while the SDKs still load waits for one module at most."""
        if os.path.dirname(os.path.dirname(os.path.abspath(run.python))) != sys.prefix:
            return self._spawned.start(run, console)
        with self._lock:
            self._number += 1
            number = self._number
            if not self._connection.alive:
                sys.stderr.write(f"language host: the zygote ended with {self._connection.process.wait()}; starting another\n")
                self._connection = _Connection(self._preload)
            connection = self._connection
        return connection.start(number, run, console)

    def close(self) -> None:
        """See :class:`languagehost.runs.Programs`."""
        self._connection.close()
        self._spawned.close()
