"""Monthly caps in the daemon's cycle: which there are, how their months stand, and who has to be told. What is kept here can be lost: the ledger has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from automation.service.standbys import machines
from automation.service.translation import offer_from_wire
from domain.catalog import OfferRef
from domain.prices import Quote, known
from domain.spend import Cap, Month, Paid, Running, Spending, spending
from spotlane import wire

_log = structlog.get_logger("spotlane.spend")
_COSTS = (wire.PlacementState.SERVING, wire.PlacementState.STANDBY, wire.PlacementState.DRAINING)


class SpendBook(Protocol):
    """What is asked of the edge."""

    def ledger_months(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> Iterable[wire.WorkloadMonth]:
        """The ledger's sums of a month, by workload."""
        ...

    def raise_alerts(self, alerts: Sequence[wire.SpendAlert]) -> Sequence[wire.SpendAlert]:
        """Those that are new; each is raised once."""
        ...


@dataclass(frozen=True)
class Owner:
    """Who has a cap: a tenant, or one of its workloads."""

    tenant: str
    workload: str | None
    cap_usd: float

    @property
    def name(self) -> str:
        """As the cap is known by."""
        return self.workload or self.tenant


@dataclass(frozen=True)
class Months:
    """The months of all caps at one moment, by the caps' owners; ``rates`` are what the machines of workloads of capped
    tenants cost per hour now, by workload and placement ("" for one to come)."""

    of: Mapping[str, Spending]
    owners: Mapping[str, Owner]
    rates: Mapping[tuple[str, str], float]

    def caps(self, workload: wire.Workload) -> tuple[Cap, ...]:
        """The caps that a workload falls under, as the machine meets them that it is seen from."""
        own = self.rates.get((workload.id, "" if workload.placement is None else workload.placement.id), 0.0)
        return tuple(Cap(self.of[name], own) for name in (workload.id, workload.tenant) if name in self.of)


class Spend:
    """Keeps the ledger's sums of the month for tenants with caps, and which alerts were sent. Not thread-safe: one cycle at a time uses it."""

    def __init__(self, edge: SpendBook) -> None:
        self._edge = edge
        self._paid: dict[str, tuple[str, list[Paid]]] = {}
        self._closed: frozenset[tuple[str, datetime]] = frozenset()
        self._sent: set[tuple[str, str, int]] = set()

    def closed(self, hours: Iterable[wire.LedgerHour]) -> None:
        """These hours are in the ledger now: tenants with new ones among them are asked for anew."""
        rows = {(one.placement, one.hour): one.tenant for one in hours}
        for key in rows.keys() - self._closed:
            self._paid.pop(rows[key], None)
        self._closed = frozenset(rows)

    def months(
        self,
        workloads: Sequence[wire.Workload],
        tenant_caps: Mapping[str, float],
        migrations: Iterable[wire.Migration],
        quotes: Callable[[], Iterable[Quote]],
        now: datetime,
    ) -> Months:
        """Every cap with its month. ``tenant_caps`` is USD a month by tenant. Raises SpotlaneError where the edge is away and a sum isn't known yet."""
        owners = {one.name: one for one in _owners(workloads, tenant_caps)}
        if not owners:
            return Months({}, {}, {})
        tenants = {one.tenant for one in owners.values()}
        counted = [one for one in workloads if one.tenant in tenants]
        roles = _running(counted, migrations, {quote.offer: quote for quote in quotes()}, now)
        running = list(roles.values())
        paid = [one for tenant in sorted(tenants) for one in self._of(tenant, Month.of(now).name)]
        found = {}
        for owner in owners.values():
            parts = (owner.tenant, owner.workload)
            found[owner.name] = spending(
                owner.name,
                owner.cap_usd,
                [one for one in paid if parts in ((one.tenant, one.workload), (one.tenant, None))],
                [one for one in running if parts in ((one.tenant, one.workload), (one.tenant, None))],
                now,
            )
        return Months(found, owners, {of: one.usd_per_hour for of, one in roles.items()})

    def alert(self, months: Months, now: datetime) -> list[wire.SpendAlert]:
        """Raises what has been reached and wasn't raised before; what is new. After a restart all are sent once more, and the edge knows them."""
        due = [one for one in _due(months, now) if (one.owner, one.month, one.percent) not in self._sent]
        if not due:
            return []
        new = list(self._edge.raise_alerts(due))
        self._sent.update((one.owner, one.month, one.percent) for one in due)
        for one in new:
            _log.warning(
                "a share of a monthly cap is reached", owner=one.owner, month=one.month, percent=one.percent, cap_usd=one.cap_usd, paid_usd=one.paid_usd
            )
        return new

    def _of(self, tenant: str, month: str) -> list[Paid]:
        held = self._paid.get(tenant)
        if held is None or held[0] != month:
            sums = self._edge.ledger_months(tenant, month=month)
            held = self._paid[tenant] = (month, [Paid(one.workload, one.tenant, float(one.paid_usd), one.unknown_hours) for one in sums])
        return held[1]


