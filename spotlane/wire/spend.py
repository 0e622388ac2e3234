"""Monthly caps, how months stand to them, and the alerts that were raised, as they travel. Months are calendar months in UTC on the market's clock."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from spotlane.wire.base import TenantId, Wire, WorkloadId

MonthName = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-(?:0[1-9]|1[0-2])$")]


class SpendCap(Wire):
    """A month under a cap, in USD. ``owner`` is a workload's id or a tenant's.

    ``paid_usd`` is the ledger and what has run since its last hour, ``projected_usd`` that and what runs now to the month's end; ``unknown_hours`` are hours
    whose price nobody knew, which are in no sum.
    """

    owner: str
    month: MonthName
    cap_usd: float = Field(gt=0)
    paid_usd: float
    usd_per_hour: float
    projected_usd: float
    hours_left: float
    standing: Literal["within", "headed-over", "over"]
    unknown_hours: float = 0.0


class Spend(Wire):
    """Every cap that the caller may see, tenants before their workloads."""

    market_now: datetime
    items: list[SpendCap]


class SpendAlert(Wire):
    """What was paid in a month has come to ``percent`` of a cap. Raised once a month for each owner and per cent; ``market_at`` is the market's time of it.

    ``workload`` is null where the cap is the tenant's; ``raised_at`` is given by the edge.
    """

    owner: str = Field(max_length=64)
    tenant: TenantId
    workload: WorkloadId | None
    month: MonthName
    percent: int = Field(ge=1, le=100)
    cap_usd: float = Field(gt=0)
    paid_usd: float
    projected_usd: float
    market_at: datetime
    raised_at: datetime | None = None


class SpendAlerts(Wire):
    """Of the alerts that were sent those that hadn't been raised before."""

    items: list[SpendAlert]


class WorkloadMonth(Wire):
    """A workload's hours of one month in the ledger. Sums are over the hours whose figure is known, savings over those of which both figures are;
    ``unknown_hours`` are those whose paid price isn't."""

    workload: WorkloadId
    tenant: TenantId
    month: MonthName
    hours: float
    unknown_hours: float
    paid_usd: Decimal
    on_demand_usd: Decimal
    stayed_usd: Decimal
    saved_usd: Decimal
    saved_stayed_usd: Decimal
