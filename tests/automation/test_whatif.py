"""What a changed boundary would cost, from the service's own records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from automation.errors import InvalidBoundary, NothingToMove
from automation.http.app import app
from automation.service.history import QuoteHistory
from automation.service.translation import quote_from_wire
from automation.service.whatif import WhatIfs
from domain.reference import Reference
from spotlane import wire
from tests.automation.test_http import Caller, FakeRebalancer, FakeRuns, Tokens, barred
from tests.automation.test_redeploys import placement, workload

NOW = datetime(2026, 1, 10, tzinfo=UTC)
IRISH = wire.OfferRef(cloud="aws", region="eu-west-1", zone="eu-west-1a", instance_type="m5.large")
GERMAN = wire.OfferRef(cloud="aws", region="eu-central-1", zone="eu-central-1a", instance_type="m5.large")
AMERICAN = wire.OfferRef(cloud="aws", region="us-east-1", zone="us-east-1a", instance_type="m5.large")
EUROPE = {"name": "acme", "residency": {"regimes": ["gdpr"]}}
GERMANY = {"name": "acme", "residency": {"countries": ["DE"]}}


def quote(offer: wire.OfferRef, spot: float | None, days_ago: float = 0) -> wire.Quote:
    return wire.Quote(offer=offer, spot_usd_per_hour=spot, on_demand_usd_per_hour=0.1, source="test", observed_at=NOW - timedelta(days=days_ago))


class Edge:
    """One tenant with a workload in Ireland, and one of another tenant."""

    def __init__(self) -> None:
        self.held = [workload("a", placement(1, "a")), workload("a", None).model_copy(update={"id": "old-acme", "state": wire.WorkloadState.TERMINATED})]

    def tenant(self, name: str) -> wire.Tenant:
        return wire.Tenant(id=name, boundary=EUROPE, boundary_digest="sha256:" + "0" * 64)

    def workloads(self, tenant: str) -> list[wire.Workload]:
        return [one for one in self.held if one.tenant == tenant]

    def workload(self, name: str) -> wire.Workload:
        return next(one for one in self.held if one.id == name)


@pytest.fixture
def whatifs(tmp_path: Path) -> Any:
    """The prices of ten days: Germany is dearer than Ireland but for the last two days, America cheaper than both."""
    history = QuoteHistory(tmp_path / "quotes.sqlite")
    history.record([quote(IRISH, 0.04, 10), quote(GERMAN, 0.06, 10), quote(AMERICAN, 0.02, 10)])
    history.record([quote(GERMAN, 0.05, 2)])
    book = SimpleNamespace(market_now=NOW, quotes=lambda: tuple(quote_from_wire(quote(*one)) for one in ((IRISH, 0.04), (GERMAN, 0.05), (AMERICAN, 0.02))))
    yield WhatIfs(Edge(), SimpleNamespace(book=book, reference=Reference()), history, 6.0)  # type: ignore[arg-type]  # fakes with the calls in use
    history.close()


def test_a_narrower_boundary_costs_what_its_offers_cost_more_now_and_then(whatifs: WhatIfs) -> None:
    found = whatifs.answer(wire.WhatIfRequest(tenant="acme", boundary=GERMANY, days=4))
    [item] = found.items
    assert (found.begin, found.end, found.step_hours) == (NOW - timedelta(days=4), NOW, 1)
    assert (item.workload, item.leaves) == ("web-acme", True)
    assert [place.offer for place in (item.now_free, item.now_present, item.now_changed)] == [AMERICAN, IRISH, GERMAN]
    assert item.present.machine_usd == pytest.approx(96 * 0.04)
    assert item.changed.machine_usd == pytest.approx(48 * 0.06 + 48 * 0.05)
    assert item.free.machine_usd == pytest.approx(96 * 0.02)
    assert item.changed.usd_per_hour == pytest.approx(0.055)
    assert found.present_digest != found.changed_digest


def test_the_present_boundary_tried_again_costs_nothing_more(whatifs: WhatIfs) -> None:
    found = whatifs.answer(wire.WhatIfRequest(tenant="acme", boundary=EUROPE))
    [item] = found.items
    assert (item.changed, item.now_changed, item.leaves) == (item.present, item.now_present, False)
    assert found.present_digest == found.changed_digest


def test_a_history_begins_where_the_record_does_and_is_decided_on_at_most_120_times(whatifs: WhatIfs) -> None:
    found = whatifs.answer(wire.WhatIfRequest(tenant="acme", boundary=EUROPE, days=90))
    assert (found.begin, found.step_hours, found.items[0].present.hours) == (NOW - timedelta(days=10), 2, 240)


def test_nothing_inside_is_unplaced_and_has_no_price(whatifs: WhatIfs) -> None:
    [item] = whatifs.answer(wire.WhatIfRequest(tenant="acme", boundary={"name": "acme", "residency": {"countries": ["JP"]}})).items
    assert (item.now_changed.usd_per_hour, item.changed.usd_per_hour, item.changed.unplaced_hours, item.changed.usd) == (None, None, 168, 0)


def test_one_workload_of_the_tenant_is_tried_and_another_tenants_is_not(whatifs: WhatIfs) -> None:
    found = whatifs.answer(wire.WhatIfRequest(tenant="acme", boundary=EUROPE, workload="web-acme"))
    assert [one.workload for one in found.items] == ["web-acme"]
    assert whatifs.answer(wire.WhatIfRequest(tenant="globex", boundary=EUROPE, workload="web-acme")).items == []


def test_a_boundary_with_faults_and_a_service_without_prices_say_so(whatifs: WhatIfs) -> None:
    with pytest.raises(InvalidBoundary, match="residency"):
        whatifs.answer(wire.WhatIfRequest(tenant="acme", boundary={"name": "acme", "residency": {"countries": ["Germany"]}}))
    whatifs._collection.book.market_now = None  # type: ignore[assignment]  # before the first cycle
    with pytest.raises(NothingToMove, match="no prices have been collected yet"):
        whatifs.answer(wire.WhatIfRequest(tenant="acme", boundary=EUROPE))


def test_only_the_tenant_itself_and_the_platform_may_ask(whatifs: WhatIfs) -> None:
    caller = Caller(app(FakeRuns(), barred, FakeRebalancer(), None, None, Tokens(), dict, None, None, None, whatifs))  # type: ignore[arg-type]  # only this call
    asked = {"tenant": "acme", "boundary": GERMANY, "days": 1}

    def ask(token: str) -> httpx.Response:
        return caller.post("/v1/whatifs", json=asked, headers={"authorization": f"Bearer {token}"})

    statuses = [
        ask(token).status_code for token in ("k acme tenant:read", "p - platform:admin", "edge - service:edge", "g globex tenant:admin", "m acme placement")
    ]
    assert statuses == [200, 200, 200, 403, 403]
    assert ask("k acme tenant:read").json()["items"][0]["leaves"] is True


def test_the_history_between_two_times_begins_with_what_was_in_force(tmp_path: Path) -> None:
    history = QuoteHistory(tmp_path / "quotes.sqlite")
    assert history.earliest() is None
    history.record(
        [quote(IRISH, 0.01, 5), quote(IRISH, 0.02, 4), quote(GERMAN, 0.03, 4.5), quote(IRISH, 0.04, 2), quote(IRISH, None, 1), quote(AMERICAN, 0.05, 0.5)]
    )
    found = [(one.offer.region, one.spot_usd_per_hour) for one in history.between(NOW - timedelta(days=3), NOW - timedelta(days=1))]
    assert found == [("eu-central-1", 0.03), ("eu-west-1", 0.02), ("eu-west-1", 0.04), ("eu-west-1", None)]
    assert history.earliest() == NOW - timedelta(days=5)
    history.close()
