"""The seeded market does what real ones were measured to do; with ``--data`` the figures are compared with their file too."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from domain.catalog import CATALOG, OfferRef
from localcloud.market import figures
from localcloud.market.capacity import GPU_SPELL, Capacity
from localcloud.market.figures import MEASURED, Measured
from localcloud.market.model import ModelSource
from tests.localcloud.market.statistics import AZURE_US, DAY, statistics

START = datetime(2026, 3, 10, 8, tzinfo=UTC).timestamp()


def mean(found: list[Measured]) -> Measured:
    return Measured(*(float(figure) for figure in np.mean([astuple(one) for one in found], axis=0)))


def test_aws_is_spread_and_drifts_as_22_regions_did_in_2023() -> None:
    found = mean([statistics(ModelSource(seed), "aws", 365, 3 * DAY) for seed in (1, 2)])
    measured = MEASURED["aws"]
    assert found.spread_of_averages == pytest.approx(measured.spread_of_averages, rel=0.06)
    assert found.spread_at_a_moment == pytest.approx(measured.spread_at_a_moment, rel=0.08)
    assert found.home_spot_below_on_demand == pytest.approx(measured.home_spot_below_on_demand, abs=0.03)
    assert found.oracle_below_home_on_demand == pytest.approx(measured.oracle_below_home_on_demand, abs=0.03)
    assert found.oracle_below_first_choice == pytest.approx(measured.oracle_below_first_choice, abs=0.03)


def test_awss_cheapest_region_changes_once_a_month_as_it_did() -> None:
    found = statistics(ModelSource(1), "aws", 90, DAY / 4)
    assert found.cheapest_region_changes_per_day == pytest.approx(MEASURED["aws"].cheapest_region_changes_per_day, abs=0.008)
    assert found.changes_seen_per_pool_day == pytest.approx(MEASURED["aws"].changes_seen_per_pool_day, rel=0.05)


def test_aws_steps_are_as_many_and_as_small_as_those_seen_every_six_hours() -> None:
    model, days = ModelSource(5), 60
    series = np.array([model.spot("aws", "eu-central-1", START + hour * 3600) for hour in range(0, days * 24, 6)])
    steps = np.abs(np.diff(np.log(series), axis=0))
    assert float((steps > 0).sum()) / series.shape[1] / days == pytest.approx(MEASURED["aws"].changes_seen_per_pool_day, rel=0.05)
    assert float(np.median(steps[steps > 0])) == pytest.approx(figures.AWS_MEDIAN_STEP, rel=0.4)
    assert float(steps.max()) <= figures.AWS_LARGEST_STEP


def test_gcp_is_spread_and_steps_as_39_regions_did_in_2023() -> None:
    found = mean([statistics(ModelSource(seed), "gcp", 238, 7 * DAY) for seed in (1, 2, 3, 4, 5, 6)])
    measured = MEASURED["gcp"]
    assert found.spread_of_averages == pytest.approx(measured.spread_of_averages, rel=0.06)
    assert found.spread_at_a_moment == pytest.approx(measured.spread_at_a_moment, rel=0.06)
    assert found.changes_seen_per_pool_day == pytest.approx(measured.changes_seen_per_pool_day, abs=0.002)
    assert found.cheapest_region_changes_per_day == pytest.approx(measured.cheapest_region_changes_per_day, abs=0.003)
    assert found.home_spot_below_on_demand == pytest.approx(measured.home_spot_below_on_demand, abs=0.03)
    assert found.oracle_below_home_on_demand == pytest.approx(measured.oracle_below_home_on_demand, abs=0.03)
    assert found.oracle_below_first_choice == pytest.approx(measured.oracle_below_first_choice, abs=0.04)


def test_azure_is_spread_over_the_united_states_as_on_the_dates_that_were_seen() -> None:
    spreads = []
    for seed in (1, 2, 3, 4):
        model = ModelSource(seed)
        for day in range(0, 365, 61):
            prices = np.array([model.spot("azure", region, START + day * DAY) for region in AZURE_US])
            spreads.append(float(np.median(prices.max(axis=0) / prices.min(axis=0))))
    assert min(figures.AZURE_US_SPREADS) <= min(spreads) and max(spreads) <= max(figures.AZURE_US_SPREADS)
    assert float(np.mean(spreads)) == pytest.approx(float(np.mean(figures.AZURE_US_SPREADS)), rel=0.2)


def test_gpu_zones_come_and_go_as_often_and_for_as_long_as_measured() -> None:
    capacity, hours = Capacity(1), 45 * 24
    refs = [ref for ref in CATALOG.offers(["aws"]) if ref.instance_type == "g4dn.xlarge"][:60]
    has = np.array([[capacity.has(ref, START + hour * GPU_SPELL) for ref in refs] for hour in range(hours)])
    changes = (has[1:] != has[:-1]).sum(axis=0) / (hours / 24)
    assert has.mean() == pytest.approx(np.mean(figures.GPU_AVAILABILITY), abs=0.08)
    assert changes.min() >= 3 and changes.max() <= 15
    assert np.mean([has[:, at : at + 6].any(axis=1).mean() for at in range(0, 60, 6)]) == pytest.approx(0.989, abs=0.015)


def test_cpu_pools_are_taken_back_as_often_as_their_bucket_says() -> None:
    capacity, refs = Capacity(1), [ref for ref in CATALOG.offers() if ref.instance_type in ("m5.large", "Standard_D2s_v5", "n2-standard-2")]
    lost = dict.fromkeys(refs, 0)
    for month in range(6):
        for day in range(30):
            began = START + (month * 30 + day) * DAY
            for ref in capacity.lost(began, began + DAY, speed=60.0):
                if ref in lost:
                    lost[ref] += 1
    a_month = np.mean(list(lost.values())) / 6
    assert a_month == pytest.approx(np.mean([1 - (1 - capacity.lack(ref)) ** 60 for ref in refs]), rel=0.15)
    assert capacity.lack(OfferRef("gcp", "europe-west4", "europe-west4-a", "n2-standard-2")) == pytest.approx(1 - 0.875 ** (1 / 60))


def test_the_figures_are_those_of_the_file(data: Path) -> None:
    told = json.loads((data / "market" / "numbers.json").read_text())
    for cloud, measured in MEASURED.items():
        one = told[f"{cloud}_all"]
        assert astuple(measured) == pytest.approx(
            (
                one["spread_avg_median"],
                one["spread_inst_median"],
                one["pool_price_changes_per_day"],
                one["cheapest_region_changes_per_day"],
                one["home_spot_vs_home_od"] / 100,
                one["oracle_vs_home_od"] / 100,
                one["oracle_vs_init"] / 100,
            )
        )
    assert [one["median_dearest_over_cheapest"] for one in told["azure_spread_by_snapshot"].values()] == list(figures.AZURE_US_SPREADS)


def test_the_gpu_zones_are_those_of_the_file(data: Path) -> None:
    up, whole = defaultdict[str, int](int), defaultdict[str, int](int)
    for row in pq.read_table(data / "market" / "availability.parquet", filters=[("trace", "=", "aws-02-15-2023")]).to_pylist():
        whole[row["zone"]] += row["end_s"] - row["start_s"]
        up[row["zone"]] += (row["end_s"] - row["start_s"]) * bool(row["nodes_available"])
    assert sorted(up[zone] / whole[zone] for zone in whole) == pytest.approx(figures.GPU_AVAILABILITY, abs=0.006)
