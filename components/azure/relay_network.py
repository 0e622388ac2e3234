"""The network of a TCP relay on Azure: one subnet that Spectrum reaches on the relay's ports, and nobody else on any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import network

from components import cidr
from components.azure.network import Place, fenced, firewall_rule


@dataclass(frozen=True)
class RelayNetworkArgs:
    """Arguments of :class:`RelayNetwork`."""

    resource_group_name: pulumi.Input[str]
    location: str
    cidr: str
    sources: Sequence[str]
    """IPv4 networks that may connect."""
    port_ranges: Sequence[tuple[int, int]]
    """First and last port, of each range."""
    tags: Mapping[str, str] = field(default_factory=dict)


class RelayNetwork(pulumi.ComponentResource):
    """A virtual network of its own, joined to no other: in to the ports from the sources, out to HTTPS (routes and tunnels).

    Example::

        network = RelayNetwork("relay", RelayNetworkArgs(group, "westeurope", "10.255.0.0/24", ["173.245.48.0/20"], [(5432, 5433)]))
    """

    subnet_id: pulumi.Output[str]

    def __init__(self, name: str, args: RelayNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:azure:RelayNetwork", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        block, tags = cidr.plan(args.cidr, []).whole, dict(args.tags)
        ports = [str(first) if first == last else f"{first}-{last}" for first, last in args.port_ranges]
        rules = [
            network.SecurityRuleArgs(
                name="spectrum-in",
                priority=100,
                direction="Inbound",
                access="Allow",
                protocol="Tcp",
                source_address_prefixes=list(args.sources),
                source_port_range="*",
                destination_address_prefix="*",
                destination_port_ranges=ports,
            ),
            firewall_rule("deny-all-in", 4096, "Inbound", "Deny"),
            firewall_rule("https-out", 100, "Outbound", "Allow", "Tcp", "443", ["Internet"]),
            firewall_rule("deny-all-out", 4096, "Outbound", "Deny"),
        ]
        _, subnet = fenced(name, Place(args.resource_group_name, args.location, block, tags), "relay", rules, child)
        self.subnet_id = subnet.id
        self.register_outputs({"subnet_id": self.subnet_id})
