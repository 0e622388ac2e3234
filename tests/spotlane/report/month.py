"""A month of two tenants' ledgers with a move, an interruption, unknown prices and a region outside: what a report is made from."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from spotlane import wire
from spotlane.report.figures import Sources
from tests.spotlane.test_explain import EVIDENCE

BEGIN, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
_OFFERS = {
    "aws": wire.OfferRef(cloud="aws", region="eu-west-1", zone="eu-west-1a", instance_type="m5.large"),
    "gcp": wire.OfferRef(cloud="gcp", region="europe-west4", zone="europe-west4-a", instance_type="e2-standard-2"),
    "azure": wire.OfferRef(cloud="azure", region="eastus", zone="-", instance_type="Standard_D2s_v5"),
}


def hours(seed: int = 3, days: int = 31) -> list[wire.LedgerHour]:
    """The API's order: newest first."""
    dice = random.Random(seed)
    found = []
    for number, (tenant, name) in enumerate((("acme", "web"), ("acme", "jobs"), ("globex", "shop"))):
        spot = {cloud: 0.03 + 0.01 * number + 0.01 * at for at, cloud in enumerate(("gcp", "aws", "azure"))}
        for at in range(days * 24):
            spot = {cloud: min(0.09, max(0.01, price * dice.uniform(0.97, 1.03))) for cloud, price in spot.items()}
            generation, cloud = (1, "aws") if at < 200 else (2, "gcp") if at < 500 or name == "jobs" else (3, "azure")
            found.append(_hour(tenant, name, generation, BEGIN + timedelta(hours=at), cloud, spot, dice.random()))
    return sorted(found, key=lambda one: (one.hour, one.placement), reverse=True)


def sources(**changed: Any) -> Sources:
    """Whole; with one thing changed."""
    known = {"month": "2026-03", "begin": BEGIN, "end": END, "tenant": None, "made_at": datetime(2026, 4, 2, 9, 30, tzinfo=UTC), "hours": hours()}
    regions = wire.BoundaryCheck(digest=DIGEST, regions={"aws": ["eu-west-1"], "gcp": ["europe-west4"], "azure": ["westeurope"]})
    wide = wire.BoundaryCheck(digest=DIGEST, regions={"aws": ["eu-west-1"], "gcp": ["europe-west4"], "azure": ["eastus"]})
    cap = {"owner": "acme", "month": "2026-03", "capUsd": 100, "paidUsd": 61.2, "usdPerHour": 0.08, "projectedUsd": 61.2, "hoursLeft": 0, "standing": "within"}
    alert = {"owner": "acme", "tenant": "acme", "workload": None, "month": "2026-03", "percent": 50, "capUsd": 100, "paidUsd": 50.1, "projectedUsd": 98}
    known |= {
        "moves": [move("acme_web_2", "move"), move("acme_web_3", "interruption"), move("acme_jobs_2", "move"), move("globex_shop_2", "requested")],
        "decisions": {"acme_web_2": decision(DIGEST), "acme_web_3": decision("sha256:" + "cd" * 32), "globex_shop_2": decision(DIGEST)},
        "events": events(),
        "boundaries": {"acme": wide, "globex": regions},
        "caps": [wire.SpendCap.model_validate(cap)],
        "alerts": [wire.SpendAlert.model_validate(alert | {"marketAt": BEGIN + timedelta(days=17)})],
        "anchors": [head(seq, BEGIN + timedelta(days=seq)) for seq in (-1, 3, 20, 29, 31)],
    }
    return Sources(**(known | changed))


def move(migration: str, kind: str) -> wire.LedgerMove:
    tenant, name, _ = migration.split("_")
    known = {"migration": migration, "workload": f"{name}-{tenant}", "tenant": tenant, "kind": kind, "fromOffer": _OFFERS["aws"], "toOffer": _OFFERS["gcp"]}
    return wire.LedgerMove.model_validate(known | {"evidence": EVIDENCE, "recordedAt": BEGIN})


def decision(digest: str) -> wire.Decision:
    known = {"id": "d", "workload": "web-acme", "kind": "move", "offer": None, "fromPlacement": None, "boundaryDigest": digest, "evidence": None}
    return wire.Decision.model_validate(known | {"reason": "cheapest"})


def head(seq: int, at: datetime) -> wire.AuditHead:
    return wire.AuditHead(point="api", member="local", seq=seq + 100, hash=f"{seq:02x}" * 32, at=at)


def event(seq: int, state: str, hours_in: float, workload: str = "web-acme") -> wire.WorkloadEvent:
    return wire.WorkloadEvent(seq=seq, workload=workload, state=wire.WorkloadState(state), reason="", at=BEGIN + timedelta(hours=hours_in))


def events() -> list[wire.WorkloadEvent]:
    """web is interrupted for a quarter of an hour, jobs never stops, shop is declared and never runs."""
    web = [event(1, "PENDING", -30), event(2, "RUNNING", -29), event(3, "MIGRATING", 200), event(4, "RUNNING", 200.1), event(5, "INTERRUPTED", 500)]
    return [*web, event(6, "RUNNING", 500.25), event(7, "RUNNING", 0, "jobs-acme"), event(8, "PENDING", 1, "shop-globex")]


def _hour(tenant: str, name: str, generation: int, at: datetime, cloud: str, spot: dict[str, float], chance: float) -> wire.LedgerHour:
    unknown = chance < 0.004
    before = {1: None, 2: "aws", 3: "gcp"}[generation]

    def usd(price: float) -> Decimal:
        return Decimal(f"{price:.6f}")

    return wire.LedgerHour(
        placement=f"{tenant}_{name}_{generation}",
        workload=f"{name}-{tenant}",
        tenant=tenant,
        hour=at,
        seconds=3600,
        paid_usd=None if unknown else usd(spot[cloud]),
        on_demand_usd=None if 0.004 <= chance < 0.006 else usd(0.107),
        stayed_usd=usd(spot["aws"]),
        quote=wire.Quote(offer=_OFFERS[cloud], spot_usd_per_hour=None if unknown else spot[cloud], on_demand_usd_per_hour=0.1, source="test", observed_at=at),
        stayed_offer=_OFFERS["aws"],
        before_usd=None if before is None or 0.006 <= chance < 0.01 else usd(spot[before]),
        before_offer=None if before is None else _OFFERS[before],
    )
