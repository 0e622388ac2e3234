"""``python -m localcloud up|down|status|env|logs|fault``: the local cloud; ``serve`` and ``watch`` are what ``up`` starts.

Exit codes: 0 done, 1 failed (``status``: something is not well), 2 for what a person must put right, 3 (``status``) nothing runs.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from localcloud.state import LocalState, LocalStateFault, default_home
from localcloud.supervisor import control, faults, watch
from localcloud.supervisor.catalog import BY_NAME, UnknownProcess, chosen
from localcloud.supervisor.environment import exports, program_path


def main(argv: list[str] | None = None) -> int:
    """Runs one command; the exit code."""
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["serve"]:
        from localcloud import serve  # the emulation of four clouds, which no other command needs

        return serve.main(given[1:])
    arguments = _parser().parse_args(given)
    try:
        code = int(arguments.command(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Who reads has seen enough (`… | head`); what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (control.UpFault, LocalStateFault, UnknownProcess, faults.FaultRefused) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except control.StartFailed as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _up(arguments: argparse.Namespace) -> int:
    market = {
        "file": str(Path(arguments.market).resolve()) if arguments.market else None,
        "seed": arguments.seed,
        "speed": arguments.speed,
        "start": arguments.start,
    }
    request = control.UpRequest(arguments.home, arguments.port_base, market, chosen(arguments.only))
    state = control.up(request, _say)
    if arguments.json:
        processes, machines = control.status(state.home)
        _print(control.document(state.home, processes, machines) | {"endpoints": state.document()["endpoints"]})
    else:
        sys.stdout.write(f'the local cloud runs in {state.home}; its environment: eval "$(spotlane local env)"\n')
    return 0


def _down(arguments: argparse.Namespace) -> int:
    stopped = control.down(arguments.home, arguments.purge, _say)
    if arguments.json:
        _print({"stopped": stopped, "purged": bool(arguments.purge)})
    else:
        sys.stdout.write(f"{stopped} process{'' if stopped == 1 else 'es'} stopped{', the state is removed' if arguments.purge else ''}\n")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    processes, machines = control.status(arguments.home)
    if arguments.json:
        _print(control.document(arguments.home, processes, machines))
    else:
        rows = [("PROCESS", "STATE", "PID", "PORTS", "UP", "MEMORY", "RESTARTS", "")]
        for one in processes:
            ports = str(one.ports[0]) if len(one.ports) == 1 else f"{one.ports[0]},…{one.ports[-1]}"
            up = "" if one.uptime_seconds is None else f"{one.uptime_seconds:.0f} s"
            memory = f"{'-' if one.memory_mib is None else f'{one.memory_mib:.0f}'}/{one.ceiling_mib} MiB"
            rows.append((one.name, one.state, str(one.pid or ""), ports, up, memory, str(one.restarts), one.note))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
        for row in rows:
            sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip() + "\n")
        watched = "watched" if control.supervised(arguments.home) else "not watched: run `spotlane local up`"
        sys.stdout.write(f"{machines} machine{'' if machines == 1 else 's'}; {watched}\n")
    running = [one for one in processes if one.pid is not None]
    if not running:
        return 3
    return 0 if all(one.state == "running" for one in running) and not any(one.state == "waiting" for one in processes) else 1


def _env(arguments: argparse.Namespace) -> int:
    state = LocalState.load(arguments.home)
    environment = {**state.environment, "PATH": program_path(state.environment["SPOTLANE_ENGINE"], os.environ.get("PATH", os.defpath))}
    if arguments.json:
        _print(environment)
    else:
        sys.stdout.write(exports(environment))
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    state = LocalState.load(arguments.home)
    names = arguments.processes or [*BY_NAME, "supervisor"]
    for name in names:
        if name not in (*BY_NAME, "supervisor"):
            raise UnknownProcess(name)
    if arguments.json:
        _print({name: control.tail(state.logs / f"{name}.log", arguments.lines).split("\n") for name in names})
        return 0
    for name in names:
        sys.stdout.write(f"== {state.logs / f'{name}.log'}\n{control.tail(state.logs / f'{name}.log', arguments.lines)}\n")
    if arguments.follow:
        _follow([state.logs / f"{name}.log" for name in names])
    return 0


def _follow(paths: list[Path]) -> None:
    """Prints what is added to the logs until Ctrl-C."""
    ends = {path: path.stat().st_size if path.exists() else 0 for path in paths}
    while True:
        for path, end in ends.items():
            if path.exists() and path.stat().st_size > end:
                with path.open("rb") as file:
                    file.seek(end)
                    added = file.read()
                ends[path] = end + len(added)
                for line in added.decode(errors="replace").splitlines():
                    sys.stdout.write(f"{path.stem}: {line}\n")
        sys.stdout.flush()
        time.sleep(0.2)


def _watch(arguments: argparse.Namespace) -> int:
    return watch.main(LocalState.load(arguments.home))


def _say(text: str) -> None:
    sys.stderr.write(f"local cloud: {text}\n")
    sys.stderr.flush()


def _print(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spotlane local", description="The local cloud: four providers, machines, market and edge on this computer.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", type=Path, default=default_home(), help="state directory (default: $SPOTLANE_HOME, else .spotlane beside Pulumi.yaml)")
    common.add_argument("--json", action="store_true", help="one JSON document on standard output")

    up = commands.add_parser("up", parents=[common], help="start it, and return when it answers")
    ports = os.environ.get("SPOTLANE_PORT_BASE") or None
    up.add_argument("--port-base", type=int, metavar="N", default=ports, help="first of eleven ports (default: $SPOTLANE_PORT_BASE, else 7700)")
    up.add_argument("--only", metavar="NAMES", help=f"comma-separated part of {', '.join(BY_NAME)}")
    up.add_argument("--market", metavar="FILE", help="recorded prices to replay; without it a seeded model")
    up.add_argument("--seed", type=int, metavar="N", help="seed of the market's model")
    up.add_argument("--speed", type=float, metavar="X", help="market seconds per second")
    up.add_argument("--start", metavar="TIME", help="where the market starts (RFC 3339)")
    up.set_defaults(command=_up)

    down = commands.add_parser("down", parents=[common], help="stop every process of it, machines included")
    down.add_argument("--purge", action="store_true", help="remove its state, too")
    down.set_defaults(command=_down)

    commands.add_parser("status", parents=[common], help="what runs, and how it is").set_defaults(command=_status)
    commands.add_parser("env", parents=[common], help='what a client needs: eval "$(spotlane local env)"').set_defaults(command=_env)

    logs = commands.add_parser("logs", parents=[common], help="the ends of the logs")
    logs.add_argument("processes", nargs="*", metavar="PROCESS")
    logs.add_argument("--lines", type=int, default=20, metavar="N")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
    logs.set_defaults(command=_logs)

    faults.declare(commands, common)
    commands.add_parser("watch", parents=[common], help="(what `up` starts) watch the processes in the foreground").set_defaults(command=_watch)
    return parser


if __name__ == "__main__":
    sys.exit(main())
