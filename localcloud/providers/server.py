"""Starts the four providers, each on its own port: a plugin's info names no package, so one port can't serve two.

``PULUMI_DEBUG_PROVIDERS=aws:7704,azure-native:7705,gcp:7706,cloudflare:7707`` attaches an engine to them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from localcloud.providers.aws.cloud import AwsPackage
from localcloud.providers.azure.cloud import AzurePackage
from localcloud.providers.busy import Busy
from localcloud.providers.cloudflare.cloud import CloudflarePackage
from localcloud.providers.gcp.cloud import GcpPackage
from localcloud.providers.ports import Cloud, ProviderSettings
from localcloud.providers.record import CreationRecord
from localcloud.providers.schema import Schemas
from localcloud.providers.service import ResourceProvider

__all__ = ["PortTaken", "ProviderSettings", "Providers", "start"]

log = logging.getLogger("localcloud.providers")

CLOUDS: dict[str, Callable[[ProviderSettings], Cloud]] = {
    "aws": AwsPackage,
    "azure-native": AzurePackage,
    "gcp": GcpPackage,
    "cloudflare": CloudflarePackage,
}

_MESSAGE_BYTES = 400 * 1024 * 1024
"""The engine's own limit of a gRPC message."""
_THREADS = 64
"""Operations at once in one provider; the engine runs as many as its program allows in parallel."""


class PortTaken(Exception):
    """Provider ``package`` can't listen on ``port``."""

    def __init__(self, package: str, port: int) -> None:
        self.package = package
        self.port = port
        super().__init__(f"port {port} for the {package} provider is taken; stop what listens there or choose another --port-base")


@dataclass(frozen=True)
class Providers:
    """Running providers. ``ports`` are those that they listen on (a port of 0 was chosen by the system)."""

    ports: Mapping[str, int]
    busy: Mapping[str, Busy]
    """How long each was at work, by package."""
    _servers: tuple[grpc.Server, ...]
    _record: CreationRecord

    @property
    def debug_providers(self) -> str:
        """The value of ``PULUMI_DEBUG_PROVIDERS``."""
        return ",".join(f"{package}:{port}" for package, port in self.ports.items())

    def stop(self, grace: float = 5.0) -> None:
        """Takes no more calls, waits up to ``grace`` seconds for those under way."""
        for stopped in [server.stop(grace) for server in self._servers]:
            stopped.wait(grace + 1)
        self._record.close()


def start(ports: Mapping[str, int], settings: ProviderSettings) -> Providers:
    """Serves the packages of ``ports`` (name → port on 127.0.0.1, 0 for a free one). Raises :class:`PortTaken`, and for an unknown package ``KeyError``."""
    record = CreationRecord(settings.home / "clouds" / "providers.sqlite")
    servers: list[grpc.Server] = []
    bound: dict[str, int] = {}
    busy: dict[str, Busy] = {}
    try:
        for package, port in ports.items():
            servicer = ResourceProvider(CLOUDS[package](settings), Schemas(package), record)
            limits = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
            busy[package] = Busy()
            pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"provider-{package}")
            server = grpc.server(pool, interceptors=[busy[package]], options=limits)
            provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
            try:
                bound[package] = server.add_insecure_port(f"127.0.0.1:{port}")
            except RuntimeError as error:
                raise PortTaken(package, port) from error
            servers.append(server)
    except BaseException:
        record.close()
        raise
    for server in servers:
        server.start()
    log.info("providers: %s", bound)
    return Providers(bound, busy, tuple(servers), record)
