"""Recorded series replayed: a parquet file of change-only step functions.

Columns: cloud, region, zone, instance_type, timestamp (UTC), spot_usd_h, on_demand_usd_h; a row holds until the next of the same pool, a null spot
price means not sold. Only types and regions of the catalogue are kept. A recording names AWS zones by id (use1-az1): id n is shown as the n-th zone
letter of the region, this account's mapping. A cloud that the recording lacks isn't priced.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CATALOG, CLOUDS, OfferRef
from localcloud.market.source import Change, Floats

_COLUMNS = ["cloud", "region", "zone", "instance_type", "timestamp", "spot_usd_h", "on_demand_usd_h"]
_CLOUDS: list[str] = list(CLOUDS)
_STRIDE = 1 << 33
"""Seconds given to each pool on the one sorted axis: pool x stride + second since the epoch."""


class RecordingError(ValueError):
    """The file can't be replayed; the message says which file, what is wrong and what to do."""


class ReplaySource:
    """A recording, in memory: three arrays sorted by pool and moment."""

    ends_at: datetime | None

    def __init__(self, path: Path) -> None:
        self.name = path.name
        pools, pool, second, spot, on_demand = _read(path)
        order = np.lexsort((second, pool))
        self._axis: NDArray[np.int64] = pool[order] * _STRIDE + second[order]
        self._second, self._spot, self._on_demand = second[order], spot[order], on_demand[order]
        self._pools: dict[tuple[str, str], tuple[OfferRef, ...]] = {}
        self._first: dict[tuple[str, str], int] = {}
        for number, ref in enumerate(pools):
            place = ref[:2]
            self._pools[place] = (*self._pools.get(place, ()), ref)
            self._first.setdefault(place, number)
        clouds = np.array([_CLOUDS.index(ref.cloud) for ref in pools], dtype=np.intp)[pool]
        # Rows are changes, so that a quiet cloud's first and last rows aren't its begin and end: the cloud with the most rows tells when the recording ran.
        densest = second[clouds == int(np.bincount(clouds).argmax())]
        self.starts_at = datetime.fromtimestamp(int(densest.min()), UTC)
        self.ends_at = datetime.fromtimestamp(int(densest.max()), UTC)

    def pools(self, cloud: str, region: str) -> tuple[OfferRef, ...]:
        return self._pools.get((cloud, region), ())

    def spot(self, cloud: str, region: str, at: float) -> Floats:
        return self._in_force(self._spot, cloud, region, at)

    def since(self, cloud: str, region: str, at: float) -> Floats:
        return self._in_force(self._second.astype(np.float64, copy=False), cloud, region, at)

    def on_demand(self, cloud: str, region: str, at: float) -> Floats:
        return self._in_force(self._on_demand, cloud, region, at)

    def changes(self, cloud: str, region: str, start: float, end: float) -> list[Change]:
        found: list[Change] = []
        for offset, ref in enumerate(self.pools(cloud, region)):
            base = (self._first[cloud, region] + offset) * _STRIDE
            low, high = np.searchsorted(self._axis, [base + int(np.floor(start)), base + int(np.floor(end))], side="right")
            found += [Change(ref, float(self._second[row]), float(self._spot[row])) for row in range(low, high) if not np.isnan(self._spot[row])]
        return sorted(found, key=lambda change: (change.at, change.pool))

    def _in_force(self, figures: Floats, cloud: str, region: str, at: float) -> Floats:
        count = len(self.pools(cloud, region))
        if not count:
            return np.zeros(0)
        bases = (self._first[cloud, region] + np.arange(count, dtype=np.int64)) * _STRIDE
        rows = np.searchsorted(self._axis, bases + int(at), side="right") - 1
        begun = (rows >= 0) & (self._axis[rows] >= bases)
        return np.where(begun, figures[rows], np.nan)


def _read(path: Path) -> tuple[list[OfferRef], NDArray[np.int64], NDArray[np.int64], Floats, Floats]:
    # Imported here because only a replay needs it, and it takes half a second to load.
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not path.is_file():
        raise RecordingError(f"{path}: there is no such file; name a parquet file of recorded prices, or leave it out for the seeded market")
    try:
        schema = pq.read_schema(path)
    except pa.ArrowInvalid as error:
        raise RecordingError(f"{path}: is no parquet file ({error})") from error
    if missing := [name for name in _COLUMNS if name not in schema.names]:
        raise RecordingError(f"{path}: lacks {', '.join(missing)}; a recording has the columns {', '.join(_COLUMNS)}")
    types = [machine.name for machine in CATALOG.machine_list]
    table = pq.read_table(path, columns=_COLUMNS, filters=pc.field("instance_type").isin(types))
    if table.num_rows == 0:
        raise RecordingError(f"{path}: prices none of the {len(types)} machine types of the catalogue")
    codes = np.zeros(table.num_rows, dtype=np.int64)
    words: list[list[Any]] = []
    for name in _COLUMNS[:4]:
        column = table.column(name).combine_chunks()
        column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        values = [*column.dictionary.to_pylist(), None]
        index = pc.fill_null(column.indices, len(values) - 1).to_numpy(zero_copy_only=False)
        codes = codes * len(values) + index
        words.append(values)
    distinct, pool = np.unique(codes, return_inverse=True)
    refs = [_ref(int(code), words) for code in distinct]
    kept = sorted({ref for ref in refs if ref is not None})
    number = {ref: at for at, ref in enumerate(kept)}
    renumbered = np.array([-1 if ref is None else number[ref] for ref in refs], dtype=np.int64)[pool]
    rows = renumbered >= 0
    if not rows.any():
        raise RecordingError(f"{path}: prices no region of the catalogue")
    second = table.column("timestamp").cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.int64()).to_numpy()
    spot, on_demand = (table.column(name).to_numpy() for name in ("spot_usd_h", "on_demand_usd_h"))
    return kept, renumbered[rows], second[rows], spot[rows].astype(np.float64), on_demand[rows].astype(np.float64)


def _ref(code: int, words: list[list[Any]]) -> OfferRef | None:
    parts: list[Any] = []
    for values in reversed(words):
        code, at = divmod(code, len(values))
        parts.append(values[at])
    instance_type, zone, region, cloud = parts
    if cloud not in _CLOUDS or not CATALOG.sells(cloud, region, instance_type):
        return None
    if cloud != "aws":
        return OfferRef(cloud, region, "-", instance_type)
    shown = zone_name(region, zone)
    return None if shown is None else OfferRef(cloud, region, shown, instance_type)


_ODD_ZONES = {"apne1-az2": "c", "usw1-az3": "b"}
"""Ids without a letter of their own number: regions of which an account sees some zones only."""


def zone_name(region: str, zone: str | None) -> str | None:
    """The zone's name in this account: a name stays, id n is the n-th letter; None where the region has no such zone."""
    zones = CATALOG.region("aws", region).zones
    if zone is None or zone in zones:
        return zone
    number = zone.rpartition("-az")[2]
    letter = _ODD_ZONES.get(zone) or (chr(96 + int(number)) if number.isdigit() else "")
    return f"{region}{letter}" if f"{region}{letter}" in zones else None
