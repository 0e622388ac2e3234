"""``tenant.<tenant>``: the tenant's account, subscription and project, each fenced by the tenant's boundary."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime

import pulumi

from components import naming
from domain.boundary import export
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import BoundaryDocumentError, load
from stacks.settings import AwsTenant, AzureTenant, GcpTenant, Settings, SettingsError, StackName, TenantSettings

HOME_REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1", "ap-northeast-1", "ca-central-1", "sa-east-1")
"""AWS regions that every account has from the start, in the order in which they are preferred for calls that need a region."""

GCP_ALERT_EMAILS = 5
"""Notification channels of one budget (Cloud Billing Budgets, ``NotificationsRule``)."""


def declare(name: StackName, settings: Settings) -> None:
    """Declares the stack. A cloud in which the boundary allows no region gets nothing. Raises :class:`SettingsError`."""
    assert isinstance(settings, TenantSettings)
    try:
        boundary = compile_boundary(load(settings.boundary))
    except BoundaryDocumentError as error:
        raise SettingsError(f"tenant.{name.tenant}", [f"boundary.{fault}" for fault in error.faults]) from error
    if boundary.count() == 0:
        raise SettingsError(f"tenant.{name.tenant}", ["boundary: allows no region of any cloud; nothing of the tenant could ever run"])
    if settings.gcp is not None and (faults := _faults_of_gcp(settings, settings.gcp)):
        raise SettingsError(f"tenant.{name.tenant}", faults)
    pulumi.export("boundary", settings.boundary)
    pulumi.export("boundary_digest", boundary.digest)
    tags = naming.tags(name.tenant)
    for cloud, asked in (("aws", settings.aws), ("azure", settings.azure), ("gcp", settings.gcp)):
        if asked is None:
            continue
        if not boundary.allowed(cloud):
            pulumi.log.info(f"boundary {boundary.boundary.name!r} allows no region of {cloud}: nothing is made there")
        elif isinstance(asked, AwsTenant):
            _aws(name, settings, asked, boundary, tags)
        elif isinstance(asked, AzureTenant):
            _azure(name, settings, asked, boundary, tags)
        else:
            _gcp(name, settings, asked, boundary, tags)


def home_region(boundary: CompiledBoundary) -> str:
    """The AWS region for calls about the account itself; inside the boundary."""
    allowed = boundary.allowed("aws")
    return next((region for region in HOME_REGIONS if region in allowed), allowed[0])


def _aws(name: StackName, settings: TenantSettings, asked: AwsTenant, boundary: CompiledBoundary, tags: dict[str, str]) -> None:
    aws = importlib.import_module("pulumi_aws")
    component = importlib.import_module("components.tenant.aws")
    if len(settings.alert_emails) > component.ALERT_EMAILS:
        fault = f"alertEmails: a budget of AWS's tells {component.ALERT_EMAILS} at most, {len(settings.alert_emails)} are given; use a group's address"
        raise SettingsError(f"tenant.{name.tenant}", [fault])
    federation = None
    if asked.oidc_provider_url and asked.oidc_subject:
        federation = component.Federation(asked.oidc_provider_url, asked.oidc_subject, asked.oidc_audience)
    region = home_region(boundary)
    management = aws.Provider("management", region=region)
    account = component.TenantAccount(
        "aws",
        component.TenantAccountArgs(
            tenant=name.tenant,
            home_region=region,
            service_control_policy=export.service_control_policy_json(boundary),
            email=asked.email,
            parent_id=asked.organizational_unit_id,
            existing_account_id=asked.existing_account_id,
            external_id=asked.external_id,
            federation=federation,
            budget_usd_per_month=settings.budget_usd_per_month,
            alert_emails=settings.alert_emails,
            tags=tags,
        ),
        pulumi.ResourceOptions(provider=management),
    )
    pulumi.export("aws_account_id", account.account_id)
    pulumi.export("aws_role_arn", account.role_arn)
    pulumi.export("aws_permissions_boundary", account.permissions_boundary)
    if asked.external_id is not None:
        pulumi.export("aws_external_id", pulumi.Output.secret(asked.external_id))


def _azure(name: StackName, settings: TenantSettings, asked: AzureTenant, boundary: CompiledBoundary, tags: dict[str, str]) -> None:
    component = importlib.import_module("components.tenant.azure")
    if len(settings.alert_emails) > component.ALERT_EMAILS:
        fault = f"alertEmails: a budget of Azure's tells {component.ALERT_EMAILS} at most, {len(settings.alert_emails)} are given; use a group's address"
        raise SettingsError(f"tenant.{name.tenant}", [fault])
    budget = None
    if settings.budget_usd_per_month is not None:
        budget = component.Budget(settings.budget_usd_per_month, f"{datetime.now(UTC):%Y-%m}-01", settings.alert_emails)
    subscription = component.TenantSubscription(
        "azure",
        component.TenantSubscriptionArgs(
            tenant=name.tenant,
            allowed_locations=export.azure_allowed_locations(boundary),
            billing_scope=asked.billing_scope,
            management_group_id=asked.management_group_id,
            existing_subscription_id=asked.existing_subscription_id,
            automation_principal_id=asked.automation_principal_id,
            public_addresses=asked.public_addresses and boundary.boundary.network.public_addresses != "none",
            allowed_vm_sizes=asked.allowed_vm_sizes,
            budget=budget,
            tags=tags,
        ),
    )
    pulumi.export("azure_subscription_id", subscription.subscription_id)


def _faults_of_gcp(settings: TenantSettings, asked: GcpTenant) -> list[str]:
    faults = []
    if settings.budget_usd_per_month is not None and not asked.billing_account:
        faults.append("gcp.billingAccount: a budget is one of a billing account; name it, or leave budgetUsdPerMonth out")
    if len(settings.alert_emails) > GCP_ALERT_EMAILS:
        faults.append(f"alertEmails: a budget of Google's tells {GCP_ALERT_EMAILS} at most, {len(settings.alert_emails)} are given; use a group's address")
    return faults


def _gcp(name: StackName, settings: TenantSettings, asked: GcpTenant, boundary: CompiledBoundary, tags: dict[str, str]) -> None:
    component = importlib.import_module("components.tenant.gcp")
    federation = None
    if asked.oidc_provider_url and asked.oidc_subject:
        federation = component.Federation(asked.oidc_provider_url, asked.oidc_subject, asked.oidc_audience, asked.pool_id)
    project = component.TenantProject(
        "gcp",
        component.TenantProjectArgs(
            tenant=name.tenant,
            allowed_locations=export.gcp_resource_locations(boundary),
            project_id=asked.project_id,
            folder_id=asked.folder_id,
            billing_account=asked.billing_account,
            existing_project_id=asked.existing_project_id,
            public_addresses=asked.public_addresses and boundary.boundary.network.public_addresses != "none",
            customer_keys=boundary.boundary.encryption.customer_keys,
            federation=federation,
            automation_principal=asked.automation_principal,
            budget_usd_per_month=settings.budget_usd_per_month,
            alert_emails=settings.alert_emails,
            tags=tags,
        ),
    )
    pulumi.export("gcp_project_id", project.project_id)
    pulumi.export("gcp_project_number", project.project_number)
    pulumi.export("gcp_automation_email", project.automation_email)
    if project.identity_provider is not None:
        pulumi.export("gcp_identity_provider", project.identity_provider)
