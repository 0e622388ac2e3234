"""What the leader collected last, in the runs' database, for the members that don't collect: quotes, shapes, tariffs and scores, as one document.

A member that doesn't lead answers plans, takes moves that people ask for and the notices that clouds send; all of it by the leader's prices. Who is alone
shares with nobody and writes nothing. Where the database is away, each goes on with what it has.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from automation.feeds.collection import Snapshot
from automation.runs.database import address, make_tables

_BYTES = {"postgresql": "bytea", "sqlite": "blob"}
_log = structlog.get_logger("spotlane.market")


@dataclass(frozen=True)
class Shared:
    """What a member collected, and when by its wall clock."""

    collected_at: datetime
    market: Snapshot


_DOCUMENT = TypeAdapter(Shared)


class SharedMarket:
    """One row at ``url`` (SQLAlchemy). ``member`` is this process's name, ``alone`` says whether no other process works on the database."""

    def __init__(self, url: str, member: str, alone: Callable[[], bool]) -> None:
        self._engine: Engine = create_engine(address(url), pool_pre_ping=True)
        self._member = member
        self._alone = alone
        self._seen: tuple[str, float] | None = None

    def open(self) -> None:
        """Makes its table. Raises SQLAlchemyError where the database is away."""
        kind = _BYTES[self._engine.dialect.name]
        make_tables(
            self._engine,
            f"create table if not exists spotlane_market (id integer primary key check (id = 1), member text not null, at double precision not null, "
            f"document {kind} not null)",
        )

    def put(self, shared: Shared) -> None:
        """Takes the place of what was shared before; that it can't is logged, since a cycle must not end for it."""
        if self._alone():
            return
        row = {"member": self._member, "at": shared.collected_at.timestamp(), "document": zlib.compress(_DOCUMENT.dump_json(shared), 1)}
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    text(
                        "insert into spotlane_market values (1, :member, :at, :document) on conflict (id) do update "
                        "set member = excluded.member, at = excluded.at, document = excluded.document"
                    ),
                    row,
                )
        except SQLAlchemyError as error:
            _log.warning("prices were not shared", error=type(error).__name__)

    def newer(self) -> Shared | None:
        """What another member shared since this was asked last; None where nobody did or the database is away."""
        try:
            with self._engine.begin() as connection:
                row = connection.execute(text("select member, at from spotlane_market")).one_or_none()
                if row is None or row[0] == self._member or (row[0], row[1]) == self._seen:
                    return None
                found = connection.execute(text("select member, at, document from spotlane_market")).one()
        except SQLAlchemyError as error:
            _log.warning("shared prices can't be read", error=type(error).__name__)
            return None
        self._seen = (found[0], found[1])
        try:
            return _DOCUMENT.validate_json(zlib.decompress(bytes(found[2])))
        except (ValidationError, zlib.error) as error:
            # A member of another release wrote it in another form, until all are upgraded.
            _log.warning("shared prices are of another form", member=found[0], error=type(error).__name__)
            return None

    def close(self) -> None:
        """Leaves the database."""
        self._engine.dispose()
