"""The daemon's cycle: a changed declaration is redeployed, and a ledger that holds other figures doesn't end it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from automation.errors import NothingToMove
from automation.feeds.collection import CollectionReport
from automation.service.feed_watch import FeedWatch
from automation.service.history import QuoteHistory
from automation.service.rebalancer import Rebalancer
from domain.catalog import OfferRef
from domain.prices import Quote
from domain.reference import Reference
from domain.scores import Scores
from domain.told import Grade, Score
from spotlane import wire
from spotlane.errors import ApiProblem
from tests.automation.test_redeploys import placement, workload

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HERE = OfferRef("aws", "eu-west-1", "eu-west-1a", "m5.large")
CHEAPER = OfferRef("aws", "eu-west-1", "eu-west-1b", "m5.large")
DIGEST = "sha256:" + "0" * 64


class Edge:
    """Holds one tenant with one workload, and keeps what it was told."""

    def __init__(self, held: wire.Workload) -> None:
        self.held = held
        self.decisions: list[wire.Decision] = []
        self.refusal: str | None = None
        self.cap: float | None = None
        self.boundary: wire.Json = {"name": "acme", "residency": {"regimes": ["gdpr"]}}

    def tenants(self) -> list[wire.Tenant]:
        boundary = self.boundary | ({} if self.cap is None else {"spend": {"usdPerHour": self.cap}})
        return [wire.Tenant(id="acme", boundary=boundary, boundary_digest=DIGEST)]

    def workloads(self) -> list[wire.Workload]:
        return [self.held]

    def migrations(self) -> list[wire.Migration]:
        return []

    def placements(self, _: str) -> list[wire.Placement]:
        return [self.held.placement] if self.held.placement else []

    def put_prices(self, _: wire.PriceBook) -> None:
        """Taken."""

    def put_ledger_hours(self, _: list[wire.LedgerHour]) -> None:
        if self.refusal is not None:
            raise ApiProblem(wire.Problem(type=f"https://spotlane.dev/problems/{self.refusal}", title="refused", status=409, detail="acme_web_1 …"))

    def decide(self, decision: wire.Decision) -> Any:
        self.decisions.append(decision)
        identity = {"id": "acme_web_2", "workload": "web-acme", "tenant": "acme", "generation": 2, "kind": decision.kind, "step": "reserve"}
        rest = {"status": "running", "fencingToken": 1, "fromPlacement": None, "routeVersion": None, "error": None, "startedAt": NOW, "finishedAt": None}
        return wire.Migration.model_validate(identity | rest | {"decision": decision})


class Prices:
    """A collection that always finds the same."""

    def __init__(self, now: datetime = NOW, scores: Scores = Scores()) -> None:
        self.quotes = tuple(Quote(ref, spot, 0.1, "test", now, 0.0) for ref, spot in ((HERE, 0.05), (CHEAPER, 0.02)))
        self.book = SimpleNamespace(market_now=now, quotes=lambda: self.quotes)
        self.reference, self.scores = Reference(), scores

    def collect(self, *_: Any) -> Any:
        return CollectionReport(self.quotes, self.quotes, (), (), frozenset({"aws"}), frozenset({"aws"}))


def cycle(edge: Edge, directory: Path, now: datetime = NOW, scores: Scores = Scores()) -> wire.TickReport:
    """One cycle of a service that has just started."""
    history, watch = QuoteHistory(directory / "quotes.sqlite"), FeedWatch(directory / "feeds.sqlite", timedelta(hours=6))
    try:
        return Rebalancer(edge, Prices(now, scores), history, 6.0, watch, lambda: NOW).tick()  # type: ignore[arg-type]  # fakes with the calls in use
    finally:
        history.close()
        watch.close()


def serving(of_spec: str, of_placement: str) -> wire.Workload:
    """A workload that has served from a dear machine for an hour: too short a time for a move by price."""
    placed = placement(1, of_placement).model_copy(update={"market_served_from": NOW - timedelta(hours=1)})
    return workload(of_spec, placed)


def test_a_changed_declaration_is_redeployed_on_its_own_offer(tmp_path: Path) -> None:
    edge = Edge(serving("b", "a"))
    cycle(edge, tmp_path)
    [decision] = edge.decisions
    assert (decision.kind, decision.from_placement, decision.reason) == ("redeploy", "acme_web_1", "its declaration has changed")
    assert decision.offer is not None and decision.offer.zone == HERE.zone


def test_an_unchanged_declaration_is_left_to_the_prices(tmp_path: Path) -> None:
    edge = Edge(serving("a", "a"))
    report = cycle(edge, tmp_path)
    assert (edge.decisions, [item.verdict for item in report.plan.items]) == ([], ["stay"])


def test_a_ledger_that_holds_other_figures_does_not_end_the_cycle(tmp_path: Path) -> None:
    edge = Edge(serving("b", "a"))
    edge.refusal = "ledger-conflict"
    cycle(edge, tmp_path)
    assert [one.kind for one in edge.decisions] == ["redeploy"]


def test_another_refusal_of_the_ledger_does(tmp_path: Path) -> None:
    edge = Edge(serving("b", "a"))
    edge.refusal = "forbidden"
    with pytest.raises(ApiProblem):
        cycle(edge, tmp_path)
    assert edge.decisions == []


def test_what_staying_costs_adds_up_over_cycles_and_restarts_until_it_is_worth_a_move(tmp_path: Path) -> None:
    edge = Edge(serving("a", "a"))
    dear, cheap = 0.05, 0.02
    needed = 5 * 0.25 * dear / (dear - cheap)  # hours; nothing to carry, so that a move costs a quarter of an hour of the old machine
    cycle(edge, tmp_path)
    report = cycle(edge, tmp_path, NOW + timedelta(hours=needed * 0.9))
    assert edge.decisions == [] and report.plan.items[0].evidence is not None and report.plan.items[0].evidence.hurdle is not None
    assert report.plan.items[0].evidence.hurdle.regret_usd == pytest.approx(needed * 0.9 * (dear - cheap))
    cycle(edge, tmp_path, NOW + timedelta(hours=needed * 1.1))
    assert [(one.kind, one.offer.zone) for one in edge.decisions if one.offer is not None] == [("move", CHEAPER.zone)]


def test_the_boundarys_cap_on_a_machine_holds_in_placement(tmp_path: Path) -> None:
    edge = Edge(serving("a", "a"))
    edge.cap = 0.03
    report = cycle(edge, tmp_path)
    assert [one.offer.zone for one in edge.decisions if one.offer is not None] == [CHEAPER.zone]
    assert "cap" in report.plan.items[0].reason


def scored(grade: Grade) -> Scores:
    return Scores().told([Score(CHEAPER, grade, "2 of 10", "scores", NOW)])


@pytest.mark.parametrize(("grade", "moves"), [(Grade.LOW, 0), (Grade.MEDIUM, 1)])
def test_no_move_by_price_goes_where_the_cloud_has_little_capacity(tmp_path: Path, grade: Grade, moves: int) -> None:
    edge = Edge(serving("a", "a"))
    cycle(edge, tmp_path, scores=scored(grade))
    cycle(edge, tmp_path, NOW + timedelta(hours=20), scored(grade))
    assert len(edge.decisions) == moves


def test_what_cant_wait_goes_there_and_its_evidence_says_so(tmp_path: Path) -> None:
    edge = Edge(serving("a", "a"))
    edge.held = workload("a", None)
    cycle(edge, tmp_path, scores=scored(Grade.LOW))
    [decision] = edge.decisions
    assert decision.evidence is not None and decision.evidence.quote.placement_score is not None
    score = decision.evidence.quote.placement_score
    assert (decision.kind, decision.evidence.quote.offer.zone, score.grade, score.says, score.source) == ("deploy", CHEAPER.zone, "low", "2 of 10", "scores")
    assert decision.evidence.quote.interruptions_told == wire.Told(source="scores", observed_at=NOW)


def asking(**changes: dict[str, object]) -> wire.Workload:
    """A workload that nothing serves yet, its declaration changed."""
    spec = workload("a", None).spec
    parts = {name: getattr(spec, name).model_copy(update=to) for name, to in changes.items()}
    return workload("a", None).model_copy(update={"spec": spec.model_copy(update=parts)})


@pytest.mark.parametrize(
    ("changes", "word", "fault"),
    [
        ({"resources": {"vcpu": 512}}, "too-small", "resources.vcpu: 512 is more than any x86_64 machine type of the catalogue has"),
        ({"placement": {"regions": ["eu-wst-1"]}}, "outside-rules", "placement.regions: no cloud has a region 'eu-wst-1'; did you mean eu-west-1"),
    ],
)
def test_what_no_price_can_mend_is_said_with_its_place_in_the_declaration(tmp_path: Path, changes: dict[str, Any], word: str, fault: str) -> None:
    [item] = cycle(Edge(asking(**changes)), tmp_path).plan.items
    assert item.verdict == "no_offer" and item.reason.startswith(f"{word}: {fault}")


@pytest.mark.parametrize(("region", "name", "fault"), [("eu-wst-1", "m5.large", "no region 'eu-wst-1'"), ("eu-west-1", "m5.larg", "no machine type 'm5.larg'")])
def test_a_move_to_an_offer_that_doesnt_exist_is_refused_with_the_nearest_names(tmp_path: Path, region: str, name: str, fault: str) -> None:
    history, watch = QuoteHistory(tmp_path / "quotes.sqlite"), FeedWatch(tmp_path / "feeds.sqlite", timedelta(hours=6))
    rebalancer = Rebalancer(Edge(serving("a", "a")), Prices(), history, 6.0, watch)  # type: ignore[arg-type]  # fakes with the calls in use
    offer = wire.OfferRef(cloud="aws", region=region, zone="x", instance_type=name)
    with pytest.raises(NothingToMove, match=f"{fault}.*did you mean"):
        rebalancer.move(wire.MoveRequest(workload="web-acme", offer=offer))
    history.close()
    watch.close()
