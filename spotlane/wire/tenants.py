"""Tenants and their boundary, as they travel."""

from __future__ import annotations

from pydantic import Field

from spotlane.wire.base import Cloud, Digest, Json, TenantId, Wire


class Tenant(Wire):
    """A customer. ``boundary`` is the document of ``domain.boundary.model.Boundary``; its digest names it everywhere.

    ``budget_usd_per_month`` caps what the machines of all its workloads cost in a calendar month (UTC); where the boundary has a cap too, the smaller holds.
    """

    id: TenantId
    display_name: str = ""
    boundary: Json
    boundary_digest: Digest
    clouds: list[Cloud] = Field(default=["aws", "azure", "gcp"])
    budget_usd_per_month: float | None = Field(default=None, gt=0)


class BoundaryDocument(Wire):
    """A boundary to check: the document of ``domain.boundary.model.Boundary``."""

    boundary: Json


class BoundaryRule(Wire):
    """A rule as a boundary has it. ``asks`` is a sentence, null where the boundary asks nothing; ``exemptible``: whether an exemption may leave it out."""

    rule: str
    asks: str | None
    exemptible: bool


class BoundaryCheck(Wire):
    """A boundary that holds: its digest, the regions that it allows, by cloud, and what each rule asks."""

    digest: Digest
    regions: dict[str, list[str]]
    rules: list[BoundaryRule] = Field(default_factory=list)
