"""What a run must satisfy before it is taken in: a tenant and a stack that exist, settings of the right form, a migration of its own workload.

Refused here, nothing is stored and nothing begins; what can only be known while it runs (a cloud that refuses, a boundary that changed) is the run's result.
"""

from __future__ import annotations

from collections.abc import Callable

from automation.errors import ForeignMigration, InvalidSettings, UnknownStack, UnknownTenant
from automation.service.tenants import TenantFiles
from spotlane.client import Client
from spotlane.errors import ApiProblem
from spotlane.wire import RunRequest
from stacks.settings import SettingsError, TenantSettings, load_settings


class Door:
    """Looks at each request. ``exists`` says whether the state backend has a stack."""

    def __init__(self, tenants: TenantFiles, edge: Callable[[], Client], exists: Callable[[str], bool]) -> None:
        self._tenants = tenants
        self._edge = edge
        self._exists = exists

    def check(self, request: RunRequest) -> None:
        """Raises :class:`UnknownTenant`, :class:`UnknownStack`, :class:`ForeignMigration` or :class:`InvalidSettings`.

        SpotlaneError where the edge must be asked and is away.
        """
        stack = request.stack
        if request.migration is not None and not request.migration.startswith(f"{stack.tenant}_{stack.workload}_"):
            raise ForeignMigration(stack.name, request.migration)
        if request.settings is not None:
            try:
                settings = load_settings(stack.name, request.settings)
            except SettingsError as error:
                raise InvalidSettings(stack.name, error.faults) from error
            if isinstance(settings, TenantSettings) and (taken := self._taken(str(stack.tenant), settings)):
                raise InvalidSettings(stack.name, taken)
        if request.operation in ("up", "preview") and stack.tenant is not None:
            self._tenant(stack.tenant)
        if faults := _import_faults(request):
            raise InvalidSettings(stack.name, faults)
        if request.operation in ("refresh", "drift", "import") and not self._exists(stack.name):
            raise UnknownStack(stack.name)

    def _taken(self, tenant: str, settings: TenantSettings) -> list[str]:
        """Accounts of other tenants that the settings would take: two tenants in one account could reach each other's machines."""
        named = {
            ("aws", "existingAccountId"): settings.aws and settings.aws.existing_account_id,
            ("azure", "existingSubscriptionId"): settings.azure and settings.azure.existing_subscription_id,
            ("gcp", "existingProjectId"): settings.gcp and settings.gcp.existing_project_id,
            ("gcp", "projectId"): settings.gcp and settings.gcp.project_id,
        }
        return [
            f"{cloud}.{field}: {account} is tenant {owner}'s already; an account belongs to one tenant, name another or leave it out for a new one"
            for (cloud, field), account in named.items()
            if account and (owner := self._tenants.other_owner(tenant, cloud, account)) is not None
        ]

    def _tenant(self, tenant: str) -> None:
        if self._tenants.knows(tenant):
            return
        try:
            self._edge().tenant(tenant)
        except ApiProblem as problem:
            if problem.problem.status == 404:
                raise UnknownTenant(tenant) from problem
            raise


def _import_faults(request: RunRequest) -> list[str]:
    """What is wrong with a request's imports: they go with an import and no other operation, below resources of the same stack."""
    if request.operation != "import":
        return ["imports: they go with the operation import"] if request.imports else []
    if not request.imports:
        return ["imports: name at least one resource to import"]
    own = f"urn:pulumi:{request.stack.name}::"
    return [
        f"imports[{number}].{field}: {urn} is no resource of this stack; its URNs begin with {own}"
        for number, one in enumerate(request.imports)
        for field, urn in (("parent", one.parent), ("provider", one.provider))
        if urn is not None and not urn.startswith(own)
    ]
