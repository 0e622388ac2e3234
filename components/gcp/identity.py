"""Who a workload is on GCP: a service account without roles, to which the tenant may grant some; what its machines ask for is bounded by their scopes too."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import serviceaccount

from components import naming


@dataclass(frozen=True)
class WorkloadIdentityArgs:
    """Arguments of :class:`WorkloadIdentity`."""

    region: str
    """Service accounts are one set for all regions, so that the region is part of the account's id."""


class WorkloadIdentity(pulumi.ComponentResource):
    """A service account.

    Example::

        identity = WorkloadIdentity("identity", WorkloadIdentityArgs(region="europe-west4"))
    """

    email: pulumi.Output[str]

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:gcp:WorkloadIdentity", name, None, opts)
        account = serviceaccount.Account(
            f"{name}-workload",
            account_id=naming.fit("gcp:service-account", "wl", args.region),
            display_name=f"Spotlane workloads in {args.region}",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.email = account.email
        self.register_outputs({"email": self.email})
