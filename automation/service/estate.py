"""What the edge holds of workloads, tenants and migrations, at one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from automation.service.standbys import Role
from spotlane import wire
from spotlane.client import Client

MONTH = timedelta(days=30)


@dataclass(frozen=True)
class Estate:
    """What the edge holds, at one moment."""

    workloads: tuple[wire.Workload, ...]
    tenants: dict[str, wire.Tenant]
    migrations: tuple[wire.Migration, ...]

    def moves_in_30_days(self, workload: str, role: Role, market_now: datetime) -> int:
        """Moves by price of the last 30 days, on the market's clock, of the machine of ``role``."""
        moves = [one.decision for one in self.migrations if one.workload == workload and one.kind == "move" and one.decision.role == role]
        return sum(1 for one in moves if one.evidence is not None and market_now - one.evidence.market_now <= MONTH)

    @classmethod
    def of(cls, edge: Client) -> Estate:
        """As it stands now. Raises SpotlaneError where the edge is away."""
        tenants = {one.id: one for one in edge.tenants()}
        workloads = tuple(one for one in edge.workloads() if one.tenant in tenants)
        return cls(workloads, tenants, tuple(_of_a_month(edge.migrations())))


def _of_a_month(newest_first: Iterable[wire.Migration]) -> Iterator[wire.Migration]:
    """Those decided within a month before the newest, on the market's clock: older ones count for nothing any more, and aren't fetched."""
    newest: datetime | None = None
    for one in newest_first:
        if (evidence := one.decision.evidence) is not None:
            newest = newest or evidence.market_now
            if newest - evidence.market_now > MONTH:
                return
        yield one
