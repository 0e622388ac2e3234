"""A spot machine on GCP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_gcp import compute

from components import naming

HYPERDISK_FAMILIES = frozenset({"c4", "c4a", "c4d", "n4", "n4a", "n4d", "x4", "m4"})
"""Families that take no Persistent Disk (Compute Engine, "Machine series and supported disk types")."""
DISK_GIB = 10


@dataclass(frozen=True)
class SpotMachineArgs:
    """Arguments of :class:`SpotMachine`."""

    machine_name: str
    zone: str
    machine_type: str
    arch: str
    """``x86_64`` or ``arm64``."""
    subnetwork_id: pulumi.Input[str]
    service_account: pulumi.Input[str]
    """Its e-mail address."""
    user_data: pulumi.Input[str]
    """As text; a secret."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Become labels."""


def disk_type(machine_type: str) -> str:
    """The boot disk's type: the balanced one that the machine's family takes."""
    return "hyperdisk-balanced" if machine_type.split("-", 1)[0] in HYPERDISK_FAMILIES else "pd-balanced"


class SpotMachine(pulumi.ComponentResource):
    """One spot instance without a public address, deleted when it is preempted. Its disk is encrypted, as every disk is; GCP takes no bid.

    Example::

        machine = SpotMachine("machine", SpotMachineArgs("web-acme-3", "europe-west4-a", "n2-standard-2", "x86_64", subnetwork, account, user_data))
    """

    machine_id: pulumi.Output[str]
    private_ip: pulumi.Output[str]

    def __init__(self, name: str, args: SpotMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:gcp:SpotMachine", name, None, opts)
        labels = naming.labels(args.tags)
        image = "ubuntu-2404-lts-" + {"x86_64": "amd64", "arm64": "arm64"}[args.arch]
        instance = compute.Instance(
            f"{name}-instance",
            name=naming.fit("gcp:resource", args.machine_name),
            zone=args.zone,
            machine_type=args.machine_type,
            boot_disk=compute.InstanceBootDiskArgs(
                auto_delete=True,
                initialize_params=compute.InstanceBootDiskInitializeParamsArgs(
                    image=f"projects/ubuntu-os-cloud/global/images/family/{image}", size=DISK_GIB, type=disk_type(args.machine_type), labels=labels
                ),
            ),
            network_interfaces=[compute.InstanceNetworkInterfaceArgs(subnetwork=args.subnetwork_id)],
            scheduling=compute.InstanceSchedulingArgs(
                provisioning_model="SPOT",
                preemptible=True,
                automatic_restart=False,
                on_host_maintenance="TERMINATE",
                instance_termination_action="DELETE",
            ),
            service_account=compute.InstanceServiceAccountArgs(email=args.service_account, scopes=["https://www.googleapis.com/auth/cloud-platform"]),
            shielded_instance_config=compute.InstanceShieldedInstanceConfigArgs(enable_secure_boot=True, enable_vtpm=True, enable_integrity_monitoring=True),
            metadata={"user-data": args.user_data, "block-project-ssh-keys": "true", "serial-port-enable": "false"},
            labels=labels,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.machine_id = instance.instance_id
        self.private_ip = instance.network_interfaces.apply(lambda found: found[0].network_ip)
        self.register_outputs({"machine_id": self.machine_id, "private_ip": self.private_ip})
