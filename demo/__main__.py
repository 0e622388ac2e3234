"""``python -m demo`` (``spotlane demo``): the whole of Spotlane on this machine, under traffic, with a report at the end."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console

from demo.cast import CAST, declare, onboard
from demo.load import Load, Target
from demo.report import Account, show
from demo.scenario import Director, Plot
from demo.stage import Stage, StageError
from demo.strike import strike
from demo.tally import Tally
from spotlane import wire
from spotlane.client import AutomationClient, Client
from spotlane.errors import SpotlaneError

_ROOT = Path(__file__).resolve().parent.parent
_SCENE_SECONDS = 120.0
_REPLAY_CYCLES = 80
_WIDTH = 140
"""Columns of the report where there is no terminal to ask."""
_HTTP_REQUESTS = 5_050


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 when every promise was kept, 1 when one was not, 2 for a wrong argument or a stage that can't be put up."""
    arguments = _arguments(argv)
    console = Console(stderr=True, highlight=False)
    if arguments.market is not None and not arguments.market.is_file():
        console.print(f"error: --market {arguments.market}: no such file; give a parquet file of recorded prices", style="red", markup=False)
        return 2
    market = {"seed": str(arguments.seed), "speed": str(arguments.speed)}
    if arguments.market is not None:
        market["market"] = str(arguments.market.resolve())
    stage = Stage(_ROOT, arguments.home.resolve(), arguments.port_base, market, arguments.tick_seconds)
    begun = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"[{time.monotonic() - begun:6.1f} s] {text}", markup=False, soft_wrap=True)

    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        return _play(stage, arguments, console, tell, begun)
    except StageError as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        tell("stopped by hand; what was made is taken down")
        return 130
    finally:
        if stage.ours and not arguments.keep:
            stage.down(purge=not arguments.keep_state)


def _play(stage: Stage, arguments: argparse.Namespace, console: Console, tell, begun: float) -> int:  # type: ignore[no-untyped-def]  # tell(text)
    tell("starting the local cloud")
    stage.up()
    tell("deploying the edge")
    deployed = stage.deploy_edge()
    tell(f"the edge stands: {sum(deployed['changes'].values())} resources")
    edge = Client.from_env(stage.environ)
    automation = AutomationClient.from_env(edge, stage.environ)
    director = Director(stage, edge, automation, tell)
    director.wait("the edge API", 60, edge.healthy)
    allowed = {part.tenant: onboard(edge, automation, part) for part in CAST}
    for part in CAST:
        regions = ", ".join(f"{len(names)} {cloud}" for cloud, names in allowed[part.tenant].regions.items())
        tell(f"tenant {part.tenant} ({part.display_name}) may use {regions} regions")
        declare(edge, part)
    automation.daemon(paused=False)
    faults: list[str] = []
    tally = Tally()
    load: Load | None = None
    waited: float | None = None
    try:
        url = director.first_url(_SCENE_SECONDS)
        waited = time.time() - _asked_at(begun)
        tell(f"the first URL answers, {waited:.0f} s after the demo was asked for: {url}")
        director.first_placements(_SCENE_SECONDS)
        load = Load([_target(edge.endpoint(part.id)) for part in CAST], stage.environ)
        load.start()
        tell("traffic flows: HTTP, WebSocket and TCP through the edge's address")
        _scenes(director, replay=arguments.market is not None)
        director.wait(f"{_HTTP_REQUESTS} requests", _SCENE_SECONDS, lambda: load is not None and load.tally.http_requests >= _HTTP_REQUESTS)
    except (SpotlaneError, StageError) as error:
        faults.append(str(error))
        tell(f"fault: {error}")
    finally:
        if load is not None:
            tally = load.stop()
    if arguments.keep:
        _show_urls(stage, edge, console)
        return 0 if not faults else 1
    account = _account(edge, allowed, director.plot, tally, faults)
    tell("taking everything down")
    struck = strike(stage, edge, automation, director)
    account.ledger, account.leaked_resources = struck.ledger or account.ledger, struck.leaked
    account.faults += struck.faults
    account.audit = stage.audit()
    stage.down(purge=False)
    account.leaked_processes = stage.running()
    account.seconds = time.monotonic() - begun
    account.first_url_seconds = waited
    show(account, Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH))
    sys.stdout.write("DEMO " + json.dumps(account.summary()) + "\n")
    sys.stdout.flush()
    return 0 if _kept(account) else 1


