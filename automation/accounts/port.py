"""The port that the three clouds' accounts keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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

    Each method raises :class:`automation.feeds.fetch.FeedFault` where the cloud or the proxy gives no usable answer.
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


class CantRemove(Exception):
    """The kind isn't among those that are removed here; the text says what to do instead."""
