"""What the clouds say of spot capacity, over the market: EC2 GetSpotPlacementScores, Azure's placementScores/spot and Resource Graph's SpotResources,
Compute Engine's advice.capacity."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from domain.catalog import CATALOG, OfferRef
from localcloud.market.aws_api import BadRequest, numbered
from localcloud.market.market import Market

_TOP = 10
_HOURS_HELD = 12.0
"""Hours for which a pool without capacity stays so: what it loses within a spell, an hour's share of."""
_EVICTIONS = ((0.05, "0-5"), (0.10, "5-10"), (0.15, "10-15"), (0.20, "15-20"))
"""Upper bounds of the shares evicted within an hour, as Azure words them."""
_REGIONS, _SIZES = 8, 5
"""A question of Azure's placement scores names so many at most."""
_HIGH, _MEDIUM = 0.7, 0.4
"""Likelihoods from which Azure's words begin: Google's published bounds, since Azure's are not."""
_GRAPH = re.compile(
    r"SpotResources \| where type =~ 'microsoft\.compute/skuspotevictionrate/location' \| where sku\.name in~ \(([^)]*)\) \| where location in~ \(([^)]*)\) "
    r"\| project skuName = tostring\(sku\.name\), location, evictionRate = tostring\(properties\.evictionRate\)"
)


def placement_scores(market: Market, form: Mapping[str, str]) -> bytes:
    """The XML answer: the ten best regions of those asked for, of each the best type in its best zone. Raises :class:`BadRequest`."""
    types, regions = numbered(form, "InstanceType"), numbered(form, "RegionName")
    if not form.get("TargetCapacity", "").isdecimal():
        raise BadRequest("MissingParameter", "The request must contain the parameter TargetCapacity")
    if unknown := [name for name in types if not CATALOG.has_machine("aws", name)]:
        raise BadRequest("InvalidParameterValue", f"The instance type {unknown[0]} is not known here")
    asked = [region for region in CATALOG.regions("aws") if not regions or region.name in regions]
    sure = {
        region.name: max(market.likelihood(OfferRef("aws", region.name, zone, name)) for zone in region.zones for name in types) for region in asked if types
    }
    best = sorted(sure, key=lambda name: (-sure[name], name))[:_TOP]
    items = "".join(f"<item><region>{name}</region><score>{max(1, round(10 * sure[name]))}</score></item>" for name in best)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<GetSpotPlacementScoresResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>{uuid.uuid4()}</requestId><spotPlacementScoreSet>{items}</spotPlacementScoreSet></GetSpotPlacementScoresResponse>"
    ).encode()


def evictions(market: Market, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """One page of Resource Graph's rows, ``$top`` of them from ``$skipToken`` on; None for a query of another form."""
    query, options = str(document.get("query", "")), document.get("options") or {}
    wanted = _GRAPH.fullmatch(" ".join(query.split()))
    if wanted is None:
        return None
    types, regions = (set(re.findall(r"'([^']*)'", part.lower())) for part in wanted.groups())
    rows = [
        {
            "skuName": machine.name.lower(),
            "location": region.name,
            "evictionRate": _range((1 - market.likelihood(OfferRef("azure", region.name, "-", machine.name))) / _HOURS_HELD),
        }
        for region in CATALOG.regions("azure")
        for machine in CATALOG.machines("azure")
        if region.name in regions and machine.name.lower() in types
    ]
    start, size = int(options.get("$skipToken") or 0), min(int(options.get("$top") or 1000), 1000)
    shown = rows[start : start + size]
    more = {"$skipToken": str(start + size)} if start + size < len(rows) else {}
    return {"totalRecords": len(rows), "count": len(shown), "data": shown, "facets": [], "resultTruncated": "false", **more}


def spot_placement(market: Market, document: Mapping[str, Any]) -> dict[str, Any]:
    """Azure's answer: a grade of each size in each region; a size that the market doesn't sell has no data. Raises :class:`BadRequest`."""
    regions, sizes, count = document.get("desiredLocations"), document.get("desiredSizes"), document.get("desiredCount")
    if not isinstance(regions, list) or not 1 <= len(regions) <= _REGIONS or not all(CATALOG.has_region("azure", str(one)) for one in regions):
        raise BadRequest("InvalidParameter", f"desiredLocations names 1 to {_REGIONS} regions")
    if not isinstance(sizes, list) or not 1 <= len(sizes) <= _SIZES or not all(isinstance(one, dict) and isinstance(one.get("sku"), str) for one in sizes):
        raise BadRequest("InvalidParameter", f"desiredSizes names 1 to {_SIZES} sizes, each as a sku")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1 or document.get("availabilityZones"):
        raise BadRequest("InvalidParameter", "desiredCount is 1 or more; availabilityZones is false, zones have no scores here")
    scores = [
        {"sku": size["sku"], "region": region, "score": _word(market, OfferRef("azure", region, "-", size["sku"])), "isQuotaAvailable": True}
        for size in sizes
        for region in regions
    ]
    return {"desiredLocations": regions, "desiredSizes": sizes, "desiredCount": count, "availabilityZones": False, "placementScores": scores}


def _word(market: Market, offer: OfferRef) -> str:
    if not CATALOG.sells("azure", offer.region, offer.instance_type):
        return "DataNotFoundOrStale"
    likelihood = market.likelihood(offer)
    return "High" if likelihood >= _HIGH else "Medium" if likelihood >= _MEDIUM else "Low"


def advice(market: Market, region: str, document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The zone of a region that is likeliest to give the machine out; None for a request that isn't one of spot machines here."""
    try:
        selections = document["instanceFlexibilityPolicy"]["instanceSelections"]
        types = [name for one in selections.values() for name in one["machineTypes"]]
        spot = document["instanceProperties"]["scheduling"]["provisioningModel"] == "SPOT" and int(document["size"]) > 0
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    known = [name for name in types if CATALOG.has_region("gcp", region) and CATALOG.sells("gcp", region, name)]
    if not spot or not known:
        return None
    offers = [OfferRef("gcp", region, zone, name) for zone in CATALOG.region("gcp", region).zones for name in known]
    best = max(offers, key=lambda ref: (market.likelihood(ref), ref))
    shard = {"machineType": best.instance_type, "zone": f"zones/{best.zone}", "instanceCount": document["size"], "provisioningModel": "SPOT"}
    scores = {"obtainability": round(market.likelihood(best), 1), "estimatedUptime": "3600s"}
    return {"recommendations": [{"scores": scores, "shards": [shard]}]}


def _range(rate: float) -> str:
    return next((word for bound, word in _EVICTIONS if rate < bound), "20+")
