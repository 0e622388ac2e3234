"""A call's regions against the compiled boundary: cloud, partition, residency, data class and replication in one look-up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from domain.boundary.call import Call, Named
from domain.boundary.compiled import CompiledBoundary
from domain.boundary.finding import Finding
from domain.boundary.regions import Region, find
from domain.boundary.rules.cloud import refuse_cloud
from domain.boundary.rules.replication import refuse_copy
from domain.boundary.rules.residency import RULE


def judge_place(boundary: CompiledBoundary, call: Call) -> Iterator[tuple[Finding, str | None]]:
    """Refuses every region outside, and a regional call that names none; each finding with the region that it is about.

    What already exists in the tenant's own account may be deleted, and read by its id, wherever it is: a boundary that was tightened must not strand it.
    """
    if call.cloud == "cloudflare" or call.access == "metadata":
        return
    if finding := refuse_cloud(boundary.boundary, call.cloud):
        if call.access in {"write", "read"}:
            yield finding, None
        return
    if call.access == "delete" or (call.access == "read" and call.resource):
        return
    if not call.regions and call.scope == "regional" and call.access == "write":
        yield Finding(RULE, "critical", f"Nothing says in which region {_what(call)} stands.", mend="Set its region, or the provider's."), None
    data_class = call.data_class.value if call.data_class else None
    if call.data_class and data_class is None:
        message = f"The data class of {_what(call)} is unknown until apply; it is judged there."
        yield Finding("data-class", "critical", message, call.data_class.path, unknown=True), None
    origin = _origin(call)
    for named in call.regions:
        if named.value is None:
            message = f"The region of {_what(call)} is unknown until apply; it is judged there."
            yield Finding(RULE, "critical", message, named.path, "Use a literal region.", unknown=True), None
        elif (refusal := boundary.refusal(call.cloud, named.value, data_class=data_class)) or (
            named.copy and (refusal := _copy(boundary, call, data_class, origin, named))
        ):
            yield replace(refusal, path=named.path), named.value


def _origin(call: Call) -> Region | None:
    first = next((named.value for named in call.regions if not named.copy), None)
    return find(call.cloud, first) if first else None


def _copy(boundary: CompiledBoundary, call: Call, data_class: str | None, origin: Region | None, named: Named) -> Finding | None:
    region = find(call.cloud, named.value or "")
    if region is None:
        return None
    document = boundary.boundary
    found = refuse_copy(document.name, document.residency, origin, region)
    if found is None and data_class in document.data_classes:
        found = refuse_copy(f"{document.name}/{data_class}", document.data_classes[data_class], origin, region)
    return found


def _what(call: Call) -> str:
    return (
        f"{call.resource_type or f'{call.service}:{call.action}'} {call.resource!r}" if call.resource else call.resource_type or f"{call.service}:{call.action}"
    )
