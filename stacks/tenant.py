"""``tenant.<tenant>``: the tenant's account, subscription and project, each fenced by the tenant's boundary."""

from __future__ import annotations

import importlib

import pulumi

from components import naming
from domain.boundary import export
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import BoundaryDocumentError, load
from stacks.settings import AwsTenant, AzureTenant, GcpTenant, Settings, SettingsError, StackName, TenantSettings

HOME_REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1", "ap-northeast-1", "ca-central-1", "sa-east-1")
"""AWS regions that every account has from the start, in the order in which they are preferred for calls that need a region."""


def declare(name: StackName, settings: Settings) -> None:
    """Declares the stack. A cloud in which the boundary allows no region gets nothing. Raises :class:`SettingsError`."""
    assert isinstance(settings, TenantSettings)
    try:
        boundary = compile_boundary(load(settings.boundary))
    except BoundaryDocumentError as error:
        raise SettingsError(f"tenant.{name.tenant}", [f"boundary.{fault}" for fault in error.faults]) from error
    if boundary.count() == 0:
        raise SettingsError(f"tenant.{name.tenant}", ["boundary: allows no region of any cloud; nothing of the tenant could ever run"])
    pulumi.export("boundary", settings.boundary)
    pulumi.export("boundary_digest", boundary.digest)
    tags = naming.tags(name.tenant)
    for cloud, asked in (("aws", settings.aws), ("azure", settings.azure), ("gcp", settings.gcp)):
        if asked is None:
            continue
        if not boundary.allowed(cloud):
            pulumi.log.info(f"boundary {boundary.boundary.name!r} allows no region of {cloud}: nothing is made there")
        elif isinstance(asked, AwsTenant):
            _aws(name, asked, boundary, tags)
        elif isinstance(asked, AzureTenant):
            _azure(name, asked, boundary, tags)
        else:
            _gcp(name, asked, boundary, tags)


def home_region(boundary: CompiledBoundary) -> str:
    """The AWS region for calls about the account itself; inside the boundary."""
    allowed = boundary.allowed("aws")
    return next((region for region in HOME_REGIONS if region in allowed), allowed[0])


def _aws(name: StackName, asked: AwsTenant, boundary: CompiledBoundary, tags: dict[str, str]) -> None:
    aws = importlib.import_module("pulumi_aws")
    component = importlib.import_module("components.tenant.aws")
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
            tags=tags,
        ),
        pulumi.ResourceOptions(provider=management),
    )
    pulumi.export("aws_account_id", account.account_id)
    pulumi.export("aws_role_arn", account.role_arn)


def _azure(name: StackName, asked: AzureTenant, boundary: CompiledBoundary, tags: dict[str, str]) -> None:
    component = importlib.import_module("components.tenant.azure")
    subscription = component.TenantSubscription(
        "azure",
        component.TenantSubscriptionArgs(
            tenant=name.tenant,
            allowed_locations=export.azure_allowed_locations(boundary),
            billing_scope=asked.billing_scope,
            management_group_id=asked.management_group_id,
            existing_subscription_id=asked.existing_subscription_id,
            automation_principal_id=asked.automation_principal_id,
            tags=tags,
        ),
    )
    pulumi.export("azure_subscription_id", subscription.subscription_id)


def _gcp(name: StackName, asked: GcpTenant, boundary: CompiledBoundary, tags: dict[str, str]) -> None:
    component = importlib.import_module("components.tenant.gcp")
    project = component.TenantProject(
        "gcp",
        component.TenantProjectArgs(
            tenant=name.tenant,
            allowed_locations=export.gcp_resource_locations(boundary),
            project_id=asked.project_id,
            folder_id=asked.folder_id,
            billing_account=asked.billing_account,
            existing_project_id=asked.existing_project_id,
            tags=tags,
        ),
    )
    pulumi.export("gcp_project_id", project.project_id)
    pulumi.export("gcp_automation_email", project.automation_email)
