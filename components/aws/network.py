"""A region's network on AWS: private subnets, one way out, no way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components import cidr

TUNNEL_RANGES = ("198.41.192.0/24", "198.41.200.0/24")
"""Where cloudflared dials to (Cloudflare One, "Tunnel with firewall": region1 and region2 of argotunnel.com)."""
TUNNEL_PORT = 7844
HTTPS_PORT = 443


@dataclass(frozen=True)
class NetworkArgs:
    """Arguments of :class:`Network`."""

    cidr: str
    """Address range of the VPC, /16 to /24."""
    zones: Sequence[str]
    """Availability zones, in the order of their subnets."""
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Network(pulumi.ComponentResource):
    """A VPC with a private subnet in each zone, closed from outside, that goes out through one NAT gateway to HTTPS and to the tunnel's ends and nowhere else.

    S3 is reached without leaving AWS's network, by a gateway endpoint. DNS, time and metadata are the host's, which no security group reaches. Example::

        network = Network("network", NetworkArgs(cidr="10.16.0.0/16", zones=["eu-west-1a", "eu-west-1b"], region="eu-west-1"))
    """

    vpc_id: pulumi.Output[str]
    subnet_ids: dict[str, pulumi.Output[str]]
    """By zone."""
    security_group_id: pulumi.Output[str]
    """Lets nothing in; out to HTTPS and to the tunnel's ends."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:aws:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        subnets = cidr.plan(args.cidr, args.zones)

        def tags(part: str) -> dict[str, str]:
            return {**args.tags, "Name": part}

        vpc = aws.ec2.Vpc(f"{name}-vpc", cidr_block=subnets.whole, enable_dns_support=True, enable_dns_hostnames=True, tags=tags(name), opts=child)
        gateway = aws.ec2.InternetGateway(f"{name}-gateway", vpc_id=vpc.id, tags=tags(f"{name}-gateway"), opts=child)
        public = aws.ec2.Subnet(
            f"{name}-public",
            vpc_id=vpc.id,
            cidr_block=subnets.public,
            availability_zone=args.zones[0],
            map_public_ip_on_launch=False,
            tags=tags(f"{name}-public"),
            opts=child,
        )
        public_routes = aws.ec2.RouteTable(f"{name}-public-routes", vpc_id=vpc.id, tags=tags(f"{name}-public"), opts=child)
        out = aws.ec2.Route(f"{name}-public-out", route_table_id=public_routes.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id, opts=child)
        aws.ec2.RouteTableAssociation(f"{name}-public-association", route_table_id=public_routes.id, subnet_id=public.id, opts=child)
        address = aws.ec2.Eip(f"{name}-nat-address", domain="vpc", tags=tags(f"{name}-nat"), opts=child)
        nat = aws.ec2.NatGateway(
            f"{name}-nat",
            allocation_id=address.id,
            subnet_id=public.id,
            tags=tags(f"{name}-nat"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[out]),
        )
        private_routes = aws.ec2.RouteTable(f"{name}-private-routes", vpc_id=vpc.id, tags=tags(f"{name}-private"), opts=child)
        aws.ec2.Route(f"{name}-private-out", route_table_id=private_routes.id, destination_cidr_block="0.0.0.0/0", nat_gateway_id=nat.id, opts=child)
        self.subnet_ids = {}
        for zone, block in subnets.zones.items():
            subnet = aws.ec2.Subnet(
                f"{name}-{zone}",
                vpc_id=vpc.id,
                cidr_block=block,
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags=tags(f"{name}-{zone}"),
                opts=child,
            )
            aws.ec2.RouteTableAssociation(f"{name}-{zone}-association", route_table_id=private_routes.id, subnet_id=subnet.id, opts=child)
            self.subnet_ids[zone] = subnet.id
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{args.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[private_routes.id],
            tags=tags(f"{name}-s3"),
            opts=child,
        )
        # The group that whatever names none would get: it admits nothing, in no direction.
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=vpc.id, ingress=[], egress=[], tags=tags(f"{name}-default"), opts=child)
        group = aws.ec2.SecurityGroup(
            f"{name}-machines", name=f"{name}-machines", description="Spot machines: out only", vpc_id=vpc.id, tags=tags(f"{name}-machines"), opts=child
        )
        ways = [("machines", "tcp", HTTPS_PORT, "0.0.0.0/0")]
        ways += [(f"tunnel-{protocol}-{number}", protocol, TUNNEL_PORT, block) for protocol in ("tcp", "udp") for number, block in enumerate(TUNNEL_RANGES, 1)]
        for what, protocol, port, block in ways:
            aws.vpc.SecurityGroupEgressRule(
                f"{name}-{what}-out",
                security_group_id=group.id,
                ip_protocol=protocol,
                from_port=port,
                to_port=port,
                cidr_ipv4=block,
                tags=tags(f"{name}-{what}-out"),
                opts=child,
            )
        self.vpc_id = vpc.id
        self.security_group_id = group.id
        self.register_outputs({"vpc_id": self.vpc_id, "subnet_ids": self.subnet_ids, "security_group_id": self.security_group_id})
