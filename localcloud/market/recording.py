"""Reads a recording (``domain.recorded``): its pools and their changes, or one clear error with the place.

Refused, with pool and moment of the first: a price that is zero, negative or no number; two prices of a pool for one moment; a row without a moment; a
column that is missing or of another kind. Mended and said (:attr:`Recording.notes`): rows in disorder are sorted, repeated ones dropped, clouds, regions,
zones and types that the catalogue doesn't list are left out, and a stretch in which nothing at all changed is named, since prices before it are replayed
through it. A recording names AWS zones by name or by id (use1-az1): id n is shown as the n-th zone letter of the region, this account's mapping.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.catalog import CATALOG, CLOUDS, OfferRef
from domain.recorded import COLUMNS
from localcloud.market.source import Floats

Integers = NDArray[np.int64]
_CLOUDS: list[str] = list(CLOUDS)
_QUIET_HOURS = 24.0
"""A cloud that a recording follows closely (a change in some pool every few hours) was not watched while nothing changed for so long."""


_LATEST = 4_102_444_800_000
"""The year 2100, in milliseconds."""


class RecordingError(ValueError):
    """The file can't be replayed; the message says which file, what is wrong, where, and what to do."""


@dataclass(frozen=True)
class Recording:
    """Changes sorted by pool and moment: the pool's position in :attr:`pools`, second since the epoch, USD/h (NaN: not sold, not known)."""

    pools: list[OfferRef]
    pool: Integers
    second: Integers
    spot: Floats
    on_demand: Floats
    notes: tuple[str, ...]


def read(path: Path) -> Recording:
    """The recording in ``path``. Raises :class:`RecordingError`."""
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
    _check(path, schema)
    types = [machine.name for machine in CATALOG.machine_list]
    table = pq.read_table(path, columns=list(COLUMNS))
    everything = table.num_rows
    table = table.filter(pc.is_in(table.column("instance_type").cast(pa.string()), pa.array(types)))
    if table.num_rows == 0:
        raise RecordingError(f"{path}: prices none of the {len(types)} machine types of the catalogue")
    codes = np.zeros(table.num_rows, dtype=np.int64)
    words: list[list[Any]] = []
    for name in COLUMNS[:4]:
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
    moments = table.column("timestamp")
    missing = moments.combine_chunks().is_null().to_numpy(zero_copy_only=False) & rows
    if missing.any():
        raise RecordingError(
            f"{path}: {kept[renumbered[missing][0]].id} has a row without a timestamp ({missing.sum()} in all); a row says since when its price holds"
        )
    instant = pc.fill_null(moments.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64()), 0).to_numpy()
    beyond = rows & ((instant < 0) | (instant >= _LATEST))
    if beyond.any():
        at = int(np.flatnonzero(beyond)[0])
        raise RecordingError(f"{path}: {kept[renumbered[at]].id} has a row of {moments[at]}, which no recording can hold; is the unit of its timestamps right?")
    spot, on_demand = (_floats(table.column(name)) for name in COLUMNS[5:])
    left_out = everything - int(rows.sum())
    notes = [f"{left_out} of {everything} rows are of machine types, regions or zones that the catalogue doesn't list: left out"] if left_out else []
    return _ordered(path, kept, renumbered[rows], instant[rows], spot[rows], on_demand[rows], notes)


def _check(path: Path, schema: Any) -> None:
    import pyarrow as pa  # loaded by the caller

    if missing := [name for name in COLUMNS if name not in schema.names]:
        raise RecordingError(f"{path}: lacks {', '.join(missing)}; a recording has the columns {', '.join(COLUMNS)}")
    for name in COLUMNS:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if name == "timestamp":
            good, wanted = pa.types.is_timestamp(kind), "a timestamp"
        elif name in COLUMNS[5:]:
            good, wanted = pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_integer(kind), "a number of USD/h"
        else:
            good, wanted = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind), "text"
        if not good:
            raise RecordingError(f"{path}: column {name} is {kind}, not {wanted}")


