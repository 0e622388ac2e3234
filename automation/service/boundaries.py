"""Boundaries as the service uses them: checked at the door, compiled once per digest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from automation.errors import InvalidBoundary
from domain.boundary.compiled import CompiledBoundary, compile
from domain.boundary.model import CLOUDS, BoundaryDocumentError, load
from domain.boundary.standing import standing
from domain.offers import RegionPredicate
from spotlane.wire import BoundaryCheck, BoundaryDocument, BoundaryRule, Json, Tenant


def check(request: BoundaryDocument) -> BoundaryCheck:
    """The boundary's digest and reach. Raises :class:`InvalidBoundary` with every fault, also where no region of any cloud is left."""
    reach = compiled(request.boundary, None)
    if reach.count() == 0:
        raise InvalidBoundary(["residency: no region of any cloud satisfies it; widen regimes, countries or regions"])
    rules = [BoundaryRule(rule=one.rule, asks=one.asks, exemptible=one.exemptible) for one in standing(reach.boundary)]
    return BoundaryCheck(digest=reach.digest, regions={cloud: list(reach.allowed(cloud)) for cloud in CLOUDS}, rules=rules)


def compiled(document: Json, data_class: str | None) -> CompiledBoundary:
    """A document worked out. Raises :class:`InvalidBoundary` with every fault."""
    try:
        return compile(load(document), data_class)
    except BoundaryDocumentError as error:
        raise InvalidBoundary(error.faults) from error


def refusal_of(boundary: CompiledBoundary, clock: Callable[[], datetime]) -> RegionPredicate:
    """Why placement may not use a region, or None; exemptions hold as of ``clock``."""

    def refusal(cloud: str, region: str) -> str | None:
        finding = boundary.refusal(cloud, region, clock())
        return None if finding is None else finding.sentence()

    return refusal


class Boundaries:
    """Compiled boundaries by tenant and data class, kept while the digest stays the same."""

    def __init__(self) -> None:
        self._known = lru_cache(maxsize=4096)(self._compile)
        self._documents: dict[str, Json] = {}

    def of(self, tenant: Tenant, data_class: str | None) -> CompiledBoundary:
        """The tenant's boundary narrowed by a workload's data class. Raises :class:`InvalidBoundary`."""
        self._documents[tenant.boundary_digest] = tenant.boundary
        return self._known(tenant.boundary_digest, data_class)

    def _compile(self, digest: str, data_class: str | None) -> CompiledBoundary:
        return compiled(self._documents[digest], data_class)
