"""Google's capacity advice: ``advice.capacity`` of the Compute Engine API (beta), how likely one spot machine of a type is to be had in a region.

One question a type and region, in the platform's own project; without one nothing is asked. A collection asks a few, those first that were unanswered for
longest, so that a thousand questions neither delay prices nor meet a quota at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from automation.calls.fetch import Answer, FeedFault, Fetcher
from domain.catalog import CATALOG, OfferRef
from domain.scores import of_obtainability
from domain.told import Score

_COMPUTE = "https://compute.googleapis.com/compute/beta"
SOURCE = "compute:advice.capacity"
EVERY = timedelta(hours=6)
AGAIN = timedelta(hours=1)
"""What failed is asked again after so long."""
AT_A_TIME = 12
"""Questions of one collection."""
_AT_ONCE = 6
_LONG_AGO = datetime.fromtimestamp(0, UTC)


class GcpScores:
    """``headers`` gives the authorization."""

    def __init__(self, fetcher: Fetcher, headers: Callable[[], dict[str, str]], project: str | None) -> None:
        self._fetcher, self._headers, self._project = fetcher, headers, project
        self._asked: dict[tuple[str, str], datetime] = {}

    def refreshed(self, regions: Iterable[str], types: Iterable[str], at: datetime) -> tuple[tuple[Score, ...], tuple[tuple[str, FeedFault], ...]]:
        """What was told anew at a moment of the market's clock, and which region failed by what; after a refusal no more is asked this time."""
        if self._project is None:
            return (), ()
        wanted = [(region, name) for region in sorted(regions) for name in sorted(types) if CATALOG.sells("gcp", region, name)]
        due = [one for one in wanted if at - self._asked.get(one, _LONG_AGO) >= EVERY]
        due.sort(key=lambda one: (self._asked.get(one, _LONG_AGO), one))
        found: list[Score] = []
        faults: dict[str, FeedFault] = {}
        asked = due[:AT_A_TIME]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="gcp-advice") as pool:
            for start in range(0, len(asked), _AT_ONCE):
                part = asked[start : start + _AT_ONCE]
                for place, answer in zip(part, pool.map(self._asks, part), strict=True):
                    self._asked[place] = at - EVERY + AGAIN if isinstance(answer, FeedFault) else at
                    if isinstance(answer, FeedFault):
                        faults.setdefault(place[0], answer)
                    elif answer is not None:
                        found.append(answer)
                if any(fault.reason in ("throttled", "denied") for fault in faults.values()):
                    break
        return tuple(found), tuple(faults.items())

    def _asks(self, place: tuple[str, str]) -> Score | FeedFault | None:
        region, name = place
        document = {
            "instanceProperties": {"scheduling": {"provisioningModel": "SPOT"}},
            "instanceFlexibilityPolicy": {"instanceSelections": {"one": {"machineTypes": [name]}}},
            "distributionPolicy": {"targetShape": "ANY_SINGLE_ZONE"},
            "size": 1,
        }
        try:
            answer = self._page(region, document)
            return _score(answer.json(), OfferRef("gcp", region, "-", name), answer.at)
        except FeedFault as fault:
            return fault

    def _page(self, region: str, document: dict[str, Any]) -> Answer:
        url, headers = f"{_COMPUTE}/projects/{self._project}/regions/{region}/advice/capacity", {**self._headers(), "content-type": "application/json"}
        return self._fetcher.send(lambda: httpx.Request("POST", url, headers=headers, content=json.dumps(document)))


def _score(document: dict[str, Any], offer: OfferRef, at: datetime) -> Score | None:
    """The best recommendation's score; None where there is none. Raises :class:`FeedFault`."""
    try:
        told = [one["scores"] for one in document.get("recommendations") or ()]
        best = max(((float(one["obtainability"]), one.get("estimatedUptime")) for one in told), key=lambda one: one[0], default=None)
        if best is None:
            return None
        obtainability, uptime = best
        seconds = None if uptime is None else float(str(uptime).removesuffix("s"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FeedFault("malformed", f"Google sent advice of another form ({type(error).__name__}: {error})") from error
    if not 0.0 <= obtainability <= 1.0:
        raise FeedFault("malformed", f"Google sent an obtainability of {obtainability:g}; it is one of 0 to 1")
    says = f"obtainability {obtainability:g}" + ("" if seconds is None else f", most run {seconds / 60:.0f} minutes at least")
    return Score(offer, of_obtainability(obtainability, seconds), says, SOURCE, at)
