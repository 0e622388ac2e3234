"""A review as a value: changes with their cost, findings, exemptions, what is unknown, what was judged by which rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from domain.boundary.call import Accounts
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.decide import decide
from domain.boundary.finding import Severity
from domain.money import HOURS_PER_30_DAYS
from policies.facts.reading import UNKNOWN
from policies.facts.resource import Resource
from policies.packs.catalogue import BY_NAME
from policies.packs.policies import translate
from policies.packs.subject import subject
from policies.review.prices import Prices
from policies.review.stream import Step, Stream

Level = Literal["mandatory", "advisory"]


@dataclass(frozen=True, slots=True)
class ReviewFinding:
    """One objection. ``known`` marks one that the baseline holds already."""

    rule: str
    severity: Severity
    level: Level
    type: str
    name: str
    urn: str
    message: str
    path: str
    mend: str
    known: bool = False

    @property
    def fingerprint(self) -> str:
        """The same for the same fault of the same resource, whatever the message says."""
        return hashlib.sha256("|".join((self.rule, self.type, self.name, self.path)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Change:
    """One resource that would change. Costs are USD per 30 days; None: unknown, or it costs nothing by itself (``priced`` is False)."""

    op: str
    type: str
    name: str
    urn: str
    priced: bool
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class ExemptedFinding:
    """A finding that an exemption covers."""

    rule: str
    name: str
    owner: str
    reason: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class UnknownFinding:
    """What is judged at apply."""

    rule: str
    name: str
    path: str


@dataclass(slots=True)
class Review:
    """All of it."""

    stack: str
    boundary: str
    digest: str
    changes: list[Change] = field(default_factory=list)
    findings: list[ReviewFinding] = field(default_factory=list)
    exempted: list[ExemptedFinding] = field(default_factory=list)
    unknown: list[UnknownFinding] = field(default_factory=list)
    coverage: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By resource, the policies that judged it; empty: nobody did."""
    errors: list[str] = field(default_factory=list)

    @property
    def blocking(self) -> list[ReviewFinding]:
        """Mandatory findings that the baseline doesn't hold."""
        return [finding for finding in self.findings if finding.level == "mandatory" and not finding.known]

    @property
    def unjudged(self) -> list[str]:
        """Names of changed resources that no policy judged."""
        return [name for name, policies in self.coverage.items() if not policies]

    @property
    def cost(self) -> tuple[float, float, int]:
        """USD per 30 days before and after, of the machines with known prices on both sides; and how many machines have none on one."""
        machines = [change for change in self.changes if change.priced]
        known = [one for one in machines if (one.before is not None or one.op == "create") and (one.after is not None or one.op == "delete")]
        return sum(one.before or 0.0 for one in known), sum(one.after or 0.0 for one in known), len(machines) - len(known)


def review(stream: Stream, boundary: CompiledBoundary | None, accounts: Accounts, prices: Prices, baseline: frozenset[str], now: datetime) -> Review:
    """The review of a preview. ``boundary`` also tells exemptions and unknowns, which policies can't say for themselves."""
    found = Review(stream.stack, boundary.boundary.name if boundary else "", boundary.digest if boundary else "")
    tenant = subject(stream.stack).tenant
    for step in stream.steps.values():
        if step.changes:
            found.changes.append(_change(step, prices))
            found.coverage[step.resource.name] = tuple(sorted(stream.judged.get(step.urn, {})))
        if boundary is not None and step.new is not None and (call := translate(step.new, tenant)):
            said = decide(boundary, call, now, accounts)
            found.exempted += [
                ExemptedFinding(one.finding.rule, step.new.name, one.exemption.owner, one.exemption.reason, one.exemption.expires) for one in said.exempted
            ]
            found.unknown += [UnknownFinding(one.rule, step.new.name, one.path) for one in said.unknown]
    for said_of in stream.said:
        kept = stream.steps.get(said_of.urn)
        kind, name = (kept.resource.type, kept.resource.name) if kept else ("stack", stream.stack)
        if said_of.unknown:
            if not any(one.name == name and one.path == said_of.path for one in found.unknown):
                found.unknown.append(UnknownFinding("", name, said_of.path))
            continue
        rule = BY_NAME.get(said_of.rule)
        one = ReviewFinding(
            said_of.rule or f"{said_of.pack}/{said_of.policy}", rule.severity if rule else "high", "advisory" if said_of.level == "advisory" else "mandatory",
            kind, name, said_of.urn, said_of.text, said_of.path, rule.mend if rule else "",
        )  # fmt: skip
        found.findings.append(ReviewFinding(**{**_fields(one), "known": one.fingerprint in baseline}))
    order = {"critical": 0, "high": 1, "medium": 2, "low": 3}
    found.findings.sort(key=lambda finding: (finding.known, finding.level != "mandatory", order[finding.severity], finding.name, finding.rule))
    # A mandatory finding makes the engine end with an error of its own; that is no second fault.
    found.errors = [] if found.findings else list(stream.errors)
    return found


def _fields(finding: ReviewFinding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in ReviewFinding.__slots__}


def _change(step: Step, prices: Prices) -> Change:
    before, after = (_monthly(resource, prices) for resource in (step.old, step.new if step.op != "delete" else None))
    priced = any(resource is not None and machine(resource) is not None for resource in (step.old, step.new))
    return Change(step.op, step.resource.type, step.resource.name, step.urn, priced, before, after)


def machine(resource: Resource) -> tuple[str, str, str, bool | None] | None:
    """Cloud, region, machine type and whether it is spot (None: unknown until apply), of what costs by the hour.

    None for everything else, and where size or region isn't known yet.
    """
    call = translate(resource, "")
    if call is None:
        return None
    kinds = {"aws": ("Instance", "instanceType"), "azure": ("VirtualMachine", ""), "gcp": ("Instance", "machineType")}
    kind, key = kinds.get(call.cloud, ("", ""))
    if resource.kind != kind or (call.cloud == "aws" and resource.module != "ec2"):
        return None
    size = resource.inputs.within("hardwareProfile").get("vmSize") if call.cloud == "azure" else resource.inputs.get(key)
    region = call.region
    if size is UNKNOWN or not isinstance(size, str) or region is None:
        return None
    said = [trait.holds for trait in call.traits if trait.name == "spot"]
    # An instance that leaves it to its launch template is what the platform's machines are: spot.
    spot = True if not said and call.cloud == "aws" else None if None in said else any(said)
    return call.cloud, region, size.rpartition("/")[2], spot


def _monthly(resource: Resource | None, prices: Prices) -> float | None:
    found = machine(resource) if resource else None
    hourly = prices.hourly(*found) if found else None
    return None if hourly is None else hourly * HOURS_PER_30_DAYS


def load_baseline(path: Path | None) -> frozenset[str]:
    """Fingerprints of a baseline file; none where there is no file. Raises ``ValueError``."""
    if path is None or not path.exists():
        return frozenset()
    document = json.loads(path.read_text(encoding="utf-8"))
    return frozenset(str(one["fingerprint"]) for one in document["findings"])


def baseline_of(found: Review) -> str:
    """A baseline that holds the review's findings: what is there already blocks no more, what comes anew does."""
    findings: list[Mapping[str, str]] = [{"fingerprint": one.fingerprint, "rule": one.rule, "resource": one.name, "path": one.path} for one in found.findings]
    return json.dumps({"version": 1, "findings": findings}, indent=2) + "\n"
