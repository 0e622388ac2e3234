"""Runs one Pulumi program in this process, as ``pulumi-language-python-exec`` of an official install would; or one policy pack.

Used by a forked child of the zygote, and as a script by a spawned host: ``python -P program.py < request``, where the request is one line of JSON
and the end of standard input means that the host is gone. Imports nothing of its own package: the program's Python may be another one.

An exception whose class sets ``exits_quietly = True`` ends the program like :class:`pulumi.RunError`: one message, no traceback.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

REPORTED = 32
"""Exit code of a program whose error has been told to the engine already (the official host's number too)."""

SUCCEEDED = 0
_LOST_HOST = 70


def run(request: dict[str, Any]) -> int:
    """Runs ``request`` (``languagehost.runs.ProgramRun`` or ``PackRun``) to its end; the exit code."""
    return _run_pack(request) if request["kind"] == "pack" else _run_program(request)


def _run_pack(request: dict[str, Any]) -> int:
    """Serves a pack until a signal ends it."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    sys.argv = ["pulumi.policy", *request["args"], request["directory"]]
    try:
        runpy.run_module("pulumi.policy", run_name="__main__")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return SUCCEEDED


def _run_program(request: dict[str, Any]) -> int:
    import pulumi  # the zygote forks before any of its threads exist, a spawned program loads it here
    import pulumi.runtime

    os.environ.update(request["environment"])
    os.chdir(request["pwd"])
    program = request["program"]
    directory = program if os.path.isdir(program) else os.path.dirname(program)
    sys.argv = [program, *request["args"]]
    sys.path.insert(0, directory)
    pulumi.runtime.set_all_config(request["config"], request["secret_keys"])
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=request["project"],
            stack=request["stack"],
            organization=request["organization"],
            root_directory=request["root"],
            monitor=request["monitor"],
            engine=request["engine"],
            parallel=request["parallel"],
            dry_run=request["dry_run"],
        )
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(max_workers=max(1, min(request["parallel"], 128))))
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run_path(program)))
        return SUCCEEDED
    except SystemExit as stop:
        return SUCCEEDED if stop.code in (None, 0) else _report(pulumi, f"the program ended itself with exit code {stop.code}")
    except Exception as error:  # noqa: BLE001  # a program may raise anything; the engine is told
        if ended_by_engine(error):
            return REPORTED
        quiet = isinstance(error, pulumi.RunError) or getattr(type(error), "exits_quietly", False)
        return _report(pulumi, str(error) if quiet else _unhandled(error))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def ended_by_engine(error: BaseException) -> bool:
    """Whether the error is no more than the engine's end of the run: it closes its monitor after it has reported why. The SDK hides which call was cut off."""
    import grpc

    found: BaseException | None = error
    while found is not None:
        if isinstance(found, grpc.RpcError):
            details = getattr(found, "details", lambda: "")() or ""
            return getattr(found, "code", lambda: None)() == grpc.StatusCode.UNAVAILABLE or "resource monitor shut down" in details
        found = found.__cause__ or found.__context__
    return False


def _run_path(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def _report(pulumi: Any, message: str) -> int:
    try:
        pulumi.log.error(message)
    except Exception:  # noqa: BLE001  # the engine is gone: there is nobody else to tell
        sys.stderr.write(message + "\n")
    return REPORTED


def _unhandled(error: BaseException) -> str:
    """The traceback from the program's first frame on: what the host and the SDK's loop did before says nothing to its author."""
    frames = error.__traceback__
    start = frames
    while frames is not None:
        if frames.tb_frame.f_code.co_filename == "<frozen runpy>":
            start = frames.tb_next or frames
        frames = frames.tb_next
    return "Program failed with an unhandled exception:\n" + "".join(traceback.format_exception(type(error), error, start)).rstrip()


def _end_with_host() -> None:
    """Ends this process when standard input closes: the host, its only writer, is gone or wants it."""

    def watch() -> None:
        while sys.stdin.buffer.readline():
            pass
        os._exit(_LOST_HOST)

    threading.Thread(target=watch, name="host", daemon=True).start()


def main() -> None:
    """The script: one request from standard input."""
    request = json.loads(sys.stdin.buffer.readline())
    _end_with_host()
    code = run(request)
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
