"""Recorded prices for reviews: one parquet file in the form of :mod:`domain.recorded`, as changes in the order of their times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
        # Of rows at one time the file's own order stands: the sort is made stable by the row's number.
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
        """What was in force at ``begin``, and every row after it; a price that is null or not above 0 is unknown: not sold."""
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
                yield Quote(OfferRef(cloud, region, zone, name), or_unknown(_price(price)), or_unknown(_price(on_demand)), "recording", when)


def _price(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None
