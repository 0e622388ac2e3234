"""The language host's service: what engine 3.258 asks of ``pulumi-language-python``.

One host may serve many engines at once. An engine is known by its connection (``context.peer()``): its address comes with the handshake, and a
``Cancel`` ends its own programs only.
"""

from __future__ import annotations

import os
import platform
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format

from languagehost import protocol
from languagehost.analyzer import PolicyPackProxy, pack_environment
from languagehost.console import EngineConsole
from languagehost.environment import EnvironmentMissing, PythonEnvironment
from languagehost.packages import dependencies, provider_plugins
from languagehost.runs import PackRun, ProgramRun, Programs, StartedProgram

VERSION = "0.1.0"
SUCCEEDED, REPORTED = 0, 32
"""Exit codes of ``program.py``."""

_CONCURRENT_CALLS = 128


class LanguageHost(protocol.language_grpc.LanguageRuntimeServicer):  # type: ignore[misc]  # generated code without types
    """The service. ``engine`` is the address of the one engine that spawned this host; None where engines attach."""

    def __init__(self, programs: Programs, engine: str | None = None) -> None:
        self._programs = programs
        self._engine = engine
        self._lock = threading.Lock()
        self._engines: dict[str, str] = {}
        self._running: dict[str, list[StartedProgram]] = {}

    def Handshake(self, request: Any, context: Any) -> Any:
        """An engine attaches."""
        with self._lock:
            if len(self._engines) >= 10_000:
                self._engines = {peer: address for peer, address in self._engines.items() if peer in self._running}
            self._engines[context.peer()] = request.engine_address
        return protocol.language.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        """The host's version."""
        return protocol.plugin.PluginInfo(version=VERSION)

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        """The plugins that the installed SDKs need (asked by engines before 3.150)."""
        plugins = [
            protocol.plugin.PluginDependency(name=found.name, kind="resource", version=found.version, server=found.server)
            for found in provider_plugins(self._environment(request.info, context).search_path())
        ]
        return protocol.language.GetRequiredPluginsResponse(plugins=plugins)

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        """The plugins that the installed SDKs need."""
        packages = [
            protocol.plugin.PackageDependency(name=found.name, kind="resource", version=found.version, server=found.server)
            for found in provider_plugins(self._environment(request.info, context).search_path())
        ]
        return protocol.language.GetRequiredPackagesResponse(packages=packages)

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        """Installed distributions."""
        found = dependencies(self._environment(request.info, context).search_path())
        return protocol.language.GetProgramDependenciesResponse(
            dependencies=[protocol.language.DependencyInfo(name=entry.name, version=entry.version) for entry in found]
        )

    def About(self, request: Any, context: Any) -> Any:
        """The interpreter."""
        environment = self._environment(request.info, context)
        version = platform.python_version()
        if not environment.ours:
            answer = subprocess.run([environment.python, "--version"], capture_output=True, text=True, timeout=30, check=False)
            version = answer.stdout.strip().removeprefix("Python ")
        return protocol.language.AboutResponse(executable=environment.python, version=version)

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        """Nothing to ask a user."""
        return protocol.language.RuntimeOptionsResponse()

    def Run(self, request: Any, context: Any) -> Any:
        """Runs a program to its end."""
        engine = self._engine_of(context)
        info = request.info
        environment = self._environment(info, context)
        console = EngineConsole(engine)
        run = ProgramRun(
            python=environment.python,
            root=info.root_directory,
            pwd=request.pwd or info.program_directory,
            program=os.path.normpath(os.path.join(info.program_directory, info.entry_point or ".")),
            args=list(request.args),
            project=request.project,
            stack=request.stack,
            organization=request.organization or "organization",
            config=dict(request.config),
            secret_keys=list(request.configSecretKeys),
            monitor=request.monitor_address,
            engine=engine,
            parallel=request.parallel,
            dry_run=request.dryRun,
        )
        try:
            program = self._programs.start(run, console)
        except OSError as error:
            console.close()
            return protocol.language.RunResponse(error=f"the program's Python {run.python} can't be started: {error}")
        peer = context.peer()
        with self._lock:
            self._running.setdefault(peer, []).append(program)
        if not context.add_callback(program.end):
            program.end()  # the engine has gone meanwhile
        begun = time.monotonic()
        try:
            code = program.wait()
        finally:
            what = "preview" if request.dryRun else "update"
            sys.stderr.write(f"language host: the program of {request.stack} ran for {time.monotonic() - begun:.3f} s ({what})\n")
            console.close()
            with self._lock:
                self._running[peer].remove(program)
                if not self._running[peer]:
                    del self._running[peer]
        return _response(code)

    def Cancel(self, request: Any, context: Any) -> Any:
        """Ends the programs of the engine that asks, and of no other."""
        with self._lock:
            programs = list(self._running.get(context.peer(), []))
        for program in programs:
            program.end()
        return empty_pb2.Empty()

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        """Makes the virtual environment and installs ``requirements.txt``, telling what pip says."""
        info = request.info
        environment = PythonEnvironment.of(info.root_directory, _options(info))
        for command in environment.installation(info.program_directory, info.root_directory):
            child = subprocess.Popen(command, cwd=info.root_directory or None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            assert child.stdout is not None
            for line in child.stdout:
                yield protocol.language.InstallDependenciesResponse(stdout=line)
            if child.wait() != 0:
                context.abort(grpc.StatusCode.INTERNAL, f"{' '.join(command)} ended with exit code {child.returncode}")

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Runs a policy pack or a component provider written in Python until the engine has had enough of it."""
        python = self._environment(request.info, context).python
        directory = os.path.normpath(os.path.join(request.info.program_directory, request.info.entry_point or "."))
        environment = pack_environment(list(request.env))
        output: queue.Queue[Any] = queue.Queue()

        def deliver(stream: int, data: bytes) -> None:
            field = "stdout" if stream == 1 else "stderr"
            output.put(protocol.language.RunPluginResponse(**{field: data}))

        context.add_callback(lambda: output.put(None))
        if request.kind != "analyzer":
            yield from _plugin_process([python, "-u", directory, *request.args], request.pwd, environment, context)
            return
        proxy = PolicyPackProxy(self._programs, PackRun(python, directory, list(request.args), environment), deliver)
        try:
            yield protocol.language.RunPluginResponse(stdout=f"{proxy.port}\n".encode())
            while (message := output.get()) is not None:
                yield message
        finally:
            proxy.close()

    def _environment(self, info: Any, context: Any) -> PythonEnvironment:
        try:
            return PythonEnvironment.of(info.root_directory, _options(info)).checked()
        except EnvironmentMissing as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            raise

    def _engine_of(self, context: Any) -> str:
        with self._lock:
            engine = self._engines.get(context.peer(), self._engine)
        if engine is None:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "this connection has made no handshake: the language host was restarted; run the command again")
            raise AssertionError("abort raises")
        return engine


def _plugin_process(command: list[str], directory: str, environment: dict[str, str], context: Any) -> Iterator[Any]:
    """The process's lines as they come, each in its stream, then its exit code. The engine takes the first of standard output for the port."""
    child = subprocess.Popen(
        command, cwd=directory or None, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )
    context.add_callback(child.terminate)
    said: queue.Queue[Any] = queue.Queue()

    def read(stream: Any, field: str) -> None:
        for line in stream:
            said.put(protocol.language.RunPluginResponse(**{field: line}))
        said.put(None)

    readers = [threading.Thread(target=read, args=read_from, daemon=True) for read_from in ((child.stdout, "stdout"), (child.stderr, "stderr"))]
    for reader in readers:
        reader.start()
    for _ in readers:
        while (message := said.get()) is not None:
            yield message
    yield protocol.language.RunPluginResponse(exitcode=child.wait())


def _options(info: Any) -> dict[str, Any]:
    options: dict[str, Any] = json_format.MessageToDict(info.options)
    return options


def _response(code: int) -> Any:
    """A run's exit code in the engine's words: ``bail`` where the program has reported its error itself."""
    if code == SUCCEEDED:
        return protocol.language.RunResponse()
    if code == REPORTED:
        return protocol.language.RunResponse(bail=True)
    if code < 0:
        return protocol.language.RunResponse(error=f"the program was ended by signal {signal.Signals(-code).name}")
    return protocol.language.RunResponse(error=f"the program ended with exit code {code} without a report")


def serve(host: LanguageHost, port: int) -> tuple[Any, int]:
    """Starts the service on 127.0.0.1; the server and its port. Raises :class:`OSError` where the port is taken."""
    options = [*protocol.CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=_CONCURRENT_CALLS), options=options)
    protocol.language_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        raise OSError(f"127.0.0.1:{port} can't be listened on; another process may hold the port") from error
    server.start()
    sys.stdout.write(f"{bound}\n")
    sys.stdout.flush()
    return server, bound
