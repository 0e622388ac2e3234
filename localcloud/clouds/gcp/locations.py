"""Where a project may put things: the organization policy constraint ``gcp.resourceLocations``.

Format: https://cloud.google.com/resource-manager/docs/organization-policy/defining-locations (values ``europe-west1``, ``in:europe-west1-locations``,
``in:eu-locations``, …).
"""

from __future__ import annotations

from domain.catalog import CATALOG
from localcloud.clouds.documents import Documents, Json
from localcloud.clouds.gcp.errors import GoogleError

CONSTRAINT = "gcp.resourceLocations"

_OUTSIDE_EU = ("europe-west2", "europe-west6")
"""London and Zürich: in Europe, not in the European Union."""


def check_location(documents: Documents, project: str, location: str, resource: str) -> None:
    """Refuses a region or zone that the project's policy leaves out. Raises :class:`GoogleError`."""
    policy = documents.get(f"projects/{project}/policies/{CONSTRAINT}")
    if policy is None:
        return
    region = location if CATALOG.has_region("gcp", location) else location.rpartition("-")[0]
    if not _allowed(policy.body.get("spec", {}), region):
        message = f"Location ZONE:{location} violates constraint constraints/{CONSTRAINT} on the resource {resource}."
        raise GoogleError(412, message)


def _allowed(spec: Json, region: str) -> bool:
    allowed, restricted = False, False
    for rule in spec.get("rules", []):
        values = rule.get("values", {})
        if rule.get("allowAll") or any(_holds(value, region) for value in values.get("allowedValues", [])):
            allowed = True
        if rule.get("denyAll") or any(_holds(value, region) for value in values.get("deniedValues", [])):
            return False
        restricted = restricted or "allowedValues" in values
    return allowed or not restricted


def _holds(value: str, region: str) -> bool:
    name = value.removeprefix("is:")
    if not name.startswith("in:"):
        return name in (region, f"regions/{region}") or name.rpartition("-")[0] == region
    group = name.removeprefix("in:").removesuffix("-locations")
    area = next((known.area for known in CATALOG.regions("gcp") if known.name == region), "")
    if group == "eu":
        return area == "eu" and region not in _OUTSIDE_EU
    return region == group or region.startswith(f"{group}-") or (group == "us" and region.startswith("us-"))
