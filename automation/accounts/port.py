"""The port that the three clouds' accounts keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from automation.calls.fetch import FeedFault
from domain.catalog import CloudName
from domain.orphans import CloudResource


@dataclass(frozen=True, slots=True)
class Quota:
    """Spot capacity that an account may use in a region: ``limit`` and ``used`` in vCPUs; ``used`` is None where the cloud doesn't tell."""

    region: str
    limit: float
    used: float | None = None


class Account(Protocol):
    """A tenant's account (AWS), subscription (Azure) or project (Google), entered as the stacks enter it.

    Each method raises :class:`FeedFault` where the cloud or the proxy gives no usable answer.
    """

    @property
    def cloud(self) -> CloudName:
        """Whose account it is."""
        ...

    @property
    def id(self) -> str:
        """The cloud's own id of it."""
        ...

    def resources(self, regions: Sequence[str]) -> list[CloudResource]:
        """What lies in ``regions`` and carries our tags; gone and going machines left out."""
        ...

    def remove(self, resource: CloudResource) -> None:
        """Removes one resource and waits until it is gone, as far as what stands on it needs that; one that is gone already is no fault."""
        ...

    def quotas(self, regions: Sequence[str]) -> list[Quota]:
        """Spot quotas of ``regions``; a region that isn't open to the account has a limit of 0."""
        ...


GONE_SECONDS = 300.0
_LOOK_SECONDS = 2.0


def wait_until_gone(what: str, is_gone: Callable[[], bool], sleep: Callable[[float], None]) -> None:
    """Looks until ``is_gone``. Raises FeedFault where ``what`` still stands after :data:`GONE_SECONDS` of waiting."""
    left = GONE_SECONDS
    while not is_gone():
        if left <= 0:
            raise FeedFault("timeout", f"{what} isn't gone after {GONE_SECONDS:.0f} s; ask again")
        sleep(_LOOK_SECONDS)
        left -= _LOOK_SECONDS


class CantRemove(Exception):
    """The kind isn't among those that are removed here; the text says what to do instead."""
