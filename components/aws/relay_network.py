"""The network of a TCP relay on AWS: one public subnet that Spectrum reaches on the relay's ports, and nobody else on any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components import cidr
from components.aws.network import HTTPS_PORT


@dataclass(frozen=True)
class RelayNetworkArgs:
    """Arguments of :class:`RelayNetwork`."""

    cidr: str
    zone: str
    sources: Sequence[str]
    """IPv4 networks that may connect."""
    port_ranges: Sequence[tuple[int, int]]
    """First and last port, of each range."""
    tags: Mapping[str, str] = field(default_factory=dict)


class RelayNetwork(pulumi.ComponentResource):
    """A VPC of its own, joined to no other: in to the ports from the sources, out to HTTPS (routes and tunnels).

    Example::

        network = RelayNetwork("relay", RelayNetworkArgs("10.255.0.0/24", "eu-west-1a", ["173.245.48.0/20"], [(5432, 5433)]))
    """

    subnet_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: RelayNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:aws:RelayNetwork", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        block, tags = cidr.plan(args.cidr, []).whole, {**args.tags, "Name": name}
        vpc = aws.ec2.Vpc(f"{name}-vpc", cidr_block=block, enable_dns_support=True, enable_dns_hostnames=True, tags=tags, opts=child)
        gateway = aws.ec2.InternetGateway(f"{name}-gateway", vpc_id=vpc.id, tags=tags, opts=child)
        # The machine asks for its public address itself: nothing else that stood here would have one.
        subnet = aws.ec2.Subnet(
            f"{name}-subnet", vpc_id=vpc.id, cidr_block=block, availability_zone=args.zone, map_public_ip_on_launch=False, tags=tags, opts=child
        )
        routes = aws.ec2.RouteTable(f"{name}-routes", vpc_id=vpc.id, tags=tags, opts=child)
        aws.ec2.Route(f"{name}-out", route_table_id=routes.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id, opts=child)
        aws.ec2.RouteTableAssociation(f"{name}-association", route_table_id=routes.id, subnet_id=subnet.id, opts=child)
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=vpc.id, ingress=[], egress=[], tags=tags, opts=child)
        group = aws.ec2.SecurityGroup(f"{name}-group", name=name, description="TCP relay: in from Spectrum", vpc_id=vpc.id, tags=tags, opts=child)
        for first, last in args.port_ranges:
            for source in args.sources:
                aws.vpc.SecurityGroupIngressRule(
                    f"{name}-in-{first}-{source.replace('/', '-')}",
                    security_group_id=group.id,
                    ip_protocol="tcp",
                    from_port=first,
                    to_port=last,
                    cidr_ipv4=source,
                    tags=tags,
                    opts=child,
                )
        aws.vpc.SecurityGroupEgressRule(
            f"{name}-https-out",
            security_group_id=group.id,
            ip_protocol="tcp",
            from_port=HTTPS_PORT,
            to_port=HTTPS_PORT,
            cidr_ipv4="0.0.0.0/0",
            tags=tags,
            opts=child,
        )
        self.subnet_id = subnet.id
        self.security_group_id = group.id
        self.register_outputs({"subnet_id": self.subnet_id, "security_group_id": self.security_group_id})
