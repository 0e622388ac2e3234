"""A tenant's Azure subscription: fenced by the policy of allowed locations, operated by one custom role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import authorization, subscription

from components import naming

ALLOWED_LOCATIONS = {
    "resources": "/providers/Microsoft.Authorization/policyDefinitions/e56962a6-4747-49cd-b67b-bf8b01975c4c",
    "groups": "/providers/Microsoft.Authorization/policyDefinitions/e765b5de-1225-4ba3-bd56-1ac6695af988",
}
"""Azure's built-in policies "Allowed locations" and "Allowed locations for resource groups"."""

AUTOMATION_ACTIONS = (
    "Microsoft.Resources/subscriptions/resourceGroups/*",
    "Microsoft.Network/*",
    "Microsoft.Compute/virtualMachines/*",
    "Microsoft.Compute/disks/*",
    "Microsoft.ManagedIdentity/userAssignedIdentities/*",
)
"""What the automation service may do in a tenant's subscription."""


@dataclass(frozen=True)
class TenantSubscriptionArgs:
    """Arguments of :class:`TenantSubscription`."""

    tenant: str
    allowed_locations: Sequence[str]
    billing_scope: str | None = None
    """Invoice section or enrolment account that pays for a new subscription."""
    management_group_id: str | None = None
    existing_subscription_id: str | None = None
    """A subscription to take instead of a new one."""
    automation_principal_id: str | None = None
    """Object id of the automation service's principal, which gets the role; None where it owns the subscription already."""
    tags: Mapping[str, str] = field(default_factory=dict)


class TenantSubscription(pulumi.ComponentResource):
    """A subscription with its guard rails.

    Example::

        subscription = TenantSubscription("azure", TenantSubscriptionArgs("acme", ["westeurope", "northeurope"], billing_scope=scope))
    """

    subscription_id: pulumi.Output[str]

    def __init__(self, name: str, args: TenantSubscriptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:tenant:AzureSubscription", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        if args.existing_subscription_id is not None:
            self.subscription_id = pulumi.Output.from_input(args.existing_subscription_id)
        else:
            alias = subscription.Alias(
                f"{name}-subscription",
                alias_name=naming.fit("azure:alias", "spotlane", args.tenant),
                properties=subscription.PutAliasRequestPropertiesArgs(
                    display_name=f"spotlane-{args.tenant}",
                    billing_scope=args.billing_scope,
                    workload="Production",
                    additional_properties=subscription.PutAliasRequestAdditionalPropertiesArgs(
                        management_group_id=args.management_group_id, tags=dict(args.tags)
                    ),
                ),
                opts=child,
            )
            self.subscription_id = alias.properties.apply(lambda found: found.subscription_id)
        scope = pulumi.Output.concat("/subscriptions/", self.subscription_id)
        for what, definition in ALLOWED_LOCATIONS.items():
            authorization.PolicyAssignment(
                f"{name}-allowed-{what}",
                policy_assignment_name=f"spotlane-allowed-{what}",
                scope=scope,
                policy_definition_id=definition,
                display_name=f"Data boundary of tenant {args.tenant}",
                enforcement_mode="Default",
                parameters={"listOfAllowedLocations": authorization.ParameterValuesValueArgs(value=list(args.allowed_locations))},
                opts=child,
            )
        role = authorization.RoleDefinition(
            f"{name}-automation",
            role_definition_id=naming.guid("azure", "role", args.tenant),
            role_name=f"spotlane-{args.tenant}-automation",
            role_type="CustomRole",
            description="Networks, identities and spot machines",
            scope=scope,
            assignable_scopes=[scope],
            permissions=[authorization.PermissionArgs(actions=list(AUTOMATION_ACTIONS), not_actions=[])],
            opts=child,
        )
        if args.automation_principal_id is not None:
            authorization.RoleAssignment(
                f"{name}-automation-assignment",
                role_assignment_name=naming.guid("azure", "assignment", args.tenant, args.automation_principal_id),
                scope=scope,
                role_definition_id=role.id,
                principal_id=args.automation_principal_id,
                principal_type="ServicePrincipal",
                opts=child,
            )
        self.register_outputs({"subscription_id": self.subscription_id})
