"""A machine on AWS: a launch template, and one spot (or on-demand) instance of it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws import offering


@dataclass(frozen=True)
class SpotMachineArgs:
    """Arguments of :class:`SpotMachine`."""

    machine_name: str
    instance_type: str
    arch: str
    """``x86_64`` or ``arm64``."""
    subnet_id: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    instance_profile_name: pulumi.Input[str]
    user_data: pulumi.Input[str]
    """As text; a secret."""
    max_usd_per_hour: float | None = None
    """Bid ceiling in USD/h; None takes the on-demand price."""
    tags: Mapping[str, str] = field(default_factory=dict)
    capacity_type: str = "spot"
    """``spot`` or ``on-demand``."""
    disk_key_id: pulumi.Input[str | None] = None
    """ARN of the KMS key of its disk; None takes AWS's own."""
    public_address: bool = False


class SpotMachine(pulumi.ComponentResource):
    """One one-time spot instance: encrypted disk, IMDSv2, gone when interrupted or shut down, without a public address unless it asks for one.

    Example::

        machine = SpotMachine("machine", SpotMachineArgs("web-acme-3", "m7g.large", "arm64", subnet, group, profile, user_data))
    """

    machine_id: pulumi.Output[str]
    private_ip: pulumi.Output[str]
    public_ip: pulumi.Output[str]
    """Empty where it has no public address."""

    def __init__(self, name: str, args: SpotMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:aws:SpotMachine", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = {**args.tags, "Name": args.machine_name}
        template = _template(name, args, tags, child)
        instance = aws.ec2.Instance(
            f"{name}-instance",
            instance_type=args.instance_type,
            # The interface with a public address is the template's, and brings subnet and group along.
            subnet_id=None if args.public_address else args.subnet_id,
            vpc_security_group_ids=None if args.public_address else [args.security_group_id],
            launch_template=aws.ec2.InstanceLaunchTemplateArgs(id=template.id, version=template.latest_version.apply(str)),
            tags=tags,
            opts=child,
        )
        self.machine_id = instance.id
        self.private_ip = instance.private_ip
        self.public_ip = instance.public_ip
        self.register_outputs({"machine_id": self.machine_id, "private_ip": self.private_ip, "public_ip": self.public_ip})


def _template(name: str, args: SpotMachineArgs, tags: dict[str, str], child: pulumi.ResourceOptions) -> aws.ec2.LaunchTemplate:
    gpu = offering.has_gpu(args.instance_type)
    bid = None if args.max_usd_per_hour is None else f"{args.max_usd_per_hour:.6f}"
    market = aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(
        market_type="spot",
        spot_options=aws.ec2.LaunchTemplateInstanceMarketOptionsSpotOptionsArgs(
            spot_instance_type="one-time", instance_interruption_behavior="terminate", max_price=bid
        ),
    )
    interface = aws.ec2.LaunchTemplateNetworkInterfaceArgs(
        device_index=0,
        associate_public_ip_address="true",
        delete_on_termination="true",
        subnet_id=args.subnet_id,
        security_groups=[args.security_group_id],
    )
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        name=naming.fit("aws:launch-template", args.machine_name),
        image_id=offering.image(args.arch, gpu=gpu),
        instance_initiated_shutdown_behavior="terminate",
        instance_market_options=market if args.capacity_type == "spot" else None,
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1),
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name="/dev/sda1",
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    encrypted="true", kms_key_id=args.disk_key_id, volume_type="gp3", volume_size=offering.disk_gib(gpu=gpu), delete_on_termination="true"
                ),
            )
        ],
        iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=args.instance_profile_name),
        network_interfaces=[interface] if args.public_address else None,
        tag_specifications=[aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags) for kind in ("instance", "volume", "network-interface")],
        user_data=pulumi.Output.from_input(args.user_data).apply(lambda text: base64.b64encode(text.encode()).decode()),
        tags=tags,
        opts=child,
    )
