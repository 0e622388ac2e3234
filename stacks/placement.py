"""``placement.<tenant>.<workload>.<n>``: one generation of a workload: a spot machine, its boot and its tunnel."""

from __future__ import annotations

import importlib
from typing import Any

import pulumi

from components import naming
from components.machine.cloud_config import MachineDocument, UserDataTooLarge, render
from components.tunnel import OriginTunnel, OriginTunnelArgs
from stacks import machines
from stacks.machines import Machine
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
    if settings.capacity_type == "on-demand":
        told["on-demand"] = "fallback"
    tags = naming.tags(name.tenant, name.workload, placement, {**settings.tags, **{key: value for key, value in told.items() if value}})
    region = Foundation(f"region.{name.tenant}.{settings.cloud}.{settings.region}")
    machine = _machine(f"{label}-{name.generation}", settings, region, user_data, tags)

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


def _document(placement: str, settings: PlacementSettings, placement_token: str, origin_key: str, tunnel_token: str) -> MachineDocument:
    machine = settings.machine
    return MachineDocument(
        placement=placement,
        cloud=settings.cloud,
        region=settings.region,
        artifact_url=machine.artifact_url,
        artifact_digest=machine.artifact_digest,
        image=machine.image,
        command=machine.command,
        incident_url=machine.incident_url,
        placement_token=placement_token,
        origin_key=origin_key,
        tunnel_token=tunnel_token,
        env=machine.env,
        http_port=machine.http_port,
        tcp_port=machine.tcp_port,
        drain_seconds=machine.drain_seconds,
        cloud_identity=machine.cloud_identity,
        log_url=machine.log_url,
    )


def _machine(name: str, settings: PlacementSettings, region: Foundation, user_data: pulumi.Output[str], tags: dict[str, str]) -> Any:
    machine = Machine(
        logical="machine",
        name=name,
        place=settings.region,
        zone=settings.zone,
        instance_type=settings.instance_type,
        arch=settings.arch,
        capacity_type=settings.capacity_type,
        user_data=user_data,
        tags=tags,
        public_address=settings.public_address,
        max_usd_per_hour=settings.max_usd_per_hour,
        oauth_scopes=settings.oauth_scopes,
    )
    inside = machines.inside(settings.cloud, name, settings.region, region)
    if settings.cloud == "aws":
        return machines.on_aws(machine, region, region.entry("subnet_ids", settings.zone), region.output("security_group_id"), inside)
    if settings.cloud == "azure":
        return machines.on_azure(machine, region, region.output("subnet_id"), inside)
    return machines.on_gcp(machine, region, region.output("subnetwork_id"), inside)
