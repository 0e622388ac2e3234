"""Placements are asked for when a workload has moved, and not while it stands."""

from __future__ import annotations

from collections.abc import Iterable

from automation.service.served import AT_ONCE, Served
from spotlane import wire
from tests.automation.test_redeploys import placement, workload


class Edge:
    """Counts what it is asked."""

    def __init__(self, *placements: wire.Placement) -> None:
        self.held = list(placements)
        self.asked: list[str] = []

    def placements(self, workload: str) -> Iterable[wire.Placement]:
        self.asked.append(workload)
        return [one for one in self.held if one.workload == workload]

    def all_placements(self) -> Iterable[wire.Placement]:
        self.asked.append("all")
        return list(self.held)


FIRST = placement(1, "a")
STANDING = workload("a", FIRST)


def test_a_workload_that_stands_still_is_asked_about_once() -> None:
    edge = Edge(FIRST)
    served = Served(edge)
    assert served.of([STANDING]) == served.of([STANDING]) == [FIRST]
    assert edge.asked == [STANDING.id]


def test_one_that_moves_is_asked_about_until_it_has_moved() -> None:
    edge = Edge(FIRST)
    served = Served(edge)
    served.of([STANDING])
    moving = STANDING.model_copy(update={"active_migration": "acme_web_2", "state": wire.WorkloadState.MIGRATING})
    for _ in range(2):
        served.of([moving])
    second = placement(2, "a")
    edge.held.append(second)
    moved = STANDING.model_copy(update={"placement": second, "generation": 2})
    assert [one.id for one in served.of([moved])] == [FIRST.id, second.id]
    served.of([moved])
    assert edge.asked == [STANDING.id] * 4


def test_many_at_once_are_one_listing_and_what_is_gone_is_forgotten() -> None:
    many = [STANDING.model_copy(update={"id": f"w{number}-acme"}) for number in range(AT_ONCE + 1)]
    edge = Edge(*(FIRST.model_copy(update={"workload": one.id}) for one in many))
    served = Served(edge)
    assert len(served.of(many)) == AT_ONCE + 1
    assert edge.asked == ["all"]
    served.of(many[:1])
    assert served.of(many[1:3]) == [FIRST.model_copy(update={"workload": one.id}) for one in many[1:3]]
    assert edge.asked == ["all", many[1].id, many[2].id]
