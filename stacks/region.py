"""``region.<tenant>.<cloud>.<region>``: a tenant's network and workload identity in one region, shared by its placements there."""

from __future__ import annotations

import importlib

import pulumi

from components import naming
from stacks import accounts
from stacks.references import Foundation
from stacks.settings import RegionSettings, Settings, SettingsError, StackName


def declare(name: StackName, settings: Settings) -> None:
    """Declares the stack in the account that the tenant's stack made. Raises :class:`SettingsError`."""
    assert isinstance(settings, RegionSettings)
    offering = importlib.import_module(f"components.{name.cloud}.offering")
    if faults := offering.region_faults(name.region, settings.zones):
        raise SettingsError(f"region.{name.tenant}.{name.cloud}.{name.region}", faults)
    tenant = Foundation(f"tenant.{name.tenant}")
    tags = naming.tags(name.tenant)
    {"aws": _aws, "azure": _azure, "gcp": _gcp}[name.cloud](name, settings, tenant, tags)


def _advice(name: StackName) -> str:
    return f"give tenant.{name.tenant} an {name.cloud} section (its boundary must allow a region there) and bring it up first"


def _aws(name: StackName, settings: RegionSettings, tenant: Foundation, tags: dict[str, str]) -> None:
    network_of = importlib.import_module("components.aws.network")
    identity_of = importlib.import_module("components.aws.identity")
    account_id = tenant.output("aws_account_id", _advice(name))
    role_arn = tenant.output("aws_role_arn", _advice(name))
    external_id, boundary = tenant.optional("aws_external_id"), tenant.optional("aws_permissions_boundary")
    inside = pulumi.ResourceOptions(provider=accounts.aws_provider(f"region-{name.tenant}", name.region, account_id, role_arn, external_id))
    defaults_of = importlib.import_module("components.aws.account_defaults")
    defaults_of.AccountDefaults("defaults", account_id, inside)
    network = network_of.Network("network", network_of.NetworkArgs(cidr=settings.cidr, zones=settings.zones, region=name.region, tags=tags), inside)
    if settings.flow_logs:
        flows = importlib.import_module("components.aws.flow_log")
        flows.FlowLog("flow-log", flows.FlowLogArgs(name.region, account_id, network.vpc_id, boundary, tags), inside)
    identity = identity_of.WorkloadIdentity("identity", identity_of.WorkloadIdentityArgs(name.region, boundary, tags), inside)
    if settings.disk_key == "customer":
        key_of = importlib.import_module("components.aws.disk_key")
        pulumi.export("disk_key_id", key_of.DiskKey("disk-key", key_of.DiskKeyArgs(name.region, account_id, tags), inside).key_arn)
    pulumi.export("account_id", account_id)
    pulumi.export("role_arn", role_arn)
    pulumi.export("external_id", external_id)
    pulumi.export("vpc_id", network.vpc_id)
    pulumi.export("subnet_ids", network.subnet_ids)
    pulumi.export("security_group_id", network.security_group_id)
    pulumi.export("instance_profile_name", identity.instance_profile_name)


def _azure(name: StackName, settings: RegionSettings, tenant: Foundation, tags: dict[str, str]) -> None:
    network_of = importlib.import_module("components.azure.network")
    identity_of = importlib.import_module("components.azure.identity")
    subscription_id = tenant.output("azure_subscription_id", _advice(name))
    inside = pulumi.ResourceOptions(provider=accounts.azure_provider(name.region, subscription_id))
    network = network_of.Network("network", network_of.NetworkArgs(location=name.region, cidr=settings.cidr, tags=tags), inside)
    if settings.flow_logs:
        flows = importlib.import_module("components.azure.flow_log")
        flows.FlowLog("flow-log", flows.FlowLogArgs(network.resource_group_name, name.region, subscription_id, network.network_id, tags), inside)
    identity = identity_of.WorkloadIdentity("identity", identity_of.WorkloadIdentityArgs(network.resource_group_name, name.region, tags), inside)
    if settings.disk_key == "customer":
        key_of = importlib.import_module("components.azure.disk_key")
        key = key_of.DiskKey("disk-key", key_of.DiskKeyArgs(network.resource_group_name, name.region, identity.directory_id, tags), inside)
        pulumi.export("disk_key_id", key.encryption_set_id)
    pulumi.export("subscription_id", subscription_id)
    pulumi.export("resource_group_name", network.resource_group_name)
    pulumi.export("subnet_id", network.subnet_id)
    pulumi.export("identity_id", identity.identity_id)


def _gcp(name: StackName, settings: RegionSettings, tenant: Foundation, tags: dict[str, str]) -> None:
    network_of = importlib.import_module("components.gcp.network")
    identity_of = importlib.import_module("components.gcp.identity")
    project_id = tenant.output("gcp_project_id", _advice(name))
    automation = tenant.output("gcp_automation_email", _advice(name))
    inside = pulumi.ResourceOptions(provider=accounts.gcp_provider(name.region, project_id, automation))
    network = network_of.Network("network", network_of.NetworkArgs(region=name.region, cidr=settings.cidr, flow_logs=settings.flow_logs), inside)
    identity = identity_of.WorkloadIdentity("identity", identity_of.WorkloadIdentityArgs(region=name.region), inside)
    pulumi.export("project_id", project_id)
    pulumi.export("automation_email", automation)
    pulumi.export("subnetwork_id", network.subnetwork_id)
    pulumi.export("service_account", identity.email)
    if settings.disk_key == "customer":
        key_of = importlib.import_module("components.gcp.disk_key")
        number = tenant.output("gcp_project_number", _advice(name))
        pulumi.export("disk_key_id", key_of.DiskKey("disk-key", key_of.DiskKeyArgs(name.region, number, tags), inside).key_id)
