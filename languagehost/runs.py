"""One run of a program, as the host hands it to whatever carries it out; and the two ways to: a process of its own, or a fork of the zygote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

PROGRAM = Path(__file__).with_name("program.py")
_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class ProgramRun:
    """What one run needs; addresses are ``host:port`` of the engine's gRPC servers."""

    python: str
    root: str
    pwd: str
    program: str
    args: list[str]
    project: str
    stack: str
    organization: str
    config: dict[str, str]
    secret_keys: list[str]
    monitor: str
    engine: str
    parallel: int
    dry_run: bool
    environment: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line for ``program.py``."""
        return json.dumps(asdict(self) | {"kind": "program"})


@dataclass(frozen=True)
class PackRun:
    """A policy pack in ``directory``, as ``python -m pulumi.policy``; ``environment`` is the whole of its own. Its first line of output is its port."""

    python: str
    directory: str
    args: list[str]
    environment: dict[str, str]

    def to_json(self) -> str:
        """One line for ``program.py``."""
        return json.dumps(asdict(self) | {"kind": "pack"})


Run = ProgramRun | PackRun
"""What can be started."""


class Console(Protocol):
    """Takes a program's output, line by line; ``stream`` is 1 (standard output) or 2 (standard error)."""

    def line(self, stream: int, text: str) -> None:
        """One line without its end."""


class StartedProgram(Protocol):
    """A program on its way."""

    def wait(self) -> int:
        """Its exit code; negative: the signal that ended it. Its output has been delivered by then."""

    def end(self) -> None:
        """Asks it to stop, then makes it."""


class Programs(Protocol):
    """Starts programs."""

    def start(self, run: Run, console: Console) -> StartedProgram:
        """Starts ``run``. Raises :class:`OSError` where that can't be."""

    def close(self) -> None:
        """Ends every program."""


class OutputPipe:
    """A pipe whose lines go to a console from a thread of its own; ``write_end`` is handed to the program and closed here after that."""

    def __init__(self, stream: int, deliver: Callable[[int, str], None]) -> None:
        self._read_end, self.write_end = os.pipe()
        os.set_inheritable(self.write_end, False)
        self._thread = threading.Thread(target=self._read, args=(stream, deliver), name=f"output-{stream}", daemon=True)
        self._thread.start()

    def handed_over(self) -> None:
        """The program has its end; ours is closed, so that its death is the end of the stream."""
        os.close(self.write_end)

    def drained(self, seconds: float) -> None:
        """Waits until every line is delivered; a grandchild that keeps the pipe open is waited for ``seconds`` only."""
        self._thread.join(seconds)

    def _read(self, stream: int, deliver: Callable[[int, str], None]) -> None:
        with os.fdopen(self._read_end, "r", encoding="utf-8", errors="replace") as lines:
            for text in lines:
                deliver(stream, text.rstrip("\r\n"))


class SpawnedProgram:
    """A program in a process of its own."""

    def __init__(self, child: subprocess.Popen[bytes], outputs: list[OutputPipe]) -> None:
        self._child = child
        self._outputs = outputs

    def wait(self) -> int:
        """See :class:`StartedProgram`."""
        code = self._child.wait()
        for output in self._outputs:
            output.drained(2.0)
        return code

    def end(self) -> None:
        """SIGTERM to the process group, SIGKILL after a grace."""
        self._signal(signal.SIGTERM)
        try:
            self._child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._child.poll() is None:
            try:
                os.killpg(self._child.pid, number)
            except ProcessLookupError:
                return


class SpawnedPrograms:
    """Each run in a new interpreter: the run's own ``python``."""

    def __init__(self) -> None:
        self._running: list[SpawnedProgram] = []

    def start(self, run: Run, console: Console) -> StartedProgram:
        """See :class:`Programs`."""
        outputs = [OutputPipe(1, console.line), OutputPipe(2, console.line)]
        try:
            child = subprocess.Popen(
                [run.python, "-u", "-P", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=outputs[0].write_end,
                stderr=outputs[1].write_end,
                process_group=0,
            )
        finally:
            for output in outputs:
                output.handed_over()
        assert child.stdin is not None
        # Standard input stays open: its end is the sign that the host is gone.
        child.stdin.write(run.to_json().encode() + b"\n")
        child.stdin.flush()
        program = SpawnedProgram(child, outputs)
        self._running = [other for other in self._running if other._child.poll() is None] + [program]
        return program

    def close(self) -> None:
        """See :class:`Programs`."""
        for program in self._running:
            program.end()