def _owners(workloads: Iterable[wire.Workload], tenant_caps: Mapping[str, float]) -> Iterator[Owner]:
    for tenant, cap_usd in tenant_caps.items():
        yield Owner(tenant, None, cap_usd)
    for one in workloads:
        if one.spec.placement.max_usd_per_month is not None:
            yield Owner(one.tenant, one.id, one.spec.placement.max_usd_per_month)


def _running(
    workloads: Iterable[wire.Workload], migrations: Iterable[wire.Migration], quotes: Mapping[OfferRef, Quote], now: datetime
) -> dict[tuple[str, str], Running]:
    """What each workload costs now, by its machines. One that moves counts at the dearer of its two machines: the move may end either way."""
    made = [one.decision for one in migrations if one.status == "running" and one.decision.offer is not None and one.decision.promote is None]
    coming = {(one.workload, one.from_placement or ""): one for one in made}
    found: dict[tuple[str, str], Running] = {}
    for one in workloads:
        placed_by: dict[str, wire.Placement | None] = {placed.id: placed for placed in machines(one)} | {"": None}
        for name, placed in placed_by.items():
            rates, since = [], now
            if placed is not None and placed.state in _COSTS:
                rates.append(_usd_per_hour(placed.offer, placed.quote, quotes, placed.capacity))
                since = placed.market_served_from or placed.market_ready_from or placed.market_created_at
            if (decision := coming.get((one.id, name))) is not None and decision.offer is not None and decision.evidence is not None:
                rates.append(_usd_per_hour(decision.offer, decision.evidence.quote, quotes, decision.capacity))
            known_rates = [rate for rate in rates if rate is not None]
            if known_rates:
                found[one.id, name] = Running(one.id, one.tenant, max(known_rates), since)
            elif rates:
                _log.warning("a workload's price isn't known, so that its caps are projected without it", workload=one.id)
    return found


def _usd_per_hour(offer: wire.OfferRef, taken: wire.Quote, quotes: Mapping[OfferRef, Quote], capacity: str) -> float | None:
    """The spot price of now; else that at which the machine was taken, else its on-demand price, which it can't be above. On demand, that price."""
    quote = quotes.get(offer_from_wire(offer))
    if capacity == "on-demand":
        listed = None if quote is None else known(quote.on_demand)
        return taken.on_demand_usd_per_hour if listed is None else listed
    spot = None if quote is None else known(quote.spot)
    if spot is not None:
        return spot
    return taken.spot_usd_per_hour if taken.spot_usd_per_hour is not None else taken.on_demand_usd_per_hour


def _due(months: Months, now: datetime) -> Iterator[wire.SpendAlert]:
    for name in sorted(months.of):
        spent, owner = months.of[name], months.owners[name]
        for percent in spent.reached():
            yield wire.SpendAlert(
                owner=name,
                tenant=owner.tenant,
                workload=owner.workload,
                month=spent.month.name,
                percent=percent,
                cap_usd=spent.cap_usd,
                paid_usd=spent.paid_usd,
                projected_usd=spent.projected_usd,
                market_at=now,
            )
