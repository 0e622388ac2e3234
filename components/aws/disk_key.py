"""A tenant's own key for the disks of one region, in KMS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

DELETE_AFTER_DAYS = 7
"""A key that is given up can be had back for a week, the least that KMS allows: the disks are of machines that are gone by then."""
SPOT_ROLE = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
"""Who starts spot instances; it must be able to let EC2 use the key (EC2 User Guide, "Service-linked role for Spot Instance requests")."""
_USE = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]


@dataclass(frozen=True)
class DiskKeyArgs:
    """Arguments of :class:`DiskKey`."""

    region: str
    account_id: pulumi.Input[str]
    tags: Mapping[str, str] = field(default_factory=dict)


class DiskKey(pulumi.ComponentResource):
    """A key that rotates each year; only EC2 of its own account and region encrypts with it.

    Example::

        key = DiskKey("disk-key", DiskKeyArgs(region="eu-west-1", account_id=account, tags=tags))
    """

    key_arn: pulumi.Output[str]

    def __init__(self, name: str, args: DiskKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:aws:DiskKey", name, None, opts)
        key = aws.kms.Key(
            f"{name}-key",
            description=f"Disks of spot machines in {args.region}",
            enable_key_rotation=True,
            deletion_window_in_days=DELETE_AFTER_DAYS,
            policy=pulumi.Output.from_input(args.account_id).apply(lambda account: json.dumps(key_policy(account, args.region))),
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.key_arn = key.arn
        self.register_outputs({"key_arn": self.key_arn})


def key_policy(account: str, region: str) -> dict[str, Any]:
    """Who may do what with the key: the account's IAM decides on administration, EC2 alone uses it."""
    through_ec2 = {"kms:CallerAccount": account, "kms:ViaService": f"ec2.{region}.amazonaws.com"}
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Administration", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"},
            {"Sid": "Disks", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": _USE, "Resource": "*", "Condition": {"StringEquals": through_ec2}},
            {
                "Sid": "Grants",
                "Effect": "Allow",
                "Principal": {"AWS": [root["AWS"], f"arn:aws:iam::{account}:{SPOT_ROLE}"]},
                "Action": "kms:CreateGrant",
                "Resource": "*",
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        ],
    }
