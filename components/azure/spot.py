"""A spot machine on Azure, with its network interface."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import compute, network

from components import naming
from components.azure import offering
from components.azure.ssh import keyless_public_key


@dataclass(frozen=True)
class SpotMachineArgs:
    """Arguments of :class:`SpotMachine`."""

    machine_name: str
    resource_group_name: pulumi.Input[str]
    location: str
    zone: str
    """Availability zone, or "-" to leave it to Azure."""
    vm_size: str
    arch: str
    """``x86_64`` or ``arm64``."""
    subnet_id: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    user_data: pulumi.Input[str]
    """As text; a secret."""
    max_usd_per_hour: float | None = None
    """Bid ceiling in USD/h; None takes the on-demand price."""
    tags: Mapping[str, str] = field(default_factory=dict)
    capacity_type: str = "spot"
    """``spot`` or ``on-demand``."""
    disk_encryption_set_id: pulumi.Input[str | None] = None
    """None encrypts its disk with Azure's own key."""
    public_address: bool = False


class SpotMachine(pulumi.ComponentResource):
    """One spot machine, deleted when it is evicted, without a public address unless it asks for one. Its disk is encrypted, as every managed disk is.

    Example::

        machine = SpotMachine("machine", SpotMachineArgs("web-acme-3", group, "westeurope", "-", "Standard_D2s_v5", "x86_64", subnet, identity, user_data))
    """

    machine_id: pulumi.Output[str]
    private_ip: pulumi.Output[str]
    public_ip: pulumi.Output[str | None]

    def __init__(self, name: str, args: SpotMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:azure:SpotMachine", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        machine_name, tags = naming.fit("azure:resource", args.machine_name), dict(args.tags)
        address = None
        if args.public_address:
            address = network.PublicIPAddress(
                f"{name}-address",
                resource_group_name=args.resource_group_name,
                public_ip_address_name=machine_name,
                location=args.location,
                sku=network.PublicIPAddressSkuArgs(name="Standard"),
                public_ip_allocation_method="Static",
                public_ip_address_version="IPv4",
                tags=tags,
                opts=child,
            )
        interface = network.NetworkInterface(
            f"{name}-interface",
            resource_group_name=args.resource_group_name,
            network_interface_name=machine_name,
            location=args.location,
            ip_configurations=[
                network.NetworkInterfaceIPConfigurationArgs(
                    name="private",
                    primary=True,
                    private_ip_allocation_method="Dynamic",
                    subnet=network.SubnetArgs(id=args.subnet_id),
                    public_ip_address=network.PublicIPAddressArgs(id=address.id) if address is not None else None,
                )
            ],
            tags=tags,
            opts=child,
        )
        gpu, spot = offering.has_gpu(args.vm_size), args.capacity_type == "spot"
        image = offering.image(args.arch, gpu=gpu)
        encryption = pulumi.Output.from_input(args.disk_encryption_set_id).apply(
            lambda found: compute.DiskEncryptionSetParametersArgs(id=found) if found else None
        )
        machine = compute.VirtualMachine(
            f"{name}-machine",
            resource_group_name=args.resource_group_name,
            vm_name=machine_name,
            location=args.location,
            zones=None if args.zone == "-" else [args.zone.rpartition("-")[2]],
            priority="Spot" if spot else "Regular",
            eviction_policy="Delete" if spot else None,
            billing_profile=compute.BillingProfileArgs(max_price=-1 if args.max_usd_per_hour is None else args.max_usd_per_hour) if spot else None,
            hardware_profile=compute.HardwareProfileArgs(vm_size=args.vm_size),
            # A list of ids, which the provider turns into ARM's map, since its version 2 (pulumi/pulumi-azure-native#1833).
            identity=compute.VirtualMachineIdentityArgs(type="UserAssigned", user_assigned_identities=[args.identity_id]),
            storage_profile=compute.StorageProfileArgs(
                image_reference=compute.ImageReferenceArgs(publisher=image.publisher, offer=image.offer, sku=image.sku, version="latest"),
                os_disk=compute.OSDiskArgs(
                    create_option="FromImage",
                    caching="ReadWrite",
                    delete_option="Delete",
                    disk_size_gb=offering.disk_gib(gpu=gpu),
                    managed_disk=compute.ManagedDiskParametersArgs(storage_account_type="StandardSSD_LRS", disk_encryption_set=encryption),
                ),
            ),
            os_profile=compute.OSProfileArgs(
                computer_name=machine_name,
                admin_username="spotlane",
                custom_data=pulumi.Output.from_input(args.user_data).apply(lambda text: base64.b64encode(text.encode()).decode()),
                linux_configuration=compute.LinuxConfigurationArgs(
                    disable_password_authentication=True,
                    ssh=compute.SshConfigurationArgs(
                        public_keys=[compute.SshPublicKeyArgs(path="/home/spotlane/.ssh/authorized_keys", key_data=keyless_public_key(machine_name))]
                    ),
                ),
            ),
            network_profile=compute.NetworkProfileArgs(network_interfaces=[compute.NetworkInterfaceReferenceArgs(id=interface.id, primary=True)]),
            tags=tags,
            opts=child,
        )
        self.machine_id = machine.id
        self.private_ip = interface.ip_configurations.apply(lambda found: found[0].private_ip_address)
        self.public_ip = pulumi.Output.from_input(None) if address is None else address.ip_address
        self.register_outputs({"machine_id": self.machine_id, "private_ip": self.private_ip, "public_ip": self.public_ip})
