"""Recorded prices and files of offers that aren't as they should be: one sentence with the place, or left out and said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.placement import of_file
from benchmarks.recorded import Recording
from domain.catalog import Machine, OfferRef

BEGIN = datetime(2023, 1, 1, tzinfo=UTC)
POOL = OfferRef("aws", "us-east-1", "use1-az1", "m5.large")
Make = Callable[..., Path]


def at(hours: float) -> datetime:
    return BEGIN + timedelta(hours=hours)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(rows: list[tuple[float, float | None]], **changed: Any) -> Path:
        history = {
            **{name: [part] * len(rows) for name, part in zip(("cloud", "region", "zone", "instance_type"), POOL, strict=True)},
            "timestamp": pa.array([at(hours) for hours, _ in rows], pa.timestamp("ms", tz="UTC")),
            "spot_usd_h": pa.array([price for _, price in rows], pa.float64()),
            "on_demand_usd_h": pa.array([0.1] * len(rows), pa.float64()),
        }
        pq.write_table(pa.table({name: column for name, column in {**history, **changed}.items() if column is not None}), tmp_path / "spot_history.parquet")
        pq.write_table(pa.table({"cloud": ["aws"], "timestamp": pa.array([BEGIN], pa.timestamp("ms", tz="UTC"))}), tmp_path / "snapshots.parquet")
        shape = {"cloud": ["aws"], "instance_type": ["m5.large"], "vcpu": [2], "memory_gib": [8.0], "arch": ["x86_64"], "accelerator": [None]}
        pq.write_table(pa.table({**shape, "accelerator_count": [0]}), tmp_path / "catalog.parquet")
        return tmp_path

    return made


def prices(directory: Path, *hours: float) -> list[float]:
    axis = np.array([at(one).timestamp() / 3600.0 for one in hours])
    return [float(one) for one in Recording(directory).series([Machine("aws", "m5.large", "m5", 2, 8)], axis).spot[:, 0]]


def test_rows_in_disorder_and_repeated_ones_are_one_course_and_prices_hold_through_a_gap(make: Make) -> None:
    assert prices(make([(48, 0.03), (0, 0.02), (48, 0.03)]), 0, 47, 48, 1000) == [0.02, 0.02, 0.03, 0.03]


def test_two_prices_of_one_moment_end_the_run_with_their_place(make: Make) -> None:
    with pytest.raises(SystemExit, match=r"aws/us-east-1/use1-az1/m5\.large at 2023-01-01 06:00:00: two spot prices, 0\.02 and 0\.03 USD/h"):
        prices(make([(0, 0.02), (6, 0.02), (6, 0.03)]), 0)


@pytest.mark.parametrize("price", [0.0, -0.01, float("nan"), float("inf")])
def test_a_price_that_cannot_be_is_left_out_and_said_with_its_place(make: Make, price: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert prices(make([(0, 0.02), (6, price)]), 7) == [0.02]
    assert "1 rows hold a price that can't be (the first: aws/us-east-1/use1-az1/m5.large at 2023-01-01 06:00:00" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "fault"),
    [({"zone": None}, "has no column zone"), ({"timestamp": pa.array([None], pa.timestamp("ms", tz="UTC"))}, "1 rows without a timestamp")],
)
def test_a_column_that_is_missing_and_a_row_without_a_moment_end_the_run(make: Make, changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(SystemExit, match=fault):
        Recording(make([(0, 0.02)], **changed))


def test_what_is_no_parquet_file_or_not_there_ends_the_run_with_its_name(make: Make) -> None:
    directory = make([(0, 0.02)])
    (directory / "snapshots.parquet").write_text("no parquet")
    with pytest.raises(SystemExit, match=r"snapshots\.parquet is no parquet file"):
        Recording(directory)
    (directory / "snapshots.parquet").unlink()
    with pytest.raises(SystemExit, match=r"snapshots\.parquet isn't there"):
        Recording(directory)


def offers(path: Path, **changed: Any) -> Path:
    row = {
        "cloud": "aws", "region": "us-east-1", "zone": "a", "instance_type": "m5.large", "vcpu": 2, "memory_gib": 8.0, "arch": "x86_64",
        "spot_usd_h": 0.02, "on_demand_usd_h": 0.1,
    }  # fmt: skip
    rows = [row, {**row, "zone": "b", **changed}]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("changed", [{"spot_usd_h": 0.0}, {"spot_usd_h": -0.1}, {"memory_gib": float("inf")}, {"vcpu": None}])
def test_an_offer_that_cannot_be_or_has_no_shape_is_left_out_and_said(tmp_path: Path, changed: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert [one.ref.zone for one in of_file(offers(tmp_path / "offers.parquet", **changed))] == ["a"]
    assert "1 rows" in (said := capsys.readouterr().err) and "left out" in said


def test_a_file_that_holds_no_offers_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "offers.parquet").write_text("no parquet")
    for path in (tmp_path / "offers.parquet", tmp_path / "none.parquet"):
        with pytest.raises(SystemExit, match="is no parquet file of offers"):
            of_file(path)
    pq.write_table(pa.table({"cloud": ["aws"]}), tmp_path / "lacking.parquet")
    with pytest.raises(SystemExit, match="there is no column region, zone"):
        of_file(tmp_path / "lacking.parquet")
