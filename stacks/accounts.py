"""Providers that act inside a tenant's account, and nowhere else. Each cloud's SDK is loaded only when its provider is asked for."""

from __future__ import annotations

import importlib

import pulumi


def aws_provider(
    stack: str, region: str, account_id: pulumi.Input[str], role_arn: pulumi.Input[str], external_id: pulumi.Input[str | None] = None
) -> pulumi.ProviderResource:
    """AWS in ``region``, as the tenant's automation role; a role of another account is refused."""
    aws = importlib.import_module("pulumi_aws")
    provider: pulumi.ProviderResource = aws.Provider(
        "aws",
        region=region,
        allowed_account_ids=[account_id],
        assume_roles=[aws.ProviderAssumeRoleArgs(role_arn=role_arn, external_id=external_id, session_name=stack[:64])],
    )
    return provider


def azure_provider(region: str, subscription_id: pulumi.Input[str]) -> pulumi.ProviderResource:
    """Azure in the tenant's subscription."""
    azure = importlib.import_module("pulumi_azure_native")
    provider: pulumi.ProviderResource = azure.Provider("azure", subscription_id=subscription_id, location=region)
    return provider


def gcp_provider(region: str, project_id: pulumi.Input[str], automation_email: pulumi.Input[str]) -> pulumi.ProviderResource:
    """GCP in the tenant's project, as the tenant's automation account: whoever runs the stack gets tokens of it that are good for an hour."""
    gcp = importlib.import_module("pulumi_gcp")
    provider: pulumi.ProviderResource = gcp.Provider("gcp", project=project_id, region=region, impersonate_service_account=automation_email)
    return provider
