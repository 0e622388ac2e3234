"""What each command's ``--json`` is: the models by which its published schema is made (``docs/schemas``) and its answer is tested."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import TypeAdapter

from spotlane import wire


class Status(wire.Wire):
    """``spotlane status`` and each record of ``spotlane watch``; ``plan`` and ``spend`` are null where the automation service is away."""

    workloads: list[wire.Workload]
    totals: wire.LedgerTotals
    plan: wire.Plan | None
    away: str
    spend: wire.Spend | None
    alerts: list[wire.SpendAlert]
    months: list[wire.WorkloadMonth]


class Explained(wire.Wire):
    """``spotlane explain``."""

    workload: wire.Workload
    came: wire.Migration | None
    now: wire.PlanItem | None
    standby: wire.PlanItem | None = None
    others: list[wire.PlanItem] = []


class Doctor(wire.Wire):
    """``spotlane doctor``: what was looked at."""

    preflight: wire.Preflight | None = None
    sweep: wire.Sweep | None = None


class Forecast(wire.Wire):
    """``spotlane forecast``; decimal USD."""

    month: str
    as_of: str | None
    paid_usd: Decimal
    usd_per_hour: Decimal | None
    forecast_usd: Decimal | None
    unknown_hours: float


class Report(wire.Wire):
    """``spotlane report``; decimal USD. ``available`` is a share from 0 to 1."""

    month: str
    files: list[str]
    ledger_sha256: str
    paid_usd: Decimal
    saved_usd: Decimal
    saved_stayed_usd: Decimal
    proven_usd: Decimal
    hours: float
    unknown_hours: float
    available: float | None
    outside_boundary_hours: float | None


class LoggedIn(wire.Wire):
    """``spotlane login``: where to, and what keeps the key."""

    api_url: str
    kept_in: Literal["keyring", "file"]


class LoggedOut(wire.Wire):
    """``spotlane logout``: of what; null where nobody was signed in."""

    api_url: str | None


class Project(wire.Wire):
    """``spotlane init``: what was written."""

    folder: str
    files: list[str]


class Opened(wire.Wire):
    """``spotlane open``: the address."""

    url: str


class Paused(wire.Wire):
    """``spotlane daemon pause`` and ``resume``."""

    paused: bool


class Holds(wire.Wire):
    """``spotlane daemon holds``, and those of one subject."""

    items: list[wire.Hold]


class Revoked(wire.Wire):
    """``spotlane key rm``: the key's id."""

    revoked: str


class Removed(wire.Wire):
    """``spotlane tenant rm``: the tenant's id."""

    removed: str


class Version(wire.Wire):
    """``spotlane version``."""

    version: str


ANSWERS: dict[str, Any] = {
    "daemon": Paused | Holds | wire.TickReport | wire.Plan,
    "doctor": Doctor,
    "explain": Explained,
    "forecast": Forecast,
    "init": Project,
    "key add": wire.ApiKey,
    "key ls": list[wire.KeyInfo],
    "key rm": Revoked,
    "key rotate": wire.SigningKeys,
    "ledger": wire.Ledger,
    "login": LoggedIn,
    "logout": LoggedOut,
    "logs": wire.WorkloadEvent | wire.LogLine,
    "migrate": wire.Migration,
    "open": Opened,
    "plan": wire.Plan | wire.WhatIf,
    "prices": wire.PriceBook,
    "prices feeds": wire.Feeds,
    "report": Report,
    "runs cancel": wire.Run,
    "runs logs": dict[str, Any],
    "runs ls": list[wire.Run],
    "runs retry": wire.Run,
    "runs show": wire.Run,
    "status": Status,
    "tenant add": wire.Tenant,
    "tenant ls": list[wire.Tenant],
    "tenant rm": Removed,
    "version": Version,
    "watch": Status,
    "workload apply": wire.Workload,
    "workload ls": list[wire.Workload],
    "workload rm": wire.Workload,
    "workload show": wire.Workload,
}
"""By command. A command whose answer is a stream (``runs logs``, ``--watch``) gives documents of this form, one a line."""


def schema(command: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a command's answer. Raises KeyError for a command without one."""
    made = TypeAdapter(ANSWERS[command]).json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"spotlane {command} --json", **{k: v for k, v in made.items() if k != "title"}}
