"""Azure's placement scores: Compute's ``placementScores/spot/generate`` (2025-06-05), how likely one spot machine of a size is to be had in a region.

A question names eight regions and five sizes at most and is asked under the platform's own subscription, whose quota of reads it counts against; without
one nothing is asked. So a collection asks two of them, those first that were unanswered for longest, and each once in six hours of the market's clock.
Where Azure asks for fewer requests, nothing is asked for an hour. Of its answers only the three grades are taken: that there is no fresh data, that this
subscription may not have a size or that its quota is used up says nothing of a tenant's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from automation.calls.fetch import Answer, FeedFault, Fetcher
from domain.catalog import CATALOG, OfferRef
from domain.scores import of_word
from domain.told import Score

ARM = "https://management.azure.com"
SOURCE = "compute:placementScores.spot"
EVERY = timedelta(hours=6)
AGAIN = timedelta(hours=1)
"""What failed is asked again after so long; all of it where Azure throttles or refuses."""
AT_A_TIME = 2
"""Questions of one collection."""
REGIONS, SIZES = 8, 5
"""A question names so many at most."""
_VERSION = "2025-06-05"
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_Question = tuple[tuple[str, ...], tuple[str, ...]]


class AzurePlacement:
    """``token`` gives a bearer token of Resource Manager; ``subscription`` is None where the platform has none of its own."""

    def __init__(self, fetcher: Fetcher, token: Callable[[], str], subscription: str | None) -> None:
        self._fetcher, self._token, self._subscription = fetcher, token, subscription
        self._asked: dict[_Question, datetime] = {}
        self._paused_until = _LONG_AGO

    def refreshed(self, regions: Iterable[str], types: Iterable[str], at: datetime) -> tuple[tuple[Score, ...], tuple[FeedFault, ...]]:
        """What was told anew at a moment of the market's clock, and what failed; a question's failure is its own."""
        if self._subscription is None or at < self._paused_until:
            return (), ()
        wanted = [(places, sizes) for places in _in_parts(regions, REGIONS) for sizes in _in_parts(types, SIZES)]
        due = [one for one in wanted if at - self._asked.get(one, _LONG_AGO) >= EVERY]
        due.sort(key=lambda one: (self._asked.get(one, _LONG_AGO), one))
        found: list[Score] = []
        faults: list[FeedFault] = []
        for question in due[:AT_A_TIME]:
            try:
                found += self._asks(self._subscription, question)
                self._asked[question] = at
            except FeedFault as fault:
                faults.append(fault)
                self._asked[question] = at - EVERY + AGAIN
                if fault.reason in ("throttled", "denied"):
                    self._paused_until = at + AGAIN
                    break
        return tuple(found), tuple(faults)

    def _asks(self, subscription: str, question: _Question) -> list[Score]:
        regions, sizes = question
        document = {"desiredLocations": regions, "desiredSizes": [{"sku": size} for size in sizes], "desiredCount": 1, "availabilityZones": False}
        answer = self._page(f"{ARM}/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{regions[0]}/placementScores/spot/generate", document)
        rows = answer.json().get("placementScores")
        if not isinstance(rows, list):
            raise FeedFault("malformed", "Resource Manager sent an answer without placementScores")
        return [score for row in rows if (score := _score(row, answer.at)) is not None]

    def _page(self, url: str, document: dict[str, Any]) -> Answer:
        headers = {"authorization": f"Bearer {self._token()}", "content-type": "application/json"}
        return self._fetcher.send(lambda: httpx.Request("POST", url, params={"api-version": _VERSION}, headers=headers, content=json.dumps(document)))


def _in_parts(names: Iterable[str], size: int) -> list[tuple[str, ...]]:
    ordered = sorted(names)
    return [tuple(ordered[start : start + size]) for start in range(0, len(ordered), size)]


def _score(row: Any, at: datetime) -> Score | None:
    """A row's score; None for a size or region that the catalogue doesn't list, for a single zone's and where the word is no grade."""
    if not isinstance(row, dict):
        return None
    name, region, word = str(row.get("sku", "")), str(row.get("region", "")).lower(), str(row.get("score", ""))
    grade = of_word(word)
    if grade is None or str(row.get("availabilityZone") or "").isdecimal() or not CATALOG.sells("azure", region, name):
        return None
    return Score(OfferRef("azure", region, "-", name), grade, f"placement score {word}", SOURCE, at)
