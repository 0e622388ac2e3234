"""Azure's evictions: Resource Graph, table SpotResources, rates of the last 28 days by size and region.

One query for all sizes and regions, page by page by ``$skipToken``, once a day of the market's clock; Resource Graph throttles by identity, and says when to
come again (429, Retry-After).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from automation.calls.fetch import Answer, FeedFault, Fetcher
from domain.catalog import CATALOG, OfferRef
from domain.scores import of_evictions
from domain.told import Score

URL = "https://management.azure.com/providers/Microsoft.ResourceGraph/resources"
SOURCE = "resourcegraph:SpotResources"
EVERY = timedelta(hours=12)
AGAIN = timedelta(hours=1)
"""What failed is asked again after so long."""
_VERSION = "2021-03-01"
_PAGES = 100
_ROWS = 1000
_RANGE = re.compile(r"(\d+)(?:-\d+|\+)")


class AzureScores:
    """``token`` gives a bearer token of Resource Manager."""

    def __init__(self, fetcher: Fetcher, token: Callable[[], str]) -> None:
        self._fetcher, self._token = fetcher, token
        self._asked: tuple[str, datetime] | None = None

    def refreshed(self, regions: Iterable[str], types: Iterable[str], at: datetime) -> tuple[Score, ...]:
        """What was told anew at a moment of the market's clock. Raises :class:`FeedFault`."""
        names = {name.lower(): name for name in types}
        query = _query(sorted(regions), sorted(names.values()))
        if self._asked is not None and self._asked[0] == query and at - self._asked[1] < EVERY:
            return ()
        self._asked = (query, at - EVERY + AGAIN)
        found: list[Score] = []
        options: dict[str, Any] = {"resultFormat": "objectArray", "$top": _ROWS}
        for _ in range(_PAGES):
            answer = self._page({"query": query, "options": options})
            page = answer.json()
            rows = page.get("data")
            if not isinstance(rows, list):
                raise FeedFault("malformed", "Resource Graph sent a page without data")
            found += [score for row in rows if (score := _score(row, names, answer.at)) is not None]
            if not page.get("$skipToken"):
                self._asked = (query, at)
                return tuple(found)
            options = {**options, "$skipToken": str(page["$skipToken"])}
        raise FeedFault("malformed", "Resource Graph goes on naming next pages")

    def _page(self, document: dict[str, Any]) -> Answer:
        headers = {"authorization": f"Bearer {self._token()}", "content-type": "application/json"}
        return self._fetcher.send(lambda: httpx.Request("POST", URL, params={"api-version": _VERSION}, headers=headers, content=json.dumps(document)))


def _query(regions: list[str], types: list[str]) -> str:
    return " ".join(
        (
            "SpotResources",
            "| where type =~ 'microsoft.compute/skuspotevictionrate/location'",
            f"| where sku.name in~ ({_listed(types)})",
            f"| where location in~ ({_listed(regions)})",
            "| project skuName = tostring(sku.name), location, evictionRate = tostring(properties.evictionRate)",
        )
    )


def _listed(words: list[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _score(row: Any, names: Mapping[str, str], at: datetime) -> Score | None:
    """A row's score; None for a size that isn't asked for, a region that the catalogue doesn't list, or a rate that is no range.

    ``names`` are the sizes by their names in lower case, as Resource Graph writes them.
    """
    if not isinstance(row, dict):
        return None
    name, region, rate = names.get(str(row.get("skuName", "")).lower()), str(row.get("location", "")).lower(), str(row.get("evictionRate", ""))
    bounds = _RANGE.fullmatch(rate)
    if name is None or bounds is None or not CATALOG.has_region("azure", region):
        return None
    return Score(OfferRef("azure", region, "-", name), of_evictions(float(bounds[1])), f"{rate} % evicted an hour", SOURCE, at)
