"""The runs' database, as those use it who keep something beside DBOS's own tables; and whether it is there: asked before something is taken in, so that
nobody waits for it to come back."""

from __future__ import annotations

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from automation.errors import DatabaseAway

_SECONDS = 3
"""For a connection; DBOS itself waits for its database as long as it takes, which suits runs in hand and nobody who asks."""


def address(url: str) -> URL:
    """``url`` (SQLAlchemy) with the driver that DBOS brings for PostgreSQL."""
    found = make_url(url)
    return found.set(drivername="postgresql+psycopg") if found.get_backend_name() == "postgresql" else found


_TABLES_LOCK = 0x5350_4F54
"""Number of the advisory lock beneath which tables are made: "SPOT"."""


def make_tables(engine: Engine, *statements: str) -> None:
    """Runs each ``create table if not exists``. Of several processes that begin at once one does it and the others wait: PostgreSQL's ``if not exists`` looks
    before it makes, so that two at once break one of them. Raises SQLAlchemyError where the database is away."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _TABLES_LOCK})
        for statement in statements:
            connection.execute(text(statement))


class Database:
    """The one at ``url`` (SQLAlchemy)."""

    def __init__(self, url: str) -> None:
        place = address(url)
        arguments = {"connect_timeout": _SECONDS} if place.get_backend_name() == "postgresql" else {}
        self._engine: Engine = create_engine(place, pool_pre_ping=True, connect_args=arguments)

    def check(self) -> None:
        """Raises :class:`DatabaseAway` within seconds where it doesn't answer."""
        try:
            with self._engine.connect() as connection:
                connection.execute(text("select 1"))
        except SQLAlchemyError as error:
            raise DatabaseAway(type(error).__name__) from error

    def close(self) -> None:
        """Leaves it."""
        self._engine.dispose()
