"""Who a workload is on Azure: a managed identity without roles, to which the tenant may assign some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import managedidentity


@dataclass(frozen=True)
class WorkloadIdentityArgs:
    """Arguments of :class:`WorkloadIdentity`."""

    resource_group_name: pulumi.Input[str]
    location: str
    tags: Mapping[str, str] = field(default_factory=dict)


class WorkloadIdentity(pulumi.ComponentResource):
    """A user-assigned managed identity.

    Example::

        identity = WorkloadIdentity("identity", WorkloadIdentityArgs(network.resource_group_name, "westeurope"))
    """

    identity_id: pulumi.Output[str]
    principal_id: pulumi.Output[str]
    directory_id: pulumi.Output[str]
    """The Entra directory that it is of: the subscription's."""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:azure:WorkloadIdentity", name, None, opts)
        identity = managedidentity.UserAssignedIdentity(
            f"{name}-workload",
            resource_group_name=args.resource_group_name,
            resource_name_="spotlane-workload",
            location=args.location,
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.identity_id = identity.id
        self.principal_id = identity.principal_id
        self.directory_id = identity.tenant_id
        self.register_outputs({"identity_id": self.identity_id, "principal_id": self.principal_id})
