"""A tenant's AWS account: inside the organisation, fenced by service control policies, entered through one role, watched by a budget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components import naming
from components.aws.identity import ROLE_PATH
from components.tenant import aws_permissions

ORGANIZATION_ROLE = "OrganizationAccountAccessRole"
"""The role that AWS Organizations makes in each new account."""
AUTOMATION_ROLE = "spotlane-automation"
ALERT_EMAILS = 10
"""Subscribers of one notification of a budget (AWS Budgets API reference, ``Subscribers``)."""
_ALERTS = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""What the budget tells of, in per cent of it."""


@dataclass(frozen=True)
class Federation:
    """Whose tokens the automation role takes beside the management account's roles: no key of AWS is needed then."""

    provider_url: str
    subject: str
    audience: str = "sts.amazonaws.com"


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
    external_id: str | None = None
    federation: Federation | None = None
    budget_usd_per_month: float | None = None
    alert_emails: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


class TenantAccount(pulumi.ComponentResource):
    """An account with its guard rails and its automation role. The provider given must be the organisation's management account.

    Example::

        account = TenantAccount("aws", TenantAccountArgs("acme", "eu-west-1", policy, email="acme@example.com"), ResourceOptions(provider=management))
    """

    account_id: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    """The role to assume for everything in the account."""
    permissions_boundary: pulumi.Output[str]
    """ARN of the policy that every workload's role carries."""

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
        self._control(name, "boundary", f"Data boundary of tenant {args.tenant}", args.service_control_policy, args, child)
        rails = self.account_id.apply(lambda account: json.dumps(aws_permissions.guard_rails(account, AUTOMATION_ROLE), separators=(",", ":")))
        self._control(name, "guard", f"Guard rails of tenant {args.tenant}", rails, args, child)
        if args.budget_usd_per_month is not None:
            self._budget(name, args.budget_usd_per_month, args, child)
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
        boundary = aws.iam.Policy(
            f"{name}-workload-boundary",
            name=aws_permissions.WORKLOAD_BOUNDARY,
            path=ROLE_PATH,
            description="The most that a workload's role can have",
            policy=self.account_id.apply(lambda account: json.dumps(aws_permissions.workload_boundary(account))),
            tags=tags,
            opts=within,
        )
        issuer = None
        if args.federation is not None:
            issuer = aws.iam.OpenIdConnectProvider(
                f"{name}-issuer", url=args.federation.provider_url, client_id_lists=[args.federation.audience], tags=tags, opts=within
            )
        trusted = pulumi.Output.all(management_id, issuer.arn if issuer is not None else None)
        role = aws.iam.Role(
            f"{name}-automation",
            name=naming.fit("aws:role", AUTOMATION_ROLE),
            assume_role_policy=trusted.apply(lambda found: json.dumps(trust(str(found[0]), args.external_id, args.federation, found[1]))),
            max_session_duration=3600,
            tags=tags,
            opts=within,
        )
        permissions = aws.iam.RolePolicy(
            f"{name}-automation-policy",
            name=AUTOMATION_ROLE,
            role=role.name,
            policy=self.account_id.apply(lambda account: json.dumps(aws_permissions.automation_policy(account), separators=(",", ":"))),
            opts=within,
        )
        # A role is of use only with its policy: whoever takes the ARN waits for both.
        self.role_arn = pulumi.Output.all(role.arn, permissions.id).apply(lambda parts: str(parts[0]))
        self.permissions_boundary = boundary.arn
        self.register_outputs({"account_id": self.account_id, "role_arn": self.role_arn, "permissions_boundary": self.permissions_boundary})

    def _control(self, name: str, what: str, description: str, content: pulumi.Input[str], args: TenantAccountArgs, child: pulumi.ResourceOptions) -> None:
        """A service control policy on the account."""
        policy = aws.organizations.Policy(
            f"{name}-{what}",
            name=f"spotlane-{args.tenant}-{what}",
            type="SERVICE_CONTROL_POLICY",
            description=description,
            content=content,
            tags=dict(args.tags),
            opts=child,
        )
        aws.organizations.PolicyAttachment(f"{name}-{what}-attachment", policy_id=policy.id, target_id=self.account_id, opts=child)

    def _budget(self, name: str, usd: float, args: TenantAccountArgs, child: pulumi.ResourceOptions) -> None:
        """The management account's budget of what this account costs."""
        aws.budgets.Budget(
            f"{name}-budget",
            name=f"spotlane-{args.tenant}",
            budget_type="COST",
            limit_amount=f"{usd:.2f}",
            limit_unit="USD",
            time_unit="MONTHLY",
            cost_filters=[aws.budgets.BudgetCostFilterArgs(name="LinkedAccount", values=[self.account_id])],
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=list(args.alert_emails),
                )
                for kind, percent in _ALERTS
            ]
            if args.alert_emails
            else None,
            tags=dict(args.tags),
            opts=child,
        )


def trust(management_account: str, external_id: str | None, federation: Federation | None, issuer_arn: str | None) -> dict[str, Any]:
    """Who may take the automation role: roles of the management account, and one subject of the issuer where there is one."""
    management: dict[str, Any] = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{management_account}:root"}, "Action": "sts:AssumeRole"}
    if external_id is not None:
        management["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    statements = [management]
    if federation is not None:
        host = federation.provider_url.removeprefix("https://").rstrip("/")
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"Federated": issuer_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{host}:aud": federation.audience, f"{host}:sub": federation.subject}},
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}
