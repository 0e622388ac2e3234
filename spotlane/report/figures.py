"""A month's figures, from the ledger and the records beside it. Pure: what is unknown is None, never 0, and no sum holds it.

Savings are sums over the hours of which both figures are known: on-demand (or staying) less what was paid. A move's proven saving is, over the hours that its
machine served in the month, what the machine that it left would have cost at the prices of then, less what was paid; what the move itself cost, by its
evidence, is told beside it and not taken off.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotlane import ledger_export, wire

SERVING = (wire.WorkloadState.RUNNING, wire.WorkloadState.MIGRATING)
"""States in which the Health Monitor holds a workload to be served; every other one after its first RUNNING counts as unavailable, until it ends."""
_ENDED = (wire.WorkloadState.STOPPING, wire.WorkloadState.TERMINATED)


@dataclass(frozen=True)
class Sources:
    """What a report is made from. ``hours`` are of the month, in the API's order; ``boundaries`` holds a tenant's check, None where it couldn't be had;
    ``anchors`` is None where the caller may not see them."""

    month: str
    begin: datetime
    end: datetime
    tenant: str | None
    made_at: datetime
    hours: Sequence[wire.LedgerHour]
    moves: Sequence[wire.LedgerMove]
    decisions: Mapping[str, wire.Decision]
    """By migration."""
    events: Sequence[wire.WorkloadEvent]
    boundaries: Mapping[str, wire.BoundaryCheck | None]
    caps: Sequence[wire.SpendCap]
    alerts: Sequence[wire.SpendAlert]
    anchors: Sequence[wire.AuditHead] | None


@dataclass(frozen=True)
class Sums:
    """Decimal USD over hours; ``hours`` and ``unknown_hours`` (of unknown paid price) count parts of hours as such."""

    paid: Decimal
    on_demand: Decimal
    stayed: Decimal
    saved: Decimal
    saved_stayed: Decimal
    hours: float
    unknown_hours: float

    @property
    def saved_share(self) -> float | None:
        """Saved against on-demand, of what on-demand would have cost; None where nothing is known of it."""
        return float(self.saved / self.on_demand) if self.on_demand else None


@dataclass(frozen=True)
class Move:
    """A move whose machine served in the month. ``proven`` is None where no hour of it has both prices."""

    migration: str
    workload: str
    kind: str
    at: datetime | None
    from_offer: str
    to_offer: str
    expected: float | None
    """USD net that the decision expected, over its horizon."""
    move_cost: float | None
    proven: Decimal | None
    hours: float
    unproven_hours: float


@dataclass(frozen=True)
class Availability:
    """Seconds of the month in which a workload was to be served, and those of them in which it was. ``share`` is None where no second was."""

    workload: str
    due_seconds: float
    served_seconds: float

    @property
    def share(self) -> float | None:
        """Served, of what was due."""
        return self.served_seconds / self.due_seconds if self.due_seconds else None


@dataclass(frozen=True)
class Compliance:
    """Hours of a tenant's machines by where they ran, under its present boundary. ``inside`` is None where that couldn't be asked for."""

    tenant: str
    digest: str | None
    inside: float | None
    outside: Mapping[str, float]
    """Hours by ``cloud/region``."""
    decisions: int
    decisions_under_present: int


@dataclass(frozen=True)
class Anchor:
    """The last head of an enforcer's chain that was anchored at the edge in the month, and how many were."""

    point: str
    member: str
    count: int
    seq: int
    hash: str
    at: datetime


@dataclass(frozen=True)
class Report:
    """Everything that page and rows show."""

    sources: Sources
    total: Sums
    days: Mapping[str, Sums]
    workloads: Mapping[str, Sums]
    moves: Sequence[Move]
    availability: Sequence[Availability]
    compliance: Sequence[Compliance]
    anchors: Sequence[Anchor] | None
    ledger_digest: str

    @property
    def proven(self) -> Decimal:
        """What all moves by price have proven."""
        return sum((one.proven for one in self.moves if one.kind == "move" and one.proven is not None), Decimal(0))

    @property
    def available(self) -> float | None:
        """Served seconds of all workloads, of those that were due."""
        due = sum(one.due_seconds for one in self.availability)
        return sum(one.served_seconds for one in self.availability) / due if due else None

    @property
    def outside_hours(self) -> float | None:
        """Hours outside the boundaries; None where one of them couldn't be asked for."""
        if any(one.inside is None for one in self.compliance):
            return None
        return sum(hours for one in self.compliance for hours in one.outside.values())


def report(sources: Sources) -> Report:
    """The month's figures."""
    days, workloads = defaultdict(list), defaultdict(list)
    for hour in sources.hours:
        days[f"{hour.hour:%Y-%m-%d}"].append(hour)
        workloads[hour.workload].append(hour)
    return Report(
        sources,
        sums(sources.hours),
        {day: sums(days[day]) for day in sorted(days)},
        {name: sums(workloads[name]) for name in sorted(workloads)},
        moves(sources),
        [found for name, events in _by_workload(sources.events) if (found := availability(name, events, sources.begin, min(sources.end, sources.made_at)))],
        compliance(sources),
        None if sources.anchors is None else anchors(sources.anchors, sources.begin, sources.end),
        ledger_digest(sources.hours),
    )


