"""Pauses and windows are kept beside the runs, hold what a cycle would begin, and never what saves a workload."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from automation.scheduler.holds import Holds
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from domain.catalog import OfferRef
from domain.prices import Quote
from domain.windows import WindowError
from spotlane import wire
from tests.automation.test_rebalancer import NOW, Edge, Prices, serving
from tests.automation.test_redeploys import workload

LATER = NOW + timedelta(hours=24)
"""Staying has cost enough for a move by price by then."""


@pytest.fixture
def holds(tmp_path: Path) -> Iterator[Holds]:
    one = Holds(f"sqlite:///{tmp_path}/runs.sqlite")
    one.open()
    yield one
    one.close()


def report(edge: Edge, directory: Path, holds: Holds, clock: datetime = LATER) -> wire.TickReport:
    """The second of two cycles a day apart, the wall clock of which is ``clock``."""
    history, watch = QuoteHistory(directory / "quotes.sqlite"), FeedWatch(directory / "feeds.sqlite", timedelta(hours=6))
    try:
        Rebalancer(edge, Prices(NOW), history, 6.0, watch, lambda: NOW, holds.all).tick()  # type: ignore[arg-type]  # fakes with the calls in use
        return Rebalancer(edge, Prices(LATER), history, 6.0, watch, lambda: clock, holds.all).tick()  # type: ignore[arg-type]  # as above
    finally:
        history.close()
        watch.close()


def test_without_a_hold_the_price_moves_it(tmp_path: Path, holds: Holds) -> None:
    edge = Edge(serving("a", "a"))
    report(edge, tmp_path, holds)
    assert [one.kind for one in edge.decisions] == ["move"]


@pytest.mark.parametrize(
    "hold",
    [
        wire.Hold(paused=True),
        wire.Hold(tenant="acme", paused=True),
        wire.Hold(workload="web-acme", paused=True),
        wire.Hold(workload="web-acme", only=["* 02:00-04:00"]),
        wire.Hold(tenant="acme", never=["* 10:00-13:00 UTC"]),
    ],
    ids=["platform", "tenant", "workload", "only at night", "never at noon"],
)
def test_a_held_move_is_a_stay_that_says_why(tmp_path: Path, holds: Holds, hold: wire.Hold) -> None:
    holds.put(hold)
    edge = Edge(serving("a", "a"))
    found = report(edge, tmp_path, holds)
    assert edge.decisions == []
    assert [(one.verdict, one.reason.partition(":")[0]) for one in found.plan.items] == [("stay", "held")]
    assert found.plan.saving_usd_per_30_days == 0.0


def test_inside_its_window_it_moves(tmp_path: Path, holds: Holds) -> None:
    holds.put(wire.Hold(workload="web-acme", only=["* 11:00-13:00"]))
    assert [one.kind for one in report(Edge(serving("a", "a")), tmp_path, holds).started] == ["move"]


def test_a_paused_workload_is_not_redeployed_and_a_new_one_not_placed(tmp_path: Path, holds: Holds) -> None:
    holds.put(wire.Hold(tenant="acme", paused=True))
    redeployed, new = Edge(serving("b", "a")), Edge(workload("a", None).model_copy(update={"state": wire.WorkloadState.PENDING}))
    report(redeployed, tmp_path, holds)
    report(new, tmp_path, holds)
    assert redeployed.decisions == new.decisions == []


def test_a_paused_workload_that_lost_its_machine_gets_another(tmp_path: Path, holds: Holds) -> None:
    holds.put(wire.Hold(tenant="acme", paused=True))
    edge = Edge(workload("a", None).model_copy(update={"state": wire.WorkloadState.INTERRUPTED}))
    report(edge, tmp_path, holds)
    assert edge.decisions[0].kind == "deploy"


def test_a_paused_workload_is_moved_off_a_machine_that_goes(tmp_path: Path, holds: Holds) -> None:
    holds.put(wire.Hold(paused=True))
    edge, history = Edge(serving("a", "a")), QuoteHistory(tmp_path / "quotes.sqlite")
    watch = FeedWatch(tmp_path / "feeds.sqlite", timedelta(hours=6))
    rebalancer = Rebalancer(edge, Prices(NOW), history, 6.0, watch, lambda: NOW, holds.all)  # type: ignore[arg-type]  # fakes with the calls in use
    incident = wire.Incident.model_validate({"placement": "acme_web_1", "kind": "interruption", "deadline": NOW + timedelta(minutes=2), "detail": "notice"})
    assert rebalancer.incident(incident) is not None
    history.close()
    watch.close()


def test_a_hold_outlives_the_process_and_an_empty_one_is_forgotten(tmp_path: Path, holds: Holds) -> None:
    holds.put(wire.Hold(workload="web-acme", never=["mon 08:00-18:00 Europe/Berlin"]))
    holds.put(wire.Hold(tenant="acme", paused=True))
    again = Holds(f"sqlite:///{tmp_path}/runs.sqlite")
    assert [(one.tenant, one.workload, one.paused) for one in again.listed()] == [("acme", None, True), (None, "web-acme", False)]
    again.put(wire.Hold(tenant="acme"))
    assert [one.workload for one in holds.listed()] == ["web-acme"]
    again.close()


def test_the_setting_counts_until_somebody_says_otherwise(tmp_path: Path) -> None:
    one = Holds(f"sqlite:///{tmp_path}/runs.sqlite", paused=True)
    one.open()
    assert one.paused
    one.paused = False
    one.close()
    again = Holds(f"sqlite:///{tmp_path}/runs.sqlite", paused=True)
    assert not again.paused
    again.close()


def test_pausing_the_platform_keeps_its_windows(holds: Holds) -> None:
    holds.put(wire.Hold(only=["* 02:00-04:00"]))
    holds.paused = True
    assert holds.listed() == [wire.Hold(paused=True, only=["* 02:00-04:00"])]


def test_windows_that_can_not_be_read_are_named_all_and_nothing_is_kept(holds: Holds) -> None:
    with pytest.raises(WindowError, match=r"'sometimes'.*'mon 25:00-26:00'"):
        holds.put(wire.Hold(tenant="acme", only=["sometimes"], never=["mon 25:00-26:00"]))
    with pytest.raises(WindowError, match="not both"):
        holds.put(wire.Hold(tenant="acme", workload="web-acme"))
    assert holds.listed() == []


def test_what_runs_outside_its_boundary_leaves_though_it_is_paused(tmp_path: Path, holds: Holds) -> None:
    holds.put(wire.Hold(paused=True, only=["mon 00:00-00:01"]))
    edge = Edge(serving("a", "a"))
    edge.boundary = {"name": "de", "residency": {"countries": ["DE"]}}  # the machine is in Ireland
    prices, history = Prices(NOW), QuoteHistory(tmp_path / "quotes.sqlite")
    watch = FeedWatch(tmp_path / "feeds.sqlite", timedelta(hours=6))
    prices.quotes = (*prices.quotes, Quote(OfferRef("aws", "eu-central-1", "eu-central-1a", "m5.large"), 0.06, 0.1, "test", NOW, 0.0))
    Rebalancer(edge, prices, history, 6.0, watch, lambda: NOW, holds.all).tick()  # type: ignore[arg-type]  # fakes with the calls in use
    history.close()
    watch.close()
    assert [one.offer.region for one in edge.decisions if one.offer is not None] == ["eu-central-1"]
