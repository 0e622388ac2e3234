"""What clouds answered when a spot machine was asked for, as migrations tell it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from automation.service.translation import offer_from_wire
from domain.placement.capacity import Answer
from domain.refusals import RefusalKind, read
from spotlane.wire import Migration


def answers(migrations: Iterable[Migration]) -> Iterator[Answer]:
    """Machines that were had, and those refused for want of capacity: what failed for another reason, or was bought on demand, says nothing of capacity."""
    for one in migrations:
        decision = one.decision
        if decision.offer is None or decision.evidence is None or decision.promote is not None or decision.capacity != "spot":
            continue
        refused = one.status == "failed" and read((one.error or "").split("; ")).kind is RefusalKind.NO_CAPACITY
        if refused or one.status == "succeeded":
            yield Answer(decision.evidence.market_now, offer_from_wire(decision.offer), refused)
