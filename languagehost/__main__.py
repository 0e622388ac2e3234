"""``python -m languagehost --port P [--preload aws,gcp]``: the warm host, for ``PULUMI_DEBUG_LANGUAGES=python:P``.

``python -m languagehost ENGINE`` is what ``bin/pulumi-language-python`` runs: a host for one engine, which starts each program anew
and ends with its engine.
Prints its port. SIGTERM and SIGINT end it and every program.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from languagehost.zygote import SDKS

_PARENT_SECONDS = 1.0


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 after a stop, 2 where it can't start."""
    arguments = _arguments().parse_known_args(argv)[0]  # an engine may pass flags of the official host, such as --tracing
    try:
        from languagehost.host import LanguageHost, serve  # after the flags: --help needs no SDK
        from languagehost.runs import Programs, SpawnedPrograms
        from languagehost.warm import WarmPrograms
    except ImportError as error:
        sys.stderr.write(f"error: {sys.executable} lacks what the language host needs ({error}); run `make setup`\n")
        return 2
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.set())
    preload = [name for name in arguments.preload.split(",") if name]
    if unknown := [name for name in preload if name not in SDKS]:
        sys.stderr.write(f"error: --preload {','.join(unknown)}: choose from {', '.join(SDKS)}\n")
        return 2
    programs: Programs = SpawnedPrograms() if arguments.engine else WarmPrograms(preload)
    try:
        server, _ = serve(LanguageHost(programs, arguments.engine), arguments.port)
    except OSError as error:
        sys.stderr.write(f"error: the language host: {error}\n")
        programs.close()
        return 2
    engine = os.getppid()
    while not stopped.wait(_PARENT_SECONDS):
        if arguments.engine and os.getppid() != engine:
            break  # the engine was killed: nobody else would end this host
    programs.close()
    server.stop(1).wait(3)
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m languagehost", description="A Pulumi language host for Python.")
    parser.add_argument("engine", nargs="?", help="address of the engine that spawns this host")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--preload", default="", help="comma-separated providers whose SDKs are loaded ahead: aws, azure-native, gcp, cloudflare")
    return parser


if __name__ == "__main__":
    sys.exit(main())
