"""A tenant's AWS account: inside the organisation, fenced by a service control policy, entered through one role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws.identity import ROLE_PATH

ORGANIZATION_ROLE = "OrganizationAccountAccessRole"
"""The role that AWS Organizations makes in each new account."""
AUTOMATION_ROLE = "spotlane-automation"

_NETWORK_AND_MACHINES = {"Sid": "NetworkAndMachines", "Effect": "Allow", "Action": ["ec2:*", "ssm:GetParameters", "sts:GetCallerIdentity"], "Resource": "*"}
_WORKLOAD_IDENTITIES = {
    "Sid": "WorkloadIdentities",
    "Effect": "Allow",
    "Action": ["iam:*Role", "iam:*InstanceProfile", "iam:*RolePolicies", "iam:*RolePolicy", "iam:ListInstanceProfilesForRole", "iam:*Tags"],
    "Resource": [f"arn:aws:iam::*:role{ROLE_PATH}*", f"arn:aws:iam::*:instance-profile{ROLE_PATH}*"],
}
_SPOT_SERVICE_ROLE = {
    "Sid": "SpotServiceRole",
    "Effect": "Allow",
    "Action": "iam:CreateServiceLinkedRole",
    "Resource": "*",
    "Condition": {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}},
}
AUTOMATION_POLICY = {"Version": "2012-10-17", "Statement": [_NETWORK_AND_MACHINES, _WORKLOAD_IDENTITIES, _SPOT_SERVICE_ROLE]}
"""What the automation service may do in a tenant's account: networks and machines, and roles under our own path."""


@dataclass(frozen=True)
class TenantAccountArgs:
    """Arguments of :class:`TenantAccount`."""

    tenant: str
    home_region: str
    """Region of the API calls that need one; inside the tenant's boundary."""
    service_control_policy: str
    """JSON; denies what lies outside the boundary."""
    email: str | None = None
    """Root e-mail address of a new account."""
    parent_id: str | None = None
    """Organizational unit of a new account; None leaves it at the organisation's root."""
    existing_account_id: str | None = None
    """An account of the organisation to take instead of a new one."""
    tags: Mapping[str, str] = field(default_factory=dict)


class TenantAccount(pulumi.ComponentResource):
    """An account with its guard rails and its automation role. The provider given must be the organisation's management account.

    Example::

        account = TenantAccount("aws", TenantAccountArgs("acme", "eu-west-1", policy, email="acme@example.com"), ResourceOptions(provider=management))
    """

    account_id: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    """The role to assume for everything in the account."""

    def __init__(self, name: str, args: TenantAccountArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:tenant:AwsAccount", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        if args.existing_account_id is not None:
            self.account_id = pulumi.Output.from_input(args.existing_account_id)
            management_id = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).apply(lambda caller: caller.account_id)
        else:
            account = aws.organizations.Account(
                f"{name}-account",
                name=f"spotlane-{args.tenant}",
                email=args.email or "",
                parent_id=args.parent_id,
                role_name=ORGANIZATION_ROLE,
                close_on_deletion=True,
                tags=tags,
                opts=child,
            )
            self.account_id = account.id
            # arn:aws:organizations::<management account>:account/<organisation>/<account>
            management_id = account.arn.apply(lambda arn: arn.split(":")[4])
        policy = aws.organizations.Policy(
            f"{name}-boundary",
            name=f"spotlane-{args.tenant}-boundary",
            type="SERVICE_CONTROL_POLICY",
            description=f"Data boundary of tenant {args.tenant}",
            content=args.service_control_policy,
            tags=tags,
            opts=child,
        )
        aws.organizations.PolicyAttachment(f"{name}-boundary-attachment", policy_id=policy.id, target_id=self.account_id, opts=child)
        inside = aws.Provider(
            f"{name}-inside",
            region=args.home_region,
            assume_roles=[
                aws.ProviderAssumeRoleArgs(
                    role_arn=pulumi.Output.concat("arn:aws:iam::", self.account_id, f":role/{ORGANIZATION_ROLE}"), session_name=f"spotlane-{args.tenant}"
                )
            ],
            opts=child,
        )
        within = pulumi.ResourceOptions(parent=self, provider=inside)
        role = aws.iam.Role(
            f"{name}-automation",
            name=naming.fit("aws:role", AUTOMATION_ROLE),
            assume_role_policy=management_id.apply(lambda account: json.dumps(_trust(account))),
            max_session_duration=3600,
            tags=tags,
            opts=within,
        )
        permissions = aws.iam.RolePolicy(f"{name}-automation-policy", name=AUTOMATION_ROLE, role=role.name, policy=json.dumps(AUTOMATION_POLICY), opts=within)
        # A role is of use only with its policy: whoever takes the ARN waits for both.
        self.role_arn = pulumi.Output.all(role.arn, permissions.id).apply(lambda parts: str(parts[0]))
        self.register_outputs({"account_id": self.account_id, "role_arn": self.role_arn})


def _trust(management_account: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{management_account}:root"}, "Action": "sts:AssumeRole"}],
    }