def _asked_at(begun: float) -> float:
    """When the demo was asked for (epoch, seconds): by ``make demo``, whose setup counts, else by this process at ``begun`` (monotonic)."""
    asked = os.environ.get("SPOTLANE_DEMO_ASKED_AT", "")
    return float(asked) if asked.replace(".", "", 1).isdigit() else time.time() - (time.monotonic() - begun)


def _scenes(director: Director, *, replay: bool) -> None:
    acme, globex = CAST
    if replay:
        director.recorded_move(_REPLAY_CYCLES, _SCENE_SECONDS)
    else:
        director.dearer(acme, 4.0, _SCENE_SECONDS)
        director.dearer(acme, 4.0, _SCENE_SECONDS)
    director.refused(globex)
    # While the daemon moves nothing by price: a move that it has just begun would be the machine's way out.
    director.automation.daemon(paused=True)
    director.interruption(globex, _SCENE_SECONDS)
    director.automation.daemon(paused=False)
    for part in CAST:
        director.quiet(part, _SCENE_SECONDS)


def _account(edge: Client, allowed: dict[str, wire.BoundaryCheck], plot: Plot, tally: Tally, faults: list[str]) -> Account:
    placements = [placement for part in CAST for placement in edge.placements(part.id)]
    return Account(list(edge.migrations()), placements, allowed, edge.ledger(), {}, plot, tally, faults=faults)


def _kept(account: Account) -> bool:
    summary = account.summary()
    zero = [summary["http"]["failed"], summary["websocket"]["lost"], summary["tcp"]["failed"], summary["outside_boundary"]]
    return not any(zero) and not any(summary["leaked"].values()) and summary["moves"] >= 1 and not account.faults


def _show_urls(stage: Stage, edge: Client, console: Console) -> None:
    console.print("everything stays up:", markup=False)
    for part in CAST:
        endpoint = edge.endpoint(part.id)
        console.print(f"  {part.id}: {endpoint.http}  {endpoint.websocket}  tcp {endpoint.tcp_host}:{endpoint.tcp_port}", markup=False)
    console.print(
        f"  api: {stage.environ['SPOTLANE_API_URL']}   console: {stage.environ['SPOTLANE_API_URL'].replace('api.', 'console.', 1).removesuffix('/v1')}",
        markup=False,
    )
    console.print(f'  eval "$(spotlane local env --home {stage.home})"; take it down with `spotlane local down --home {stage.home}`', markup=False)


def _target(endpoint: wire.Endpoint) -> Target:
    if endpoint.http is None or endpoint.websocket is None:
        raise StageError(f"the endpoint of {endpoint.workload}", 1, "no HTTP address")
    tcp = None if endpoint.tcp_host is None or endpoint.tcp_port is None else (endpoint.tcp_host, endpoint.tcp_port)
    return Target(endpoint.workload, endpoint.http, endpoint.websocket.rstrip("/") + "/ws", tcp)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="spotlane demo", description="Two tenants, three clouds, moves under live traffic, a report; then all is destroyed.")
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the URLs")
    parser.add_argument("--keep-state", action="store_true", help="keep the state directory (logs, records) after the end")
    parser.add_argument("--market", type=Path, help="replay recorded prices from a parquet file")
    parser.add_argument("--seed", type=int, default=7, help="of the market's model: the same seed, the same prices")
    parser.add_argument("--speed", type=float, default=1_800, help="market seconds a second")
    parser.add_argument("--tick-seconds", type=float, default=8.0, help="pace of the daemon, wall seconds")
    parser.add_argument("--home", type=Path, default=_ROOT / ".spotlane" / "demo", help="state directory")
    parser.add_argument("--port-base", type=int, default=7700, help="first of eleven ports")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
