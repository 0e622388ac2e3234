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
PRESSED = timedelta(minutes=10)
"""A machine that may be taken back is better than none: as long as a refusal is believed in :mod:`domain.placement.fleet`."""
_TOLD = {RefusalKind.QUOTA, RefusalKind.DENIED, RefusalKind.UNKNOWN}
"""What a person must look at: it doesn't pass by itself."""


class Exclusions:
    """On the market's clock; safe to use from several threads."""

    def __init__(self) -> None:
        self._until: dict[OfferRef, tuple[datetime, str]] = {}
        self._taken_back: dict[OfferRef, datetime] = {}
        self._regions: dict[tuple[str, str], tuple[datetime, str]] = {}
        self._seen: set[str] = set()
        self._told = False
        """Whether migrations were taken in before: those of the first time failed when nobody here looked, some of them long ago."""
        self._lock = threading.Lock()

    def interrupted(self, offer: OfferRef, market_now: datetime) -> None:
        """The offer took a machine back."""
        with self._lock:
            self._taken_back[offer] = market_now

    def learn(self, migrations: Iterable[Migration], market_now: datetime) -> None:
        """Takes in migrations that failed since the last call, by what the cloud said; a failed one is learnt from once. What failed before the first call
        rests from when it was decided."""
        with self._lock:
            first, self._told = not self._told, True
            for migration in migrations:
                offer = migration.decision.offer
                if migration.status != "failed" or offer is None or migration.id in self._seen:
                    continue
                self._seen.add(migration.id)
                refusal = read((migration.error or "").split("; "))
                evidence = migration.decision.evidence
                since = evidence.market_now if first and evidence is not None else market_now
                if refusal.kind is not RefusalKind.GAVE_WAY and since + refusal.consequence.excluded > market_now:
                    self._refused(migration.id, offer_from_wire(offer), refusal, since)

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

    def at(self, market_now: datetime, offers: Iterable[OfferRef] = (), *, pressed: bool = False) -> dict[OfferRef, str]:
        """What is excluded now, with the reason; of regions that are closed as a whole, those of ``offers``. Who has no other offer (``pressed``) may use one
        again that took a machine back, once :data:`PRESSED` has passed."""
        with self._lock:
            self._taken_back = {offer: moment for offer, moment in self._taken_back.items() if market_now - moment < INTERRUPTED}
            self._until = {offer: entry for offer, entry in self._until.items() if entry[0] > market_now}
            self._regions = {place: entry for place, entry in self._regions.items() if entry[0] > market_now}
            rest = PRESSED if pressed else INTERRUPTED
            found = {offer: "it took a machine back within the last day" for offer, moment in self._taken_back.items() if market_now - moment < rest}
            found |= {offer: reason for offer, (_, reason) in self._until.items()}
            if self._regions:
                found |= {offer: entry[1] for offer in offers if (entry := self._regions.get((offer.cloud, offer.region))) is not None and offer not in found}
            return found
