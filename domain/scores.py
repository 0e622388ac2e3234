"""Placement scores: what a cloud says of its own spot capacity, on one scale, and what that means for an offer.

Each cloud's own words become a grade. AWS's placement score: 8 to 10 of 10 is high, 4 to 7 medium, 1 to 3 low. Google's obtainability by Google's own
bounds: from 0.7 high, from 0.4 medium, else low; low, too, where most machines are expected to run for less than an hour. Azure tells two things: its
eviction rate of the last 28 days, where below 5 % an hour is high, up to 15 % medium, above low, and a placement score that is a grade already.

The rule. (1) Risk: an offer's interruptions per hour are the higher of what its cloud publishes for it and what its grade stands for; where nothing is
published, the grade's alone. Grades stand for the first, the middle and the open bucket of AWS's Spot Advisor: 2.5, 12.5 and 25 % a month. (2) Capacity: no
move by price goes to an offer of low grade; what can't wait and first placements may, at its risk. (3) A score counts for a day of the market's clock. (4) Of
what two sources say of one offer the lower grade counts: one tells whether a machine is to be had, the other whether it stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from domain.catalog import OfferRef
from domain.prices import Quote, Told, Unknown
from domain.told import Grade, Score

COUNTS_FOR = timedelta(days=1)
_HOURS_A_MONTH = 720.0


_MONTHLY = {Grade.HIGH: 0.025, Grade.MEDIUM: 0.125, Grade.LOW: 0.25}
PER_HOUR = {grade: -math.log(1.0 - monthly) / _HOURS_A_MONTH for grade, monthly in _MONTHLY.items()}
"""Interruptions per hour that a grade stands for."""


def of_ten(score: int) -> Grade:
    """AWS's scale."""
    return Grade.HIGH if score >= 8 else Grade.MEDIUM if score >= 4 else Grade.LOW


def of_obtainability(obtainability: float, uptime_seconds: float | None) -> Grade:
    """Google's scale, from 0 to 1, and how long most machines run at least."""
    if obtainability < 0.4 or (uptime_seconds is not None and uptime_seconds < 3600.0):
        return Grade.LOW
    return Grade.HIGH if obtainability >= 0.7 else Grade.MEDIUM


def of_evictions(percent_per_hour: float) -> Grade:
    """Azure's scale: the lower bound of its range of evictions."""
    return Grade.HIGH if percent_per_hour < 5.0 else Grade.MEDIUM if percent_per_hour < 15.0 else Grade.LOW


def of_word(word: str) -> Grade | None:
    """Azure's placement score; None for its other words: it has no fresh data, or doesn't sell that size to whoever asks."""
    return _WORDS.get(word)


_WORDS = {"High": Grade.HIGH, "Medium": Grade.MEDIUM, "Low": Grade.LOW}
_FROM_LOW = {Grade.LOW: 0, Grade.MEDIUM: 1, Grade.HIGH: 2}


class Scores:
    """The scores in force. A value: :meth:`told` makes the next one."""

    def __init__(self, scores: Mapping[OfferRef, tuple[Score, ...]] | None = None) -> None:
        self._scores = dict(scores or {})

    def __len__(self) -> int:
        return sum(len(held) for held in self._scores.values())

    def told(self, scores: Iterable[Score]) -> Scores:
        """With what feeds brought; of two that one source told of an offer the later stays."""
        kept = dict(self._scores)
        for one in scores:
            held = {score.source: score for score in kept.get(one.offer, ())}
            if one.source not in held or held[one.source].observed_at <= one.observed_at:
                kept[one.offer] = tuple(sorted({**held, one.source: one}.values(), key=lambda score: (_FROM_LOW[score.grade], score.source)))
        return Scores(kept)

    def all(self) -> tuple[Score, ...]:
        """Every score."""
        return tuple(one for held in self._scores.values() for one in held)

    def of(self, offer: OfferRef, now: datetime) -> Score | None:
        """What counts for an offer at a moment of the market's clock: its zone's score, else its region's; None where nothing was told of late."""
        for ref in (offer, offer._replace(zone="-")):
            for found in self._scores.get(ref, ()):
                if now - found.observed_at <= COUNTS_FOR:
                    return found
        return None

    def scarce(self, offers: Iterable[OfferRef], now: datetime) -> dict[OfferRef, str]:
        """Those of ``offers`` that no move by price goes to, with the reason."""
        if not self._scores:
            return {}
        found = ((offer, self.of(offer, now)) for offer in offers)
        return {
            offer: f"its cloud has little spot capacity there: {score.says} ({score.source})" for offer, score in found if score and score.grade is Grade.LOW
        }

    def applied(self, quotes: Iterable[Quote], now: datetime) -> tuple[Quote, ...]:
        """The quotes with their scores, and with the rates that follow from them."""
        return tuple(quotes) if not self._scores else tuple(self._applied(quote, now) for quote in quotes)

    def latest(self) -> dict[tuple[str, str], tuple[datetime, int]]:
        """By cloud and source: when it told last, and of how many offers."""
        found: dict[tuple[str, str], tuple[datetime, int]] = {}
        for one in (score for held in self._scores.values() for score in held):
            at, count = found.get((one.offer.cloud, one.source), (one.observed_at, 0))
            found[one.offer.cloud, one.source] = (max(at, one.observed_at), count + 1)
        return found

    def _applied(self, quote: Quote, now: datetime) -> Quote:
        score = self.of(quote.offer, now)
        if score is None:
            return quote
        rate = PER_HOUR[score.grade]
        if not isinstance(quote.interruptions_per_hour, Unknown) and quote.interruptions_per_hour >= rate:
            return replace(quote, score=score)
        return replace(quote, score=score, interruptions_per_hour=rate, interruptions_told=Told(score.source, score.observed_at))
