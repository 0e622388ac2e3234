"""Flow logs of a VPC, in CloudWatch Logs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws.identity import ROLE_PATH

KEPT_DAYS = 90
AGGREGATION_SECONDS = 600


@dataclass(frozen=True)
class FlowLogArgs:
    """Arguments of :class:`FlowLog`."""

    region: str
    account_id: pulumi.Input[str]
    vpc_id: pulumi.Input[str]
    permissions_boundary: pulumi.Input[str] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class FlowLog(pulumi.ComponentResource):
    """Every accepted and refused flow, kept 90 days, written by a role that can do nothing else.

    Example::

        FlowLog("flow-log", FlowLogArgs("eu-west-1", account, network.vpc_id, tags=tags))
    """

    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: FlowLogArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:aws:FlowLog", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        group = aws.cloudwatch.LogGroup(f"{name}-group", name=f"/spotlane/flows/{args.region}", retention_in_days=KEPT_DAYS, tags=dict(args.tags), opts=child)
        role = aws.iam.Role(
            f"{name}-role",
            name=naming.fit("aws:role", "spotlane-flows", args.region),
            path=ROLE_PATH,
            assume_role_policy=pulumi.Output.from_input(args.account_id).apply(lambda account: json.dumps(_trust(account, args.region))),
            permissions_boundary=args.permissions_boundary,
            tags=dict(args.tags),
            opts=child,
        )
        writes = aws.iam.RolePolicy(f"{name}-policy", name="flows", role=role.name, policy=group.arn.apply(lambda arn: json.dumps(_writes(arn))), opts=child)
        aws.ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=AGGREGATION_SECONDS,
            tags={**args.tags, "Name": name},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[writes]),
        )
        self.log_group_name = group.name
        self.register_outputs({"log_group_name": self.log_group_name})


def _trust(account: str, region: str) -> dict[str, Any]:
    """Only flow logs of this account and region (the confused deputy, VPC User Guide "IAM role for publishing flow logs")."""
    condition = {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{region}:{account}:vpc-flow-log/*"}}
    statement = {"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}, "Action": "sts:AssumeRole", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _writes(group: str) -> dict[str, Any]:
    group = group.removesuffix(":*")
    actions = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": [group, f"{group}:log-stream:*"]}]}
