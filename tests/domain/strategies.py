"""Strategies of the domain's values: small markets, and workloads in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from domain.catalog import CATALOG, OfferRef
from domain.placement import Current, Demand, Trigger
from domain.placement.capacity import Record
from domain.placement.switching import Regret
from domain.prices import Quote, Unknown
from domain.told import Grade, Score
from domain.workload import PlacementRules, Requirements

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
REFS = [
    OfferRef(cloud, region, zone, name)
    for cloud, region, names in (
        ("aws", "eu-west-1", ("m5.large", "c5.xlarge")),
        ("aws", "us-east-1", ("m5.large", "m6g.large")),
        ("azure", "westeurope", ("Standard_D2s_v5", "Standard_F4s_v2")),
        ("gcp", "europe-west4", ("e2-standard-2", "n2-standard-4")),
        ("gcp", "us-west4", ("e2-standard-2",)),
    )
    for name in names
    for zone in CATALOG.region(cloud, region).zones[:2]
]
REGRETS = [None, Regret(0.05, 0.01, NOW - timedelta(hours=3)), Regret(50.0, 0.0, NOW)]


def european(cloud: str, region: str) -> str | None:
    """A boundary: the European regions of the little market."""
    return None if region in ("eu-west-1", "westeurope", "europe-west4") else f"{region} is outside the EU"


def anywhere(cloud: str, region: str) -> str | None:
    """No boundary."""
    return None


@st.composite
def quotes(draw: st.DrawFn) -> list[Quote]:
    """Quotes of some of the little market's offers; prices repeat, so that ties occur."""
    price = st.sampled_from([0.01, 0.02, 0.02, 0.03, 0.05, 0.08])
    found = []
    for ref in draw(st.lists(st.sampled_from(REFS), unique=True, max_size=len(REFS))):
        spot = draw(st.one_of(price, st.just(Unknown())))
        rate = draw(st.sampled_from([Unknown(), 0.0, 0.0002, 0.004]))
        age = timedelta(hours=draw(st.sampled_from([0, 1, 5, 7, 200])))
        grade = draw(st.sampled_from([None, *Grade]))
        score = None if grade is None else Score(ref, grade, f"{grade.value} it says", "test", NOW)
        found.append(Quote(ref, spot, 0.1, "test", NOW - age, rate, draw(st.sampled_from([None, None, None, "a jump"])), score=score))
    return found


def answered() -> st.SearchStrategy[dict[OfferRef, Record]]:
    """What is remembered of some of the little market's offers."""
    weight = st.sampled_from([0.0, 0.25, 1.0, 3.0])
    return st.dictionaries(st.sampled_from(REFS), st.builds(Record, weight, weight), max_size=4)


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    """A workload that runs somewhere or nowhere."""
    rules = PlacementRules(
        clouds=draw(st.sampled_from([None, None, frozenset({"aws", "gcp"})])),
        max_usd_per_hour=draw(st.sampled_from([None, 0.04])),
        threshold=draw(st.sampled_from([None, 0.0, 0.1, 0.5])),
        dwell_hours=draw(st.sampled_from([None, 0.0, 24.0])),
        moves_per_30_days=draw(st.sampled_from([0, 12])),
        egress_gib_per_hour=draw(st.sampled_from([0.0, 0.1])),
        state_gib=draw(st.sampled_from([0.0, 20.0])),
    )
    current = None
    if draw(st.booleans()):
        current = Current("t_w_1", draw(st.sampled_from(REFS)), NOW - timedelta(hours=draw(st.sampled_from([1, 30]))), draw(st.sampled_from(REGRETS)))
    return Demand(
        workload="w-t",
        needs=Requirements(draw(st.sampled_from([2, 4])), 4.0),
        rules=rules,
        boundary=draw(st.sampled_from([european, anywhere])),
        current=current,
        moves_in_30_days=draw(st.sampled_from([0, 3])),
        excluded=dict.fromkeys(draw(st.lists(st.sampled_from(REFS), max_size=2)), "refused"),
        trigger=draw(st.sampled_from(list(Trigger))),
    )
