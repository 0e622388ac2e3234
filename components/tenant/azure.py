"""A tenant's Azure subscription: fenced by policies, operated by one custom role, watched by a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_azure_native import authorization, consumption, subscription

from components import naming
from components.tenant.azure_permissions import AUTOMATION_ACTIONS

_DEFINITIONS = "/providers/Microsoft.Authorization/policyDefinitions/"
ALLOWED_LOCATIONS = {"resources": f"{_DEFINITIONS}e56962a6-4747-49cd-b67b-bf8b01975c4c", "groups": f"{_DEFINITIONS}e765b5de-1225-4ba3-bd56-1ac6695af988"}
"""Azure's built-in policies "Allowed locations" and "Allowed locations for resource groups"."""
ALLOWED_SIZES = f"{_DEFINITIONS}cccc23c7-8427-4f53-ad12-b6a63eb452b3"
"""Built in: "Allowed virtual machine size SKUs"."""
NO_PUBLIC_ADDRESSES = f"{_DEFINITIONS}83a86a26-fd1f-447c-b59d-e51f44264114"
"""Built in: "Network interfaces should not have public IPs"."""

ALERT_EMAILS = 50
"""Addresses of one notification (Consumption API, ``Notification.contactEmails``)."""
_ALERTS = (("Actual", 80), ("Actual", 100), ("Forecasted", 100))
"""What the budget tells of, in per cent of it."""


@dataclass(frozen=True)
class Budget:
    """What the subscription's own budget watches: USD a calendar month, from the first of the month ``start`` (``YYYY-MM-01``) in which it is made."""

    usd_per_month: float
    start: str
    alert_emails: Sequence[str] = ()


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
    """Object id of the automation service's principal, which gets the role; None where it owns the subscription already. An application with a federated
    credential (docs/real-clouds.md) needs no secret."""
    public_addresses: bool = False
    """Whether a network interface may have a public address; what the TCP relay needs."""
    allowed_vm_sizes: Sequence[str] = ()
    """Sizes that may run at all; empty allows every size."""
    budget: Budget | None = None
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
            self._assign(f"{name}-allowed-{what}", f"allowed-{what}", scope, definition, args, {"listOfAllowedLocations": list(args.allowed_locations)})
        if not args.public_addresses:
            self._assign(f"{name}-no-public-addresses", "no-public-addresses", scope, NO_PUBLIC_ADDRESSES, args)
        if args.allowed_vm_sizes:
            self._assign(f"{name}-allowed-sizes", "allowed-sizes", scope, ALLOWED_SIZES, args, {"listOfAllowedSKUs": list(args.allowed_vm_sizes)})
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
        if args.budget is not None:
            self._budget(name, scope, args.tenant, args.budget)
        self.register_outputs({"subscription_id": self.subscription_id})

    def _assign(
        self, name: str, what: str, scope: pulumi.Output[str], definition: str, args: TenantSubscriptionArgs, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """One built-in policy on the subscription."""
        authorization.PolicyAssignment(
            name,
            policy_assignment_name=f"spotlane-{what}",
            scope=scope,
            policy_definition_id=definition,
            display_name=f"Data boundary of tenant {args.tenant}",
            enforcement_mode="Default",
            parameters={key: authorization.ParameterValuesValueArgs(value=value) for key, value in parameters.items()} if parameters else None,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _budget(self, name: str, scope: pulumi.Output[str], tenant: str, budget: Budget) -> None:
        consumption.Budget(
            f"{name}-budget",
            budget_name=f"spotlane-{tenant}",
            scope=scope,
            amount=budget.usd_per_month,
            category="Cost",
            time_grain="Monthly",
            time_period=consumption.BudgetTimePeriodArgs(start_date=f"{budget.start}T00:00:00Z"),
            notifications={
                f"{kind}-{percent}": consumption.NotificationArgs(
                    enabled=True,
                    operator="GreaterThanOrEqualTo",
                    threshold=percent,
                    threshold_type=kind,
                    contact_emails=list(budget.alert_emails),
                )
                for kind, percent in _ALERTS
            }
            if budget.alert_emails
            else None,
            # Azure takes the month in which a budget is made; a later run is of a later month.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["timePeriod"]),
        )
