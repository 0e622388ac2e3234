"""A rule on a yes/no trait: the trait must hold (or must not) wherever the call has it."""

from __future__ import annotations

from collections.abc import Iterator

from domain.boundary.call import Call, TraitName
from domain.boundary.finding import Finding, Severity


def judge_trait(call: Call, trait: TraitName, *, wanted: bool, rule: str, severity: Severity, fault: str, mend: str) -> Iterator[Finding]:
    """A finding for each trait of that name that isn't as wanted; a notice where it is unknown until apply."""
    if call.access != "write":
        return
    what = f"{call.resource_type or call.service} {call.resource!r}" if call.resource else call.resource_type or f"{call.service}:{call.action}"
    for found in call.traits:
        if found.name != trait:
            continue
        if found.holds is None:
            yield Finding(rule, severity, f"{what}: {found.path} is unknown until apply; it is judged there.", found.path, mend, unknown=True)
        elif found.holds is not wanted:
            yield Finding(rule, severity, f"{what} {fault}.", found.path, mend)
