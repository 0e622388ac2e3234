"""Monthly caps in the daemon's cycle: fed by the ledger, held over moves under way, told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audit.segments import entries
from automation.feeds.collection import CollectionReport
from automation.http.app import app
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from automation.service.trail import Trail
from domain.spend import Month
from spotlane import wire
from spotlane.errors import ApiProblem
from tests.automation.test_http import Caller, FakeRuns, Tokens, barred
from tests.automation.test_rebalancer import DIGEST, Edge, Prices
from tests.automation.test_redeploys import placement, workload

NOW = datetime(2026, 1, 16, tzinfo=UTC)
LEFT = Month.of(NOW).hours_left(NOW)
DEAR, CHEAP = 0.05, 0.02


class Book(Edge):
    """An edge with several workloads, sums of the ledger and alerts; as D1 does, it takes each alert once."""

    def __init__(self, *held: wire.Workload, tenant_cap: float | None = None) -> None:
        super().__init__(held[0])
        self.all = list(held)
        self.tenant_cap = tenant_cap
        self.paid: dict[str, float] = {}
        self.sums_asked: list[str | None] = []
        self.raised: dict[tuple[str, str, int], wire.SpendAlert] = {}
        self.sent: list[list[int]] = []
        self.moving: list[wire.Migration] = []
        self.alerts_refused = False

    def tenants(self) -> list[wire.Tenant]:
        return [wire.Tenant(id="acme", boundary=self.boundary, boundary_digest=DIGEST, budget_usd_per_month=self.tenant_cap)]

    def workloads(self) -> list[wire.Workload]:
        return self.all

    def migrations(self) -> list[wire.Migration]:
        return self.moving

    def placements(self, name: str) -> list[wire.Placement]:
        return [one.placement for one in self.all if one.id == name and one.placement is not None]

    def ledger_months(self, tenant: str | None = None, workload: str | None = None, *, month: str | None = None) -> list[wire.WorkloadMonth]:
        assert workload is None and tenant == "acme"
        self.sums_asked.append(month)
        zero = dict.fromkeys(("on_demand_usd", "stayed_usd", "saved_usd", "saved_stayed_usd"), Decimal(0))
        sums = {"tenant": "acme", "month": month, "hours": 1.0, "unknown_hours": 0.0} | zero
        return [wire.WorkloadMonth.model_validate(sums | {"workload": name, "paid_usd": Decimal(str(usd))}) for name, usd in self.paid.items()]

    def raise_alerts(self, alerts: list[wire.SpendAlert]) -> list[wire.SpendAlert]:
        if self.alerts_refused:
            raise ApiProblem(wire.Problem(type="https://spotlane.dev/problems/not-found", title="No such thing", status=404, detail=""))
        self.sent.append([one.percent for one in alerts])
        new = [one for one in alerts if (one.owner, one.month, one.percent) not in self.raised]
        self.raised |= {(one.owner, one.month, one.percent): one for one in new}
        return new


class Market(Prices):
    """Two offers, HERE dear and one beside it cheap, at the time that ``now`` is set to."""

    def __init__(self) -> None:
        super().__init__(NOW)

    def at(self, now: datetime) -> Market:
        self.book.market_now = now
        self.quotes = tuple(type(one)(one.offer, one.spot, one.on_demand, one.source, now, one.interruptions_per_hour) for one in self.quotes)
        return self

    def collect(self, *_: Any) -> Any:
        return CollectionReport(self.quotes, self.quotes, (), (), frozenset({"aws"}), frozenset({"aws"}))


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Starts a service; each begins with what the one before it kept on disk."""
    made: list[Any] = []

    def begin(edge: Book, market: Market | None = None) -> Rebalancer:
        history, watch = QuoteHistory(tmp_path / "quotes.sqlite"), FeedWatch(tmp_path / "feeds.sqlite", timedelta(hours=6))
        made.extend((history, watch))
        return Rebalancer(edge, market or Market(), history, 6.0, watch, lambda: NOW)  # type: ignore[arg-type]  # fakes with the calls in use

    yield begin
    for one in made:
        one.close()


