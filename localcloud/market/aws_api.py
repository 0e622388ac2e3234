"""AWS's price APIs over the market: EC2 DescribeSpotPriceHistory (query protocol), Price List GetProducts (JSON 1.1), the Spot Advisor's document."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from domain.catalog import CATALOG
from localcloud.market import figures, lists
from localcloud.market.market import Market
from localcloud.market.source import Change

PRICING_HOST = "api.pricing.us-east-1.amazonaws.com"
ADVISOR_HOST = "spot-bid-advisor.s3.amazonaws.com"
ADVISOR_PATH = "/spot-advisor-data.json"
LINUX = "Linux/UNIX"
_LARGEST_PAGE = 1000
_LARGEST_PRODUCTS = 100
_LONGEST_HISTORY = 90 * 86400.0


class FeedOut(Exception):
    """The price API of a region is out."""


class BadRequest(ValueError):
    """The request is refused: ``code`` is AWS's."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def describe_spot_price_history(market: Market, region: str, params: Mapping[str, str]) -> bytes:
    """The XML answer to a request's form (``InstanceType.1``, ``StartTime``, ``Filter.1.Name``, …), newest first, as EC2 gives it.

    With a start time the change in force before it comes as well. Raises :class:`FeedOut` while the region's feed is out, :class:`BadRequest`.
    """
    now = market.feed_time("aws", region)
    if now is None:
        raise FeedOut(region)
    products = set(numbered(params, "ProductDescription")) | set(_filtered(params, "product-description"))
    types = set(numbered(params, "InstanceType")) | set(_filtered(params, "instance-type"))
    zones = {zone for zone in (params.get("AvailabilityZone"), *_filtered(params, "availability-zone")) if zone}
    end = min(_moment(params.get("EndTime"), now), now)
    start = max(_moment(params.get("StartTime"), end - _LONGEST_HISTORY), now - _LONGEST_HISTORY)
    found: list[Change] = []
    if not products or products & {LINUX, f"{LINUX} (Amazon VPC)"}:
        pools = market.pools("aws", region)
        prices, began = market.spot("aws", region, min(start, now)), market.since("aws", region, min(start, now))
        found = [Change(ref, float(at), float(price)) for ref, price, at in zip(pools, prices, began, strict=True) if not np.isnan(price)]
        if end > start:
            found += market.changes("aws", region, start, end)
    found = [one for one in found if (not types or one.pool.instance_type in types) and (not zones or one.pool.zone in zones)]
    found.sort(key=lambda one: (-one.at, one.pool))
    size = min(int(params.get("MaxResults") or _LARGEST_PAGE), _LARGEST_PAGE)
    first = _token(params.get("NextToken"))
    shown, after = found[first : first + size], first + size
    return _history_xml(shown, _as_token(after) if after < len(found) else "")


