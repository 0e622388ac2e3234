"""A region's network on GCP: a network of its own, one way out, no way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_gcp import compute

from components import cidr, naming

TUNNEL_RANGES = ("198.41.192.0/24", "198.41.200.0/24")
"""Where cloudflared dials to (Cloudflare One, "Tunnel with firewall": region1 and region2 of argotunnel.com)."""
TUNNEL_PORT = "7844"
LAST = 65534
"""The lowest priority that a rule can have and still stand before Google's implied ones."""

LOGGED = compute.FirewallLogConfigArgs(metadata="INCLUDE_ALL_METADATA")


@dataclass(frozen=True)
class NetworkArgs:
    """Arguments of :class:`Network`."""

    region: str
    cidr: str
    """Address range, /16 to /24; a subnetwork spans all zones of a region, so that one takes it whole."""
    flow_logs: bool = True
    """Whether the subnetwork's flows and every translation are logged; refused connections and failed translations always are."""


class Network(pulumi.ComponentResource):
    """A custom network with one subnetwork, closed from outside, that goes out through Cloud NAT to HTTPS and to the tunnel's ends and nowhere else.

    Google's own APIs (Cloud Storage too) are reached without leaving Google's network (Private Google Access). DNS, time and metadata are the host's, at
    169.254.169.254, which no firewall rule reaches. Example::

        network = Network("network", NetworkArgs(region="europe-west4", cidr="10.48.0.0/16"))
    """

    network_id: pulumi.Output[str]
    subnetwork_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:gcp:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        own = naming.fit("gcp:resource", "spotlane", args.region)
        network = compute.Network(f"{name}-network", name=own, auto_create_subnetworks=False, routing_mode="REGIONAL", opts=child)
        subnetwork = compute.Subnetwork(
            f"{name}-subnetwork",
            name=own,
            region=args.region,
            network=network.id,
            ip_cidr_range=cidr.plan(args.cidr, []).whole,
            private_ip_google_access=True,
            log_config=compute.SubnetworkLogConfigArgs(aggregation_interval="INTERVAL_5_MIN", flow_sampling=0.5, metadata="INCLUDE_ALL_METADATA")
            if args.flow_logs
            else None,
            opts=child,
        )
        logged = LOGGED if args.flow_logs else None
        refuse_the_rest(f"{name}-firewall", naming.fit("gcp:resource", own, "deny-in"), network.id, "INGRESS", child)
        compute.Firewall(
            f"{name}-https-out",
            name=naming.fit("gcp:resource", own, "https-out"),
            network=network.id,
            direction="EGRESS",
            priority=1000,
            destination_ranges=["0.0.0.0/0"],
            allows=[compute.FirewallAllowArgs(protocol="tcp", ports=["443"])],
            log_config=logged,
            opts=child,
        )
        compute.Firewall(
            f"{name}-tunnel-out",
            name=naming.fit("gcp:resource", own, "tunnel-out"),
            network=network.id,
            direction="EGRESS",
            priority=1000,
            destination_ranges=list(TUNNEL_RANGES),
            allows=[compute.FirewallAllowArgs(protocol=protocol, ports=[TUNNEL_PORT]) for protocol in ("tcp", "udp")],
            log_config=logged,
            opts=child,
        )
        refuse_the_rest(f"{name}-deny-out", naming.fit("gcp:resource", own, "deny-out"), network.id, "EGRESS", child)
        router = compute.Router(f"{name}-router", name=own, region=args.region, network=network.id, opts=child)
        compute.RouterNat(
            f"{name}-nat",
            name=own,
            region=args.region,
            router=router.name,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            log_config=compute.RouterNatLogConfigArgs(enable=True, filter="ALL" if args.flow_logs else "ERRORS_ONLY"),
            opts=child,
        )
        self.network_id = network.id
        self.subnetwork_id = subnetwork.id
        self.register_outputs({"network_id": self.network_id, "subnetwork_id": self.subnetwork_id})


def refuse_the_rest(resource: str, name: str, network: pulumi.Input[str], direction: Literal["INGRESS", "EGRESS"], opts: pulumi.ResourceOptions) -> None:
    """The last rule of a direction: what no other rule lets pass is refused, and logged."""
    anywhere = {"source_ranges" if direction == "INGRESS" else "destination_ranges": ["0.0.0.0/0"]}
    denies = [compute.FirewallDenyArgs(protocol="all")]
    compute.Firewall(resource, name=name, network=network, direction=direction, priority=LAST, denies=denies, log_config=LOGGED, opts=opts, **anywhere)
