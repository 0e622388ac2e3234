"""Which service processes live, and which one of them leads, when several work on one runs' database.

Every member says every few seconds that it lives, and watches the others' words by its own monotonic clock: one whose word hasn't changed for
:data:`SILENT_SECONDS` is dead, whatever any clock was set to meanwhile, and the leader gives its unfinished runs back to the queues. The leader is who holds
the one row of ``spotlane_leader``; its hold runs out by the database's clock, so a dead leader is followed within :data:`SILENT_SECONDS` and one heartbeat.
Where that clock leaps forward two can lead for as long: then chores are done twice, which the edge's leases bear; runs are in no danger.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from automation.runs.database import address, make_tables

HEARTBEAT_SECONDS = 2.5
SILENT_SECONDS = 10.0
_NOW = {"postgresql": "extract(epoch from clock_timestamp())", "sqlite": "(julianday('now') - 2440587.5) * 86400.0"}
"""Seconds since the epoch, as the database says."""
_SCHEMA = (
    "create table if not exists spotlane_members (name text primary key, seen_at double precision not null)",
    "create table if not exists spotlane_leader (id integer primary key check (id = 1), name text not null, until double precision not null)",
)

_log = structlog.get_logger("spotlane.members")


@dataclass(frozen=True)
class Standing:
    """What a heartbeat found: whether this member leads, and which others have fallen silent since."""

    leads: bool
    silent: tuple[str, ...]


class Members:
    """One member's view. ``name`` is unique among the processes on ``url`` (SQLAlchemy) and stays the same over a restart."""

    def __init__(
        self,
        url: str,
        name: str,
        recover: Callable[[Sequence[str]], object],
        *,
        silent_seconds: float = SILENT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine: Engine = create_engine(address(url), pool_pre_ping=True)
        self._now = _NOW[self._engine.dialect.name]
        self._name = name
        self._recover = recover
        self._silent_seconds = silent_seconds
        self._monotonic = monotonic
        self._words: dict[str, tuple[float, float]] = {}
        """Of each other member its last word, and when that was first seen here."""
        self._leads_until = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="members", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether this member leads now, by its own monotonic clock: it stops believing so before another can be told so."""
        return self._monotonic() < self._leads_until

    @property
    def alone(self) -> bool:
        """Whether no other member was there at the last heartbeat."""
        return not self._words

    def start(self) -> None:
        """Joins, and beats until :meth:`stop`. Raises SQLAlchemyError where the database is away."""
        make_tables(self._engine, *_SCHEMA)
        self.heartbeat()
        self._thread.start()

    def stop(self, *, hand_over: bool = False) -> None:
        """Leaves: another leads at once. With ``hand_over`` the leader gives back what this member had in hand, else that waits for it to come back."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._leads_until = float("-inf")
        try:
            with self._engine.begin() as connection:
                connection.execute(text("delete from spotlane_leader where name = :name"), {"name": self._name})
                leave = "update spotlane_members set seen_at = 0 where name = :name" if hand_over else "delete from spotlane_members where name = :name"
                connection.execute(text(leave), {"name": self._name})
        except SQLAlchemyError as error:
            _log.warning("left without a word", error=type(error).__name__)
        self._engine.dispose()

    def heartbeat(self) -> Standing:
        """Says that this member lives, takes or keeps the lead where it can, and as the leader gives back what silent members had in hand."""
        asked = self._monotonic()
        values = {"name": self._name, "hold": self._silent_seconds}
        with self._engine.begin() as connection:
            connection.execute(
                text(f"insert into spotlane_members values (:name, {self._now}) on conflict (name) do update set seen_at = excluded.seen_at"),
                values,
            )
            connection.execute(
                text(
                    f"insert into spotlane_leader values (1, :name, {self._now} + :hold) on conflict (id) do update "
                    f"set name = excluded.name, until = excluded.until where spotlane_leader.name = excluded.name or spotlane_leader.until < {self._now}"
                ),
                values,
            )
            leads = connection.execute(text("select name from spotlane_leader")).scalar_one() == self._name
            words = {row[0]: float(row[1]) for row in connection.execute(text("select name, seen_at from spotlane_members where name <> :name"), values)}
        self._leads_until = asked + self._silent_seconds if leads else float("-inf")
        gone = self._silent(words, asked)
        if not leads or not gone:
            return Standing(leads, ())
        # Given back first, forgotten then: whoever dies between the two leaves them to the next leader.
        self._recover(gone)
        with self._engine.begin() as connection:
            for name in gone:
                connection.execute(text("delete from spotlane_members where name = :name and seen_at = :word"), {"name": name, "word": words[name]})
        _log.warning("members fell silent; their runs are given back", members=gone)
        return Standing(leads, gone)

    def _silent(self, words: Mapping[str, float], now: float) -> tuple[str, ...]:
        """Those whose word hasn't changed for so long; who has left and handed over said 0."""
        self._words = {name: known if (known := self._words.get(name)) is not None and known[0] == word else (word, now) for name, word in words.items()}
        return tuple(sorted(name for name, (word, since) in self._words.items() if word == 0 or now - since >= self._silent_seconds))

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS * self._silent_seconds / SILENT_SECONDS):
            try:
                self.heartbeat()
            except Exception as error:  # noqa: BLE001  # a beat that fails is followed by the next one, whatever it was
                _log.warning("no heartbeat", error=f"{type(error).__name__}: {error}")