def products(market: Market, request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to GetProducts: on-demand prices of EC2 or data transfer, each product as a JSON text. Raises :class:`BadRequest`, :class:`FeedOut`."""
    service = request.get("ServiceCode")
    if service not in ("AmazonEC2", "AWSDataTransfer"):
        raise BadRequest("InvalidParameterException", f"service code {service!r} is not known here; use AmazonEC2 or AWSDataTransfer")
    asked: dict[str, set[str]] = {}
    for entry in request.get("Filters", []):
        if entry.get("Type") not in ("TERM_MATCH", "EQUALS", "ANY_OF"):
            raise BadRequest("InvalidParameterException", f"filter type {entry.get('Type')!r} is not answered here; use TERM_MATCH, EQUALS or ANY_OF")
        asked[entry["Field"]] = set(entry["Value"].split(",")) if entry["Type"] == "ANY_OF" else {entry["Value"]}
    named = "regionCode" if service == "AmazonEC2" else "fromRegionCode"
    regions = [region.name for region in CATALOG.regions("aws") if region.name in asked.get(named, {region.name})]
    found = []
    for region in regions:
        at = market.feed_time("aws", region)
        if at is None:
            raise FeedOut(region)
        if service == "AWSDataTransfer":
            found += [_transfer(*one) for one in lists.aws_transfers(region) if all(one[0].get(field) in values for field, values in asked.items())]
            continue
        prices: dict[str, float] = {}
        for ref, price in zip(market.pools("aws", region), market.on_demand("aws", region, at), strict=True):
            if not np.isnan(price):
                prices.setdefault(ref.instance_type, float(price))
        for name, price in prices.items():
            attributes = _attributes(region, name)
            if all(attributes.get(field) in values for field, values in asked.items()):
                found.append(json.dumps(_product(region, name, price, attributes)))
    size = min(int(request.get("MaxResults") or _LARGEST_PRODUCTS), _LARGEST_PRODUCTS)
    first = _token(request.get("NextToken"))
    answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": found[first : first + size]}
    if first + size < len(found):
        answer["NextToken"] = _as_token(first + size)
    return answer


def advisor(market: Market) -> dict[str, Any]:
    """The Spot Advisor's document: savings and interruption bucket by region and type."""
    at = market.now().timestamp()
    regions: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
    for region in CATALOG.regions("aws"):
        linux: dict[str, dict[str, int]] = {}
        prices = zip(market.pools("aws", region.name), market.spot("aws", region.name, at), market.on_demand("aws", region.name, at), strict=True)
        for ref, spot, listed in prices:
            if ref.instance_type not in linux and not np.isnan(spot) and not np.isnan(listed):
                linux[ref.instance_type] = {
                    "s": round(100 * (1 - float(spot) / float(listed))),
                    "r": market.interruption_bucket(region.name, ref.instance_type),
                }
        regions[region.name] = {"Linux": linux}
    return {
        "instance_types": {one.name: {"emr": True, "cores": one.vcpu, "ram_gb": float(one.memory_gib)} for one in CATALOG.machines("aws")},
        "ranges": [{"index": index, "label": label, "dots": index, "max": bound} for index, label, bound in figures.ADVISOR_RANGES],
        "spot_advisor": regions,
        "global_rate": "<10%",
    }


def error_xml(code: str, message: str) -> bytes:
    """EC2's error document."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></Errors>'
        f"<RequestID>{uuid.uuid4()}</RequestID></Response>"
    ).encode()


def _history_xml(changes: list[Change], token: str) -> bytes:
    items = "".join(
        f"<item><instanceType>{one.pool.instance_type}</instanceType><productDescription>{LINUX}</productDescription>"
        f"<spotPrice>{one.usd_per_hour:.6f}</spotPrice><timestamp>{datetime.fromtimestamp(one.at, UTC):%Y-%m-%dT%H:%M:%S.000Z}</timestamp>"
        f"<availabilityZone>{one.pool.zone}</availabilityZone></item>"
        for one in changes
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>{uuid.uuid4()}</requestId><spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken>{token}</nextToken>"
        "</DescribeSpotPriceHistoryResponse>"
    ).encode()


def numbered(params: Mapping[str, str], name: str) -> list[str]:
    """The values of a list in a request's form (``InstanceType.1``, …)."""
    return [value for field, value in params.items() if field.rpartition(".")[0] == name and field.rpartition(".")[2].isdigit()]


def _filtered(params: Mapping[str, str], name: str) -> list[str]:
    numbers = [field.split(".")[1] for field, value in params.items() if field.startswith("Filter.") and field.endswith(".Name") and value == name]
    return [value for number in numbers for field, value in params.items() if field.startswith(f"Filter.{number}.Value.")]


def _moment(text: str | None, otherwise: float) -> float:
    if not text:
        return otherwise
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest("InvalidParameterValue", f"Value ({text}) for a time is invalid. Use YYYY-MM-DDTHH:MM:SSZ.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _as_token(first: int) -> str:
    return base64.urlsafe_b64encode(f"from:{first}".encode()).decode()


def _token(text: str | None) -> int:
    if not text:
        return 0
    try:
        return int(base64.urlsafe_b64decode(text).decode().removeprefix("from:"))
    except ValueError as error:
        raise BadRequest("InvalidNextToken", f"The token {text!r} is not one that was given out.") from error


def _attributes(region: str, name: str) -> dict[str, str]:
    machine = CATALOG.machine("aws", name)
    return {
        "servicecode": "AmazonEC2",
        "regionCode": region,
        "locationType": "AWS Region",
        "instanceType": name,
        "instanceFamily": "GPU instance" if machine.gpu else "General purpose",
        "vcpu": str(machine.vcpu),
        "memory": f"{machine.memory_gib:g} GiB",
        "physicalProcessor": "AWS Graviton Processor" if machine.arch == "arm64" else "Intel Xeon",
        **({"gpu": str(machine.gpu)} if machine.gpu else {}),
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "licenseModel": "No License required",
        "marketoption": "OnDemand",
    }


def _product(region: str, name: str, price: float, attributes: dict[str, str]) -> dict[str, Any]:
    tier = ("Hrs", "0", "Inf", price, f"${price:.4f} per On Demand Linux {name} Instance Hour")
    return _listed("AmazonEC2", "Compute Instance", f"{region}|{name}", attributes, [tier])


def _transfer(attributes: dict[str, str], price: float, to: str) -> str:
    first = ("GB", "0", "10240", price, f"${price:.3f} per GB - first 10 TB / month data transfer out to {to}")
    more = ("GB", "10240", "Inf", price * 0.9, f"${price * 0.9:.3f} per GB - over 10 TB / month data transfer out to {to}")
    return json.dumps(_listed("AWSDataTransfer", "Data Transfer", f"{attributes['fromRegionCode']}|{to}", attributes, [first, more]))


def _listed(service: str, family: str, key: str, attributes: dict[str, str], tiers: list[tuple[str, str, str, float, str]]) -> dict[str, Any]:
    """A product with its price by tiers: unit, begin, end, USD, description."""
    sku = uuid.uuid5(uuid.NAMESPACE_OID, key).hex[:16].upper()
    dimensions = {}
    for number, (unit, begin, end, price, description) in enumerate(tiers):
        rate = f"{sku}.JRTCKXETXF.6YS6EN2CT{7 + number}"
        dimensions[rate] = {
            "unit": unit,
            "beginRange": begin,
            "endRange": end,
            "description": description,
            "appliesTo": [],
            "rateCode": rate,
            "pricePerUnit": {"USD": f"{price:.10f}"},
        }
    offer = {"sku": sku, "offerTermCode": "JRTCKXETXF", "effectiveDate": "2023-01-01T00:00:00Z", "termAttributes": {}, "priceDimensions": dimensions}
    return {
        "product": {"productFamily": family, "sku": sku, "attributes": attributes},
        "serviceCode": service,
        "terms": {"OnDemand": {f"{sku}.JRTCKXETXF": offer}},
    }
