"""``spotlane status``: what runs where, at the price of now, and what comes next; whole also while the automation service is away."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from spotlane import wire
from spotlane.cli.status import COLUMNS, Seen, document, footer, rows
from tests.spotlane.test_explain import EVIDENCE, HERE, QUOTE

TAKEN = wire.Quote.model_validate(QUOTE | {"spotUsdPerHour": 0.02})
PLACED = wire.Placement.model_construct(id="acme_web_3", offer=wire.OfferRef.model_validate(HERE), quote=TAKEN)
TOTALS = wire.LedgerTotals(
    paid_usd=Decimal("2.50"),
    on_demand_usd=Decimal(10),
    stayed_usd=Decimal(2),
    saved_usd=Decimal("7.50"),
    saved_stayed_usd=Decimal("-0.50"),
    hours=48,
    unknown_hours=0,
)


def workload(**changed: Any) -> wire.Workload:
    known = {"id": "web-acme", "state": wire.WorkloadState.RUNNING, "placement": PLACED, "active_migration": None}
    return wire.Workload.model_construct(**known | changed)


def seen(one: wire.Workload, *, plan: bool = True) -> Seen:
    item = wire.PlanItem.model_validate({"workload": "web-acme", "verdict": "stay", "reason": "cheapest", "decision": None, "evidence": EVIDENCE})
    made = wire.Plan(market_now=datetime(2026, 3, 10, 8, tzinfo=UTC), items=[item], saving_usd_per_30_days=0.0)
    return Seen([one], TOTALS, made if plan else None, "" if plan else "the automation service does not answer")


def test_a_workload_is_shown_at_the_price_of_now_and_with_what_comes_next() -> None:
    assert rows(seen(workload())) == [("web-acme", "RUNNING", "gcp/europe-west4 e2-standard-2", "0.0120", "17", "stay: cheapest")]
    assert len(rows(seen(workload()))[0]) == len(COLUMNS)


def test_without_a_plan_the_price_it_was_taken_at_stands_and_the_reason_below() -> None:
    away = seen(workload(), plan=False)
    assert rows(away) == [("web-acme", "RUNNING", "gcp/europe-west4 e2-standard-2", "0.0200", "29", "-")]
    assert footer(away)[-1] == "the automation service is away, so that nothing moves: the automation service does not answer"


def test_a_move_under_way_and_a_workload_without_a_machine_say_so() -> None:
    assert rows(seen(workload(active_migration="acme_web_4")))[0][-1] == "moving now (acme_web_4)"
    assert rows(seen(workload(placement=None, state=wire.WorkloadState.PENDING)))[0][:5] == ("web-acme", "PENDING", "-", "-", "-")


def test_savings_are_shares_of_what_else_it_would_have_cost() -> None:
    assert footer(seen(workload()))[0] == ("48.0 h served: paid 2.50 USD, 75 % less than on-demand (10.00), 25 % more than staying where they began (2.00)")
    nothing = Seen([], TOTALS.model_copy(update=dict.fromkeys(("on_demand_usd", "saved_usd", "saved_stayed_usd"), Decimal(0))), None, "x")
    assert "as much as on-demand (0.00)" in footer(nothing)[0]


def test_programs_get_all_of_it() -> None:
    told = document(Seen([], TOTALS, None, "away"))
    assert (told["totals"]["paidUsd"], told["plan"], told["away"]) == ("2.50", None, "away")


def test_caps_alerts_and_hours_of_unknown_price_stand_below_the_table() -> None:
    cap = {"owner": "acme", "month": "2026-03", "capUsd": 100, "paidUsd": 81, "usdPerHour": 0.1, "projectedUsd": 132.5, "hoursLeft": 515}
    cap |= {"standing": "headed-over"}
    alert = {"owner": "acme", "tenant": "acme", "workload": None, "month": "2026-03", "percent": 80, "capUsd": 100, "paidUsd": 80.1, "projectedUsd": 130}
    at = datetime(2026, 3, 10, 7, tzinfo=UTC)
    spend = wire.Spend(market_now=at, items=[wire.SpendCap.model_validate(cap)])
    told = Seen([], TOTALS.model_copy(update={"unknown_hours": 1.5}), None, "x", spend, [wire.SpendAlert.model_validate(alert | {"marketAt": at})])
    assert footer(told)[1:-1] == [
        "the price of 1.5 h is unknown: they are in no sum",
        "cap of acme: 81.00 of 100.00 USD paid in 2026-03, 132.50 projected, headed over it",
        "alert: acme reached 80 % of its cap of 100.00 USD at 2026-03-10 07:00 UTC",
    ]
    assert (document(told)["spend"]["items"][0]["capUsd"], document(told)["alerts"][0]["percent"]) == (100, 80)


def test_each_machine_beside_the_first_has_a_row_of_its_own_below_its_workload() -> None:
    second = PLACED.model_copy(update={"id": "acme_web_2", "state": wire.PlacementState.SERVING})
    standby = PLACED.model_copy(update={"id": "acme_web_4", "state": wire.PlacementState.STANDBY})
    one = seen(workload(further=[second, standby]))
    assert one.plan is not None
    item = one.plan.items[0].model_copy(update={"role": "standby", "placement": "acme_web_4", "reason": "dwell: it waits"})
    other = one.plan.items[0].model_copy(update={"placement": "acme_web_2", "reason": "cheapest of all"})
    both = Seen(one.workloads, TOTALS, one.plan.model_copy(update={"items": [other, *one.plan.items, item]}))
    assert rows(both) == [
        ("web-acme", "RUNNING", "gcp/europe-west4 e2-standard-2", "0.0120", "17", "stay: cheapest"),
        ("  acme_web_2", "SERVING", "gcp/europe-west4 e2-standard-2", "0.0120", "17", "stay: cheapest of all"),
        ("  acme_web_4", "STANDBY", "gcp/europe-west4 e2-standard-2", "0.0120", "17", "stay: dwell: it waits"),
    ]
