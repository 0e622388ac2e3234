"""Redeploys: who gets a new machine for a changed declaration, and when a failed one is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from automation.service.redeploys import AGAIN, RENEWED, due
from domain.placement.plan import Trigger
from spotlane import wire

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OFFER = {"cloud": "aws", "region": "eu-west-1", "zone": "eu-west-1a", "instanceType": "m5.large"}
QUOTE = {"offer": OFFER, "spotUsdPerHour": 0.05, "onDemandUsdPerHour": 0.1, "source": "test", "observedAt": NOW}


def placement(generation: int, fingerprint: str | None) -> wire.Placement:
    identity = {"id": f"acme_web_{generation}", "workload": "web-acme", "tenant": "acme", "generation": generation}
    where = {"offer": OFFER, "origin": "https://o", "tcpOrigin": None, "quote": QUOTE, "createdAt": NOW, "marketCreatedAt": NOW}
    return wire.Placement.model_validate(identity | where | {"state": "SERVING", "fingerprint": fingerprint})


def workload(fingerprint: str, placed: wire.Placement | None) -> wire.Workload:
    digest = "sha256:" + "0" * 64
    spec = {"artifact": {"digest": digest, "sizeBytes": 1}, "command": ["./serve"], "ports": {"http": 8080}}
    identity = {"id": "web-acme", "tenant": "acme", "name": "web", "state": "RUNNING", "reason": "", "generation": 1, "fingerprint": fingerprint}
    moment = {"activeMigration": None, "createdAt": NOW, "updatedAt": NOW}
    return wire.Workload.model_validate(identity | moment | {"spec": spec, "placement": placed})


def failed(generation: int, ago: timedelta, **changes: Any) -> wire.Migration:
    decision = {"id": "d", "workload": "web-acme", "kind": "redeploy", "offer": None, "fromPlacement": None, "boundaryDigest": "sha256:" + "0" * 64}
    identity = {"id": f"acme_web_{generation}", "workload": "web-acme", "tenant": "acme", "generation": generation, "kind": "redeploy"}
    end = {"step": "compensated", "status": "failed", "error": "it never answered", "startedAt": NOW - ago, "finishedAt": NOW - ago}
    rest = {"fencingToken": 2, "fromPlacement": "acme_web_1", "routeVersion": None, "decision": decision | {"evidence": None, "reason": ""}}
    return wire.Migration.model_validate(identity | end | rest | changes)


@pytest.mark.parametrize(
    ("of_spec", "of_placement", "expected"), [("a", "a", False), ("b", "a", True), ("b", None, False)], ids=["unchanged", "changed", "made-before-fingerprints"]
)
def test_a_changed_declaration_is_due(of_spec: str, of_placement: str | None, expected: bool) -> None:
    found = due([workload(of_spec, placement(1, of_placement))], [], lambda _: [], NOW)
    assert ("web-acme" in found) is expected


def test_a_workload_that_runs_nowhere_is_deployed_not_redeployed() -> None:
    assert due([workload("b", None)], [], lambda _: [], NOW) == {}


@pytest.mark.parametrize(
    ("ago", "tried", "expected"),
    [(timedelta(minutes=1), "b", False), (AGAIN, "b", True), (timedelta(minutes=1), "c", True)],
    ids=["the-same-just-failed", "the-same-failed-a-while-ago", "another-declaration-failed"],
)
def test_what_just_failed_waits_and_a_repaired_declaration_does_not(ago: timedelta, tried: str, expected: bool) -> None:
    history = [failed(2, timedelta(days=1)), failed(3, ago)]
    found = due([workload("b", placement(1, "a"))], history, lambda _: [placement(3, tried), placement(1, "a")], NOW)
    assert ("web-acme" in found) is expected


def test_other_workloads_failures_and_other_kinds_hold_nothing_back() -> None:
    history = [failed(3, timedelta(0), workload="api-acme"), failed(4, timedelta(0), kind="move")]
    assert due([workload("b", placement(1, "a"))], history, lambda _: [placement(4, "b")], NOW) == {"web-acme": Trigger.REDEPLOY}


@pytest.mark.parametrize(("age", "expected"), [(RENEWED - timedelta(seconds=1), {}), (RENEWED, {"web-acme": Trigger.RENEWAL})])
def test_a_machine_is_renewed_before_its_credentials_end(age: timedelta, expected: dict[str, Trigger]) -> None:
    assert due([workload("a", placement(1, "a"))], [], lambda _: [], NOW + age) == expected


def test_a_renewal_that_just_failed_waits_like_any_redeploy() -> None:
    old = NOW + RENEWED
    history = [failed(2, timedelta(minutes=1)).model_copy(update={"finished_at": old - timedelta(minutes=1)})]
    assert due([workload("a", placement(1, "a"))], history, lambda _: [placement(2, "a")], old) == {}
