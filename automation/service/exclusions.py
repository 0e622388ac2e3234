"""Offers not to be tried again for a while, learnt from what happened: an interruption, a refused or failed provision."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from automation.service.translation import offer_from_wire
from domain.catalog import OfferRef
from spotlane.wire import Migration

INTERRUPTED = timedelta(hours=24)
"""A pool that took a machine back is likely to do so again: AWS's capacity-optimised fleets weigh the last hours most; a day is past them."""
FAILED = timedelta(hours=6)


class Exclusions:
    """On the market's clock; safe to use from several threads."""

    def __init__(self) -> None:
        self._until: dict[OfferRef, tuple[datetime, str]] = {}
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def interrupted(self, offer: OfferRef, market_now: datetime) -> None:
        """The offer took a machine back."""
        with self._lock:
            self._until[offer] = (market_now + INTERRUPTED, "it took a machine back within the last day")

    def learn(self, migrations: Iterable[Migration], market_now: datetime) -> None:
        """Takes in migrations that failed since the last call; a failed one is learnt from once."""
        with self._lock:
            for migration in migrations:
                offer = migration.decision.offer
                if migration.status != "failed" or offer is None or migration.id in self._seen:
                    continue
                self._seen.add(migration.id)
                self._until[offer_from_wire(offer)] = (market_now + FAILED, f"provisioning {migration.id} failed there")

    def at(self, market_now: datetime) -> dict[OfferRef, str]:
        """What is excluded now, with the reason."""
        with self._lock:
            self._until = {offer: entry for offer, entry in self._until.items() if entry[0] > market_now}
            return {offer: reason for offer, (_, reason) in self._until.items()}
