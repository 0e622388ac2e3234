"""A tenant's GCP project: fenced by organisation policies, with an automation account that is reached without a key, and a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi_gcp import billing, iam, monitoring, organizations, orgpolicy, projects, serviceaccount

from components import naming
from components.tenant.gcp_policies import OrgPolicy, policies

SERVICES = (
    *("compute.googleapis.com", "iam.googleapis.com", "cloudresourcemanager.googleapis.com", "orgpolicy.googleapis.com"),
    # Impersonation of the automation account, the exchange of a foreign token for Google's, keys of the tenant's own.
    *("iamcredentials.googleapis.com", "sts.googleapis.com", "cloudkms.googleapis.com"),
)
BUDGET_SERVICES = ("billingbudgets.googleapis.com", "monitoring.googleapis.com")

STACK_PERMISSIONS = (
    *(f"compute.{kind}.{verb}" for kind in ("networks", "subnetworks", "firewalls", "routers") for verb in ("create", "delete", "get", "update")),
    *("compute.networks.updatePolicy", "compute.subnetworks.expandIpCidrRange", "compute.subnetworks.setPrivateIpGoogleAccess", "compute.subnetworks.use"),
    *("compute.subnetworks.useExternalIp", "compute.zones.get", "compute.disks.create", "compute.disks.get", "compute.disks.setLabels"),
    *(f"compute.instances.{verb}" for verb in ("create", "delete", "get", "setLabels", "setMetadata", "setServiceAccount")),
    *(f"compute.{place}Operations.get" for place in ("global", "region", "zone")),
    *(f"iam.serviceAccounts.{verb}" for verb in ("actAs", "create", "delete", "get", "update")),
    *("cloudkms.keyRings.create", "cloudkms.keyRings.get", "cloudkms.cryptoKeyVersions.destroy", "cloudkms.cryptoKeyVersions.list"),
    *(f"cloudkms.cryptoKeys.{verb}" for verb in ("create", "get", "getIamPolicy", "setIamPolicy", "update")),
)
"""The calls of the region and placement stacks."""
SERVICE_PERMISSIONS = (
    *("compute.instances.list", "compute.disks.list", "compute.disks.delete", "compute.regions.get"),
    *(f"compute.addresses.{verb}" for verb in ("delete", "get", "list")),
)
"""What the service asks itself: the orphan sweep's look and removals, the preflight's quotas."""
AUTOMATION_PERMISSIONS = (*STACK_PERMISSIONS, *SERVICE_PERMISSIONS)
"""What the automation account may do in a tenant's project, and no more."""

POOL_ID = "spotlane-automation"
THRESHOLDS = (0.5, 0.9, 1.0)
"""Shares of the budget at which Google tells; the whole of it also when it is only forecast."""


@dataclass(frozen=True)
class Federation:
    """Who is believed without a key: tokens that ``issuer`` signs for ``audience`` about ``subject``."""

    issuer: str
    subject: str
    audience: str = ""
    """Empty: the provider's own full name, which is Google's default."""
    pool_id: str = POOL_ID
    """A deleted pool's id stays taken for 30 days: an existing project that gets its tenant back sooner needs another one."""


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
    """A project to take instead of a new one; it is fenced all the same, but what it held before stays as it is."""
    public_addresses: bool = False
    """Whether machines may have public addresses."""
    customer_keys: bool = False
    """Whether disks must be encrypted by the tenant's own keys."""
    federation: Federation | None = None
    automation_principal: str | None = None
    """IAM member that may impersonate the automation account (``serviceAccount:…``, ``principal://…``), beside or instead of ``federation``."""
    budget_usd_per_month: float | None = None
    alert_emails: Sequence[str] = ()
    """At most five, as Google's budgets take them."""
    tags: Mapping[str, str] = field(default_factory=dict)