def _floats(column: Any) -> Floats:
    """Null is NaN; what is NaN in the file is infinite here, so that the one isn't taken for the other."""
    import pyarrow as pa  # loaded by the caller
    import pyarrow.compute as pc

    column = column.cast(pa.float64())
    figures = column.to_numpy()
    written = pc.fill_null(pc.is_nan(column), False).to_numpy()
    return np.where(written, np.inf, figures).astype(np.float64)


def _ordered(path: Path, pools: list[OfferRef], pool: Integers, instant: Integers, spot: Floats, on_demand: Floats, notes: list[str]) -> Recording:
    for what, figures in (("spot", spot), ("on-demand", on_demand)):
        wrong = np.flatnonzero((figures <= 0) | np.isinf(figures))
        if len(wrong):
            at, figure = int(wrong[0]), float(figures[wrong[0]])
            told = "no number" if np.isinf(figure) else f"{figure:g} USD/h"
            raise RecordingError(f"{path}: {_place(pools, pool, instant, at)}: a {what} price of {told} ({len(wrong)} such rows); unknown is null, never 0")
    order = np.lexsort((instant, pool))
    if shuffled := int(((pool[1:] == pool[:-1]) & (instant[1:] < instant[:-1])).sum()):
        notes.append(f"{shuffled} rows stand before an earlier one of their pool: sorted")
    pool, instant, spot, on_demand = pool[order], instant[order], spot[order], on_demand[order]
    again = np.append(False, (pool[1:] == pool[:-1]) & (instant[1:] == instant[:-1]))
    if again.any():
        differs = np.append(False, ~(_same(spot) & _same(on_demand))) & again
        if differs.any():
            at = int(np.flatnonzero(differs)[0])
            raise RecordingError(
                f"{path}: {_place(pools, pool, instant, at)}: two rows with different prices ({spot[at - 1]:g} and {spot[at]:g} USD/h spot; "
                f"{differs.sum()} such pairs); keep the one that holds"
            )
        notes.append(f"{again.sum()} rows are repeated: dropped")
        pool, instant, spot, on_demand = pool[~again], instant[~again], spot[~again], on_demand[~again]
    notes += _gaps(pools, pool, instant)
    return Recording(pools, pool, instant // 1000, spot, on_demand, tuple(notes))


def _same(figures: Floats) -> NDArray[np.bool_]:
    return np.equal(figures[1:], figures[:-1]) | np.logical_and(np.isnan(figures[1:]), np.isnan(figures[:-1]))


def _gaps(pools: list[OfferRef], pool: Integers, instant: Integers) -> list[str]:
    """Long stretches without a change in any pool of a cloud, where its pools otherwise change every few hours."""
    found = []
    clouds = np.array([_CLOUDS.index(ref.cloud) for ref in pools], dtype=np.intp)[pool]
    for number, cloud in enumerate(_CLOUDS):
        moments = np.unique(instant[clouds == number])
        between = np.diff(moments) / 3_600_000
        if not len(between) or float(np.median(between)) > _QUIET_HOURS / 4:
            continue
        for at in np.flatnonzero(between > _QUIET_HOURS):
            found.append(
                f"{cloud}: nothing changed from {_moment(moments[at])} to {_moment(moments[at + 1])}, a gap of the recording perhaps; prices hold through it"
            )
    return found


def _place(pools: list[OfferRef], pool: Integers, instant: Integers, at: int) -> str:
    return f"{pools[pool[at]].id} at {_moment(instant[at])}"


def _moment(instant: int) -> str:
    return f"{datetime.fromtimestamp(int(instant) / 1000, UTC):%Y-%m-%d %H:%M:%S}"


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
    letter = _ODD_ZONES.get(zone) or (chr(96 + int(number)) if number.isdecimal() and len(number) <= 2 else "")
    return f"{region}{letter}" if f"{region}{letter}" in zones else None
