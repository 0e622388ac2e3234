"""A machine that goes, and clouds that refuse its replacement: the next offer is asked for as soon as the last one has failed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from spotlane import wire
from tests.automation.test_fallback import asking, on_spot
from tests.automation.test_rebalancer import CHEAPER, HERE, NOW, Edge
from tests.automation.test_standbys import THIRD, Three, interrupted

FULL = "placement.acme.web.2: x; api error InsufficientInstanceCapacity: none"


class Clouds(Edge):
    """An edge whose sagas end when they are told to."""

    def __init__(self, held: wire.Workload) -> None:
        super().__init__(held)
        self.sagas: list[wire.Migration] = []

    def decide(self, decision: wire.Decision) -> Any:
        begun = super().decide(decision).model_copy(update={"id": f"acme_web_{len(self.sagas) + 2}"})
        self.sagas.append(begun)
        return begun

    def migrations(self) -> list[wire.Migration]:
        return list(self.sagas)

    def migration(self, migration: str) -> wire.Migration:
        return next(one for one in self.sagas if one.id == migration)

    def ends(self, **changes: Any) -> None:
        self.sagas[-1] = self.sagas[-1].model_copy(update={"finished_at": NOW, **changes})

    @property
    def asked(self) -> list[str | None]:
        return [one.offer and one.offer.zone for one in self.decisions]


@pytest.fixture
def service(tmp_path: Path) -> Any:
    history, watch = QuoteHistory(tmp_path / "quotes.sqlite"), FeedWatch(tmp_path / "feeds.sqlite", timedelta(hours=6))
    edge = Clouds(asking(on_spot(), fallback="none"))
    daemon = Rebalancer(edge, Three(), history, 6.0, watch, lambda: NOW)  # type: ignore[arg-type]  # fakes with the calls in use
    daemon._collection.book.market_now = NOW
    yield daemon, edge
    history.close()
    watch.close()


def test_a_refused_rescue_is_followed_by_the_next_offer_without_a_cycle(service: Any) -> None:
    daemon, edge = service
    daemon.incident(interrupted("acme_web_1"))
    daemon.chase()
    assert edge.asked == [CHEAPER.zone], "while it runs nothing else is asked for"
    edge.ends(status="failed", error=FULL)
    daemon.chase()
    assert edge.asked == [CHEAPER.zone, THIRD.zone]
    edge.ends(status="failed", error=FULL)
    daemon.chase()
    daemon.chase()
    assert edge.asked == [CHEAPER.zone, THIRD.zone], "no offer is left: neither the one that goes nor those that refused"


def test_once_the_workload_is_off_the_machine_the_matter_is_over(service: Any) -> None:
    daemon, edge = service
    daemon.incident(interrupted("acme_web_1"))
    edge.ends(status="succeeded")
    assert edge.held.placement is not None and edge.held.placement.offer.zone == HERE.zone
    edge.held = edge.held.model_copy(update={"placement": edge.held.placement.model_copy(update={"id": "acme_web_2"})})
    daemon.chase()
    assert (edge.asked, daemon._incidents, daemon._rescues) == ([CHEAPER.zone], {}, {})
