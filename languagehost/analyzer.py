"""A policy pack in a directory: ``python -m pulumi.policy`` behind a port that is there at once.

The engine wants the pack's port before it says which stack the pack will see, but the SDK reads project, stack and config from the environment at
start. So the host answers ``Handshake`` itself, starts the pack at ``ConfigureStack`` (or at the first other call, where there is no stack), and
hands every call on as bytes.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc

from languagehost import protocol
from languagehost.runs import PackRun, Programs, StartedProgram

_SERVICE = "/pulumirpc.Analyzer/"
_START_SECONDS = 60.0


class PackFailed(Exception):
    """The pack's process ended before it had a port; its own output says why."""


class PolicyPackProxy:
    """One pack. ``deliver`` takes its output: stream (1 or 2) and bytes."""

    def __init__(self, programs: Programs, pack: PackRun, deliver: Callable[[int, bytes], None]) -> None:
        self._programs = programs
        self._pack = pack
        self._deliver = deliver
        self._lock = threading.Lock()
        self._program: StartedProgram | None = None
        self._channel: Any = None
        self._first_line: queue.Queue[str] = queue.Queue()
        self._has_port = False
        self._server = grpc.server(ThreadPoolExecutor(max_workers=8), options=protocol.CHANNEL_OPTIONS)
        self._server.add_generic_rpc_handlers((_Forwarder(self),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def answer(self, method: str, request: bytes, context: Any) -> bytes:
        """The answer to one call, as bytes."""
        if method == "Handshake":
            return bytes(protocol.analyzer.AnalyzerHandshakeResponse().SerializeToString())
        try:
            channel = self._started(request if method == "ConfigureStack" else None)
        except PackFailed as error:
            context.abort(grpc.StatusCode.INTERNAL, str(error))
        try:
            return bytes(channel.unary_unary(_SERVICE + method)(request))
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise

    def line(self, stream: int, text: str) -> None:
        """A line of the pack's output: the first of standard output is its port (see :class:`languagehost.runs.Console`)."""
        if stream == 1 and not self._has_port:
            self._has_port = True
            self._first_line.put(text)
        else:
            self._deliver(stream, text.encode() + b"\n")

    def close(self) -> None:
        """Ends the pack."""
        self._server.stop(0)
        with self._lock:
            program = self._program
        if program is not None:
            program.end()

    def _started(self, configuration: bytes | None) -> Any:
        with self._lock:
            if self._channel is None:
                self._channel = grpc.insecure_channel(f"127.0.0.1:{self._start(configuration)}", options=protocol.CHANNEL_OPTIONS)
            return self._channel

    def _start(self, configuration: bytes | None) -> int:
        pack = replace(self._pack, environment={**self._pack.environment, **_stack_variables(configuration)})
        try:
            self._program = program = self._programs.start(pack, self)
        except OSError as error:
            raise PackFailed(f"the policy pack's Python {pack.python} can't be started: {error}") from error
        threading.Thread(target=lambda: self._first_line.put(f"it ended with exit code {program.wait()}"), daemon=True).start()
        try:
            line = self._first_line.get(timeout=_START_SECONDS)
        except queue.Empty as error:
            raise PackFailed(f"the policy pack in {pack.directory} gave no port within {_START_SECONDS:.0f} s") from error
        if not line.strip().isdigit():
            raise PackFailed(f"the policy pack in {pack.directory} didn't start: {line}")
        return int(line)


class _Forwarder(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in its stubs only
    def __init__(self, proxy: PolicyPackProxy) -> None:
        self._proxy = proxy

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method.removeprefix(_SERVICE)
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._proxy.answer(method, request, context))


def _stack_variables(configuration: bytes | None) -> dict[str, str]:
    """The environment in which ``pulumi.policy`` expects to learn of its stack."""
    if configuration is None:
        return {}
    request = protocol.analyzer.AnalyzerStackConfigureRequest.FromString(configuration)
    return {
        "PULUMI_PROJECT": request.project,
        "PULUMI_STACK": request.stack,
        "PULUMI_ORGANIZATION": request.organization,
        "PULUMI_DRY_RUN": "true" if request.dry_run else "false",
        "PULUMI_CONFIG": json.dumps(dict(request.config)),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.config_secret_keys)),
    }


def pack_environment(given: list[str]) -> dict[str, str]:
    """The engine's ``NAME=value`` list, or the host's own environment where it sends none."""
    return dict(entry.split("=", 1) for entry in given if "=" in entry) or dict(os.environ)