class TenantProject(pulumi.ComponentResource):
    """A project with the services in use, its guard rails, its automation account and its budget.

    Example::

        project = TenantProject("gcp", TenantProjectArgs("acme", ["in:europe-west4-locations"], project_id="spotlane-acme", billing_account=account))
        project = TenantProject("gcp", TenantProjectArgs(..., federation=Federation("https://issuer.example.com", "automation"), budget_usd_per_month=500))
    """

    project_id: pulumi.Output[str]
    """Known only when the services are there."""
    project_number: pulumi.Output[str]
    automation_email: pulumi.Output[str]
    """The account that the region and placement stacks act as; known only when it may be impersonated and may do its work."""
    identity_provider: pulumi.Output[str] | None
    """Full name of the workload identity provider; the audience of an external credential's configuration is ``//iam.googleapis.com/<name>``."""

    def __init__(self, name: str, args: TenantProjectArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:tenant:GcpProject", name, None, opts)
        self._name, self._args = name, args
        project_id, self.project_number = self._project()
        names = [*SERVICES, *(BUDGET_SERVICES if args.budget_usd_per_month is not None else ())]
        child = pulumi.ResourceOptions(parent=self)
        services = [
            projects.Service(f"{name}-{service.partition('.')[0]}", project=project_id, service=service, disable_on_destroy=False, opts=child)
            for service in names
        ]
        self._enabled = pulumi.ResourceOptions(parent=self, depends_on=services)
        for policy in policies(args.allowed_locations, public_addresses=args.public_addresses, customer_keys=args.customer_keys):
            self._policy(project_id, policy)
        if args.existing_project_id is None:
            # Google makes Compute Engine's default account an editor of its project; ours has no use for it.
            projects.DefaultServiceAccounts(f"{name}-default-accounts", project=project_id, action="DEPRIVILEGE", restore_policy="NONE", opts=self._enabled)
        account, usable = self._automation(project_id)
        self._budget(project_id)
        self.project_id = pulumi.Output.all(project_id, *(service.id for service in services)).apply(lambda parts: str(parts[0]))
        self.automation_email = pulumi.Output.all(account.email, *(one.id for one in usable)).apply(lambda parts: str(parts[0]))
        self.register_outputs({"project_id": self.project_id, "automation_email": self.automation_email, "identity_provider": self.identity_provider})

    def _project(self) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Id and number."""
        args = self._args
        if args.existing_project_id is not None:
            try:
                found = organizations.get_project(project_id=args.existing_project_id, opts=pulumi.InvokeOptions(parent=self))
            except Exception as error:  # the SDK raises no class of its own
                raise pulumi.RunError(
                    f"existing project {args.existing_project_id!r} can't be read; check its id and that the caller may see it: {error}"
                ) from error
            return pulumi.Output.from_input(args.existing_project_id), pulumi.Output.from_input(str(found.number))
        made = organizations.Project(
            f"{self._name}-project",
            project_id=args.project_id,
            name=f"spotlane-{args.tenant}",
            folder_id=args.folder_id,
            billing_account=args.billing_account,
            auto_create_network=False,
            deletion_policy="DELETE",
            labels=naming.labels(args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return made.project_id, made.number

    def _policy(self, project_id: pulumi.Output[str], policy: OrgPolicy) -> None:
        if policy.deny_all:
            rule = orgpolicy.PolicySpecRuleArgs(deny_all="TRUE")
        elif policy.values is not None:
            rule = orgpolicy.PolicySpecRuleArgs(values=orgpolicy.PolicySpecRuleValuesArgs(allowed_values=list(policy.values)))
        elif policy.denied is not None:
            rule = orgpolicy.PolicySpecRuleArgs(values=orgpolicy.PolicySpecRuleValuesArgs(denied_values=list(policy.denied)))
        else:
            rule = orgpolicy.PolicySpecRuleArgs(enforce="TRUE")
        parent = pulumi.Output.concat("projects/", project_id)
        orgpolicy.Policy(
            f"{self._name}-{policy.name}",
            name=pulumi.Output.concat(parent, "/policies/", policy.constraint),
            parent=parent,
            spec=orgpolicy.PolicySpecArgs(rules=[rule]),
            opts=self._enabled,
        )

    def _automation(self, project_id: pulumi.Output[str]) -> tuple[serviceaccount.Account, list[pulumi.CustomResource]]:
        """The account, and what must be there before it can be used."""
        name, args, enabled = self._name, self._args, self._enabled
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
        member = pulumi.Output.concat("serviceAccount:", account.email)
        usable: list[pulumi.CustomResource] = [projects.IAMMember(f"{name}-automation-member", project=project_id, role=role.name, member=member, opts=enabled)]
        self.identity_provider = None
        if args.federation is not None:
            pool, provider = self._pool(project_id, args.federation)
            self.identity_provider = provider.name
            subject = pulumi.Output.concat("principal://iam.googleapis.com/", pool.name, "/subject/", args.federation.subject)
            usable.append(
                serviceaccount.IAMMember(
                    f"{name}-federation-member", service_account_id=account.name, role="roles/iam.workloadIdentityUser", member=subject, opts=enabled
                )
            )
        if args.automation_principal is not None:
            usable.append(
                serviceaccount.IAMMember(
                    f"{name}-automation-principal",
                    service_account_id=account.name,
                    role="roles/iam.serviceAccountTokenCreator",
                    member=args.automation_principal,
                    opts=enabled,
                )
            )
        return account, usable

    def _pool(self, project_id: pulumi.Output[str], trusted: Federation) -> tuple[iam.WorkloadIdentityPool, iam.WorkloadIdentityPoolProvider]:
        pool = iam.WorkloadIdentityPool(
            f"{self._name}-pool",
            project=project_id,
            workload_identity_pool_id=trusted.pool_id,
            display_name="Spotlane automation",
            opts=self._enabled,
        )
        provider = iam.WorkloadIdentityPoolProvider(
            f"{self._name}-pool-provider",
            project=project_id,
            workload_identity_pool_id=pool.workload_identity_pool_id,
            workload_identity_pool_provider_id="automation",
            attribute_mapping={"google.subject": "assertion.sub"},
            # Not left to the binding alone: whoever else the issuer knows gets no token at all.
            attribute_condition=f"assertion.sub == '{trusted.subject}'",
            oidc=iam.WorkloadIdentityPoolProviderOidcArgs(issuer_uri=trusted.issuer, allowed_audiences=[trusted.audience] if trusted.audience else None),
            opts=self._enabled,
        )
        return pool, provider

    def _budget(self, project_id: pulumi.Output[str]) -> None:
        name, args, enabled = self._name, self._args, self._enabled
        if args.budget_usd_per_month is None:
            return
        channels = [
            monitoring.NotificationChannel(
                f"{name}-alert-{number}",
                project=project_id,
                type="email",
                display_name=f"Spotlane budget of {args.tenant}",
                labels={"email_address": email},
                user_labels=naming.labels(args.tags),
                opts=enabled,
            )
            for number, email in enumerate(args.alert_emails, 1)
        ]
        units, nanos = divmod(round(args.budget_usd_per_month * 1_000_000_000), 1_000_000_000)
        billing.Budget(
            f"{name}-budget",
            billing_account=str(args.billing_account).removeprefix("billingAccounts/"),
            display_name=f"spotlane-{args.tenant}",
            # The currency is named, so that a billing account in another one is refused and not read as dollars.
            amount=billing.BudgetAmountArgs(
                specified_amount=billing.BudgetAmountSpecifiedAmountArgs(currency_code="USD", units=str(units), nanos=nanos or None)
            ),
            budget_filter=billing.BudgetBudgetFilterArgs(projects=[pulumi.Output.concat("projects/", self.project_number)], calendar_period="MONTH"),
            threshold_rules=[
                *(billing.BudgetThresholdRuleArgs(threshold_percent=share, spend_basis="CURRENT_SPEND") for share in THRESHOLDS),
                billing.BudgetThresholdRuleArgs(threshold_percent=1.0, spend_basis="FORECASTED_SPEND"),
            ],
            all_updates_rule=billing.BudgetAllUpdatesRuleArgs(monitoring_notification_channels=[channel.name for channel in channels]) if channels else None,
            opts=enabled,
        )
