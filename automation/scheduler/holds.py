"""Pauses and maintenance windows, kept beside the runs: every service process, and the next one, holds the same."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import Engine, create_engine, text

from automation.runs.database import address, make_tables
from domain.windows import Hold, WindowError, windows
from spotlane import wire

PLATFORM = ""
_SCHEMA = "create table if not exists spotlane_holds (subject text primary key, document text not null)"


class Holds:
    """Holds by subject (``""`` the platform, ``tenant:<id>``, ``workload:<id>``) at ``url`` (SQLAlchemy). ``paused``: where nobody has said otherwise yet."""

    def __init__(self, url: str, *, paused: bool = False) -> None:
        self._engine: Engine = create_engine(address(url), pool_pre_ping=True)
        self._default = paused

    def open(self) -> None:
        """Makes its table. Raises SQLAlchemyError where the database is away."""
        make_tables(self._engine, _SCHEMA)

    def all(self) -> Mapping[str, Hold]:
        """Every hold. Raises SQLAlchemyError where the database is away: then nothing is begun."""
        return {subject: Hold(one.paused, windows(one.only), windows(one.never)) for subject, one in self._documents().items()}

    def listed(self) -> list[wire.Hold]:
        """Every hold, the platform's first."""
        return [one for _, one in sorted(self._documents().items())]

    def put(self, hold: wire.Hold) -> wire.Hold:
        """Puts a hold in its subject's place, and takes one away that holds nothing. Raises :class:`domain.windows.WindowError` with every fault."""
        if hold.tenant is not None and hold.workload is not None:
            raise WindowError("a hold is a tenant's or a workload's, not both; name one of them")
        windows([*hold.only, *hold.never])
        name = subject(hold)
        with self._engine.begin() as connection:
            connection.execute(text("delete from spotlane_holds where subject = :subject"), {"subject": name})
            if name == PLATFORM or hold.paused or hold.only or hold.never:
                row = {"subject": name, "document": hold.model_dump_json(by_alias=True)}
                connection.execute(text("insert into spotlane_holds values (:subject, :document)"), row)
        return hold

    @property
    def paused(self) -> bool:
        """Whether the platform is."""
        found = self._documents().get(PLATFORM)
        return self._default if found is None else found.paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        found = self._documents().get(PLATFORM) or wire.Hold()
        self.put(found.model_copy(update={"paused": paused}))

    def close(self) -> None:
        """Leaves the database."""
        self._engine.dispose()

    def _documents(self) -> dict[str, wire.Hold]:
        with self._engine.begin() as connection:
            rows = connection.execute(text("select subject, document from spotlane_holds")).all()
        return {row[0]: wire.Hold.model_validate(json.loads(row[1])) for row in rows}


def subject(hold: wire.Hold) -> str:
    """Whose hold it is."""
    if hold.workload is not None:
        return f"workload:{hold.workload}"
    return PLATFORM if hold.tenant is None else f"tenant:{hold.tenant}"
