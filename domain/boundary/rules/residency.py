"""Every region that a call names, in its address or in its parameters, is one where the tenant's data may be."""

from __future__ import annotations

from collections.abc import Iterable

from domain.boundary.finding import Finding
from domain.boundary.model import Residency, place_matches
from domain.boundary.regions import Region

RULE = "residency"

_JURISDICTION_OF_REGIME = {"gdpr": "gdpr-strict"}


def refuse_unlisted(cloud: str, name: str) -> Finding:
    """The finding for a region that the table doesn't list."""
    return Finding(RULE, "critical", f"Region {cloud}/{name} is not a listed public region.", mend="Use a public region; check its spelling.")


def refuse_region(name: str, residency: Residency, region: Region) -> Finding | None:
    """A finding when ``residency`` of the boundary (or data class) ``name`` keeps data out of ``region``."""
    if _matches(region, residency.deny):
        return _finding(name, region, "is denied by residency.deny")
    if _matches(region, residency.allow):
        return None
    for regime in residency.regimes:
        if _JURISDICTION_OF_REGIME.get(regime, regime) not in region.jurisdictions:
            return _finding(name, region, f"is not in the jurisdiction of regime {regime!r}")
    if residency.countries and region.country not in residency.countries:
        return _finding(name, region, f"is in none of the countries {', '.join(residency.countries)}")
    if residency.regions and not _matches(region, residency.regions):
        return _finding(name, region, "is none of residency.regions")
    return None


def _finding(name: str, region: Region, why: str) -> Finding:
    return Finding(
        RULE,
        "critical",
        f"Region {region.key} ({region.country}) {why}: outside boundary {name!r}.",
        mend="Use a region inside the boundary, or admit it in residency.allow.",
    )


def _matches(region: Region, patterns: Iterable[str]) -> bool:
    return any(place_matches(region, pattern) for pattern in patterns)