def sums(hours: Iterable[wire.LedgerHour]) -> Sums:
    """Sums of some hours."""
    known = list(hours)
    return Sums(
        _sum(one.paid_usd for one in known),
        _sum(one.on_demand_usd for one in known),
        _sum(one.stayed_usd for one in known),
        _sum(_less(one.on_demand_usd, one.paid_usd) for one in known),
        _sum(_less(one.stayed_usd, one.paid_usd) for one in known),
        sum(one.seconds for one in known) / 3600,
        sum(one.seconds for one in known if one.paid_usd is None) / 3600,
    )


def moves(sources: Sources) -> list[Move]:
    """Every move whose machine served in the month, also those of months before."""
    served: dict[str, list[wire.LedgerHour]] = defaultdict(list)
    for hour in sources.hours:
        if hour.before_offer is not None:
            served[hour.placement].append(hour)
    told = {one.migration: one for one in sources.moves}
    found = []
    for migration, hours in sorted(served.items()):
        proofs = [_less(one.before_usd, one.paid_usd) for one in hours]
        move, first = told.get(migration), min(hours, key=lambda one: one.hour)
        found.append(
            Move(
                migration,
                first.workload,
                "unknown" if move is None else move.kind,
                None if move is None else move.evidence.market_now,
                _offer(first.before_offer),
                _offer(first.quote.offer),
                None if move is None else move.evidence.net_saving_usd,
                None if move is None else move.evidence.move_cost_usd,
                None if all(one is None for one in proofs) else _sum(proofs),
                sum(one.seconds for one in hours) / 3600,
                sum(one.seconds for one, proof in zip(hours, proofs, strict=True) if proof is None) / 3600,
            )
        )
    return found


def availability(workload: str, events: Iterable[wire.WorkloadEvent], begin: datetime, end: datetime) -> Availability | None:
    """By its changes of state, on the wall clock; None for one that was never due in that time.

    It is due from its first RUNNING until it is stopped; declared anew it is due again from its next RUNNING. An interruption counts until it runs again.
    """
    due = served = 0.0
    state: wire.WorkloadState | None = None
    since, started = begin, False
    for event in [*sorted(events, key=lambda one: one.seq), None]:
        until = end if event is None else min(max(event.at, begin), end)
        if started and state is not None and until > since:
            due += (until - since).total_seconds()
            served += (until - since).total_seconds() if state in SERVING else 0.0
        since = max(since, until)
        if event is not None:
            state = event.state
            started = (started or state is wire.WorkloadState.RUNNING) and state not in _ENDED
    return Availability(workload, due, served) if due else None


def compliance(sources: Sources) -> list[Compliance]:
    """Of each tenant that has hours in the month."""
    hours: dict[str, list[wire.LedgerHour]] = defaultdict(list)
    for hour in sources.hours:
        hours[hour.tenant].append(hour)
    found = []
    for tenant in sorted(hours):
        check = sources.boundaries.get(tenant)
        outside: dict[str, float] = defaultdict(float)
        inside = 0.0
        for hour in hours[tenant]:
            offer = hour.quote.offer
            if check is not None and offer.region in check.regions.get(offer.cloud, ()):
                inside += hour.seconds / 3600
            elif check is not None:
                outside[f"{offer.cloud}/{offer.region}"] += hour.seconds / 3600
        made = {hour.placement for hour in hours[tenant]}
        decided = [one for migration, one in sources.decisions.items() if migration in made]
        present = sum(check is not None and one.boundary_digest == check.digest for one in decided)
        found.append(Compliance(tenant, None if check is None else check.digest, None if check is None else inside, dict(outside), len(decided), present))
    return found


def anchors(heads: Iterable[wire.AuditHead], begin: datetime, end: datetime) -> list[Anchor]:
    """Of each enforcer and machine the last head that was anchored in the month."""
    chains: dict[tuple[str, str], list[wire.AuditHead]] = defaultdict(list)
    for head in heads:
        if begin <= head.at < end:
            chains[head.point, head.member].append(head)
    last = {chain: max(heads, key=lambda one: one.seq) for chain, heads in chains.items()}
    return [Anchor(*chain, len(chains[chain]), last[chain].seq, last[chain].hash, last[chain].at) for chain in sorted(chains)]


def ledger_digest(hours: Iterable[wire.LedgerHour]) -> str:
    """SHA-256 of what ``spotlane ledger --format csv --month`` prints of these hours, byte for byte."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ledger_export.PLAIN, lineterminator="\n")
    writer.writeheader()
    writer.writerows(ledger_export.plain(one) for one in hours)
    return hashlib.sha256(text.getvalue().encode()).hexdigest()


def each_day(begin: datetime, end: datetime) -> list[str]:
    """The days of a month, ``YYYY-MM-DD``."""
    return [f"{begin + timedelta(days=day):%Y-%m-%d}" for day in range((end - begin).days)]


def _by_workload(events: Iterable[wire.WorkloadEvent]) -> list[tuple[str, list[wire.WorkloadEvent]]]:
    found: dict[str, list[wire.WorkloadEvent]] = defaultdict(list)
    for event in events:
        found[event.workload].append(event)
    return sorted(found.items())


def _less(other: Decimal | None, paid: Decimal | None) -> Decimal | None:
    return None if other is None or paid is None else other - paid


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((one for one in amounts if one is not None), Decimal(0))


def _offer(offer: wire.OfferRef | None) -> str:
    """As short as it is clear: clouds with zones name them so that the region is in it."""
    return "" if offer is None else f"{offer.cloud}/{offer.region if offer.zone == '-' else offer.zone} {offer.instance_type}"
