"""The decision: one function for placement, policy pack and proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

from domain.boundary.call import Accounts, Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.model import PLACE_RULES, Exemption
from domain.boundary.regions import find
from domain.boundary.rules.account import judge_account
from domain.boundary.rules.encryption import judge_encryption
from domain.boundary.rules.instance_metadata import judge_instance_metadata
from domain.boundary.rules.network import judge_network
from domain.boundary.rules.place import judge_place
from domain.boundary.rules.spot import judge_spot
from domain.boundary.rules.tags import judge_tags

# In the order in which people should hear of them, after where it is: what it is.
RULES: tuple[Callable[[CompiledBoundary, Call], Iterator[Finding]], ...] = (
    judge_encryption,
    judge_network,
    judge_spot,
    judge_instance_metadata,
    judge_tags,
)


@dataclass(frozen=True, slots=True)
class Exempted:
    """A finding that an exemption covers."""

    finding: Finding
    exemption: Exemption


@dataclass(frozen=True, slots=True)
class Findings:
    """The verdict on one call: what refuses it, what can be judged only at apply, and what an exemption lets pass. ``digest`` names the boundary."""

    digest: str
    refused: tuple[Finding, ...] = ()
    unknown: tuple[Finding, ...] = ()
    exempted: tuple[Exempted, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether nothing refuses the call."""
        return not self.refused

    @property
    def first(self) -> Finding | None:
        """The finding to name where only one fits."""
        return self.refused[0] if self.refused else None


def decide(boundary: CompiledBoundary, call: Call, now: datetime, accounts: Accounts) -> Findings:
    """The verdict on ``call``. ``now`` (aware) only ends exemptions.

    At the API nothing is unknown any more: a value that can't be read there refuses the call.
    """
    found: list[tuple[Finding, str | None]] = list(judge_place(boundary, call))
    found.extend((finding, None) for rule in RULES for finding in rule(boundary, call))
    found.extend((finding, None) for finding in judge_account(boundary, call, accounts))
    if not found:
        return Findings(boundary.digest)
    refused: list[Finding] = []
    unknown: list[Finding] = []
    exempted: list[Exempted] = []
    for finding, region in found:
        exemption, ended = _exemption(boundary, finding, call, region, now)
        if exemption:
            exempted.append(Exempted(finding, exemption))
        elif finding.unknown and call.point == "plan":
            unknown.append(finding)
        elif ended:
            refused.append(replace(finding, mend=f"{finding.mend} The exemption of {ended.owner} ended {ended.expires:%Y-%m-%d %H:%M} UTC.".strip()))
        else:
            refused.append(finding)
    return Findings(boundary.digest, tuple(refused), tuple(unknown), tuple(exempted))


def _exemption(boundary: CompiledBoundary, finding: Finding, call: Call, region: str | None, now: datetime) -> tuple[Exemption | None, Exemption | None]:
    """The exemption that covers the finding now, and else one that did until it ended."""
    ended: Exemption | None = None
    for exemption in boundary.boundary.exemptions:
        if exemption.rule == finding.rule and _covers(exemption, call, region):
            if now <= exemption.expires:
                return exemption, None
            ended = exemption
    return None, ended


def _covers(exemption: Exemption, call: Call, region: str | None) -> bool:
    if exemption.rule in PLACE_RULES:
        found = find(call.cloud, region) if region else None
        return found is not None and exemption.covers_region(found)
    if exemption.clouds and call.cloud not in exemption.clouds:
        return False
    if exemption.regions:
        standing = [find(call.cloud, named.value) if named.value else None for named in call.regions]
        if not standing or not all(place is not None and exemption.covers_region(place) for place in standing):
            return False
    return any(fnmatchcase(name, exemption.resource) for name in call.names)
