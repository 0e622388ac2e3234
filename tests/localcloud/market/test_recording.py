"""Recordings that aren't as they should be: one clear error with the place, or a note of what was mended; never a silent default."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.catalog import OfferRef
from localcloud.market import Market, MarketSettings
from localcloud.market.recording import RecordingError, read
from localcloud.market.replay import ReplaySource

START = datetime(2023, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
POOL = "aws/eu-west-1/eu-west-1b/m5.large"


def row(hours: float = 0, **changes: Any) -> dict[str, Any]:
    good = {"cloud": "aws", "region": "eu-west-1", "zone": "euw1-az2", "instance_type": "m5.large", "timestamp": START + hours * HOUR}
    return good | {"spot_usd_h": 0.05 + hours / 1000, "on_demand_usd_h": 0.1} | changes


def written(path: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"spot_usd_h": 0.0}, f"{POOL} at 2023-06-01 02:00:00: a spot price of 0 USD/h \\(1 such rows\\)"),
        ({"spot_usd_h": -0.01}, f"{POOL} at 2023-06-01 02:00:00: a spot price of -0.01 USD/h"),
        ({"spot_usd_h": float("nan")}, f"{POOL} at 2023-06-01 02:00:00: a spot price of no number"),
        ({"spot_usd_h": float("inf")}, "a spot price of no number"),
        ({"on_demand_usd_h": -1.0}, "an? on-demand price of -1 USD/h"),
        ({"timestamp": None}, f"{POOL} has a row without a timestamp"),
        ({"timestamp": datetime(2199, 1, 1, tzinfo=UTC)}, "is the unit of its timestamps right"),
        ({"timestamp": START + HOUR}, f"{POOL} at 2023-06-01 01:00:00: two rows with different prices \\(0.051 and 0.052 USD/h spot"),
    ],
    ids=["zero", "negative", "not-a-number", "infinite", "on-demand", "no-moment", "far-future", "contradiction"],
)
def test_a_row_that_cannot_be_is_refused_with_its_place(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    path = written(tmp_path / "bad.parquet", row(), row(1), row(2, **bad))
    with pytest.raises(RecordingError, match=message) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("timestamp", ["2023-06-01"], "column timestamp is string, not a timestamp"),
        ("spot_usd_h", ["0.05"], "column spot_usd_h is string, not a number"),
        ("region", [7], "column region is int64, not text"),
    ],
)
def test_a_column_of_another_kind_is_refused_by_name(tmp_path: Path, column: str, values: list[Any], message: str) -> None:
    table = pa.Table.from_pylist([row()])
    path = tmp_path / "bad.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(values)), path)
    with pytest.raises(RecordingError, match=message):
        read(path)


def test_a_file_that_is_no_parquet_or_not_there_or_cut_short_is_refused(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.parquet", row()).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    (tmp_path / "text.parquet").write_text("cloud,region")
    for name, message in (("cut", "is no parquet file"), ("text", "is no parquet file"), ("none", "there is no such file")):
        with pytest.raises(RecordingError, match=message):
            read(tmp_path / f"{name}.parquet")


def test_what_the_catalogue_lists_nothing_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="none of the"):
        read(written(tmp_path / "types.parquet", row(instance_type="x9.huge")))
    with pytest.raises(RecordingError, match="no region"):
        read(written(tmp_path / "regions.parquet", row(region="eu-moon-1")))


def test_disorder_repetition_and_unlisted_rows_are_mended_and_said(tmp_path: Path) -> None:
    rows = [row(2), row(), row(1), row(1), row(instance_type="x9.huge"), row(zone="euw1-az99")]
    found = ReplaySource(written(tmp_path / "rows.parquet", *rows))
    assert [one.usd_per_hour for one in found.changes("aws", "eu-west-1", 0.0, START.timestamp() + 9e9)] == pytest.approx([0.05, 0.051, 0.052])
    assert found.notes == (
        "2 of 6 rows are of machine types, regions or zones that the catalogue doesn't list: left out",
        "1 rows stand before an earlier one of their pool: sorted",
        "1 rows are repeated: dropped",
    )


def test_a_gap_is_named_and_prices_hold_through_it(tmp_path: Path) -> None:
    found = ReplaySource(written(tmp_path / "gap.parquet", *(row(hours) for hours in (0, 1, 2, 3, 75, 76, 77))))
    [note] = found.notes
    assert "aws: nothing changed from 2023-06-01 03:00:00 to 2023-06-04 03:00:00" in note
    assert found.spot("aws", "eu-west-1", (START + 60 * HOUR).timestamp()) == pytest.approx([0.053])


def test_a_cloud_that_changes_monthly_has_no_gaps(tmp_path: Path) -> None:
    path = written(
        tmp_path / "slow.parquet", *(row(hours, cloud="gcp", region="europe-west4", zone=None, instance_type="n2-standard-4") for hours in (0, 720, 1440))
    )
    assert ReplaySource(path).notes == ()


def test_unknown_stays_unknown(tmp_path: Path) -> None:
    found = read(written(tmp_path / "null.parquet", row(on_demand_usd_h=None), row(1, spot_usd_h=None)))
    assert (found.pools, str(found.on_demand.tolist()), str(found.spot.tolist())) == ([OfferRef.parse(POOL)], "[nan, 0.1]", "[0.05, nan]")


def test_notes_are_logged_where_the_market_opens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "rows.parquet", row(1), row())
    Market.open(tmp_path / "home", MarketSettings(source=path, running=False))
    assert f"{path}: 1 rows stand before an earlier one of their pool: sorted" in caplog.messages
