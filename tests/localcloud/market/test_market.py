"""The market: repeatable, calibrated, kept over a restart, and replayed from recordings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.applications import Starlette

from domain.catalog import CATALOG
from localcloud.market import Market, MarketSettings, Reclaim
from localcloud.market.control import routes
from localcloud.market.gate import PriceGate
from localcloud.market.http import app
from localcloud.market.model import ModelSource
from localcloud.market.recording import RecordingError, zone_name
from tests.localcloud.market.transport import client

START = datetime(2026, 3, 10, 8, tzinfo=UTC)
POOL = ("aws", "eu-west-1", "eu-west-1a", "m5.large")


class Wall:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def paused(home: Path, **fields: object) -> Market:
    return Market.open(home, MarketSettings(**{"seed": 3, "start": START, "running": False, **fields}))  # type: ignore[arg-type]  # the fields by name


def test_a_moment_asked_for_twice_has_the_same_prices_and_seeds_differ() -> None:
    at = START.timestamp()
    first, again, other = ModelSource(1), ModelSource(1), ModelSource(2)
    again.spot("aws", "eu-west-1", at + 1e6)
    assert first.spot("aws", "eu-west-1", at).tolist() == again.spot("aws", "eu-west-1", at).tolist()
    assert first.spot("aws", "eu-west-1", at).tolist() != other.spot("aws", "eu-west-1", at).tolist()


def test_changes_tell_every_step_between_two_moments() -> None:
    model, start = ModelSource(1), START.timestamp()
    prices = dict(zip(model.pools("aws", "us-east-2"), model.spot("aws", "us-east-2", start), strict=True))
    for change in model.changes("aws", "us-east-2", start, start + 5 * 86400):
        prices[change.pool] = change.usd_per_hour
    assert list(prices.values()) == model.spot("aws", "us-east-2", start + 5 * 86400).tolist()


def test_prices_lie_below_on_demand_in_every_region_of_every_cloud() -> None:
    model, at = ModelSource(1), START.timestamp()
    for region in CATALOG.region_list:
        spot, listed = model.spot(region.cloud, region.name, at), model.on_demand(region.cloud, region.name, at)
        assert len(spot) == len(model.pools(region.cloud, region.name)) > 0
        assert ((spot > 0) & (spot < listed)).all(), region


def test_gcp_and_azure_change_at_month_starts_only() -> None:
    model, start = ModelSource(1), START.timestamp()
    for cloud, region in (("gcp", "europe-west4"), ("azure", "westeurope")):
        moments = {datetime.fromtimestamp(change.at, UTC) for change in model.changes(cloud, region, start, start + 365 * 86400)}
        assert moments and all((one.day, one.hour, one.minute) == (1, 0, 0) for one in moments)


def test_the_clock_goes_on_after_a_restart_and_never_back(tmp_path: Path) -> None:
    wall = Wall()
    settings = MarketSettings(seed=3, start=START, speed=3600.0)
    market = Market.open(tmp_path, settings, wall)
    wall.seconds += 2
    assert market.now() == START + timedelta(hours=2)
    market.inject({"kind": "repricing", "cloud": "aws", "factor": 2.0})
    shown, price = market.now(), market.spot_price(*POOL)
    again = Market.open(tmp_path, settings, wall)  # as after a kill: nobody closed the first
    assert timedelta(0) <= again.now() - shown <= timedelta(hours=3)
    again.set_clock(running=False)
    assert again.spot_price(*POOL) == pytest.approx(price, rel=0.02)


def test_an_outage_takes_capacity_and_an_interruption_calls_back(tmp_path: Path) -> None:
    market, told = paused(tmp_path), list[Reclaim]()
    market.on_interruption(told.append)
    market.inject({"kind": "interruption", "cloud": "aws", "region": "eu-west-1", "instance_type": "m5.large"})
    assert [one.takes(*POOL) for one in told] == [True]
    assert not told[0].takes("aws", "eu-west-1", "eu-west-1a", "c5.large")
    assert not market.has_capacity(*POOL)
    market.advance(2 * 3600)
    market.inject({"kind": "outage", "cloud": "aws", "region": "eu-west-1", "duration_seconds": 60})
    assert not market.has_capacity("aws", "eu-west-1", "eu-west-1b", "c5.large")


def test_where_there_is_plenty_nothing_is_refused_and_nothing_taken_back_but_by_an_outage(tmp_path: Path) -> None:
    market, told = paused(tmp_path), list[Reclaim]()
    market.on_interruption(told.append)
    refused = [ref for ref in CATALOG.offers(("aws",)) if market.spot_price(*ref) is not None and not market.has_capacity(*ref)]
    assert refused
    market.inject({"kind": "plenty", "cloud": "aws"})
    market.set_clock(speed=60.0)
    assert all(market.has_capacity(*ref) for ref in refused)
    for _ in range(6):
        market.advance(12 * 3600)
    assert {one.cloud for one in told} == {"azure", "gcp"}
    market.inject({"kind": "outage", "cloud": "aws", "region": refused[0].region, "duration_seconds": 60})
    assert not market.has_capacity(*refused[0])


def test_pools_take_machines_back_only_while_time_leaves_them_their_notice(tmp_path: Path) -> None:
    told: dict[float, list[Reclaim]] = {60.0: [], 3600.0: []}
    for speed, reclaims in told.items():
        market = paused(tmp_path / str(speed))
        market.on_interruption(reclaims.append)
        market.set_clock(speed=speed)
        for _ in range(6):
            market.advance(12 * 3600)
    assert len(told[60.0]) > 10
    assert told[3600.0] == []


def test_control_refuses_an_event_with_every_fault(tmp_path: Path) -> None:
    site = client(Starlette(routes=routes(paused(tmp_path))))
    answer = site.post("/market/events", json={"kind": "repricng", "cloud": "aws", "region": "eu-wst-1", "size": 1})
    assert answer.status_code == 400 and len(answer.json()["faults"]) == 3
    assert site.post("/market/clock", json={"advance_to": "2020-01-01T00:00:00Z"}).status_code == 400
    assert site.post("/market/clock", json={"speed": 10.0, "advance_to": "2026-04-01T00:00:00Z"}).json()["now"] == "2026-04-01T00:00:00+00:00"


def test_azure_pages_lead_to_each_item_once(tmp_path: Path) -> None:
    site = client(app(paused(tmp_path)), base_url="https://prices.azure.com")
    seen: list[str] = []
    link: str | None = "/api/retail/prices?$filter=serviceName eq 'Virtual Machines' and contains(meterName, 'Spot')"
    while link:
        page = site.get(link.replace(":443", "")).json()
        seen += [f"{item['meterId']}" for item in page["Items"]]
        link = page["NextPageLink"]
    assert len(seen) == len(set(seen)) > 1000
    assert site.get("/api/retail/prices?$filter=serviceName is 'x'").status_code == 400


def test_the_gate_answers_price_history_with_the_markets_date_and_passes_the_rest_on(tmp_path: Path) -> None:
    inner = Starlette()
    site = client(PriceGate(paused(tmp_path), inner), base_url="https://ec2.eu-west-1.amazonaws.com")
    form = {"Action": "DescribeSpotPriceHistory", "StartTime": "2026-03-10T00:00:00Z", "InstanceType.1": "m5.large", "MaxResults": "2"}
    answer = site.post("/", data=form)
    assert answer.headers["date"] == "Tue, 10 Mar 2026 08:00:00 GMT"
    assert answer.text.count("<item>") == 2 and "<nextToken></nextToken>" not in answer.text
    assert site.post("/", data={"Action": "DescribeInstances"}).status_code == 404


def recording(path: Path) -> Path:
    def row(cloud: str, region: str, zone: str | None, name: str, day: int, spot: float | None) -> dict[str, object]:
        moment = datetime(2023, 6, day, tzinfo=UTC)
        return {"cloud": cloud, "region": region, "zone": zone, "instance_type": name, "timestamp": moment, "spot_usd_h": spot, "on_demand_usd_h": 0.2}

    rows = [
        row("aws", "eu-west-1", "euw1-az2", "m5.large", 1, 0.05),
        row("aws", "eu-west-1", "euw1-az2", "m5.large", 3, 0.06),
        row("aws", "eu-west-1", "euw1-az2", "m5.large", 5, None),
        row("aws", "eu-west-1", "euw1-az2", "x9.huge", 1, 9.0),
        row("gcp", "europe-west4", None, "n2-standard-4", 2, 0.04),
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_a_recording_is_replayed_as_the_step_functions_it_holds(tmp_path: Path) -> None:
    market = paused(tmp_path / "home", start=None, source=recording(tmp_path / "prices.parquet"))
    assert market.now() == datetime(2023, 6, 1, tzinfo=UTC)
    assert market.spot_price("gcp", "europe-west4", "europe-west4-c", "n2-standard-4") is None
    market.advance(24 * 3600)
    assert market.spot_price("aws", "eu-west-1", "eu-west-1b", "m5.large") == 0.05
    assert market.spot_price("gcp", "europe-west4", "europe-west4-c", "n2-standard-4") == 0.04
    assert market.spot_price("azure", "westeurope", "-", "Standard_D2s_v5") is None
    market.advance(36 * 3600)
    assert market.spot_price("aws", "eu-west-1", "eu-west-1b", "m5.large") == 0.06
    market.advance(2 * 86400)
    assert market.spot_price("aws", "eu-west-1", "eu-west-1b", "m5.large") is None
    assert market.on_demand_price("aws", "eu-west-1", "eu-west-1b", "m5.large") == 0.2


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"cloud": ["aws"]}), tmp_path / "other.parquet")
    with pytest.raises(RecordingError, match="lacks region, zone"):
        paused(tmp_path / "home", source=tmp_path / "other.parquet")


@pytest.mark.parametrize(
    ("region", "zone", "shown"),
    [
        ("us-east-1", "use1-az4", "us-east-1d"),
        ("us-west-1", "usw1-az3", "us-west-1b"),
        ("ap-northeast-1", "apne1-az2", "ap-northeast-1c"),
        ("us-west-1", "?", None),
    ],
)
def test_zone_ids_become_zone_names_of_the_region(region: str, zone: str, shown: str | None) -> None:
    assert zone_name(region, zone) == shown
