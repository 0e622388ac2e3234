"""Recorded prices as step functions, from a directory of parquet files.

``spot_history`` holds change-only rows, ``snapshots`` when anybody looked, ``catalog`` the shapes of the machines.

A row holds until the next of its pool; a null spot price says that the pool isn't sold. What is wrong with a file ends the run with one sentence.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.catalog import Machine, OfferRef
from domain.offers import Floats, Index

HISTORY = ["cloud", "region", "zone", "instance_type", "timestamp", "spot_usd_h", "on_demand_usd_h"]
_CATALOG = ["cloud", "instance_type", "vcpu", "memory_gib", "arch", "accelerator", "accelerator_count"]


def table(path: Path, columns: list[str]) -> Any:
    """The file's columns. Ends the run where the file or a column isn't there."""
    if not path.is_file():
        raise SystemExit(f"{path} isn't there; --data names a directory of recorded prices with {path.name} in it")
    try:
        found = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise SystemExit(f"{path} is no parquet file ({error})") from error
    if missing := [name for name in columns if name not in found.column_names]:
        raise SystemExit(f"{path} has no column {', '.join(missing)}; it needs {', '.join(columns)}")
    return found


@dataclass(frozen=True)
class Series:
    """Prices of some pools on a common axis: ``hours`` since the epoch, one row a moment, one column a pool; NaN where a pool isn't sold."""

    hours: Floats
    pools: tuple[OfferRef, ...]
    machines: tuple[Machine, ...]
    spot: Floats
    on_demand: Floats

    def only(self, keep: Any) -> Series:
        """The pools for which ``keep(ref)`` holds."""
        at = [number for number, ref in enumerate(self.pools) if keep(ref)]
        return Series(self.hours, tuple(self.pools[n] for n in at), tuple(self.machines[n] for n in at), self.spot[:, at], self.on_demand[:, at])

    def between(self, start: float, end: float) -> slice:
        """The rows of the hours from ``start`` to ``end``."""
        return slice(int(np.searchsorted(self.hours, start)), int(np.searchsorted(self.hours, end)))


class Recording:
    """One directory of recorded prices, read once."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "spot_history.parquet"
        history = _believed(self._path, table(self._path, HISTORY))
        snapshots = table(directory / "snapshots.parquet", ["cloud", "timestamp"])
        self._history = {cloud: history.filter(pc.equal(history["cloud"], cloud)) for cloud in ("aws", "azure", "gcp")}
        self.moments = {cloud: np.unique(_hours(snapshots.filter(pc.equal(snapshots["cloud"], cloud))["timestamp"])) for cloud in ("aws", "azure", "gcp")}
        self.machines: dict[tuple[str, str], Machine] = {}
        for row in table(directory / "catalog.parquet", _CATALOG).select(_CATALOG).to_pylist():
            key = (row["cloud"], row["instance_type"])
            if key in self.machines or not row["vcpu"] or not row["memory_gib"]:
                continue
            arch = "arm64" if str(row["arch"]).startswith(("arm", "aarch")) else "x86_64"
            gpus, kind = int(row["accelerator_count"] or 0), row["accelerator"]
            self.machines[key] = Machine(row["cloud"], row["instance_type"], row["instance_type"], int(row["vcpu"]), float(row["memory_gib"]), arch, gpus, kind)  # type: ignore[arg-type]  # as recorded

    def like(self, name: str, clouds: tuple[str, ...]) -> list[Machine]:
        """The machine types of ``clouds`` of the shape of AWS's ``name``: as many vCPUs, memory up to half more, architecture and GPUs the same."""
        if ("aws", name) not in self.machines:
            raise SystemExit(f"the recorded catalogue doesn't know the AWS type {name!r}; --types names types of catalog.parquet")
        asked = self.machines["aws", name]
        return [
            one
            for one in self.machines.values()
            if one.cloud in clouds
            and (one.vcpu, one.arch, one.gpu, one.gpu_type) == (asked.vcpu, asked.arch, asked.gpu, asked.gpu_type)
            and asked.memory_gib <= one.memory_gib <= 1.5 * asked.memory_gib
        ]

    def series(self, machines: list[Machine], axis: Floats) -> Series:
        """The pools of ``machines`` on ``axis`` (hours since the epoch)."""
        pools: list[OfferRef] = []
        shapes: list[Machine] = []
        spots: list[Floats] = []
        listed: list[Floats] = []
        by_cloud: dict[str, list[Machine]] = {}
        for machine in machines:
            by_cloud.setdefault(machine.cloud, []).append(machine)
        for cloud, wanted in by_cloud.items():
            history = self._history[cloud]
            rows = history.filter(pc.is_in(history["instance_type"].cast(pa.string()), pa.array([one.name for one in wanted])))
            shape = {one.name: one for one in wanted}
            for ref, hours, spot, on_demand in _pools(self._path, rows):
                at = np.searchsorted(hours, axis, side="right") - 1
                known = at >= 0
                pools.append(ref)
                shapes.append(shape[ref.instance_type])
                spots.append(np.where(known, spot[at], np.nan))
                listed.append(np.where(known, on_demand[at], np.nan))
        if not pools:
            return Series(axis, (), (), np.zeros((len(axis), 0)), np.zeros((len(axis), 0)))
        order = sorted(range(len(pools)), key=lambda number: pools[number])
        return Series(
            axis,
            tuple(pools[n] for n in order),
            tuple(shapes[n] for n in order),
            np.column_stack([spots[n] for n in order]),
            np.column_stack([listed[n] for n in order]),
        )


