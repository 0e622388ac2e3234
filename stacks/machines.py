"""A machine on the ground of a region's stack, as placements and relays want it: what their settings say alike becomes each cloud's arguments here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from stacks import accounts
from stacks.references import Foundation


@dataclass(frozen=True)
class Machine:
    """What is the same in every cloud. ``place`` is the region's name in the cloud's own form, ``logical`` the component's name in its stack."""

    logical: str
    name: str
    place: str
    zone: str
    instance_type: str
    arch: str
    capacity_type: str
    user_data: pulumi.Input[str]
    tags: Mapping[str, str]
    public_address: bool
    max_usd_per_hour: float | None = None
    oauth_scopes: Sequence[str] = ()


def inside(cloud: str, session: str, place: str, region: Foundation) -> pulumi.ResourceOptions:
    """Options that put a resource into the account of the region's stack; ``session`` names us in AWS's own log."""
    if cloud == "aws":
        account = region.output("account_id"), region.output("role_arn"), region.optional("external_id")
        return pulumi.ResourceOptions(provider=accounts.aws_provider(session, place, *account))
    if cloud == "azure":
        return pulumi.ResourceOptions(provider=accounts.azure_provider(place, region.output("subscription_id")))
    return pulumi.ResourceOptions(provider=accounts.gcp_provider(place, region.output("project_id"), region.output("automation_email")))


def on_aws(machine: Machine, region: Foundation, subnet_id: pulumi.Input[str], security_group_id: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Any:
    """The machine in a subnet, behind a security group."""
    spot = importlib.import_module("components.aws.spot")
    args = spot.SpotMachineArgs(
        machine_name=machine.name,
        instance_type=machine.instance_type,
        arch=machine.arch,
        subnet_id=subnet_id,
        security_group_id=security_group_id,
        instance_profile_name=region.output("instance_profile_name"),
        user_data=machine.user_data,
        max_usd_per_hour=machine.max_usd_per_hour,
        tags=machine.tags,
        capacity_type=machine.capacity_type,
        disk_key_id=region.optional("disk_key_id"),
        public_address=machine.public_address,
    )
    return spot.SpotMachine(machine.logical, args, opts)


def on_azure(machine: Machine, region: Foundation, subnet_id: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Any:
    """The machine in a subnet, which has its own firewall."""
    spot = importlib.import_module("components.azure.spot")
    args = spot.SpotMachineArgs(
        machine_name=machine.name,
        resource_group_name=region.output("resource_group_name"),
        location=machine.place,
        zone=machine.zone,
        vm_size=machine.instance_type,
        arch=machine.arch,
        subnet_id=subnet_id,
        identity_id=region.output("identity_id"),
        user_data=machine.user_data,
        max_usd_per_hour=machine.max_usd_per_hour,
        tags=machine.tags,
        capacity_type=machine.capacity_type,
        disk_encryption_set_id=region.optional("disk_key_id"),
        public_address=machine.public_address,
    )
    return spot.SpotMachine(machine.logical, args, opts)


def on_gcp(machine: Machine, region: Foundation, subnetwork_id: pulumi.Input[str], opts: pulumi.ResourceOptions) -> Any:
    """The machine in a subnetwork. Google takes no bid."""
    spot = importlib.import_module("components.gcp.spot")
    args = spot.SpotMachineArgs(
        machine_name=machine.name,
        zone=machine.zone,
        machine_type=machine.instance_type,
        arch=machine.arch,
        subnetwork_id=subnetwork_id,
        service_account=region.output("service_account"),
        user_data=machine.user_data,
        tags=machine.tags,
        capacity_type=machine.capacity_type,
        disk_key_id=region.optional("disk_key_id"),
        public_address=machine.public_address,
        scopes=machine.oauth_scopes,
    )
    return spot.SpotMachine(machine.logical, args, opts)