def named(name: str, *, runs: bool = False, cap: float | None = None, **changed: Any) -> wire.Workload:
    """A workload of acme; one that runs does so on HERE since a day."""
    made = placement(1, "a").model_copy(update={"id": f"acme_{name}_1", "workload": f"{name}-acme", "market_served_from": NOW - timedelta(days=1)})
    blank = workload("a", made if runs else None)
    spec = blank.spec.model_copy(update={"placement": blank.spec.placement.model_copy(update={"max_usd_per_month": cap})})
    known = {"id": f"{name}-acme", "name": name, "spec": spec, "state": wire.WorkloadState.RUNNING if runs else wire.WorkloadState.PENDING}
    return blank.model_copy(update=known | changed)


def test_without_a_cap_neither_the_ledger_nor_alerts_are_asked_for(start: Any) -> None:
    edge = Book(named("web", runs=True))
    start(edge).tick()
    assert (edge.sums_asked, edge.sent) == ([], [])


def test_a_first_placement_over_the_workloads_cap_is_refused_and_the_plan_says_why(start: Any) -> None:
    edge = Book(named("web", cap=CHEAP * LEFT - 0.01))
    [item] = start(edge).tick().plan.items
    assert (edge.decisions, item.verdict) == ([], "no_offer")
    assert item.reason.startswith(
        "over-month-cap: the cheapest, aws/eu-west-1/eu-west-1b/m5.large: would bring web-acme to 7.68 USD in 2026-01; its cap is 7.67"
    )
    assert [one.reason for one in item.alternatives] == ["over-month-cap"]


def test_a_refusal_by_a_cap_is_in_the_audit_trail_once(tmp_path: Path) -> None:
    edge, market = Book(named("web", cap=1.0)), Market()
    history, watch = QuoteHistory(tmp_path / "quotes.sqlite"), FeedWatch(tmp_path / "feeds.sqlite", timedelta(hours=6))
    trail = Trail(tmp_path, "local", lambda tenant: DIGEST, lambda: NOW)
    service = Rebalancer(edge, market, history, 6.0, watch, lambda: NOW, trail=trail)  # type: ignore[arg-type]  # fakes with the calls in use
    for hours in (0, 1, 2):
        market.at(NOW + timedelta(hours=hours))
        service.tick()
    trail.close()
    history.close()
    watch.close()
    [record] = list(entries(trail.logs["place"]))
    assert (record["verdict"], record["rule"], record["why"]) == ("deny", "over-month-cap", "the cap of web-acme, 1.00 USD in 2026-01, leaves no offer")


def test_what_the_ledger_has_of_the_month_leaves_less_of_the_cap(start: Any) -> None:
    edge = Book(named("web", cap=CHEAP * LEFT + 1))
    start(edge).tick()
    assert len(edge.decisions) == 1
    assert edge.decisions[0].evidence is not None and [one.owner for one in edge.decisions[0].evidence.caps] == ["web-acme"]
    edge = Book(named("web", cap=CHEAP * LEFT + 1))
    edge.paid = {"web-acme": 1.01}
    start(edge).tick()
    assert (edge.decisions, edge.sums_asked) == ([], ["2026-01"])


def test_the_tenants_cap_is_the_smaller_of_its_budget_and_its_boundarys(start: Any) -> None:
    edge = Book(named("web"), tenant_cap=1000.0)
    edge.boundary = edge.boundary | {"spend": {"usdPerMonth": 1.0}}
    service = start(edge)
    service.tick()
    assert edge.decisions == []
    [cap] = service.spend().items
    assert (cap.owner, cap.cap_usd, cap.month, cap.standing) == ("acme", 1.0, "2026-01", "within")


def test_a_workload_under_way_takes_of_the_tenants_cap_though_it_runs_nowhere_yet(start: Any) -> None:
    edge = Book(named("web"), named("api"), tenant_cap=1.5 * CHEAP * LEFT)
    service = start(edge)
    service.tick()
    assert [one.workload for one in edge.decisions] == ["api-acme"]
    [first] = edge.decisions
    under_way = {"id": "acme_api_1", "workload": "api-acme", "tenant": "acme", "generation": 1, "kind": "deploy", "step": "provision", "status": "running"}
    rest = {"fencingToken": 1, "fromPlacement": None, "routeVersion": None, "error": None, "startedAt": NOW, "finishedAt": None, "decision": first}
    edge.moving = [wire.Migration.model_validate(under_way | rest)]
    edge.all = [edge.all[0], edge.all[1].model_copy(update={"active_migration": "acme_api_1", "state": wire.WorkloadState.PROVISIONING})]
    service.tick()
    assert len(edge.decisions) == 1


