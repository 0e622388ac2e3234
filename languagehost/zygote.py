"""The zygote: a single-threaded process that has loaded the provider SDKs and forks once per run (``python -P zygote.py --socket FD --preload …``).

It never loads a package of the project, so that a run always sees the sources as they are. Frames on its socket (``SOCK_SEQPACKET``, JSON):

* to it: ``{"start": id}`` with three descriptors (request, stdout, stderr), ``{"end": id}``;
* from it: ``{"ready": modules, "seconds": s}``, ``{"started": id, "pid": pid}``, ``{"exited": id, "code": code}``.

The end of the socket means that the host is gone: every program is killed.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, NoReturn

SDKS: dict[str, tuple[str, ...]] = {
    "cloudflare": ("pulumi_cloudflare",),
    "aws": ("pulumi_aws", "pulumi_aws.ebs", "pulumi_aws.ec2", "pulumi_aws.iam", "pulumi_aws.organizations", "pulumi_aws.vpc"),
    "azure-native": (
        "pulumi_azure_native",
        "pulumi_azure_native.authorization",
        "pulumi_azure_native.compute",
        "pulumi_azure_native.managedidentity",
        "pulumi_azure_native.network",
        "pulumi_azure_native.resources",
        "pulumi_azure_native.subscription",
    ),
    "gcp": (
        "pulumi_gcp",
        "pulumi_gcp.compute",
        "pulumi_gcp.iam",
        "pulumi_gcp.organizations",
        "pulumi_gcp.orgpolicy",
        "pulumi_gcp.projects",
        "pulumi_gcp.serviceaccount",
    ),
}
"""Provider → modules that are worth having before a run: those that the stacks of this project name."""

_BASE = (
    "grpc",
    "gzip",
    "pulumi",
    "pulumi.runtime",
    "pulumi_policy",
    "pydantic",
    "pydantic._internal._generate_schema",
    "pydantic.alias_generators",
    "pydantic.fields",
    "pydantic.functional_validators",
    "pydantic.main",
    "pydantic.plugin._schema_validator",
    "secrets",
    "yaml",
    "zoneinfo",
)
_PR_SET_PDEATHSIG = 1
_KILL_AFTER_SECONDS = 3.0
_MAX_FRAME = 4096


def modules_of(names: list[str]) -> list[str]:
    """What is loaded ahead for providers ``names``, in order."""
    return [*_BASE, *(module for name in names for module in SDKS[name])]


def load(module: str) -> bool:
    """Loads one module; False where it isn't installed."""
    try:
        # The SDKs' modules are lazy: the first look at an attribute, even of one that isn't there, loads them.
        getattr(importlib.import_module(module), "_", None)
    except ImportError as error:
        sys.stderr.write(f"zygote: {module} is not loaded ahead: {error}\n")
        return False
    return True


class Zygote:
    """Forks a program per request; the loop of one thread. Between two modules that it loads ahead it serves what has come."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._programs: dict[int, int] = {}
        self._kill_at: dict[int, float] = {}
        self._wake_read, self._wake_write = os.pipe()
        self._libc = ctypes.CDLL(None, use_errno=True)

    def serve(self, modules: list[str]) -> None:
        """Loads ``modules``, and serves until the host closes the socket."""
        started, waiting, loaded = time.monotonic(), list(modules), 0
        gc.disable()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        selector = selectors.DefaultSelector()
        selector.register(self._channel, selectors.EVENT_READ)
        selector.register(self._wake_read, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select(timeout=0 if waiting else (0.5 if self._kill_at else None))}
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            self._reap()
            self._kill_late()
            if self._channel.fileno() in ready:
                if not self._serve_frame():
                    break
            elif waiting:
                loaded += load(waiting.pop(0))
                if not waiting:
                    _first_model()
                    gc.collect()
                    gc.freeze()  # keeps the collector off the shared pages, which would copy them into every fork
                    gc.enable()
                    self._tell({"ready": loaded, "seconds": round(time.monotonic() - started, 2)})
        for pid in self._programs.values():
            _kill_group(pid, signal.SIGKILL)

    def _serve_frame(self) -> bool:
        descriptors = array.array("i")
        try:
            data, ancillary, _flags, _address = self._channel.recvmsg(_MAX_FRAME, socket.CMSG_SPACE(3 * descriptors.itemsize))
        except ConnectionResetError:
            return False
        if not data:
            return False
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
        frame: dict[str, Any] = json.loads(data)
        if "start" in frame:
            self._start(int(frame["start"]), list(descriptors))
        elif (pid := self._programs.get(int(frame["end"]))) is not None:
            _kill_group(pid, signal.SIGTERM)
            self._kill_at[pid] = time.monotonic() + _KILL_AFTER_SECONDS
        return True

    def _start(self, run: int, descriptors: list[int]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_program(parent, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._programs[run] = pid
        self._tell({"started": run, "pid": pid})

    def _become_program(self, parent: int, request: int, stdout: int, stderr: int) -> NoReturn:
        code = 1
        try:
            os.setpgid(0, 0)
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(code)
            gc.enable()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._channel.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(stdout)
            os.close(stderr)
            # Unbuffered down to the bytes, as under `python -u`: a policy pack never flushes its port.
            sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(one, "w", closefd=False), "utf-8", "replace", write_through=True) for one in (1, 2))
            with os.fdopen(request, "rb") as file:
                file.seek(0)
                document = json.loads(file.read())
            code = _program().run(document)
        except BaseException:  # noqa: BLE001  # a fork must never go on as the zygote
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for run, pid in list(self._programs.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _kill_group(pid, signal.SIGKILL)  # what the program itself has started ends with it
                del self._programs[run]
                self._kill_at.pop(pid, None)
                self._tell({"exited": run, "code": os.waitstatus_to_exitcode(status)})

    def _kill_late(self) -> None:
        for pid, at in list(self._kill_at.items()):
            if time.monotonic() >= at:
                _kill_group(pid, signal.SIGKILL)

    def _tell(self, frame: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.send(json.dumps(frame).encode())


def _first_model() -> None:
    """The first pydantic model of a process looks for plugins in every installed distribution: here, instead of in each fork."""
    with contextlib.suppress(KeyError):
        sys.modules["pydantic"].create_model("First", value=(int, ...))


def _program() -> Any:
    """``program.py``, loaded before the first fork."""
    return sys.modules["languagehost_program"]


def _load_program() -> None:
    import importlib.util  # the submodule isn't loaded by importlib itself

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "program.py")
    spec = importlib.util.spec_from_file_location("languagehost_program", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["languagehost_program"] = module
    spec.loader.exec_module(module)


def _kill_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # Before the child has made its group, or after everything in it has ended.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number) if number == signal.SIGTERM else None


def main() -> None:
    """The script. Its arguments come from ``languagehost.warm`` only."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--preload", default="")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the host decides
    channel = socket.socket(fileno=arguments.socket)
    _load_program()
    Zygote(channel).serve(modules_of([name for name in arguments.preload.split(",") if name]))


if __name__ == "__main__":
    main()
