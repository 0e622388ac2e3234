"""A machine on GCP, spot or on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_gcp import compute

from components import naming
from components.gcp import offering
from components.gcp.offering import CapacityType, Gpu

SCOPES = ("https://www.googleapis.com/auth/logging.write", "https://www.googleapis.com/auth/monitoring.write")
"""What a machine's access tokens are good for at most, whatever roles its account has."""


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
    """Become labels, of the disk too."""
    capacity_type: CapacityType = "spot"
    disk_key_id: pulumi.Input[str] | None = None
    """Cloud KMS key of the boot disk; None: Google's own keys."""
    public_address: bool = False
    gpu: Gpu | None = None
    """GPUs beside the type; types such as ``g2-standard-4`` bring their own."""
    scopes: Sequence[str] = ()
    """OAuth scopes beside :data:`SCOPES`, for a workload that calls Google's APIs by its account's roles."""


class SpotMachine(pulumi.ComponentResource):
    """One instance, without a public address unless it is asked for; a spot one is deleted when it is preempted. Google takes no bid.

    Its disk is always encrypted: by Google's keys, or by ``disk_key_id``. Arm machines start without Secure Boot: their firmware isn't enrolled with the
    keys of every image (vTPM and integrity monitoring stay on). Example::

        machine = SpotMachine("machine", SpotMachineArgs("web-acme-3", "europe-west4-a", "n2-standard-2", "x86_64", subnetwork, account, user_data))
        machine = SpotMachine("machine", SpotMachineArgs(..., capacity_type="on-demand", disk_key_id=key, gpu=Gpu("nvidia-tesla-t4")))
    """

    machine_id: pulumi.Output[str]
    private_ip: pulumi.Output[str]
    public_ip: pulumi.Output[str | None]

    def __init__(self, name: str, args: SpotMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:gcp:SpotMachine", name, None, opts)
        labels = naming.labels(args.tags)
        gpu = offering.has_gpu(args.machine_type, args.gpu)
        instance = compute.Instance(
            f"{name}-instance",
            name=naming.fit("gcp:resource", args.machine_name),
            zone=args.zone,
            machine_type=args.machine_type,
            boot_disk=compute.InstanceBootDiskArgs(
                auto_delete=True,
                kms_key_self_link=args.disk_key_id,
                initialize_params=compute.InstanceBootDiskInitializeParamsArgs(
                    image=offering.image(args.arch, gpu=gpu),
                    size=offering.GPU_DISK_GIB if gpu else offering.DISK_GIB,
                    type=offering.disk_type(args.machine_type),
                    labels=labels,
                ),
            ),
            guest_accelerators=[compute.InstanceGuestAcceleratorArgs(type=args.gpu.kind, count=args.gpu.count)] if args.gpu else None,
            network_interfaces=[
                compute.InstanceNetworkInterfaceArgs(
                    subnetwork=args.subnetwork_id,
                    access_configs=[compute.InstanceNetworkInterfaceAccessConfigArgs(network_tier="PREMIUM")] if args.public_address else None,
                )
            ],
            scheduling=_scheduling(args.capacity_type, gpu=gpu),
            service_account=compute.InstanceServiceAccountArgs(email=args.service_account, scopes=sorted({*SCOPES, *args.scopes})),
            shielded_instance_config=compute.InstanceShieldedInstanceConfigArgs(
                enable_secure_boot=args.arch == "x86_64", enable_vtpm=True, enable_integrity_monitoring=True
            ),
            metadata={
                "user-data": args.user_data,
                "block-project-ssh-keys": "true",
                "enable-oslogin": "true",
                "serial-port-enable": "false",
            },
            labels=labels,
            # Only a stopped machine changes account or scopes. A generation isn't changed: one that was made with others keeps them to its end.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["serviceAccount"]),
        )
        self.machine_id = instance.instance_id
        self.private_ip = instance.network_interfaces.apply(lambda found: found[0].network_ip)
        self.public_ip = instance.network_interfaces.apply(lambda found: found[0].access_configs[0].nat_ip if found[0].access_configs else None)
        self.register_outputs({"machine_id": self.machine_id, "private_ip": self.private_ip, "public_ip": self.public_ip})


def _scheduling(capacity_type: CapacityType, *, gpu: bool) -> compute.InstanceSchedulingArgs:
    if capacity_type == "spot":
        return compute.InstanceSchedulingArgs(
            provisioning_model="SPOT", preemptible=True, automatic_restart=False, on_host_maintenance="TERMINATE", instance_termination_action="DELETE"
        )
    # A machine with GPUs can't be moved to another host while it runs.
    return compute.InstanceSchedulingArgs(
        provisioning_model="STANDARD", preemptible=False, automatic_restart=True, on_host_maintenance="TERMINATE" if gpu else "MIGRATE"
    )
