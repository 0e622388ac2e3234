"""What a cloud refused is remembered for as long as its kind asks, a whole region where it is a quota."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from automation.service.exclusions import Exclusions
from domain.catalog import OfferRef
from spotlane.wire import Decision, Migration
from spotlane.wire import OfferRef as WireOffer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
BESIDE = OfferRef("aws", "eu-west-1", "eu-west-1b", "c5.large")
ELSEWHERE = OfferRef("aws", "eu-west-2", "eu-west-2a", "m5.large")
OFFERS = [HERE, BESIDE, ELSEWHERE]


def failed(error: str | None, id: str = "acme_web_2") -> Migration:
    offer = WireOffer.model_validate({"cloud": "aws", "region": "eu-west-1", "zone": "eu-west-1a", "instanceType": "m5.large"})
    return Migration.model_construct(id=id, status="failed", error=error, decision=Decision.model_construct(offer=offer))


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
