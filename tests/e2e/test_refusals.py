"""A cloud refuses a machine in its own words: the old one serves on, the refusal decides what is tried next, and it is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from demo.cast import CAST
from domain.refusals import Refusal, RefusalKind, read
from spotlane import wire
from tests.e2e.conftest import Platform

pytestmark = pytest.mark.timeout(600)
_, GLOBEX = CAST
CHEAPER = 0.25
"""So much cheaper becomes the cloud on which every choice is to fall."""


@contextmanager
def drawn_to(platform: Platform, cloud: str) -> Iterator[None]:
    """Every choice falls on ``cloud`` inside the block; faults are taken back after it."""
    platform.director.quiet(GLOBEX, 120)
    platform.stage.control("POST", "/market/events", {"kind": "repricing", "cloud": cloud, "factor": CHEAPER})
    try:
        yield
    finally:
        platform.stage.control("DELETE", "/faults")
        platform.stage.control("POST", "/market/events", {"kind": "repricing", "cloud": cloud, "factor": 1 / CHEAPER})
        platform.director.quiet(GLOBEX, 120)


@contextmanager
def bidding(platform: Platform, usd_per_hour: float | None) -> Iterator[None]:
    """The workload bids so much inside the block."""
    spec = platform.edge.workload(GLOBEX.id).spec
    bid = spec.placement.model_copy(update={"max_usd_per_hour": usd_per_hour})
    platform.edge.put_workload(GLOBEX.id, spec.model_copy(update={"placement": bid}))
    try:
        yield
    finally:
        platform.edge.put_workload(GLOBEX.id, spec)


def moved(platform: Platform) -> wire.Migration:
    """A move to the best offer by fresh prices, ended: the cycle's own, or one that is asked for where the cycle sees no need."""
    platform.automation.tick()
    begun = platform.edge.workload(GLOBEX.id).active_migration
    name = begun or platform.automation.move(wire.MoveRequest(workload=GLOBEX.id)).id
    platform.director.wait(f"the end of {name}", 180, lambda: platform.edge.migration(name).status != "running")
    return platform.edge.migration(name)


def fault(platform: Platform, **document: Any) -> int:
    added: dict[str, Any] = platform.stage.control("POST", "/faults", {name: value for name, value in document.items() if value is not None})
    return int(added["id"])


def refusal(migration: wire.Migration) -> Refusal:
    """What the cloud's words mean."""
    return read((migration.error or "").split("; "))


def met(platform: Platform, number: int) -> int:
    """How many calls met a fault."""
    return next(int(one["met"]) for one in platform.stage.control("GET", "/faults") if one["id"] == number)


def later(*values: Any) -> Any:
    """A case of the long campaigns: another word for what a short one shows."""
    return pytest.param(*values, marks=pytest.mark.soak)


@pytest.mark.parametrize(
    ("cloud", "code", "kind"),
    [
        ("aws", "InsufficientInstanceCapacity", RefusalKind.NO_CAPACITY),
        ("azure", "AllocationFailed", RefusalKind.NO_CAPACITY),
        ("gcp", "ZONE_RESOURCE_POOL_EXHAUSTED", RefusalKind.NO_CAPACITY),
        later("azure", "SkuNotAvailable", RefusalKind.NO_CAPACITY),
        later("aws", "SpotMaxPriceTooLow", RefusalKind.PRICE_TOO_LOW),
        later("azure", "OperationNotAllowed.price", RefusalKind.PRICE_TOO_LOW),
    ],
)
def test_a_refused_offer_is_left_alone_and_the_next_one_is_taken(platform: Platform, cloud: str, code: str, kind: RefusalKind) -> None:
    word = code.partition(".")[0]
    # Only who bids can bid too little.
    with drawn_to(platform, cloud), bidding(platform, 5.0 if kind is RefusalKind.PRICE_TOO_LOW else None):
        before = platform.edge.workload(GLOBEX.id).placement
        fault(platform, code=code)

        failed = moved(platform)
        platform.stage.control("DELETE", "/faults")
        kept = platform.edge.workload(GLOBEX.id).placement
        taken = moved(platform)

        offer = failed.decision.offer
        assert before is not None and kept is not None and offer is not None
        assert (failed.status, offer.cloud, refusal(failed).kind, refusal(failed).code) == ("failed", cloud, kind, word)
        assert (kept.id, kept.state) == (before.id, wire.PlacementState.SERVING)
        assert (taken.status, taken.decision.offer == offer) == ("succeeded", False)
        evidence = taken.decision.evidence
        assert evidence is not None
        assert [word in one.detail for one in evidence.alternatives if one.offer == offer] == [True]


@pytest.mark.parametrize(("cloud", "code"), [("aws", "MaxSpotInstanceCountExceeded"), later("azure", "OperationNotAllowed"), later("gcp", "QUOTA_EXCEEDED")])
def test_a_quota_closes_its_region_which_is_not_asked_again(platform: Platform, cloud: str, code: str) -> None:
    with drawn_to(platform, cloud):
        fault(platform, code=code)
        failed = moved(platform)
        assert failed.decision.offer is not None and refusal(failed).kind is RefusalKind.QUOTA

        platform.stage.control("DELETE", "/faults")
        closed = failed.decision.offer.region
        still = fault(platform, code=code, region=closed)
        # What another region may have against it is no matter of this one's quota: the next is asked then.
        tries = [moved(platform)]
        if tries[-1].status != "succeeded":
            tries.append(moved(platform))

        assert tries[-1].status == "succeeded", [one.error for one in tries]
        assert closed not in [one.decision.offer and one.decision.offer.region for one in tries]
        assert met(platform, still) == 0


@pytest.mark.parametrize(
    ("cloud", "code", "operation"),
    [
        ("aws", "RequestLimitExceeded", "RunInstances"),
        later("azure", "TooManyRequests", None),
        later("gcp", "rateLimitExceeded", None),
    ],
)
def test_a_cloud_that_was_asked_too_often_is_asked_again_later(platform: Platform, cloud: str, code: str, operation: str | None) -> None:
    with drawn_to(platform, cloud):
        throttled = fault(platform, code=code, operation=operation, count=6)
        taken = moved(platform)
        assert (taken.status, taken.decision.offer and taken.decision.offer.cloud) == ("succeeded", cloud), taken.error
        assert met(platform, throttled) == 6
