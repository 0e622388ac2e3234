"""``placement.<tenant>.<workload>.<n>``: one generation of a workload: a spot machine, its boot and its tunnel."""

from __future__ import annotations

import importlib
from typing import Any

import pulumi

from components import naming
from components.machine.cloud_config import MachineDocument, UserDataTooLarge, render
from components.tunnel import OriginTunnel, OriginTunnelArgs
from stacks import accounts
from stacks.references import Foundation
from stacks.settings import PlacementSettings, Settings, SettingsError, StackName


def declare(name: StackName, settings: Settings) -> None:
    """Declares the stack on the network and identity that the region's stack made. Raises :class:`SettingsError`."""
    assert isinstance(settings, PlacementSettings)
    placement = f"{name.tenant}_{name.workload}_{name.generation}"
    label = f"{name.workload}-{name.tenant}"
    _check(name, settings)
    # Measured before anything is declared; a tunnel's token has some 180 characters.
    try:
        render(_document(placement, settings, settings.machine.placement_token, settings.machine.origin_key, "t" * 256))
    except UserDataTooLarge as error:
        raise SettingsError(f"placement.{name.tenant}.{name.workload}.{name.generation}", [f"machine: {error}"]) from error

    tunnel = OriginTunnel(
        "origin",
        OriginTunnelArgs(
            account_id=settings.cloudflare_account_id,
            zone_id=settings.cloudflare_zone_id,
            zone_name=settings.zone_name,
            label=label,
            generation=name.generation,
            http_port=settings.machine.http_port,
            tcp_port=settings.machine.tcp_port,
        ),
    )
    secrets = pulumi.Output.all(pulumi.Output.secret(settings.machine.placement_token), pulumi.Output.secret(settings.machine.origin_key), tunnel.token)
    # Made of secrets, so a secret itself.
    user_data: pulumi.Output[str] = secrets.apply(lambda found: render(_document(placement, settings, *map(str, found))))
    told = {"classification": settings.classification, "cost-center": settings.cost_center}
    tags = naming.tags(name.tenant, name.workload, placement, {**settings.tags, **{key: value for key, value in told.items() if value}})
    region = Foundation(f"region.{name.tenant}.{settings.cloud}.{settings.region}")
    machine = {"aws": _aws, "azure": _azure, "gcp": _gcp}[settings.cloud](f"{label}-{name.generation}", settings, region, user_data, tags)

    pulumi.export("placement", placement)
    pulumi.export("offer", f"{settings.cloud}/{settings.region}/{settings.zone}/{settings.instance_type}")
    pulumi.export("origin", tunnel.origin)
    pulumi.export("tcp_origin", tunnel.tcp_origin)
    pulumi.export("machine_id", machine.machine_id)
    pulumi.export("private_ip", machine.private_ip)


def _check(name: StackName, settings: PlacementSettings) -> None:
    offering = importlib.import_module(f"components.{settings.cloud}.offering")
    if faults := offering.machine_faults(settings.region, settings.zone, settings.instance_type, settings.arch, settings.capacity_type):
        raise SettingsError(f"placement.{name.tenant}.{name.workload}.{name.generation}", faults)


def _alone(settings: PlacementSettings) -> None:
    if settings.alternative_types:
        pulumi.log.info("one type a machine: alternativeTypes are left aside, where there is no capacity the next offer is tried (adr/0050, 0056)")


def _document(placement: str, settings: PlacementSettings, placement_token: str, origin_key: str, tunnel_token: str) -> MachineDocument:
    machine = settings.machine
    return MachineDocument(
        placement=placement,
        cloud=settings.cloud,
        region=settings.region,
        artifact_url=machine.artifact_url,
        artifact_digest=machine.artifact_digest,
        command=machine.command,
        incident_url=machine.incident_url,
        placement_token=placement_token,
        origin_key=origin_key,
        tunnel_token=tunnel_token,
        env=machine.env,
        http_port=machine.http_port,
        tcp_port=machine.tcp_port,
        drain_seconds=machine.drain_seconds,
    )


def _aws(machine_name: str, settings: PlacementSettings, region: Foundation, user_data: pulumi.Output[str], tags: dict[str, str]) -> Any:
    spot = importlib.import_module("components.aws.spot")
    _alone(settings)
    provider = accounts.aws_provider(machine_name, settings.region, region.output("account_id"), region.output("role_arn"), region.optional("external_id"))
    return spot.SpotMachine(
        "machine",
        spot.SpotMachineArgs(
            machine_name=machine_name,
            instance_type=settings.instance_type,
            arch=settings.arch,
            subnet_id=region.entry("subnet_ids", settings.zone),
            security_group_id=region.output("security_group_id"),
            instance_profile_name=region.output("instance_profile_name"),
            user_data=user_data,
            max_usd_per_hour=settings.max_usd_per_hour,
            tags=tags,
            capacity_type=settings.capacity_type,
            disk_key_id=region.optional("disk_key_id"),
            public_address=settings.public_address,
        ),
        pulumi.ResourceOptions(provider=provider),
    )


def _azure(machine_name: str, settings: PlacementSettings, region: Foundation, user_data: pulumi.Output[str], tags: dict[str, str]) -> Any:
    spot = importlib.import_module("components.azure.spot")
    _alone(settings)
    return spot.SpotMachine(
        "machine",
        spot.SpotMachineArgs(
            machine_name=machine_name,
            resource_group_name=region.output("resource_group_name"),
            location=settings.region,
            zone=settings.zone,
            vm_size=settings.instance_type,
            arch=settings.arch,
            subnet_id=region.output("subnet_id"),
            identity_id=region.output("identity_id"),
            user_data=user_data,
            max_usd_per_hour=settings.max_usd_per_hour,
            tags=tags,
            capacity_type=settings.capacity_type,
            disk_encryption_set_id=region.optional("disk_key_id"),
            public_address=settings.public_address,
        ),
        pulumi.ResourceOptions(provider=accounts.azure_provider(settings.region, region.output("subscription_id"))),
    )


def _gcp(machine_name: str, settings: PlacementSettings, region: Foundation, user_data: pulumi.Output[str], tags: dict[str, str]) -> Any:
    spot = importlib.import_module("components.gcp.spot")
    _alone(settings)
    return spot.SpotMachine(
        "machine",
        spot.SpotMachineArgs(
            machine_name=machine_name,
            zone=settings.zone,
            machine_type=settings.instance_type,
            arch=settings.arch,
            subnetwork_id=region.output("subnetwork_id"),
            service_account=region.output("service_account"),
            user_data=user_data,
            tags=tags,
            capacity_type=settings.capacity_type,
            disk_key_id=region.optional("disk_key_id"),
            public_address=settings.public_address,
            scopes=settings.oauth_scopes,
        ),
        pulumi.ResourceOptions(provider=accounts.gcp_provider(settings.region, region.output("project_id"), region.output("automation_email"))),
    )
