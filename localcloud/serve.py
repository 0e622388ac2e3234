"""The local cloud's main process: providers, the clouds' HTTP address, machines, market and control API, composed here and nowhere else.

    python -m localcloud serve --home DIR

Everything it knows is on disk, so that it goes on after any kill; machines outlive it and are taken over again. Exit code 2 for what a person must put
right (a taken port, no state directory), with one line that says so.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from localcloud import control
from localcloud.clouds import fault_control, inventory
from localcloud.clouds.aws import inventory as aws_inventory
from localcloud.clouds.aws.cloud import AwsCloud
from localcloud.clouds.azure.cloud import AzureCloud
from localcloud.clouds.exchange import HttpAnswer
from localcloud.clouds.faults import Faults, FaultyMarket, faulty
from localcloud.clouds.front import Front, Site
from localcloud.clouds.gcp.cloud import GcpCloud
from localcloud.hosts.room import MachineRoom
from localcloud.market import Market, MarketSettings, Reclaim
from localcloud.market import control as market_control
from localcloud.market import http as market_http
from localcloud.state import LOOPBACK, PROVIDERS, LocalState, LocalStateFault, default_home

if TYPE_CHECKING:  # gRPC is loaded only where there are providers
    from localcloud.providers.busy import Busy
    from localcloud.providers.server import Providers

log = logging.getLogger("localcloud")


class PortTaken(Exception):
    """Another program listens on ``port``."""

    def __init__(self, port: int, why: str) -> None:
        self.port = port
        super().__init__(f"port {port} of {LOOPBACK} can't be used ({why}); stop what listens there, or choose other ports with --port-base")


class LocalCloud:
    """All parts but the providers, wired. ``state`` says where everything lies and listens."""

    def __init__(self, state: LocalState) -> None:
        wanted = state.market
        settings = MarketSettings(
            seed=wanted.seed,
            speed=wanted.speed,
            start=datetime.fromisoformat(wanted.start) if wanted.start else None,
            source=Path(wanted.file) if wanted.file else None,
        )
        self.market = Market.open(state.market_directory, settings)
        self.room = MachineRoom(state.hosts, f"{LOOPBACK}:{state.port('cloudflare_api')}")
        self.faults = Faults()
        market = FaultyMarket(self.market, self.faults)
        self.aws = AwsCloud(state.clouds / "aws.sqlite", self.room, market, self._market_call)
        self.azure = AzureCloud(state.clouds / "azure.sqlite", self.room, market)
        self.gcp = GcpCloud(state.clouds / "gcp.sqlite", self.room, market)
        self.front = Front(self._sites())
        self.busy: Mapping[str, Busy] = {}
        """How long each provider was at work; none without providers."""
        routes = [*market_control.routes(self.market), *fault_control.routes(self.faults)]
        self.control = control.app(self.room, self._health, self._resources, self._busy, routes)

    def start(self) -> None:
        """Lets the market run and brings the clouds up to date with the machines that are left."""
        self.market.on_interruption(self._reclaim)
        self.market.start()
        self.azure.reconcile()
        self.gcp.reconcile()
        threading.Thread(target=self._reconcile_aws, name="aws-reconcile", daemon=True).start()

    def close(self) -> None:
        """Stops everything but the machines."""
        self.market.close()
        self.front.close()
        self.room.close()
        self.aws.emulation.close()
        self.azure.documents.close()
        self.gcp.documents.close()

    def _sites(self) -> list[Site]:
        prices = market_http.app(self.market)
        paid_by_google = "cloudbilling.googleapis.com"
        return [
            Site((paid_by_google,), application=prices, paths=market_http.GCP_PATHS),
            Site(tuple(host for host in market_http.HOSTS if host != paid_by_google), application=prices),
            Site((market_http.ARM_HOST,), application=prices, paths=market_http.ARM_PATHS),
            Site((market_http.COMPUTE_HOST,), application=prices, paths=market_http.COMPUTE_PATHS),
            Site(("management.azure.com", "login.microsoftonline.com", "login.windows.net"), faulty("azure", self.azure.handle, self.faults)),
            Site(self.gcp.hosts, faulty("gcp", self.gcp.handle, self.faults)),
            # Loopback: SDKs with AWS_ENDPOINT_URL; moto reads the service from the signature.
            Site((".amazonaws.com", LOOPBACK, "localhost"), faulty("aws", self.aws.handle, self.faults)),
        ]

    def _market_call(self, region: str, form: dict[str, str]) -> HttpAnswer:
        return HttpAnswer(*market_http.ec2_answer(self.market, region, form))

    def _reclaim(self, reclaim: Reclaim) -> None:
        """A pool takes its machines back: each spot machine in it gets its notice."""
        for machine in self.room.machines():
            zone = "-" if machine.cloud == "azure" else machine.zone
            if machine.spot and machine.state == "running" and reclaim.takes(machine.cloud, machine.region, zone, machine.instance_type):
                self.room.interrupt(machine.id, reason="the market took the pool's capacity back")

    def _reconcile_aws(self) -> None:
        with contextlib.suppress(RuntimeError):  # the replay failed and said so; /healthz shows it
            self.aws.reconcile()

    def _health(self) -> dict[str, str]:
        return {"aws": self.aws.emulation.health, "azure": "ok", "gcp": "ok", "hosts": "ok", "market": "ok"}

    def _busy(self) -> dict[str, Any]:
        return {package: one.document() for package, one in self.busy.items()}

    def _resources(self) -> dict[str, Any]:
        self.aws.emulation.wait_ready()
        resources = [*aws_inventory.resources(self.aws.emulation), *self.azure.resources(), *self.gcp.resources()]
        return inventory.document(resources, [*aws_inventory.accounts(self.aws.emulation), *self.azure.accounts(), *self.gcp.accounts()])


class _Server(uvicorn.Server):
    """A server that leaves the signals to this program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main(argv: list[str]) -> int:
    """Serves until SIGTERM or SIGINT. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m localcloud serve", description="Run the local cloud's main process in the foreground.")
    parser.add_argument("--home", type=Path, default=default_home(), help="state directory (default: $SPOTLANE_HOME, else .spotlane)")
    parser.add_argument("--without-providers", action="store_true", help="serve the clouds' APIs only, no Pulumi providers")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    try:
        state = LocalState.load(options.home)
        sockets = [_listen(state.port("clouds")), _listen(state.port("control"))]
        cloud = LocalCloud(state)
    except (LocalStateFault, PortTaken, ValueError) as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 2
    try:
        providers = None if options.without_providers else _start_providers(state)
    except PortTaken as error:
        print(f"localcloud: {error}", file=sys.stderr)
        cloud.close()
        return 2
    cloud.busy = providers.busy if providers is not None else {}
    cloud.start()
    try:
        asyncio.run(_serve(cloud, sockets))
    finally:
        if providers is not None:
            providers.stop()
        cloud.close()
    log.info("stopped; machines go on")
    return 0


def _start_providers(state: LocalState) -> Providers:
    """Starts the Pulumi providers. Raises :class:`PortTaken`."""
    from localcloud.providers import server  # gRPC and the provider SDKs' sources, left out by --without-providers
    from localcloud.providers.ports import ProviderSettings

    settings = ProviderSettings(home=state.home, proxy_url=state.environment.get("HTTPS_PROXY", state.url("proxy")), ca_file=state.proxy / "ca.pem")
    ports = {package: state.port(endpoint) for package, endpoint in PROVIDERS.items()}
    try:
        return server.start(ports, settings)
    except server.PortTaken as error:
        raise PortTaken(error.port, f"provider {error.package}") from error


async def _serve(cloud: LocalCloud, sockets: list[socket.socket]) -> None:
    options: dict[str, Any] = {"log_config": None, "access_log": False, "date_header": False, "server_header": False, "timeout_graceful_shutdown": 5}
    servers = [_Server(uvicorn.Config(app, **options)) for app in (cloud.front, cloud.control)]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve([listener]) for server, listener in zip(servers, sockets, strict=True)))


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise PortTaken(port, error.strerror or str(error)) from error
    return listener


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
