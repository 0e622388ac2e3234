"""Listings: as long as they are, read one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


class Pages(Generic[M]):
    """A listing of models. Its pages are fetched as it is read, each when the one before is used up; read again, it is asked for again.

    >>> for migration in Client.from_env().migrations():  # doctest: +SKIP
    ...     print(migration.id)
    """

    def __init__(self, fetch: Callable[[str | None], tuple[list[M], str | None]]) -> None:
        self._fetch = fetch

    def __iter__(self) -> Iterator[M]:
        """Raises :class:`spotlane.errors.SpotlaneError` where a page can't be had."""
        cursor: str | None = None
        while True:
            items, cursor = self._fetch(cursor)
            yield from items
            if cursor is None:
                return
