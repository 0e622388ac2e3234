"""The TCP address of a workload for life: a Spectrum application in front of the relay that follows the workload's route."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_cloudflare as cloudflare


@dataclass
class TcpAddressArgs:
    """Whose address, and where it leads."""

    zone: str
    """Zone of the public addresses."""
    zone_id: pulumi.Input[str]
    """Its id."""
    label: str
    """The workload's label, ``<workload>-<tenant>``."""
    port: int
    """Public TCP port."""
    relay_port: int | None = None
    """Port on which the relay takes this address's connections; null takes the public one. Workloads that share a public port need one each, or a PROXY
    header by which the relay tells their addresses apart."""
    proxy_protocol: Literal["off", "v1", "v2"] = "off"
    """The header by which Spectrum tells the relay who the client is; the relay must expect the same."""
    relay: str | None = None
    """Host of the relay; null takes ``relay.<zone>``."""


def public_host(label: str, zone: str) -> str:
    """The host on which clients reach the TCP service of ``label``."""
    return f"tcp-{label}.workloads.{zone}"


def relay_host(zone: str) -> str:
    """The L4 relay of mode B that its operator runs, one for all TCP workloads; it asks ``tcp.<zone>`` where a label's machine is."""
    return f"relay.{zone}"


def own_relay_host(tenant: str, zone: str) -> str:
    """The relays of one tenant, made by its stacks ``relay.<tenant>.<cloud>.<region>``: each has an address record under this name."""
    return f"relay-{tenant}.{zone}"


class TcpAddress(pulumi.ComponentResource):
    """A workload's TCP address.

    Spectrum makes the DNS record of ``dns.name`` itself (type CNAME), as for any application::

        TcpAddress("echo-acme", TcpAddressArgs(zone="example.com", zone_id=..., label="echo-acme", port=9000))
        TcpAddress("data-acme", TcpAddressArgs(zone="example.com", zone_id=..., label="data-acme", port=5432, relay_port=15432, proxy_protocol="v2"))
    """

    host: pulumi.Output[str]
    """Public host."""
    port: pulumi.Output[int]
    """Public port."""

    def __init__(self, name: str, args: TcpAddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:edge:TcpAddress", name, None, opts)
        host = public_host(args.label, args.zone)
        relay_port = args.port if args.relay_port is None else args.relay_port
        application = cloudflare.SpectrumApplication(
            f"{name}-spectrum",
            zone_id=args.zone_id,
            protocol=f"tcp/{args.port}",
            dns=cloudflare.SpectrumApplicationDnsArgs(type="CNAME", name=host),
            origin_dns=cloudflare.SpectrumApplicationOriginDnsArgs(name=args.relay or relay_host(args.zone), type="", ttl=600),
            origin_port=relay_port,
            proxy_protocol=args.proxy_protocol,
            tls="off",
            traffic_type="direct",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.host = application.dns.apply(lambda dns: dns.name or host)
        self.port = pulumi.Output.from_input(args.port)
        self.register_outputs({"host": self.host, "port": self.port})