def _believed(path: Path, history: Any) -> Any:
    """Without the rows of a price that can't be, which are said with the first's place. Ends the run at a row without a moment."""
    if missing := history["timestamp"].null_count:
        raise SystemExit(f"{path} has {missing} rows without a timestamp; a row says since when its price holds")
    for name in HISTORY[5:]:
        good = pc.fill_null(pc.and_(pc.is_finite(history[name]), pc.greater(history[name], 0.0)), True)
        wrong = history.filter(pc.invert(good))
        if wrong.num_rows:
            place = "/".join(str(wrong[column][0]) for column in HISTORY[:4])
            first = f"{place} at {wrong['timestamp'][0]}, {name} is {wrong[name][0]}"
            sys.stderr.write(f"{path}: {wrong.num_rows} rows hold a price that can't be (the first: {first}): left out\n")
            history = history.filter(good)
    return history


def _pools(path: Path, rows: Any) -> list[tuple[OfferRef, Floats, Floats, Floats]]:
    """Each pool's rows in the order of time, whatever the file's; ends the run at two spot prices of one moment."""
    names = [rows[name].cast(pa.string()).to_pylist() for name in ("cloud", "region", "zone", "instance_type")]
    refs = [OfferRef(cloud, region, zone or "-", kind) for cloud, region, zone, kind in zip(*names, strict=True)]
    hours = _hours(rows["timestamp"])
    spot, listed = (rows[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in ("spot_usd_h", "on_demand_usd_h"))
    by_ref: dict[OfferRef, list[int]] = {}
    for number, ref in enumerate(refs):
        by_ref.setdefault(ref, []).append(number)
    found = []
    for ref, numbers in sorted(by_ref.items()):
        at: Index = np.array(numbers)
        at = at[np.argsort(hours[at], kind="stable")]
        again = np.flatnonzero((np.diff(hours[at]) == 0) & ~((spot[at][1:] == spot[at][:-1]) | (np.isnan(spot[at][1:]) & np.isnan(spot[at][:-1]))))
        if len(again):
            one, other = spot[at][again[0] : again[0] + 2]
            moment = datetime.fromtimestamp(hours[at][again[0]] * 3600.0, UTC)
            raise SystemExit(f"{path}: {ref.id} at {moment:%Y-%m-%d %H:%M:%S}: two spot prices, {one:g} and {other:g} USD/h; keep the one that holds")
        found.append((ref, hours[at], spot[at], listed[at]))
    return found


def _hours(column: Any) -> Floats:
    return np.asarray(column.cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64) / 3_600_000.0)
