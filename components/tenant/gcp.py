"""A tenant's GCP project: fenced by the organisation policy on resource locations, with an automation account of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_gcp import organizations, orgpolicy, projects, serviceaccount

from components import naming

SERVICES = ("compute.googleapis.com", "iam.googleapis.com", "cloudresourcemanager.googleapis.com", "orgpolicy.googleapis.com")
AUTOMATION_PERMISSIONS = (
    *(f"compute.{kind}.{verb}" for kind in ("networks", "subnetworks", "firewalls", "routers", "instances") for verb in ("create", "delete", "get", "update")),
    *(f"compute.disks.{verb}" for verb in ("create", "get", "setLabels")),
    *(f"compute.instances.{verb}" for verb in ("setLabels", "setMetadata", "setServiceAccount", "setTags")),
    *(f"compute.{kind}" for kind in ("networks.updatePolicy", "subnetworks.use", "globalOperations.get", "regionOperations.get", "zoneOperations.get")),
    *(f"iam.serviceAccounts.{verb}" for verb in ("actAs", "create", "delete", "get")),
)
"""What the automation account may do in a tenant's project."""


@dataclass(frozen=True)
class TenantProjectArgs:
    """Arguments of :class:`TenantProject`."""

    tenant: str
    allowed_locations: Sequence[str]
    """Values of the constraint ``gcp.resourceLocations``; empty denies every location."""
    project_id: str | None = None
    """Id of a new project; unique in the world, 6 to 30 characters."""
    folder_id: str | None = None
    billing_account: str | None = None
    existing_project_id: str | None = None
    """A project to take instead of a new one."""
    tags: Mapping[str, str] = field(default_factory=dict)


class TenantProject(pulumi.ComponentResource):
    """A project with the services in use, its guard rail and its automation account.

    Example::

        project = TenantProject("gcp", TenantProjectArgs("acme", ["in:europe-west4-locations"], project_id="spotlane-acme", billing_account=account))
    """

    project_id: pulumi.Output[str]
    automation_email: pulumi.Output[str]

    def __init__(self, name: str, args: TenantProjectArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:tenant:GcpProject", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if args.existing_project_id is not None:
            project_id: pulumi.Output[str] = pulumi.Output.from_input(args.existing_project_id)
        else:
            project_id = organizations.Project(
                f"{name}-project",
                project_id=args.project_id,
                name=f"spotlane-{args.tenant}",
                folder_id=args.folder_id,
                billing_account=args.billing_account,
                auto_create_network=False,
                deletion_policy="DELETE",
                labels=naming.labels(args.tags),
                opts=child,
            ).project_id
        services = [
            projects.Service(f"{name}-{service.partition('.')[0]}", project=project_id, service=service, disable_on_destroy=False, opts=child)
            for service in SERVICES
        ]
        enabled = pulumi.ResourceOptions(parent=self, depends_on=services)
        rule = (
            orgpolicy.PolicySpecRuleArgs(values=orgpolicy.PolicySpecRuleValuesArgs(allowed_values=list(args.allowed_locations)))
            if args.allowed_locations
            else orgpolicy.PolicySpecRuleArgs(deny_all="TRUE")
        )
        parent = pulumi.Output.concat("projects/", project_id)
        orgpolicy.Policy(
            f"{name}-locations",
            name=pulumi.Output.concat(parent, "/policies/gcp.resourceLocations"),
            parent=parent,
            spec=orgpolicy.PolicySpecArgs(rules=[rule]),
            opts=enabled,
        )
        account = serviceaccount.Account(
            f"{name}-automation", project=project_id, account_id="spotlane-automation", display_name="Spotlane automation", opts=enabled
        )
        role = projects.IAMCustomRole(
            f"{name}-automation-role",
            project=project_id,
            role_id="spotlaneAutomation",
            title="Spotlane automation",
            permissions=sorted(AUTOMATION_PERMISSIONS),
            opts=enabled,
        )
        projects.IAMMember(
            f"{name}-automation-member", project=project_id, role=role.name, member=pulumi.Output.concat("serviceAccount:", account.email), opts=enabled
        )
        self.project_id = pulumi.Output.all(project_id, *(service.id for service in services)).apply(lambda parts: str(parts[0]))
        self.automation_email = account.email
        self.register_outputs({"project_id": self.project_id, "automation_email": self.automation_email})
