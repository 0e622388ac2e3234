"""``spotlane plan --boundary FILE``: what a changed boundary would cost, now and over recorded prices."""

from __future__ import annotations

from pathlib import Path

import yaml

from spotlane import wire
from spotlane.cli import output
from spotlane.client import AutomationClient
from spotlane.errors import Fault, InvalidDocument

COLUMNS = ("WORKLOAD", "USD/h NOW", "USD/h CHANGED", "USD/h ANYWHERE", "USD THEN", "USD CHANGED", "USD ANYWHERE", "UNPLACED h", "NOTE")


def shown(service: AutomationClient, path: Path, tenant: str | None, workload: str | None, days: float, *, json: bool) -> None:
    """Asks and prints. Raises :class:`SpotlaneError`."""
    whose = tenant or (workload.rpartition("-")[2] if workload else None)
    if whose is None:
        raise InvalidDocument(str(path), [Fault("--tenant", "a boundary is tried on one tenant's workloads; name the tenant, or one of its workloads")])
    found = service.what_if(wire.WhatIfRequest(tenant=whose, boundary=boundary_of(path), workload=workload, days=days))
    if json:
        output.document(found)
        return
    output.table(COLUMNS, rows(found), f"{whose} has no workload that this would concern")
    for line in footer(found):
        output.say(line)


def boundary_of(path: Path) -> wire.Json:
    """The boundary in a file, which is one or a tenant's file with one in it. Raises :class:`InvalidDocument`; the service checks what it says."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidDocument(str(path), [Fault("(file)", f"can't be read: {error.strerror}")]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidDocument(str(path), [Fault("(file)", f"is no YAML: {str(error).splitlines()[0]}")]) from error
    if isinstance(document, dict) and document.get("kind") == "Tenant" and isinstance(document.get("spec"), dict):
        document = document["spec"].get("boundary")
    if not isinstance(document, dict):
        raise InvalidDocument(str(path), [Fault("(file)", "holds no boundary: it must be a mapping with a name, as docs/boundary.schema.json says")])
    return document


def rows(found: wire.WhatIf) -> list[tuple[str, ...]]:
    """A row a workload, by :data:`COLUMNS`."""
    return [
        (
            one.workload,
            *(output.usd(place.usd_per_hour) for place in (one.now_present, one.now_changed, one.now_free)),
            *(output.usd(course.usd, 2) for course in (one.present, one.changed, one.free)),
            f"{one.changed.unplaced_hours:.0f}",
            _note(one),
        )
        for one in found.items
    ]


def footer(found: wire.WhatIf) -> list[str]:
    """What it comes to: only over workloads that both boundaries place all the time, for the others have no price."""
    whole = [one for one in found.items if one.present.unplaced_hours == one.changed.unplaced_hours == 0]
    more = sum(one.changed.usd - one.present.usd for one in whole)
    lines = [
        f"history: {found.begin:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC by the recorded prices, decided on every {found.step_hours:g} h",
        f"the changed boundary ({found.changed_digest[:19]}) would have cost {more:+.2f} USD over it",
    ]
    if len(whole) < len(found.items):
        lines.append(f"{len(found.items) - len(whole)} of {len(found.items)} workloads are in no sum: for some hours nothing inside a boundary served them")
    if leaving := [one.workload for one in found.items if one.leaves]:
        lines.append(f"would have to leave at once: {', '.join(leaving)}")
    return lines


def _note(one: wire.WhatIfItem) -> str:
    if one.now_changed.usd_per_hour is None:
        return "nothing inside the changed boundary serves it"
    if one.now_present.usd_per_hour is None:
        return "nothing inside the present boundary serves it"
    more = one.now_changed.usd_per_hour - one.now_present.usd_per_hour
    place = one.now_changed.offer
    where = f" in {place.cloud}/{place.region}" if place is not None else ""
    return f"{more:+.4f} USD/h{where}" + ("; leaves its place" if one.leaves else "")
