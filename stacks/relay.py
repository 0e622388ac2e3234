"""``relay.<tenant>.<cloud>.<region>``: the way in for a tenant's raw TCP: Spectrum comes to it, and it follows each workload's route."""

from __future__ import annotations

import hashlib
import importlib
from typing import Any

import pulumi
import pulumi_cloudflare as cloudflare

from components import naming
from components.edge.address import own_relay_host
from components.machine.cloud_config import UserDataTooLarge
from components.machine.relay_config import render
from stacks import machines
from stacks.handover import Handover
from stacks.machines import Machine
from stacks.references import Foundation
from stacks.settings import RelaySettings, Settings, SettingsError, StackName

TTL_SECONDS = 60
"""Of the relay's address record."""


def declare(name: StackName, settings: Settings) -> None:
    """Declares the stack in the account of the region's stack. Raises :class:`SettingsError`."""
    assert isinstance(settings, RelaySettings)
    stack = f"relay.{name.tenant}.{name.cloud}.{name.region}"
    offering = importlib.import_module(f"components.{name.cloud}.offering")
    faults = offering.machine_faults(name.region, settings.zone, settings.instance_type, settings.arch, settings.capacity_type)
    strangers = [one.label for one in settings.workloads if one.label.rpartition("-")[2] != name.tenant]
    faults += [f"workloads: {label} isn't {name.tenant}'s; a relay serves its own tenant only" for label in strangers]
    if faults:
        raise SettingsError(stack, faults)
    try:
        user_data = render(stack, settings.document())
    except UserDataTooLarge as error:
        raise SettingsError(stack, [f"workloads: {error}"]) from error
    # Its name follows from what it is: a changed relay stands beside the old one until the record has moved.
    made_of = [user_data, settings.zone, settings.instance_type, settings.arch, settings.capacity_type]
    made_of += [str(settings.generation)] if settings.generation > 1 else []
    machine_name = f"relay-{name.region}-{hashlib.sha256('|'.join(made_of).encode()).hexdigest()[:8]}"
    tags = naming.tags(name.tenant, more=settings.tags)
    region = Foundation(f"region.{name.tenant}.{name.cloud}.{name.region}")
    inside = machines.inside(name.cloud, f"relay-{name.tenant}", name.region, region)
    wanted = Machine(
        logical="relay-machine",
        name=machine_name,
        place=name.region,
        zone=settings.zone,
        instance_type=settings.instance_type,
        arch=settings.arch,
        capacity_type=settings.capacity_type,
        user_data=user_data,
        tags=tags,
        public_address=True,
    )
    machine = {"aws": _aws, "azure": _azure, "gcp": _gcp}[name.cloud](wanted, settings, region, inside)
    ports = sorted({one.port for one in settings.workloads})
    handover = Handover(ports, bool(settings.watchers), settings.answer_seconds, settings.handover_seconds)
    host = own_relay_host(name.tenant, settings.zone_name)
    cloudflare.DnsRecord(
        "relay",
        zone_id=settings.cloudflare_zone_id,
        name=host,
        type="A",
        content=machine.public_ip,
        proxied=False,  # Spectrum's way to it; nobody else gets past its firewall
        ttl=TTL_SECONDS,
        opts=pulumi.ResourceOptions(hooks=handover.hooks()),
    )
    pulumi.export("host", host)
    pulumi.export("address", machine.public_ip)
    pulumi.export("machine_id", machine.machine_id)
    pulumi.export("workloads", [one.label for one in settings.workloads])


def _aws(machine: Machine, settings: RelaySettings, region: Foundation, opts: pulumi.ResourceOptions) -> Any:
    network_of = importlib.import_module("components.aws.relay_network")
    args = network_of.RelayNetworkArgs(settings.cidr, settings.zone, settings.admitted(), settings.port_ranges(), machine.tags)
    network = network_of.RelayNetwork("relay", args, opts)
    return machines.on_aws(machine, region, network.subnet_id, network.security_group_id, opts)


def _azure(machine: Machine, settings: RelaySettings, region: Foundation, opts: pulumi.ResourceOptions) -> Any:
    network_of = importlib.import_module("components.azure.relay_network")
    group = region.output("resource_group_name")
    args = network_of.RelayNetworkArgs(group, machine.place, settings.cidr, settings.admitted(), settings.port_ranges(), machine.tags)
    return machines.on_azure(machine, region, network_of.RelayNetwork("relay", args, opts).subnet_id, opts)


def _gcp(machine: Machine, settings: RelaySettings, region: Foundation, opts: pulumi.ResourceOptions) -> Any:
    network_of = importlib.import_module("components.gcp.relay_network")
    args = network_of.RelayNetworkArgs(machine.place, settings.cidr, settings.admitted(), settings.port_ranges())
    return machines.on_gcp(machine, region, network_of.RelayNetwork("relay", args, opts).subnetwork_id, opts)
