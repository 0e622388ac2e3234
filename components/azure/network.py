"""A region's network on Azure: one subnet for all zones, one way out, no way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_azure_native import network, resources

from components import cidr

TUNNEL_RANGES = ("198.41.192.0/24", "198.41.200.0/24")
"""Where cloudflared dials to (Cloudflare One, "Tunnel with firewall": region1 and region2 of argotunnel.com)."""
TUNNEL_PORT = "7844"


@dataclass(frozen=True)
class NetworkArgs:
    """Arguments of :class:`Network`."""

    location: str
    cidr: str
    """Address range, /16 to /24; a subnet spans all zones of a region, so that one takes it whole."""
    tags: Mapping[str, str] = field(default_factory=dict)


class Network(pulumi.ComponentResource):
    """A resource group with a virtual network, closed from outside, that goes out through a NAT gateway to HTTPS and to the tunnel's ends and nowhere else.

    Storage is reached without leaving Azure's network (service endpoint). DNS, time and metadata are the host's, which no rule reaches. Example::

        network = Network("network", NetworkArgs(location="westeurope", cidr="10.32.0.0/16"))
    """

    resource_group_name: pulumi.Output[str]
    subnet_id: pulumi.Output[str]
    network_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:azure:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags, block = dict(args.tags), cidr.plan(args.cidr, []).whole
        group = resources.ResourceGroup(f"{name}-group", resource_group_name=f"spotlane-{args.location}", location=args.location, tags=tags, opts=child)
        address = network.PublicIPAddress(
            f"{name}-nat-address",
            resource_group_name=group.name,
            public_ip_address_name=f"{name}-nat",
            location=args.location,
            sku=network.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            public_ip_address_version="IPv4",
            tags=tags,
            opts=child,
        )
        nat = network.NatGateway(
            f"{name}-nat",
            resource_group_name=group.name,
            nat_gateway_name=f"{name}-nat",
            location=args.location,
            sku=network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            tags=tags,
            opts=child,
        )
        rules = [
            firewall_rule("deny-all-in", 4096, "Inbound", "Deny"),
            firewall_rule("https-out", 100, "Outbound", "Allow", "Tcp", "443", ["Internet"]),
            firewall_rule("tunnel-tcp-out", 110, "Outbound", "Allow", "Tcp", TUNNEL_PORT, TUNNEL_RANGES),
            firewall_rule("tunnel-udp-out", 111, "Outbound", "Allow", "Udp", TUNNEL_PORT, TUNNEL_RANGES),
            firewall_rule("deny-all-out", 4096, "Outbound", "Deny"),
        ]
        whole, subnet = fenced(
            name,
            Place(group.name, args.location, block, tags),
            "machines",
            rules,
            child,
            service_endpoints=[network.ServiceEndpointPropertiesFormatArgs(service="Microsoft.Storage")],
            nat_gateway=network.SubResourceArgs(id=nat.id),
        )
        self.resource_group_name = group.name
        self.subnet_id = subnet.id
        self.network_id = whole.id
        self.register_outputs({"resource_group_name": self.resource_group_name, "subnet_id": self.subnet_id, "network_id": self.network_id})


@dataclass(frozen=True)
class Place:
    """Where a virtual network stands: its group, location and address range."""

    resource_group_name: pulumi.Input[str]
    location: str
    block: str
    tags: dict[str, str]


def fenced(
    name: str, place: Place, subnet_name: str, rules: Sequence[network.SecurityRuleArgs], child: pulumi.ResourceOptions, **of_subnet: Any
) -> tuple[network.VirtualNetwork, network.Subnet]:
    """A virtual network with one subnet that takes it whole, behind a firewall of ``rules``; ``of_subnet`` are further arguments of the subnet."""
    common = {"resource_group_name": place.resource_group_name, "opts": child}
    firewall = network.NetworkSecurityGroup(
        f"{name}-firewall",
        network_security_group_name=f"{name}-firewall",
        location=place.location,
        security_rules=list(rules),
        tags=place.tags,
        **common,
    )
    whole = network.VirtualNetwork(
        f"{name}-vnet",
        virtual_network_name=name,
        location=place.location,
        address_space=network.AddressSpaceArgs(address_prefixes=[place.block]),
        tags=place.tags,
        **common,
    )
    subnet = network.Subnet(
        f"{name}-subnet",
        virtual_network_name=whole.name,
        subnet_name=subnet_name,
        address_prefix=place.block,
        default_outbound_access=False,
        network_security_group=network.NetworkSecurityGroupArgs(id=firewall.id),
        **of_subnet,
        **common,
    )
    return whole, subnet


def firewall_rule(
    name: str, priority: int, direction: str, access: str, protocol: str = "*", port: str = "*", to: Sequence[str] = ("*",)
) -> network.SecurityRuleArgs:
    """A rule from anywhere (inside, for what goes out) to the ends named."""
    ends: dict[str, Any] = {"destination_address_prefix": to[0]} if len(to) == 1 else {"destination_address_prefixes": list(to)}
    return network.SecurityRuleArgs(
        name=name,
        priority=priority,
        direction=direction,
        access=access,
        protocol=protocol,
        source_address_prefix="*",
        source_port_range="*",
        destination_port_range=port,
        **ends,
    )
