"""Offers not to be tried again for a while, learnt from what happened: an interruption, a refused or failed provision."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from automation.service.translation import offer_from_wire
from domain.catalog import OfferRef
from domain.refusals import Refusal, RefusalKind, read
from spotlane.wire import Migration

_log = structlog.get_logger("spotlane.refusals")
_REFUSALS = Counter("spotlane_refusals_total", "Provisions that a cloud refused", ["cloud", "kind", "code"])

INTERRUPTED = timedelta(hours=24)
"""A pool that took a machine back is likely to do so again: AWS's capacity-optimised fleets weigh the last hours most; a day is past them."""
_TOLD = {RefusalKind.QUOTA, RefusalKind.DENIED, RefusalKind.UNKNOWN}
"""What a person must look at: it doesn't pass by itself."""


class Exclusions:
    """On the market's clock; safe to use from several threads."""

    def __init__(self) -> None:
        self._until: dict[OfferRef, tuple[datetime, str]] = {}
        self._regions: dict[tuple[str, str], tuple[datetime, str]] = {}
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def interrupted(self, offer: OfferRef, market_now: datetime) -> None:
        """The offer took a machine back."""
        with self._lock:
            self._until[offer] = (market_now + INTERRUPTED, "it took a machine back within the last day")

    def learn(self, migrations: Iterable[Migration], market_now: datetime) -> None:
        """Takes in migrations that failed since the last call, by what the cloud said; a failed one is learnt from once."""
        with self._lock:
            for migration in migrations:
                offer = migration.decision.offer
                if migration.status != "failed" or offer is None or migration.id in self._seen:
                    continue
                self._seen.add(migration.id)
                self._refused(migration.id, offer_from_wire(offer), read((migration.error or "").split("; ")), market_now)

    def _refused(self, migration: str, offer: OfferRef, refusal: Refusal, market_now: datetime) -> None:
        consequence = refusal.consequence
        why = f"{refusal.kind} ({refusal.code})" if refusal.code else str(refusal.kind)
        entry = (market_now + consequence.excluded, f"provisioning {migration} failed there: {why}")
        self._until[offer] = entry
        if consequence.whole_region:
            self._regions[offer.cloud, offer.region] = entry
        _REFUSALS.labels(offer.cloud, refusal.kind, refusal.code).inc()
        tell = _log.warning if refusal.kind in _TOLD else _log.info
        tell("refused", migration=migration, offer=offer.id, kind=refusal.kind, code=refusal.code, text=refusal.text[:300])

    def at(self, market_now: datetime, offers: Iterable[OfferRef] = ()) -> dict[OfferRef, str]:
        """What is excluded now, with the reason; of regions that are closed as a whole, those of ``offers``."""
        with self._lock:
            self._until = {offer: entry for offer, entry in self._until.items() if entry[0] > market_now}
            self._regions = {place: entry for place, entry in self._regions.items() if entry[0] > market_now}
            found = {offer: reason for offer, (_, reason) in self._until.items()}
            if self._regions:
                found |= {offer: entry[1] for offer in offers if (entry := self._regions.get((offer.cloud, offer.region))) is not None and offer not in found}
            return found
