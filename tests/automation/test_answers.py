"""What migrations tell of capacity: machines that were had, and those refused for want of it; and that the next choice knows."""

from __future__ import annotations

from datetime import timedelta

from automation.service.answers import answers
from domain.placement.capacity import Answer
from tests.automation.test_rebalancer import CHEAPER, HERE, NOW
from tests.automation.test_standbys import migration

HOUR = timedelta(hours=1)


def test_machines_that_were_had_and_those_refused_for_want_of_capacity_are_answers() -> None:
    refused = migration("deploy", CHEAPER, None, 2 * HOUR, status="failed", error="api error InsufficientInstanceCapacity: none left")
    assert list(answers([migration("move", HERE, CHEAPER, HOUR), refused])) == [
        Answer(NOW - HOUR, HERE, refused=False),
        Answer(NOW - 2 * HOUR, CHEAPER, refused=True),
    ]


def test_another_failure_a_saga_under_way_and_a_machine_on_demand_say_nothing_of_capacity() -> None:
    quota = migration("deploy", HERE, None, HOUR, status="failed", error="MaxSpotInstanceCountExceeded: no more")
    bought = migration("deploy", HERE, None, HOUR)
    bought = bought.model_copy(update={"decision": bought.decision.model_copy(update={"capacity": "on-demand"})})
    assert list(answers([quota, bought, migration("deploy", HERE, None, HOUR, status="running")])) == []
