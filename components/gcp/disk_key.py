"""A tenant's own key for the disks of one region, in Cloud KMS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_gcp import kms

from components import naming

ROTATION = "7776000s"
"""90 days: a new version encrypts what is made from then on, old ones still decrypt (CIS Google Cloud Foundations Benchmark 1.10)."""
DESTROY_AFTER = "86400s"
"""A version that is given up can be had back for a day, the least that Cloud KMS allows: the disks are of machines that are gone by then."""
USE_FOR_DISKS = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


@dataclass(frozen=True)
class DiskKeyArgs:
    """Arguments of :class:`DiskKey`."""

    region: str
    project_number: pulumi.Input[str]
    """Names the project's Compute Engine service agent, who encrypts and decrypts for its machines."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Become labels of the key; a key ring has none."""


class DiskKey(pulumi.ComponentResource):
    """A key ring with one key that rotates, which the project's Compute Engine may use and nobody else.

    Rings and keys can't be deleted: a destroy destroys the key's versions and leaves the names taken. So both get a fresh name each time that they are made
    (Pulumi's, with a random suffix), and a region that was destroyed can be made again. Example::

        key = DiskKey("disk-key", DiskKeyArgs(region="europe-west4", project_number=number))
    """

    key_id: pulumi.Output[str]
    """Known only when Compute Engine may use the key."""

    def __init__(self, name: str, args: DiskKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:gcp:DiskKey", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        ring = kms.KeyRing(f"{name}-ring", location=args.region, opts=child)
        key = kms.CryptoKey(
            f"{name}-key",
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=ROTATION,
            destroy_scheduled_duration=DESTROY_AFTER,
            labels=naming.labels(args.tags),
            opts=child,
        )
        agent = pulumi.Output.concat("serviceAccount:service-", args.project_number, "@compute-system.iam.gserviceaccount.com")
        grant = kms.CryptoKeyIAMMember(f"{name}-agent", crypto_key_id=key.id, role=USE_FOR_DISKS, member=agent, opts=child)
        self.key_id = pulumi.Output.all(key.id, grant.id).apply(lambda both: str(both[0]))
        self.register_outputs({"key_id": self.key_id})
