"""Keeps what live feeds saw in a parquet file (``domain.recorded``) that a replay reads again.

The file is whole at every moment: what is new goes with what was there into a file beside it, which then takes its name. So a kill at any point leaves
the last whole recording, and the next run goes on where it ended. Row groups of full size are copied as they are; memory holds one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from domain.catalog import OfferRef
from domain.prices import Quote, known
from domain.recorded import COLUMNS, NOTES

_ROWS = 1 << 16
"""Rows of a full group."""
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in COLUMNS[:4]),
        pa.field("timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        *((name, pa.float64()) for name in (*COLUMNS[5:], NOTES[0])),
        (NOTES[1], pa.string()),
    ]
)
_NAMES = [*COLUMNS, *NOTES]
_BATCH = 1 << 14
_Figures = tuple[float | None, float | None]


class RecordingFault(ValueError):
    """The file can't be gone on with; the message says which file, what is wrong and what to do."""


def pool_of(offer: OfferRef) -> OfferRef:
    """What a cloud prices: a type in a zone on AWS, a type in a region elsewhere."""
    return offer if offer.cloud == "aws" else offer._replace(zone="-")


class Recorder:
    """Writes changes to ``path``, and goes on with a recording that is there. Raises :class:`RecordingFault` where that is no recording of ours."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._last: dict[OfferRef, tuple[datetime, _Figures]] = {}
        if path.exists():
            self._resume()
        elif not path.parent.is_dir():
            raise RecordingFault(f"{path}: the folder {path.parent} isn't there; make it first")

    def keep(self, quotes: Iterable[Quote], complete: Mapping[str, datetime]) -> int:
        """Adds what has changed; how many rows that were. What is in doubt is left out.

        ``complete`` are the clouds that told all their prices, with the time of that: what they no longer price isn't sold any more.
        """
        rows: list[tuple[object, ...]] = []
        told: set[OfferRef] = set()
        for quote in quotes:
            pool = pool_of(quote.offer)
            if pool in told:
                continue
            told.add(pool)
            figures = known(quote.spot), known(quote.on_demand)
            held = self._last.get(pool)
            if quote.doubtful is not None or (held is not None and (held[1] == figures or held[0] >= _second(quote.observed_at))):
                continue
            rows.append(self._row(pool, quote.observed_at, figures, known(quote.interruptions_per_hour), quote.source))
        for pool, (at, (spot, listed)) in list(self._last.items()):
            moment = complete.get(pool.cloud)
            if moment is not None and pool not in told and spot is not None and at < _second(moment):
                rows.append(self._row(pool, moment, (None, listed), None, None))
        if rows:
            self._append(rows)
            self.rows += len(rows)
        return len(rows)

    def _row(self, pool: OfferRef, at: datetime, figures: _Figures, rate: float | None, source: str | None) -> tuple[object, ...]:
        moment = _second(at)
        self._last[pool] = (moment, figures)
        return (*pool, moment, *figures, rate, source)

    def _append(self, rows: list[tuple[object, ...]]) -> None:
        new = pa.table([pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), _SCHEMA, strict=True)], schema=_SCHEMA)
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with pq.ParquetWriter(beside, _SCHEMA, compression="zstd") as writer:
                if self.path.exists():
                    with pq.ParquetFile(self.path) as old:
                        for number in range(old.num_row_groups):
                            group = old.read_row_group(number)
                            if number == old.num_row_groups - 1 and group.num_rows < _ROWS:
                                new = pa.concat_tables([group, new])
                            else:
                                writer.write_table(group)
                writer.write_table(new, row_group_size=_ROWS)
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)

    def _resume(self) -> None:
        try:
            file = pq.ParquetFile(self.path)
        except (pa.ArrowInvalid, OSError) as error:
            raise RecordingFault(f"{self.path}: is no parquet file ({error}); name another file") from error
        with file:
            if not file.schema_arrow.equals(_SCHEMA):
                raise RecordingFault(f"{self.path}: is no recording of ours: its columns are {', '.join(file.schema_arrow.names)}; name another file")
            for batch in file.iter_batches(_BATCH, columns=list(COLUMNS)):
                for cloud, region, zone, name, at, spot, listed in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    pool = OfferRef(cloud, region, zone, name)
                    if pool not in self._last or self._last[pool][0] <= at:
                        self._last[pool] = (at, (spot, listed))
            self.rows = file.metadata.num_rows


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)
