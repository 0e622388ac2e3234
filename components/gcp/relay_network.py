"""The network of a TCP relay on GCP: one subnetwork that Spectrum reaches on the relay's ports, and nobody else on any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute

from components import cidr, naming
from components.gcp.network import refuse_the_rest


@dataclass(frozen=True)
class RelayNetworkArgs:
    """Arguments of :class:`RelayNetwork`."""

    region: str
    cidr: str
    sources: Sequence[str]
    """IPv4 networks that may connect."""
    port_ranges: Sequence[tuple[int, int]]
    """First and last port, of each range."""


class RelayNetwork(pulumi.ComponentResource):
    """A network of its own, joined to no other: in to the ports from the sources, out to HTTPS (routes and tunnels). What is refused is logged.

    Example::

        network = RelayNetwork("relay", RelayNetworkArgs("europe-west4", "10.255.0.0/24", ["173.245.48.0/20"], [(5432, 5433)]))
    """

    subnetwork_id: pulumi.Output[str]

    def __init__(self, name: str, args: RelayNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:gcp:RelayNetwork", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        own = naming.fit("gcp:resource", name, args.region)
        network = compute.Network(f"{name}-network", name=own, auto_create_subnetworks=False, routing_mode="REGIONAL", opts=child)
        subnetwork = compute.Subnetwork(
            f"{name}-subnetwork",
            name=own,
            region=args.region,
            network=network.id,
            ip_cidr_range=cidr.plan(args.cidr, []).whole,
            private_ip_google_access=True,
            opts=child,
        )
        ports = [str(first) if first == last else f"{first}-{last}" for first, last in args.port_ranges]
        compute.Firewall(
            f"{name}-spectrum-in",
            name=naming.fit("gcp:resource", own, "spectrum-in"),
            network=network.id,
            direction="INGRESS",
            priority=1000,
            source_ranges=list(args.sources),
            allows=[compute.FirewallAllowArgs(protocol="tcp", ports=ports)],
            opts=child,
        )
        refuse_the_rest(f"{name}-deny-in", naming.fit("gcp:resource", own, "deny-in"), network.id, "INGRESS", child)
        compute.Firewall(
            f"{name}-https-out",
            name=naming.fit("gcp:resource", own, "https-out"),
            network=network.id,
            direction="EGRESS",
            priority=1000,
            destination_ranges=["0.0.0.0/0"],
            allows=[compute.FirewallAllowArgs(protocol="tcp", ports=["443"])],
            opts=child,
        )
        refuse_the_rest(f"{name}-deny-out", naming.fit("gcp:resource", own, "deny-out"), network.id, "EGRESS", child)
        self.subnetwork_id = subnetwork.id
        self.register_outputs({"subnetwork_id": self.subnetwork_id})
