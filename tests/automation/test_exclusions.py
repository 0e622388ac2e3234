"""What a cloud refused is remembered for as long as its kind asks, a whole region where it is a quota."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from automation.service.exclusions import Exclusions
from domain.catalog import OfferRef
from spotlane.wire import Decision, Evidence, Migration
from spotlane.wire import OfferRef as WireOffer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
BESIDE = OfferRef("aws", "eu-west-1", "eu-west-1b", "c5.large")
ELSEWHERE = OfferRef("aws", "eu-west-2", "eu-west-2a", "m5.large")
OFFERS = [HERE, BESIDE, ELSEWHERE]


def failed(error: str | None, id: str = "acme_web_2", decided: datetime = NOW) -> Migration:
    offer = WireOffer.model_validate({"cloud": "aws", "region": "eu-west-1", "zone": "eu-west-1a", "instanceType": "m5.large"})
    return Migration.model_construct(
        id=id, status="failed", error=error, decision=Decision.model_construct(offer=offer, evidence=Evidence.model_construct(market_now=decided))
    )


def learnt(error: str | None) -> Exclusions:
    exclusions = Exclusions()
    exclusions.learn([failed(error)], NOW)
    return exclusions


@pytest.mark.parametrize(
    ("error", "hours", "reason"),
    [
        ("region.acme: x; api error InsufficientInstanceCapacity: none", 6, "no-capacity (InsufficientInstanceCapacity)"),
        ("api error SpotMaxPriceTooLow: low", 1, "price-too-low (SpotMaxPriceTooLow)"),
        ("something else", 6, "unknown"),
        (None, 6, "unknown"),
    ],
)
def test_an_offer_is_left_out_for_as_long_as_the_kind_asks(error: str | None, hours: int, reason: str) -> None:
    exclusions = learnt(error)
    assert exclusions.at(NOW, OFFERS) == {HERE: f"provisioning acme_web_2 failed there: {reason}"}
    assert exclusions.at(NOW + timedelta(hours=hours, seconds=-1), OFFERS) != {}
    assert exclusions.at(NOW + timedelta(hours=hours), OFFERS) == {}


def test_a_quota_closes_the_clouds_region_and_no_other() -> None:
    exclusions = learnt("api error VcpuLimitExceeded: no")
    assert set(exclusions.at(NOW, OFFERS)) == {HERE, BESIDE}
    assert exclusions.at(NOW + timedelta(hours=24), OFFERS) == {}


def test_a_migration_is_learnt_from_once() -> None:
    exclusions = learnt("api error SpotMaxPriceTooLow: low")
    exclusions.learn([failed("api error SpotMaxPriceTooLow: low")], NOW + timedelta(minutes=59))
    assert exclusions.at(NOW + timedelta(hours=1), OFFERS) == {}


def test_a_move_that_gave_way_says_nothing_of_its_offer_and_leaves_what_was_known() -> None:
    exclusions = learnt("api error InsufficientInstanceCapacity: none")
    known = exclusions.at(NOW, OFFERS)
    gave_way = failed("it gave way to what couldn't wait: a machine of the workload that goes or fails").model_copy(update={"id": "acme_web_9"})
    exclusions.learn([gave_way], NOW)
    assert exclusions.at(NOW, OFFERS) == known != {}


def test_who_has_no_other_offer_may_use_one_that_took_a_machine_back_after_ten_minutes_but_none_that_refused() -> None:
    exclusions = learnt("api error InsufficientInstanceCapacity: none")
    exclusions.interrupted(BESIDE, NOW)
    later = NOW + timedelta(minutes=10)
    assert set(exclusions.at(later, OFFERS)) == {HERE, BESIDE}
    assert set(exclusions.at(later - timedelta(seconds=1), OFFERS, pressed=True)) == {HERE, BESIDE}
    assert set(exclusions.at(later, OFFERS, pressed=True)) == {HERE}
    assert set(exclusions.at(NOW + timedelta(hours=24), OFFERS)) == set()


@pytest.mark.parametrize(("minutes", "left"), [(59, True), (60, False)])
def test_what_failed_before_anybody_looked_rests_from_when_it_was_decided(minutes: int, left: bool) -> None:
    exclusions = Exclusions()
    exclusions.learn([failed("api error SpotMaxPriceTooLow: low", decided=NOW - timedelta(minutes=minutes))], NOW)
    assert (exclusions.at(NOW, OFFERS) != {}) == left
    assert exclusions.at(NOW + timedelta(minutes=1), OFFERS) == {}


def test_what_fails_afterwards_rests_from_when_it_is_seen() -> None:
    exclusions = Exclusions()
    exclusions.learn([], NOW)
    exclusions.learn([failed("api error SpotMaxPriceTooLow: low", decided=NOW - timedelta(hours=2))], NOW)
    assert exclusions.at(NOW + timedelta(minutes=59), OFFERS) != {}
