"""The decision: one function for placement, policy pack and proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from domain.boundary.call import Accounts, Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.model import Exemption
from domain.boundary.rules.account import judge_account
from domain.boundary.rules.encryption import judge_encryption
from domain.boundary.rules.instance_metadata import judge_instance_metadata
from domain.boundary.rules.network import judge_network
from domain.boundary.rules.place import judge_place
from domain.boundary.rules.spot import judge_spot
from domain.boundary.rules.tags import judge_tags

# In the order in which people should hear of them: where it is, then what it is.
RULES: tuple[Callable[[CompiledBoundary, Call], Iterator[Finding]], ...] = (
    judge_place,
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
    """The verdict on one call: what refuses it, what can be judged only at apply, and what an exemption lets pass."""

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


_NOTHING = Findings()


def decide(boundary: CompiledBoundary, call: Call, now: datetime, accounts: Accounts) -> Findings:
    """The verdict on ``call``. ``now`` (aware) only ends exemptions.

    At the API nothing is unknown any more: a value that can't be read there refuses the call.
    """
    found = [finding for rule in RULES for finding in rule(boundary, call)]
    found.extend(judge_account(boundary, call, accounts))
    if not found:
        return _NOTHING
    refused: list[Finding] = []
    unknown: list[Finding] = []
    exempted: list[Exempted] = []
    for finding in found:
        exemption = _exemption(boundary, finding, call, now)
        if exemption:
            exempted.append(Exempted(finding, exemption))
        elif finding.unknown and call.point == "plan":
            unknown.append(finding)
        else:
            refused.append(finding)
    return Findings(tuple(refused), tuple(unknown), tuple(exempted))


def _exemption(boundary: CompiledBoundary, finding: Finding, call: Call, now: datetime) -> Exemption | None:
    for exemption in boundary.boundary.exemptions:
        if exemption.rule == finding.rule and call.resource and now <= exemption.expires and fnmatchcase(call.resource, exemption.resource):
            return exemption
    return None
