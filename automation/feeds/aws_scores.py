"""AWS's placement scores: EC2 GetSpotPlacementScores (query protocol, 2016-11-15), of whole regions.

A score is one of a *configuration* (types, regions, capacity), and an account may ask for few new ones a day: types of one size are asked for together (a
request with fewer than three types scores low), all regions in one request, the same ones every time. The answer names the ten best regions only; of the
others nothing is known. Where AWS says that there were too many configurations, nothing is asked for a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.credentials import Credentials

from automation.calls.fetch import Answer, FeedFault, Fetcher
from automation.calls.signing import signed
from domain.catalog import CATALOG, OfferRef
from domain.scores import of_ten
from domain.told import Score

SOURCE = "ec2:GetSpotPlacementScores"
HOME = "us-east-1"
"""Where the question is asked: any region answers for all."""
EVERY = timedelta(hours=6)
AGAIN = timedelta(hours=1)
"""What failed is asked again after so long."""
PAUSE = timedelta(days=1)
CONFIGURATIONS = 10
"""At most so many are asked for."""
_TOO_MANY = "MaxConfigLimitExceeded"
_PAGES = 20
Faults = tuple[FeedFault, ...]


class AwsScores:
    """Asks every six hours of the market's clock."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._asked: dict[tuple[str, ...], datetime] = {}
        self._paused_until: datetime | None = None

    def refreshed(self, credentials: Credentials, regions: Iterable[str], types: Iterable[str], at: datetime) -> tuple[tuple[Score, ...], Faults]:
        """What was told anew at a moment of the market's clock, and what failed; a configuration's failure is its own."""
        names = sorted(regions)
        found: list[Score] = []
        faults: list[FeedFault] = []
        for group in _configurations(types):
            if self._paused_until is not None and at < self._paused_until:
                break
            key = (*group, "|", *names)
            if key in self._asked and at - self._asked[key] < EVERY:
                continue
            try:
                found += self._scores(credentials, names, group)
                self._asked[key] = at
            except FeedFault as fault:
                if _TOO_MANY in fault.detail:
                    self._paused_until = at + PAUSE
                    fault = FeedFault("throttled", "AWS takes no more configurations of this account today; asked again tomorrow", fault.status)
                self._asked[key] = at - EVERY + AGAIN
                faults.append(fault)
        return tuple(found), tuple(faults)

    def _scores(self, credentials: Credentials, regions: list[str], types: tuple[str, ...]) -> list[Score]:
        form = {
            "Action": "GetSpotPlacementScores",
            "Version": "2016-11-15",
            "TargetCapacity": "1",
            "SingleAvailabilityZone": "false",
            **{f"InstanceType.{number}": name for number, name in enumerate(types, 1)},
            **{f"RegionName.{number}": name for number, name in enumerate(regions, 1)},
        }
        found: list[Score] = []
        for _ in range(_PAGES):
            answer = self._page(credentials, form)
            token = _read(answer.body, types, answer.at, found)
            if not token:
                return found
            form = {**form, "NextToken": token}
        raise FeedFault("malformed", "EC2 goes on naming next pages of placement scores")

    def _page(self, credentials: Credentials, form: dict[str, str]) -> Answer:
        return self._fetcher.send(lambda: signed(credentials, "ec2", HOME, f"https://ec2.{HOME}.amazonaws.com/", urlencode(form)))


def _configurations(types: Iterable[str]) -> list[tuple[str, ...]]:
    """Types of one size and architecture together, the largest groups first."""
    groups: defaultdict[tuple[int, str, int], list[str]] = defaultdict(list)
    for name in sorted(types):
        machine = CATALOG.machine("aws", name)
        groups[machine.vcpu, machine.arch, machine.gpu].append(name)
    return sorted((tuple(group) for group in groups.values()), key=lambda group: (-len(group), group))[:CONFIGURATIONS]


def _read(body: bytes, types: tuple[str, ...], at: datetime, found: list[Score]) -> str:
    """Takes a page's scores into ``found``, one for each type that was asked for together, and returns the token of the next. Raises :class:`FeedFault`."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise FeedFault("malformed", "EC2 sent placement scores that are no XML") from error
    token = ""
    for child in root:
        name = child.tag.rpartition("}")[2]
        if name == "nextToken":
            token = (child.text or "").strip()
        elif name == "spotPlacementScoreSet":
            for item in child:
                parts = {part.tag.rpartition("}")[2]: (part.text or "").strip() for part in item}
                region, score = parts.get("region", ""), parts.get("score", "")
                if not score.isdecimal() or not 1 <= int(score) <= 10:
                    raise FeedFault("malformed", f"EC2 sent a placement score of {score!r}; it is one of 1 to 10")
                # A zone's score names the zone by its id, which says nothing of this account's names.
                if "availabilityZoneId" not in parts and CATALOG.has_region("aws", region):
                    found += [Score(OfferRef("aws", region, "-", one), of_ten(int(score)), f"{score} of 10", SOURCE, at) for one in types]
    return token
