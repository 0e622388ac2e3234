"""Placement scores: each cloud's scale as a grade, the rate that follows, what is scarce, and for how long a score counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.catalog import OfferRef
from domain.prices import Quote, Rate, Told, Unknown
from domain.scores import COUNTS_FOR, PER_HOUR, Scores, of_evictions, of_obtainability, of_ten, of_word
from domain.told import Grade, Score

AT = datetime(2026, 3, 10, 8, tzinfo=UTC)
REGION = OfferRef("gcp", "us-west4", "-", "n2-standard-2")
OFFER = REGION._replace(zone="us-west4-a")
LOW = Score(REGION, Grade.LOW, "obtainability 0.2", "advice", AT)


def quote(rate: Rate = Unknown()) -> Quote:
    return Quote(OFFER, 0.02, 0.1, "feed", AT, rate)


def applied(score: Score, rate: Rate = Unknown(), now: datetime = AT) -> Quote:
    [found] = Scores().told([score]).applied([quote(rate)], now)
    return found


def test_each_clouds_scale_has_its_grades() -> None:
    assert [of_ten(score) for score in (1, 3, 4, 7, 8, 10)] == [Grade.LOW, Grade.LOW, Grade.MEDIUM, Grade.MEDIUM, Grade.HIGH, Grade.HIGH]
    assert [of_obtainability(share, 3600.0) for share in (0.0, 0.39, 0.4, 0.69, 0.7, 1.0)] == [Grade.LOW] * 2 + [Grade.MEDIUM] * 2 + [Grade.HIGH] * 2
    assert [of_obtainability(0.9, uptime) for uptime in (None, 3600.0, 600.0)] == [Grade.HIGH, Grade.HIGH, Grade.LOW]
    assert [of_evictions(least) for least in (0.0, 5.0, 10.0, 15.0, 20.0)] == [Grade.HIGH, Grade.MEDIUM, Grade.MEDIUM, Grade.LOW, Grade.LOW]
    assert [of_word(word) for word in ("High", "Medium", "Low", "DataNotFoundOrStale", "low")] == [Grade.HIGH, Grade.MEDIUM, Grade.LOW, None, None]


@pytest.mark.parametrize("grade", list(Grade))
def test_where_nothing_is_published_the_rate_is_the_grades_and_says_who_told_it(grade: Grade) -> None:
    found = applied(replace(LOW, grade=grade))
    assert (found.interruptions_per_hour, found.interruptions_told, found.score) == (PER_HOUR[grade], Told("advice", AT), replace(LOW, grade=grade))


def test_of_a_published_rate_and_the_grades_the_higher_counts() -> None:
    assert applied(LOW, 0.0).interruptions_per_hour == PER_HOUR[Grade.LOW]
    assert (applied(LOW, 0.01).interruptions_per_hour, applied(LOW, 0.01).interruptions_told, applied(LOW, 0.01).score) == (0.01, None, LOW)


def test_a_score_counts_for_a_day() -> None:
    assert applied(LOW, now=AT + COUNTS_FOR).score == LOW
    assert applied(LOW, now=AT + COUNTS_FOR + timedelta(seconds=1)) == quote()


def test_a_zones_own_score_goes_before_its_regions_and_an_older_one_changes_nothing() -> None:
    own = replace(LOW, offer=OFFER, grade=Grade.HIGH)
    scores = Scores().told([LOW, own]).told([replace(own, grade=Grade.LOW, observed_at=AT - timedelta(hours=1))])
    assert scores.of(OFFER, AT) == own and scores.of(OFFER._replace(zone="us-west4-b"), AT) == LOW


def test_only_what_is_low_is_scarce() -> None:
    medium = replace(LOW, offer=REGION._replace(region="us-east1"), grade=Grade.MEDIUM)
    scores = Scores().told([LOW, medium])
    assert scores.scarce([OFFER, medium.offer, OFFER._replace(region="us-east4")], AT) == {
        OFFER: "its cloud has little spot capacity there: obtainability 0.2 (advice)"
    }


def test_of_two_sources_the_lower_grade_counts_as_long_as_it_counts_at_all() -> None:
    evictions = replace(LOW, grade=Grade.HIGH, source="a table of evictions", observed_at=AT + timedelta(hours=12))
    for told in ([LOW, evictions], [evictions, LOW]):
        scores = Scores().told(told)
        assert scores.of(OFFER, AT + timedelta(hours=12)) == LOW and scores.of(OFFER, AT + timedelta(hours=25)) == evictions
        assert scores.latest() == {("gcp", "advice"): (AT, 1), ("gcp", "a table of evictions"): (AT + timedelta(hours=12), 1)} and len(scores) == 2


def test_what_a_source_tells_anew_takes_the_place_of_what_it_told() -> None:
    better = replace(LOW, grade=Grade.MEDIUM, observed_at=AT + timedelta(hours=1))
    assert Scores().told([LOW]).told([better]).of(OFFER, better.observed_at) == better
