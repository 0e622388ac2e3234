"""Which quote was in force when: every change of a quote that a feed confirmed, kept for the ledger.

On the market's clock. A quote is in force from when it was observed until the next of the same offer.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from domain.placement.switching import Regret
from spotlane.wire import OfferRef, Quote

_TABLES = """
create table if not exists quotes (
  offer text not null, observed_at real not null, spot real, on_demand real, interruptions real, source text not null,
  primary key (offer, observed_at)
) without rowid;
create table if not exists marks (name text primary key, at real not null) without rowid;
create table if not exists regrets (placement text primary key, usd real not null, usd_per_hour real not null, at real not null) without rowid;
"""


def offer_id(offer: OfferRef) -> str:
    """``<cloud>/<region>/<zone>/<instance type>``."""
    return f"{offer.cloud}/{offer.region}/{offer.zone}/{offer.instance_type}"


def offer_of(text: str) -> OfferRef:
    """The offer of an id."""
    cloud, region, zone, instance_type = text.split("/", 3)
    return OfferRef.model_validate({"cloud": cloud, "region": region, "zone": zone, "instanceType": instance_type})


class QuoteHistory:
    """Quotes by offer and time, in SQLite; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.executescript(_TABLES)
        self._lock = threading.Lock()
        self._last: dict[str, tuple[float | None, float | None]] = {}

    def record(self, quotes: Iterable[Quote]) -> int:
        """Keeps the quotes that changed; how many did."""
        rows = []
        for quote in quotes:
            name = offer_id(quote.offer)
            figures = (quote.spot_usd_per_hour, quote.on_demand_usd_per_hour)
            if self._last.get(name) == figures:
                continue
            self._last[name] = figures
            rows.append((name, quote.observed_at.timestamp(), *figures, quote.interruptions_per_hour, quote.source))
        with self._lock:
            self._db.execute("begin")
            self._db.executemany("insert or replace into quotes values (?, ?, ?, ?, ?, ?)", rows)
            self._db.execute("commit")
        return len(rows)

    def in_force(self, offer: OfferRef, at: datetime) -> Quote | None:
        """The quote in force at ``at``; the earliest known where ``at`` lies before all; None for an offer never seen."""
        name = offer_id(offer)
        with self._lock:
            row = (
                self._db.execute(
                    "select * from quotes where offer = ? and observed_at <= ? order by observed_at desc limit 1", (name, at.timestamp())
                ).fetchone()
                or self._db.execute("select * from quotes where offer = ? order by observed_at limit 1", (name,)).fetchone()
            )
        return None if row is None else _quote(row)

    def latest(self) -> list[Quote]:
        """Of each offer the quote that was recorded last."""
        with self._lock:
            rows = self._db.execute(
                "select q.* from quotes q join (select offer, max(observed_at) at from quotes group by offer) l on q.offer = l.offer and q.observed_at = l.at"
            ).fetchall()
        return [_quote(row) for row in rows]

    def earliest(self) -> datetime | None:
        """When the first quote was observed; None where none is kept."""
        with self._lock:
            row = self._db.execute("select min(observed_at) from quotes").fetchone()
        return None if row[0] is None else datetime.fromtimestamp(row[0], UTC)

    def between(self, begin: datetime, end: datetime) -> list[Quote]:
        """The quotes in force at ``begin`` and every one until ``end``, in the order in which they were observed."""
        with self._lock:
            rows = self._db.execute(
                """select q.* from quotes q join (select offer, max(observed_at) at from quotes where observed_at <= ?1 group by offer) l
                on q.offer = l.offer and q.observed_at = l.at
                union all select * from quotes where observed_at > ?1 and observed_at <= ?2 order by observed_at, offer""",
                (begin.timestamp(), end.timestamp()),
            ).fetchall()
        return [_quote(row) for row in rows]

    def changes(self, cloud: str, since: datetime, until: datetime, pools: int) -> list[tuple[list[float], list[float]]]:
        """Of the first ``pools`` offers of a cloud: when each spot price was seen to change (seconds since the epoch, ascending), and to what.

        The price in force at ``since`` is among them with the moment of its own change; moments at which the price wasn't known are left out.
        """
        with self._lock:
            named = self._db.execute(
                "select distinct offer from quotes where offer >= ? and offer < ? order by offer limit ?", (f"{cloud}/", f"{cloud}0", pools)
            )
            found = []
            for (offer,) in named.fetchall():
                rows = self._db.execute(
                    """select observed_at, spot from quotes where offer = ? and observed_at <= ? and spot is not null and observed_at >= coalesce(
                    (select max(observed_at) from quotes where offer = ? and observed_at <= ?), 0) order by observed_at""",
                    (offer, until.timestamp(), offer, since.timestamp()),
                ).fetchall()
                if rows:
                    found.append(([row[0] for row in rows], [row[1] for row in rows]))
        return found

    def mark(self, name: str) -> datetime | None:
        """A time kept under a name (how far the ledger is closed)."""
        with self._lock:
            row = self._db.execute("select at from marks where name = ?", (name,)).fetchone()
        return None if row is None else datetime.fromtimestamp(row[0], UTC)

    def set_mark(self, name: str, at: datetime) -> None:
        """Keeps a time under a name."""
        with self._lock:
            self._db.execute("insert or replace into marks values (?, ?)", (name, at.timestamp()))

    def regrets(self) -> dict[str, Regret]:
        """What staying has cost too much so far, by placement. Lost with the file: then moves by price wait anew, nothing else."""
        with self._lock:
            rows = self._db.execute("select placement, usd, usd_per_hour, at from regrets").fetchall()
        return {placement: Regret(usd, usd_per_hour, datetime.fromtimestamp(at, UTC)) for placement, usd, usd_per_hour, at in rows}

    def keep_regrets(self, regrets: Mapping[str, Regret]) -> None:
        """Replaces all by ``regrets``: placements that are gone are forgotten."""
        rows = [(placement, one.usd, one.usd_per_hour, one.at.timestamp()) for placement, one in regrets.items()]
        with self._lock:
            self._db.execute("begin")
            self._db.execute("delete from regrets")
            self._db.executemany("insert into regrets values (?, ?, ?, ?)", rows)
            self._db.execute("commit")

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._db.close()


def _quote(row: tuple[str, float, float | None, float | None, float | None, str]) -> Quote:
    name, observed_at, spot, on_demand, interruptions, source = row
    return Quote(
        offer=offer_of(name),
        spot_usd_per_hour=spot,
        on_demand_usd_per_hour=on_demand,
        interruptions_per_hour=interruptions,
        source=source,
        observed_at=datetime.fromtimestamp(observed_at, UTC),
    )
