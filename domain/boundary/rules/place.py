"""A call's regions against the compiled boundary: cloud, partition and residency in one look-up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from domain.boundary.call import Call
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.rules.cloud import refuse_cloud
from domain.boundary.rules.residency import RULE


def judge_place(boundary: CompiledBoundary, call: Call) -> Iterator[Finding]:
    """Refuses every region outside, and a regional call that names none.

    What already exists in the tenant's own account may be deleted, and read by its id, wherever it is: a boundary that was tightened must not strand it.
    """
    if call.cloud == "cloudflare" or call.access == "metadata":
        return
    if finding := refuse_cloud(boundary.boundary, call.cloud):
        if call.access in {"write", "read"}:
            yield finding
        return
    if call.access == "delete" or (call.access == "read" and call.resource):
        return
    if not call.regions and call.scope == "regional" and call.access == "write":
        yield Finding(RULE, "critical", f"Nothing says in which region {_what(call)} stands.", mend="Set its region, or the provider's.")
    for named in call.regions:
        if named.value is None:
            yield Finding(
                RULE, "critical", f"The region of {_what(call)} is unknown until apply; it is judged there.", named.path, "Use a literal region.", unknown=True
            )
        elif refusal := boundary.refusal(call.cloud, named.value):
            yield replace(refusal, path=named.path)


def _what(call: Call) -> str:
    return (
        f"{call.resource_type or f'{call.service}:{call.action}'} {call.resource!r}" if call.resource else call.resource_type or f"{call.service}:{call.action}"
    )