def test_what_runs_goes_on_over_its_cap_and_is_shown_headed_over(start: Any) -> None:
    edge = Book(named("web", runs=True, cap=1.0))
    service = start(edge)
    [item] = service.tick().plan.items
    # The cheaper machine doesn't keep the cap either, but it lowers the spend: whether it is worth a move is the prices' to say.
    assert (item.verdict, edge.decisions) == ("stay", [])
    assert item.reason.startswith("over-month-cap: goes on over its cap")
    [cap] = service.spend("acme").items
    assert (cap.standing, cap.usd_per_hour, cap.projected_usd) == ("headed-over", DEAR, pytest.approx(DEAR * LEFT))
    assert service.spend("globex").items == []


def test_each_threshold_is_told_once_a_month_also_over_restarts(start: Any) -> None:
    edge = Book(named("web", runs=True, cap=100.0))
    market = Market()
    service = start(edge, market)
    for usd in (49.0, 51.0, 52.0, 85.0):
        edge.paid = {"web-acme": usd}
        market.at(market.book.market_now + timedelta(hours=1))
        service.tick()
        service.tick()
    assert edge.sent == [[50], [80]]
    again = start(edge, market)
    edge.paid = {"web-acme": 101.0}
    market.at(market.book.market_now + timedelta(hours=1))
    again.tick()
    again.tick()
    assert edge.sent[2:] == [[50, 80, 100]]
    assert [(one.owner, one.percent, one.paid_usd) for one in edge.raised.values()] == [
        ("web-acme", 50, pytest.approx(51, abs=0.1)),
        ("web-acme", 80, pytest.approx(85, abs=0.1)),
        ("web-acme", 100, pytest.approx(101, abs=0.1)),
    ]
    edge.paid = {"web-acme": 60.0}
    market.at(datetime(2026, 2, 10, tzinfo=UTC))
    again.tick()
    assert [(one.month, one.percent) for one in edge.raised.values()][-1] == ("2026-02", 50)


def test_alerts_that_the_edge_refuses_are_sent_again_and_end_no_cycle(start: Any) -> None:
    edge = Book(named("web", runs=True, cap=100.0))
    edge.paid = {"web-acme": 60.0}
    service = start(edge)
    edge.alerts_refused = True
    assert [item.verdict for item in service.tick().plan.items] == ["stay"]
    edge.alerts_refused = False
    service.tick()
    assert list(edge.raised) == [("web-acme", "2026-01", 50)]


def test_the_sums_are_asked_for_again_only_when_an_hour_has_been_closed_or_a_month_begun(start: Any) -> None:
    edge = Book(named("web", runs=True, cap=100.0))
    market = Market()
    service = start(edge, market)
    for _ in range(3):
        service.tick()
    asked = len(edge.sums_asked)
    market.at(NOW + timedelta(minutes=30))
    service.tick()
    assert len(edge.sums_asked) == asked
    market.at(NOW + timedelta(minutes=61))
    service.tick()
    service.tick()
    assert len(edge.sums_asked) == asked + 1
    market.at(datetime(2026, 2, 1, tzinfo=UTC))
    service.tick()
    assert edge.sums_asked[-1] == "2026-02"


class Asked:
    """Of the rebalancer only what is asked about spend; keeps whose."""

    def __init__(self) -> None:
        self.tenants: list[str | None] = []

    def spend(self, tenant: str | None) -> wire.Spend:
        self.tenants.append(tenant)
        return wire.Spend(market_now=NOW, items=[])


def test_a_tenant_is_told_of_its_own_caps_whatever_it_asks_and_the_platform_of_all() -> None:
    asked = Asked()
    caller = Caller(app(FakeRuns(), barred, asked, None, None, Tokens(), dict, None, None, None, None))  # type: ignore[arg-type]  # only this call
    tokens = ("k acme tenant:read", "p - platform:admin", "edge - service:edge", "m acme placement", "n - tenant:read")
    statuses = [caller.get("/v1/spend?tenant=globex", headers={"authorization": f"Bearer {token}"}).status_code for token in tokens]
    assert (statuses, asked.tenants) == ([200, 200, 200, 403, 403], ["acme", "globex", "globex"])
