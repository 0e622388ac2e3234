"""The orphan sweep: what lies in tenants' accounts that no stack owns, told every night, removed when somebody says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from prometheus_client import Gauge

from automation.accounts.port import Account, CantRemove
from automation.calls.fetch import FeedFault
from automation.errors import AutomationError
from automation.runs import states
from automation.service.boundaries import Boundaries
from domain.boundary.compiled import CompiledBoundary
from domain.catalog import CATALOG
from domain.orphans import Orphan, orphans, owner
from spotlane import wire
from spotlane.client import Client

_log = structlog.get_logger("spotlane.sweep")
_ORPHANS = Gauge("spotlane_orphaned_resources", "Resources in tenants' accounts that no stack owns", ["cloud"])


class Stacks(Protocol):
    """What the backend knows of a stack."""

    def deployment(self, stack: str) -> dict[str, Any] | None:
        """Its state as ``pulumi stack export`` gives it; None where there is no such stack."""
        ...

    def settings(self, stack: str) -> dict[str, Any]:
        """Its settings of the last run."""
        ...


class Opener(Protocol):
    """Opens a tenant's accounts."""

    def accounts(self, outputs: Mapping[str, Any], settings: Mapping[str, Any], boundary: CompiledBoundary) -> list[Account]:
        """Those of a tenant's stack with these outputs and settings."""
        ...


class Sweeper:
    """Looks into the accounts of tenants. ``busy`` names the stacks that are worked on or will be."""

    def __init__(self, edge: Client, stacks: Stacks, opener: Opener, busy: Callable[[], set[str]]) -> None:
        self._edge, self._stacks, self._opener, self._busy = edge, stacks, opener, busy
        self._boundaries = Boundaries()

    def accounts(self, tenant: wire.Tenant) -> list[tuple[Account, list[str]]]:
        """The tenant's accounts that stand, each with the regions that the boundary allows there."""
        stack = f"tenant.{tenant.id}"
        state = self._stacks.deployment(stack)
        if state is None:
            return []
        boundary = self._boundaries.of(tenant, None)
        opened = self._opener.accounts(states.outputs(state), self._stacks.settings(stack), boundary)
        return [(one, [region for region in boundary.allowed(one.cloud) if CATALOG.has_region(one.cloud, region)]) for one in opened]

    def look(self, request: wire.SweepRequest) -> wire.Sweep:
        """Finds orphans, and removes them where the request says so. Raises SpotlaneError where the edge is away, ApiProblem for an unknown tenant."""
        tenants = list(self._edge.tenants()) if request.tenant is None else [self._edge.tenant(request.tenant)]
        found: list[wire.Orphan] = []
        errors: list[str] = []
        looked_into = 0
        for tenant in tenants:
            for account, regions in self.accounts(tenant):
                looked_into += 1
                try:
                    left = self._left(account, regions, tenant.id)
                except (FeedFault, AutomationError) as fault:
                    errors.append(f"{account.cloud} {account.id} of {tenant.id}: {fault}")
                    continue
                found += [self._removed(account, tenant.id, one) if request.remove else _told(tenant.id, one) for one in left]
        if request.tenant is None:
            for cloud in ("aws", "azure", "gcp"):
                _ORPHANS.labels(cloud).set(sum(1 for one in found if one.cloud == cloud and one.outcome != "removed"))
        return wire.Sweep(orphans=found, accounts=looked_into, errors=errors)

    def watch(self) -> None:
        """The nightly look: orphans and what couldn't be looked into go to the log and the metrics."""
        seen = self.look(wire.SweepRequest())
        for one in seen.orphans:
            _log.warning("orphan", tenant=one.tenant, cloud=one.cloud, region=one.region, kind=one.kind, id=one.id, stack=one.stack, reason=one.reason)
        for error in seen.errors:
            _log.warning("an account couldn't be looked into", error=error)

    def _left(self, account: Account, regions: Sequence[str], tenant: str) -> list[Orphan]:
        # The clouds first, the states and the queue after them: see domain.orphans.
        lying = account.resources(regions)
        busy = self._busy()
        named = {stack for one in lying if (stack := owner(one, tenant)) is not None}
        held = {stack: None if (state := self._stacks.deployment(stack)) is None else states.ids(state) for stack in sorted(named)}
        # The account's own guard rails are the tenant stack's; what it holds is nobody's orphan.
        own = states.ids(self._stacks.deployment(f"tenant.{tenant}") or {})
        return orphans((one for one in lying if one.id.lower() not in own), tenant, held, busy | self._busy())

    def _removed(self, account: Account, tenant: str, orphan: Orphan) -> wire.Orphan:
        _log.warning("removing an orphan", tenant=tenant, cloud=account.cloud, kind=orphan.resource.kind, id=orphan.resource.id, stack=orphan.stack)
        try:
            account.remove(orphan.resource)
        except (FeedFault, CantRemove) as fault:
            return _told(tenant, orphan, "failed", str(fault))
        return _told(tenant, orphan, "removed")


def _told(tenant: str, orphan: Orphan, outcome: str = "found", detail: str | None = None) -> wire.Orphan:
    one = orphan.resource
    return wire.Orphan.model_validate(
        {"tenant": tenant, "cloud": one.cloud, "account": one.account, "region": one.region, "kind": one.kind, "id": one.id}
        | {"stack": orphan.stack, "reason": orphan.reason, "detail": detail or orphan.sentence, "outcome": outcome}
    )
