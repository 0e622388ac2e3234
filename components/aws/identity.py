"""Who a workload is on AWS: a role of its own without permissions, to which the tenant may add up to a fixed bound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components import naming

ROLE_PATH = "/spotlane/"
"""IAM path of the roles that we make in a tenant's account; the automation role may pass no other."""


@dataclass(frozen=True)
class WorkloadIdentityArgs:
    """Arguments of :class:`WorkloadIdentity`."""

    region: str
    """IAM is one for all regions, so that the region is part of the role's name."""
    permissions_boundary: pulumi.Input[str] | None = None
    """ARN of the policy beyond which nothing that is added to the role counts."""
    tags: Mapping[str, str] = field(default_factory=dict)


class WorkloadIdentity(pulumi.ComponentResource):
    """An IAM role for EC2 with its instance profile.

    Example::

        identity = WorkloadIdentity("identity", WorkloadIdentityArgs(region="eu-west-1"))
    """

    role_arn: pulumi.Output[str]
    instance_profile_name: pulumi.Output[str]

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:aws:WorkloadIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role_name = naming.fit("aws:role", "spotlane-workload", args.region)
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
        }
        role = aws.iam.Role(
            f"{name}-role",
            name=role_name,
            path=ROLE_PATH,
            assume_role_policy=json.dumps(trust),
            permissions_boundary=args.permissions_boundary,
            tags=dict(args.tags),
            opts=child,
        )
        profile = aws.iam.InstanceProfile(f"{name}-profile", name=role_name, path=ROLE_PATH, role=role.name, tags=dict(args.tags), opts=child)
        self.role_arn = role.arn
        self.instance_profile_name = profile.name
        self.register_outputs({"role_arn": self.role_arn, "instance_profile_name": self.instance_profile_name})
