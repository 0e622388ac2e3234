"""What a changed boundary would cost a tenant: the domain's functions over the quotes that the service has recorded. Changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from automation.errors import NothingToMove
from automation.feeds.collection import Collection
from automation.service.boundaries import compiled, refusal_of
from automation.service.history import QuoteHistory
from automation.service.translation import demand, offer_to_wire, quote_from_wire
from domain.catalog import OfferRef
from domain.offers import Offers, RegionPredicate
from domain.placement import Demand
from domain.placement.plan import Settings
from domain.placement.whatif import Course, anywhere, courses, moments, premium
from spotlane import wire
from spotlane.client import Client

_STEPS_HOURS = (1, 2, 3, 6, 12, 24)
_MOST_MOMENTS = 120


class WhatIfs:
    """Asks the edge for tenant and workloads, the collection for the prices of now, the history for those before."""

    def __init__(
        self, edge: Client, collection: Collection, history: QuoteHistory, price_limit_hours: float, follow: Callable[[], None] = lambda: None
    ) -> None:
        """``follow`` is called first: it takes over what another member has collected."""
        self._follow = follow
        self._edge = edge
        self._collection = collection
        self._history = history
        self._settings = Settings(price_limit=timedelta(hours=price_limit_hours))
        self._one = threading.Lock()
        """One at a time: each takes a core for seconds."""

    def answer(self, request: wire.WhatIfRequest) -> wire.WhatIf:
        """Raises :class:`InvalidBoundary` with every fault, :class:`NothingToMove` before the first prices, ApiProblem for an unknown tenant or workload."""
        self._follow()
        now = self._collection.book.market_now
        if now is None:
            raise NothingToMove("no prices have been collected yet; wait for the daemon's first cycle or run `spotlane daemon --once`")
        tenant = self._edge.tenant(request.tenant)
        asked = [self._edge.workload(request.workload)] if request.workload else list(self._edge.workloads(request.tenant))
        workloads = [one for one in asked if one.tenant == tenant.id and one.state not in (wire.WorkloadState.STOPPING, wire.WorkloadState.TERMINATED)]
        classes = {one.spec.placement.data_class for one in workloads} | {None}
        present, changed = ({name: compiled(document, name) for name in classes} for document in (tenant.boundary, request.boundary))
        # Exemptions hold as they do now, also over the history: the question is what this boundary costs.
        today = datetime.now(UTC)
        bound = [[refusal_of(each[one.spec.placement.data_class], lambda: today) for one in workloads] for each in (present, changed)]
        nowhere: Sequence[RegionPredicate] = [anywhere] * len(workloads)
        demands = [demand(one, anywhere, moves_in_30_days=0, excluded={}) for one in workloads]
        reference = self._collection.reference
        offers = Offers.quoted(self._collection.book.quotes(), catalog=reference.catalog)
        inside = [premium(now, offers, demands, each, self._settings, reference.tariffs) for each in bound]
        begin, end, step = self._window(now, request.days)
        with self._one:
            walked = self._walked(demands, [nowhere, *bound], begin, end, step)
        items = [
            wire.WhatIfItem(
                workload=one.id,
                leaves=one.placement is not None and bound[1][at](one.placement.offer.cloud, one.placement.offer.region) is not None,
                now_free=_place(inside[0][at].free_offer, inside[0][at].free_usd_per_hour),
                now_present=_place(inside[0][at].bound_offer, inside[0][at].bound_usd_per_hour),
                now_changed=_place(inside[1][at].bound_offer, inside[1][at].bound_usd_per_hour),
                free=_course(walked[0][at]),
                present=_course(walked[1][at]),
                changed=_course(walked[2][at]),
            )
            for at, one in enumerate(workloads)
        ]
        digests = {"present_digest": present[None].digest, "changed_digest": changed[None].digest}
        return wire.WhatIf(market_now=now, begin=begin, end=end, step_hours=step / timedelta(hours=1), items=items, **digests)

    def _window(self, now: datetime, days: float) -> tuple[datetime, datetime, timedelta]:
        earliest = self._history.earliest() or now
        begin = max(now - timedelta(days=days), earliest)
        hours = (now - begin) / timedelta(hours=1)
        step = next((one for one in _STEPS_HOURS if hours <= one * _MOST_MOMENTS), _STEPS_HOURS[-1])
        return begin, now, timedelta(hours=step)

    def _walked(
        self, demands: Sequence[Demand], boundaries: Sequence[Sequence[RegionPredicate]], begin: datetime, end: datetime, step: timedelta
    ) -> list[tuple[Course, ...]]:
        """In one pass over the history: every demand under each boundary."""
        changes = (quote_from_wire(quote) for quote in self._history.between(begin, end))
        all_demands = [_under(one, where) for each in boundaries for one, where in zip(demands, each, strict=True)]
        reference = self._collection.reference
        found = courses(
            moments(changes, begin, end, step, [one.needs for one in demands], reference.catalog), end, all_demands, self._settings, reference.tariffs
        )
        size = len(demands)
        return [found[start : start + size] for start in range(0, len(boundaries) * size, size)] if size else [() for _ in boundaries]


def _under(one: Demand, boundary: RegionPredicate) -> Demand:
    return Demand(one.workload, one.needs, one.rules, boundary)


def _place(offer: OfferRef | None, usd_per_hour: float | None) -> wire.Place:
    return wire.Place(offer=None if offer is None else offer_to_wire(offer), usd_per_hour=usd_per_hour)


def _course(one: Course) -> wire.CourseCost:
    return wire.CourseCost(
        usd=one.usd,
        machine_usd=one.machine_usd,
        egress_usd=one.egress_usd,
        moves_usd=one.moves_usd,
        usd_per_hour=one.usd_per_hour,
        hours=one.hours,
        unplaced_hours=one.unplaced_hours,
        moves=one.moves,
    )
