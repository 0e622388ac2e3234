"""Looks for what a dead engine had in hand: in the tenant's account, entered as its stacks enter it, and in the platform's Cloudflare account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from automation.accounts.cloudflare import CloudflareAccount
from automation.accounts.port import Account
from automation.calls.fetch import FeedFault
from automation.errors import EngineFailed
from automation.runs.pending import TAGGED, PendingCreate, bearing
from automation.runs.recovery import Found
from domain.orphans import CloudResource
from spotlane.wire import Tenant
from stacks.settings import parse_stack_name


class Tenants(Protocol):
    """Tenants that were met before (:class:`automation.service.tenants.TenantFiles`)."""

    def tenant(self, tenant: str) -> Tenant | None:
        """One of them."""
        ...


class Lookup:
    """Keeps :class:`automation.runs.recovery.Clouds`. ``opened`` gives a tenant's accounts, ``settings`` a stack's settings of its last run."""

    def __init__(
        self,
        tenants: Tenants,
        opened: Callable[[Tenant], Sequence[tuple[Account, Sequence[str]]]],
        settings: Callable[[str], Mapping[str, Any]],
        cloudflare: CloudflareAccount,
    ) -> None:
        self._tenants, self._opened, self._settings, self._cloudflare = tenants, opened, settings, cloudflare

    def look(self, stack: str, creates: Sequence[PendingCreate], held: frozenset[str]) -> Mapping[str, Sequence[Found]]:
        """Raises :class:`EngineFailed` where a cloud gives no usable answer: what was made must not be taken for what wasn't."""
        found: dict[str, Sequence[Found]] = {}
        try:
            tagged = [one for one in creates if one.type in TAGGED]
            if tagged:
                for account, lying in self._lying(stack):
                    for one in tagged:
                        bearers = bearing(one, lying, held)
                        found[one.urn] = [*found.get(one.urn, ()), *(Found(each.id, _remover(account, each)) for each in bearers)]
            for one in creates:
                if one.type.startswith("cloudflare:"):
                    found[one.urn] = [Found(id) for id in self._cloudflare.ids(one.type, one.inputs) if id.lower() not in held]
        except FeedFault as fault:
            raise EngineFailed(stack, "recovery", [f"what a dead engine had begun can't be looked up ({fault})"], []) from fault
        return found

    def _lying(self, stack: str) -> list[tuple[Account, list[CloudResource]]]:
        """What lies in the stack's region of its tenant's account."""
        name = parse_stack_name(stack)
        tenant = self._tenants.tenant(name.tenant)
        if tenant is None or name.kind not in ("region", "placement"):
            return []
        settings = self._settings(stack) if name.kind == "placement" else {"cloud": name.cloud, "region": name.region}
        region = str(settings.get("region"))
        return [(account, account.resources([region])) for account, _ in self._opened(tenant) if account.cloud == settings.get("cloud")]


def _remover(account: Account, resource: CloudResource) -> Callable[[], None]:
    return lambda: account.remove(resource)
