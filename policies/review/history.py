"""Recorded prices for reviews: one parquet file in the form of :mod:`domain.recorded`, as changes in the order of their times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.catalog import CATALOG, OfferRef
from domain.prices import Quote, or_unknown
from domain.recorded import COLUMNS
from domain.workload import Requirements

_BATCH = 1 << 16


class History:
    """The rows that price machine types which serve any of ``needs``. Raises ``ValueError`` for what is no recording, or holds none of them."""

    def __init__(self, path: Path, needs: list[Requirements]) -> None:
        try:
            schema = pq.read_schema(path)
            if missing := [name for name in COLUMNS if name not in schema.names]:
                raise ValueError(f"{path}: lacks {', '.join(missing)}; a recording has the columns {', '.join(COLUMNS)}")
            table = pq.read_table(path, columns=list(COLUMNS))
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: is no parquet file ({error})") from error
        types = sorted({one.name for one in CATALOG.machine_list if any(need.fits(one) for need in needs)})
        table = table.filter(pc.is_in(table.column("instance_type").cast(pa.string()), pa.array(types, pa.string())))
        if table.num_rows == 0:
            raise ValueError(f"{path}: prices no machine type that is large enough")
        if table.column("timestamp").null_count:
            raise ValueError(f"{path}: has rows without a timestamp; a row says since when its price holds")
        _check_prices(path, table)
        # Repeated rows say the same: the sort is made stable by the row's number.
        numbered = table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
        self._table = numbered.sort_by([("timestamp", "ascending"), ("row", "ascending")])
        self.begin = self._at(0)
        self.end = self._at(table.num_rows - 1)

    def _at(self, row: int) -> datetime:
        moment: datetime = self._table.column("timestamp")[row].as_py()
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def window(self, days: float | None) -> tuple[datetime, datetime]:
        """The last ``days`` of the recording; all of it where None."""
        return self.begin if days is None else max(self.begin, self.end - timedelta(days=days)), self.end

    def changes(self, begin: datetime) -> Iterator[Quote]:
        """What was in force at ``begin``, and every row after it; a price that is null is unknown: not sold."""
        moments = self._table.column("timestamp")
        old = pc.less(moments, pa.scalar(begin if moments.type.tz else begin.replace(tzinfo=None), moments.type))
        # Of the older rows only the last of each pool is needed; rows are in the order of time.
        before = self._table.filter(old).append_column("at", pa.array(range(pc.sum(old).as_py() or 0), pa.int64()))
        last = before.group_by(list(COLUMNS[:4])).aggregate([("at", "max")]).column("at_max")
        known = before.take(last).sort_by("at").drop_columns(["at"])
        for batch in pa.concat_tables([known, self._table.filter(pc.invert(old))]).to_batches(_BATCH):
            columns = [batch.column(name).cast(pa.string()).to_pylist() for name in COLUMNS[:4]]
            moments, spot, listed = (batch.column(name).to_pylist() for name in COLUMNS[4:])
            for cloud, region, zone, name, at, price, on_demand in zip(*columns, moments, spot, listed, strict=True):
                when = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
                yield Quote(OfferRef(cloud, region, zone, name), or_unknown(price), or_unknown(on_demand), "recording", when)


def _check_prices(path: Path, table: Any) -> None:
    """Raises ``ValueError`` for a price that can't be and for two of one pool and moment, with the place of the first."""
    for name in COLUMNS[5:]:
        column = table.column(name).cast(pa.float64())
        wrong = table.filter(pc.fill_null(pc.invert(pc.and_(pc.is_finite(column), pc.greater(column, 0.0))), False))
        if wrong.num_rows:
            raise ValueError(f"{path}: {_place(wrong)}: {name} is {wrong.column(name)[0]} ({wrong.num_rows} such rows); unknown is null, never 0")
    every = pc.CountOptions(mode="all")
    told = table.group_by(list(COLUMNS[:5])).aggregate([(name, "count_distinct", every) for name in COLUMNS[5:]])
    twice = told.filter(pc.or_(*(pc.greater(told.column(f"{name}_count_distinct"), 1) for name in COLUMNS[5:])))
    if twice.num_rows:
        raise ValueError(f"{path}: {_place(twice)}: rows with different prices ({twice.num_rows} such moments); keep the one that holds")


def _place(rows: Any) -> str:
    pool = "/".join(str(rows.column(name)[0]) for name in COLUMNS[:4])
    return f"{pool} at {rows.column(COLUMNS[4])[0]}"
