"""History under another boundary: what would have been decided, for recorded plans, placements and API calls.

A recorded plan holds its resources whole, so that every rule is asked again. Audit records and placements hold places and no properties (a record never holds
a property), so that of those only what is about places is asked: cloud, partition, residency, exemptions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.boundary.compiled import CompiledBoundary
from domain.boundary.decide import decide
from policies.packs.policies import translate
from policies.packs.subject import subject
from policies.review.stream import Stream


@dataclass(frozen=True, slots=True)
class Replayed:
    """One decision then and now: the rules that refuse it, empty where it is allowed."""

    point: str
    what: str
    where: str
    then: tuple[str, ...]
    now: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether the boundary would have decided otherwise."""
        return bool(self.then) != bool(self.now)


def replay_plan(stream: Stream, old: CompiledBoundary | None, new: CompiledBoundary, now: datetime) -> Iterator[Replayed]:
    """Every resource of a recorded preview."""
    tenant = subject(stream.stack).tenant
    for step in stream.steps.values():
        call = translate(step.new, tenant) if step.new else None
        if call is not None:
            rules = [tuple(sorted({one.rule for one in decide(each, call, now, {}).refused})) if each else () for each in (old, new)]
            yield Replayed("plan", f"{call.resource_type} {call.resource}", f"{call.cloud}/{call.region or '-'}", rules[0], rules[1])


def replay_records(records: Iterable[Mapping[str, Any]], new: CompiledBoundary, now: datetime) -> Iterator[Replayed]:
    """Every audit record that names a region and was decided by a boundary."""
    for record in records:
        if not record.get("region") or not record.get("digest") or record["cloud"] == "cloudflare":
            continue
        refused = new.refusal(str(record["cloud"]), str(record["region"]), now)
        then = (str(record["rule"]),) if record["verdict"] == "deny" else ()
        if then and then[0] not in {"residency", "cloud", "replication", "data-class"}:
            # Refused for what the record doesn't hold; a boundary's places don't change that.
            continue
        what = f"{record['service']}:{record['action']}"
        yield Replayed(str(record["point"]), what, f"{record['cloud']}/{record['region']}", then, (refused.rule,) if refused else ())


def replay_placements(placements: Iterable[Mapping[str, Any]], new: CompiledBoundary, now: datetime) -> Iterator[Replayed]:
    """Placements as the API lists them (``offer: {cloud, region}``); all were allowed then."""
    for placement in placements:
        offer = placement["offer"]
        refused = new.refusal(offer["cloud"], offer["region"], now)
        yield Replayed("place", str(placement.get("id", "placement")), f"{offer['cloud']}/{offer['region']}", (), (refused.rule,) if refused else ())
