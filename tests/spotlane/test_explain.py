"""``spotlane explain``: the story of a workload's place, line by line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from domain.placement.score import REFUSALS
from spotlane import wire
from spotlane.cli.explain import MENDS, Explained, fallen, others, sentences

NOW = "2026-03-10T08:00:00Z"
HERE = {"cloud": "gcp", "region": "europe-west4", "zone": "europe-west4-a", "instanceType": "e2-standard-2"}
QUOTE = {"offer": HERE, "spotUsdPerHour": 0.012, "onDemandUsdPerHour": 0.07, "source": "s", "observedAt": NOW}
EVIDENCE: dict[str, Any] = {
    "marketNow": NOW,
    "quote": QUOTE,
    "quoteAgeSeconds": 60,
    "currentQuote": QUOTE,
    "expectedUsdPerHour": 0.018,
    "currentUsdPerHour": 0.021,
    "moveCostUsd": 0.5,
    "horizonHours": 720,
    "netSavingUsd": 1.66,
    "netSavingShare": 0.14,
    "offersConsidered": 40,
    "alternatives": [],
    "parts": {"spotUsdPerHour": 0.012, "egressUsdPerHour": 0.006, "riskUsdPerHour": 0.0, "carryUsd": 0.4, "overlapUsd": 0.1},
    "hurdle": {"gapUsdPerHour": 0.003, "leastGapUsdPerHour": 0.002, "regretUsd": 0.4, "leastRegretUsd": 2.5, "dwellLeftHours": 12.25},
}
DECISION = {"id": "d", "workload": "web-acme", "kind": "move", "offer": HERE, "fromPlacement": None, "boundaryDigest": "sha256:" + "0" * 64}
DECISION |= {"evidence": EVIDENCE, "reason": "saves 4.10 USD net in 720 h (20%)"}


def told(**changed: Any) -> Explained:
    """A workload that was moved and stays, with one thing changed."""
    placement = wire.Placement.model_construct(id="acme_web_3", offer=wire.OfferRef.model_validate(HERE))
    workload = wire.Workload.model_construct(id="web-acme", state=wire.WorkloadState.RUNNING, placement=changed.get("placement", placement))
    came = wire.Migration.model_construct(
        id="acme_web_3", kind="move", decision=wire.Decision.model_validate(DECISION), started_at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    evidence = EVIDENCE | changed.get("evidence", {})
    item = wire.PlanItem.model_validate({"workload": "web-acme", "verdict": "stay", "reason": "dwell: it waits", "decision": None, "evidence": evidence})
    return Explained(workload, changed.get("came", came), changed.get("now", item))


def test_the_whole_story_of_a_workload_that_was_moved_and_stays() -> None:
    assert sentences(told()) == [
        "web-acme is RUNNING on gcp/europe-west4/europe-west4-a e2-standard-2",
        "It came here by move acme_web_3: saves 4.10 USD net in 720 h (20%).",
        "  40 offers were considered by the prices of 2026-03-10 08:00 UTC; this one was expected at 0.0180 USD/h.",
        "Now: stay, for dwell: it waits.",
        "  Best of 40 offers by the prices of 2026-03-10 08:00 UTC: gcp/europe-west4/europe-west4-a e2-standard-2 at 0.0180 USD/h "
        "(spot 0.0120, egress 0.0060, interruption risk 0.0000).",
        "  Staying costs 0.0210 USD/h, moving 0.5000 USD once (state 0.4000, both machines for a while 0.1000): net +1.66 USD in 720 h.",
        "  A move by price needs a gap of 0.0020 USD/h (it is 0.0030) and a regret of 2.50 USD (it is 0.40); 12.2 h more at this gap.",
    ]


def test_what_is_held_for_an_availability_is_told_with_the_other_ways_and_the_zones() -> None:
    zones = [
        {"cloud": "aws", "region": "eu-west-1", "zone": name, "held": held, "lossesPerHour": rate} for name, held, rate in (("a", 1, 0.5), ("b", 0, 0.0001))
    ]
    chosen, other = ({"spot": spot, "onDemand": 0, "usdPerHour": spot * 0.02, "riskUsdPerHour": risk} for spot, risk in ((2, 0.0), (1, 0.3)))
    holding = {"availability": 0.99, "replicas": 1, "chosen": chosen, "others": [other], "zones": zones, "detail": "it holds 2 on spot"}
    now = wire.PlanItem.model_validate({"workload": "web-acme", "verdict": "stay", "reason": "r", "decision": None, "evidence": None, "holding": holding})
    assert sentences(told(now=now))[-4:] == [
        "Availability: it holds 2 on spot.",
        "  Not 1 on spot and 0 on demand: 0.0200 USD/h, and shortages would be worth 0.3000 USD/h.",
        "  aws/eu-west-1/a, 1 held: 0.50000 losses per machine and hour expected.",
        "  aws/eu-west-1/b, asked for one: 0.00010 losses per machine and hour expected.",
    ]


def test_a_gap_that_is_too_narrow_is_said_in_place_of_hours() -> None:
    hurdle = EVIDENCE["hurdle"] | {"gapUsdPerHour": 0.001}
    assert sentences(told(evidence={"hurdle": hurdle}))[-1].endswith("; the gap is too narrow.")


def test_what_refusals_are_expected_to_cost_is_said_with_what_was_answered_of_late() -> None:
    asking = {"chance": 0.9, "refused": 1.04, "launched": 0.0, "refusalUsd": 0.01667, "expectedUsd": 0.15}
    assert (
        "  It is refused 90% of the times for want of capacity (of late refused 1.0, had 0.0 times); "
        "until another is asked that costs 0.0167 USD, 0.1500 to be expected."
    ) in sentences(told(evidence={"asking": asking}))


def test_a_workload_that_nothing_serves_and_that_has_no_verdict_says_so() -> None:
    assert sentences(told(placement=None, came=None, now=None)) == [
        "web-acme is RUNNING, and nothing serves it",
        "The daemon has no verdict on it now: it moves already, or it isn't to run.",
    ]


def test_without_an_offer_the_next_step_and_every_reason_are_told() -> None:
    lost = {"offer": HERE, "usdPerHour": 0.05, "reason": "over-month-cap", "detail": "would bring acme to 36.00 USD"}
    item = {"workload": "web-acme", "verdict": "no_offer", "reason": "over-month-cap: the cheapest", "decision": None, "evidence": None}
    counts = {"usable": 0, "outside-boundary": 120, "over-month-cap": 30}
    nothing = told(placement=None, came=None, now=wire.PlanItem.model_validate(item | {"alternatives": [lost], "counts": counts}))
    assert sentences(nothing)[-2:] == [
        "Now: no offer, for over-month-cap: the cheapest.",
        "  Raise the cap, wait for the next month, or need a smaller machine.",
    ]
    assert [one.detail for one in others(nothing)] == ["would bring acme to 36.00 USD"]
    assert fallen(nothing) == "Of 150 offers 0 may be used; the others: 120 outside-boundary, 30 over-month-cap."


def test_the_caps_that_a_decision_had_to_keep_stand_in_the_story() -> None:
    cap = {
        "owner": "acme",
        "month": "2026-03",
        "capUsd": 100,
        "paidUsd": 60,
        "usdPerHour": 0.1,
        "projectedUsd": 112,
        "hoursLeft": 520,
        "standing": "headed-over",
    }
    assert sentences(told(evidence={"caps": [cap]}))[-1] == "  The cap of acme is 100.00 USD in 2026-03: 60.00 paid, 112.00 projected, headed over."


def test_every_reason_that_leaves_nothing_has_a_next_step() -> None:
    assert {reason.value for reason in REFUSALS} - {"peer"} == set(MENDS)


def test_a_standby_is_told_of_with_what_is_planned_for_it() -> None:
    placed = wire.Placement.model_construct(id="acme_web_4", offer=wire.OfferRef.model_validate(HERE), state=wire.PlacementState.STANDBY)
    evidence = EVIDENCE | {"counts": {"peer": 6, "usable": 34}}
    known = {"workload": "web-acme", "verdict": "stay", "reason": "dwell: it waits", "decision": None, "evidence": evidence, "role": "standby"}
    one = told()
    story = Explained(one.workload.model_copy(update={"further": [placed]}), one.came, one.now, wire.PlanItem.model_validate(known))
    assert sentences(story)[len(sentences(one)) :] == [
        "acme_web_4 stands by on gcp/europe-west4/europe-west4-a e2-standard-2: it takes over where the first goes or fails.",
        "Standby now: stay, for dwell: it waits.",
        "  Best of 40 offers, 6 of them where the first may fail too: gcp/europe-west4/europe-west4-a e2-standard-2 at 0.0180 USD/h.",
    ]


def test_other_machines_that_serve_are_told_of_and_one_that_is_to_come() -> None:
    placed = wire.Placement.model_construct(id="acme_web_4", offer=wire.OfferRef.model_validate(HERE), state=wire.PlacementState.SERVING)
    known = {"workload": "web-acme", "verdict": "stay", "reason": "dwell: it waits", "decision": None, "evidence": EVIDENCE}
    items = [
        wire.PlanItem.model_validate(known | {"placement": "acme_web_4"}),
        wire.PlanItem.model_validate(known | {"verdict": "no_offer", "reason": "peer: none"}),
    ]
    one = told()
    story = Explained(one.workload.model_copy(update={"further": [placed]}), one.came, one.now, None, items)
    assert sentences(story)[len(sentences(one)) :] == [
        "acme_web_4 serves too, on gcp/europe-west4/europe-west4-a e2-standard-2: stay, for dwell: it waits.",
        "Another machine is wanted: no offer, for peer: none.",
    ]
