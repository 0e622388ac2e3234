"""A region's network on GCP: a network of its own, one way out, no way in."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import compute

from components import cidr, naming


@dataclass(frozen=True)
class NetworkArgs:
    """Arguments of :class:`Network`."""

    region: str
    cidr: str
    """Address range, /16 to /24; a subnetwork spans all zones of a region, so that one takes it whole."""


class Network(pulumi.ComponentResource):
    """A custom network with one subnetwork, closed from outside, that goes out through Cloud NAT.

    Example::

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
            opts=child,
        )
        compute.Firewall(
            f"{name}-firewall",
            name=naming.fit("gcp:resource", own, "deny-in"),
            network=network.id,
            direction="INGRESS",
            priority=65534,
            source_ranges=["0.0.0.0/0"],
            denies=[compute.FirewallDenyArgs(protocol="all")],
            opts=child,
        )
        router = compute.Router(f"{name}-router", name=own, region=args.region, network=network.id, opts=child)
        compute.RouterNat(
            f"{name}-nat",
            name=own,
            region=args.region,
            router=router.name,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            opts=child,
        )
        self.network_id = network.id
        self.subnetwork_id = subnetwork.id
        self.register_outputs({"network_id": self.network_id, "subnetwork_id": self.subnetwork_id})
