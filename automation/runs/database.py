"""Whether the runs' database is there: asked before something is taken in, so that nobody waits for it to come back."""

from __future__ import annotations

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from automation.errors import DatabaseAway

_SECONDS = 3
"""For a connection; DBOS itself waits for its database as long as it takes, which suits runs in hand and nobody who asks."""


class Database:
    """The one at ``url`` (SQLAlchemy)."""

    def __init__(self, url: str) -> None:
        address = make_url(url)
        postgresql = address.get_backend_name() == "postgresql"
        arguments = {"connect_timeout": _SECONDS} if postgresql else {}
        self._engine: Engine = create_engine(
            address.set(drivername="postgresql+psycopg") if postgresql else address, pool_pre_ping=True, connect_args=arguments
        )

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
