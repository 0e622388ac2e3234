"""The price APIs' address: an ASGI application over the market that answers for the real hosts, by ``Host`` header; every answer's ``Date`` is the market's."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Host, Mount, Route, Router

from domain.catalog import CATALOG
from localcloud.market import aws_api, azure_api, gcp_api, lists, scores_api
from localcloud.market.aws_api import describe_spot_price_history
from localcloud.market.market import Market
from localcloud.market.odata import FilterError
from localcloud.state import PLATFORM_PROJECT, PLATFORM_SUBSCRIPTION

HOSTS = (azure_api.HOST, gcp_api.HOST, aws_api.PRICING_HOST, aws_api.ADVISOR_HOST)
"""The hosts that :func:`app` answers for. ``cloudbilling.googleapis.com`` is its only under :data:`GCP_PATHS`."""
GCP_PATHS = ("/v1/services",)
ARM_HOST, COMPUTE_HOST = "management.azure.com", "compute.googleapis.com"
"""Of these hosts only what :data:`ARM_PATHS` and :data:`COMPUTE_PATHS` name is answered here: catalogues, read under the platform's own accounts."""
_COMPUTE = f"/subscriptions/{PLATFORM_SUBSCRIPTION}/providers/Microsoft.Compute"
ARM_PATHS = (f"{_COMPUTE}/skus", f"{_COMPUTE}/locations/", "/providers/Microsoft.ResourceGraph/resources")
COMPUTE_PATHS = (f"/compute/v1/projects/{PLATFORM_PROJECT}/aggregated/machineTypes", f"/compute/beta/projects/{PLATFORM_PROJECT}/regions/")

Handler = Callable[[Request], Awaitable[Response]]


def app(market: Market) -> Starlette:
    """The application. EC2's DescribeSpotPriceHistory is answered as well, for whoever sends ``ec2.<region>.amazonaws.com`` here."""
    retail, skus = azure_api.RetailPrices(market), gcp_api.CatalogSkus(market)

    async def azure(request: Request) -> Response:
        try:
            page = retail.page(dict(request.query_params))
        except FilterError as error:
            return _json(400, {"Error": {"Code": "InvalidInput", "Message": str(error)}}, market, "azure")
        if page is None:
            return _json(503, {"Error": {"Code": "ServiceUnavailable", "Message": "The service is unavailable."}}, market, "azure")
        return _json(200, page, market, "azure")

    async def gcp(request: Request) -> Response:
        if not request.query_params.get("key") and not {"x-goog-api-key", "authorization"}.intersection(request.headers.keys()):
            message = "The request is missing a valid API key."
            return _json(403, {"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}, market, "gcp")
        if request.query_params.get("currencyCode", "USD") != "USD":
            return _json(400, {"error": {"code": 400, "message": "only USD is priced here", "status": "INVALID_ARGUMENT"}}, market, "gcp")
        page = skus.page(dict(request.query_params))
        if page is None:
            return _json(503, {"error": {"code": 503, "message": "The service is currently unavailable.", "status": "UNAVAILABLE"}}, market, "gcp")
        return _json(200, page, market, "gcp")

    async def pricing(request: Request) -> Response:
        target = request.headers.get("x-amz-target", "")
        if target != "AWSPriceListService.GetProducts":
            return _json(400, {"__type": "InvalidAction", "message": f"{target!r} is not answered here"}, market, "aws")
        try:
            return _json(200, aws_api.products(market, await request.json()), market, "aws")
        except aws_api.BadRequest as error:
            return _json(400, {"__type": error.code, "message": str(error)}, market, "aws")
        except aws_api.FeedOut:
            return _json(503, {"__type": "InternalErrorException", "message": "Service unavailable"}, market, "aws")

    async def advisor(request: Request) -> Response:
        if market.feed_time("aws", None) is None:
            return _json(503, {}, market, "aws")
        answer = _json(200, aws_api.advisor(market), market, "aws")
        answer.headers["etag"] = f'"{hashlib.md5(answer.body, usedforsecurity=False).hexdigest()}"'  # as S3 makes them
        if request.headers.get("if-none-match") == answer.headers["etag"]:
            return Response(None, 304, {name: answer.headers[name] for name in ("date", "etag")})
        return answer

    async def azure_shapes(request: Request) -> Response:
        wanted = re.fullmatch(r"location eq '([a-z0-9]+)'", request.query_params.get("$filter", ""))
        if wanted is None or not CATALOG.has_region("azure", wanted[1]):
            return _json(400, {"error": {"code": "InvalidFilter", "message": "name one location: $filter=location eq 'eastus'"}}, market, "azure")
        return _json(200, lists.azure_skus(wanted[1]), market, "azure")

    async def gcp_shapes(request: Request) -> Response:
        return _json(200, lists.gcp_machine_types(request.path_params["project"]), market, "gcp")

    async def graph(request: Request) -> Response:
        page = scores_api.evictions(market, await request.json())
        if page is None:
            return _json(
                400, {"error": {"code": "BadRequest", "message": "of SpotResources only eviction rates by size and location are answered"}}, market, "azure"
            )
        return _json(200, page, market, "azure")

    async def spot_placement(request: Request) -> Response:
        try:
            return _json(200, scores_api.spot_placement(market, await request.json()), market, "azure")
        except aws_api.BadRequest as error:
            return _json(400, {"error": {"code": error.code, "message": str(error)}}, market, "azure")

    async def advice(request: Request) -> Response:
        answer = scores_api.advice(market, request.path_params["region"], await request.json())
        if answer is None:
            message = "Invalid value for field: spot machines of a type that the region sells are advised on"
            return _json(400, {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, market, "gcp")
        return _json(200, answer, market, "gcp")

    async def ec2(request: Request) -> Response:
        form = {**dict(parse_qsl((await request.body()).decode(), keep_blank_values=True)), **request.query_params}
        status, body, headers = ec2_answer(market, request.path_params["region"], form)
        return Response(body, status, headers)

    return Starlette(
        routes=[
            Host(azure_api.HOST, _site("/api/retail/prices", azure, "GET")),
            Host(gcp_api.HOST, _site(f"/v1/services/{gcp_api.SERVICE}/skus", gcp, "GET")),
            Host(aws_api.PRICING_HOST, _site("/", pricing, "POST")),
            Host(aws_api.ADVISOR_HOST, _site(aws_api.ADVISOR_PATH, advisor, "GET")),
            Host("ec2.{region}.amazonaws.com", _site("/", ec2, "POST")),
            Host(
                ARM_HOST,
                Router(
                    routes=[
                        Route("/subscriptions/{subscription}/providers/Microsoft.Compute/skus", azure_shapes, methods=["GET"]),
                        Route(
                            "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/placementScores/spot/generate",
                            spot_placement,
                            methods=["POST"],
                        ),
                        Route("/providers/Microsoft.ResourceGraph/resources", graph, methods=["POST"]),
                    ]
                ),
            ),
            Host(
                COMPUTE_HOST,
                Router(
                    routes=[
                        Route("/compute/v1/projects/{project}/aggregated/machineTypes", gcp_shapes, methods=["GET"]),
                        Route("/compute/beta/projects/{project}/regions/{region}/advice/capacity", advice, methods=["POST"]),
                    ]
                ),
            ),
        ]
    )


def ec2_answer(market: Market, region: str, params: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of EC2's answer to DescribeSpotPriceHistory, GetSpotPlacementScores or DescribeInstanceTypes, with the market's ``Date``:
    what a host that serves all of EC2 sends on unchanged."""
    try:
        if params.get("Action") == "DescribeInstanceTypes":
            status, body = 200, lists.aws_instance_types()
        elif params.get("Action") == "GetSpotPlacementScores":
            status, body = 200, scores_api.placement_scores(market, params)
        else:
            status, body = 200, describe_spot_price_history(market, region, params)
    except aws_api.BadRequest as error:
        status, body = 400, aws_api.error_xml(error.code, str(error))
    except aws_api.FeedOut:
        status, body = 503, aws_api.error_xml("Unavailable", "The server is overloaded and can't handle the request.")
    return status, body, {"content-type": "text/xml;charset=UTF-8", "date": _date(market, "aws", region)}


def _site(path: str, handler: Handler, method: str) -> Router:
    return Router(routes=[Route(path, handler, methods=[method]), Mount("/", routes=[])])


def _json(status: int, document: dict[str, Any], market: Market, cloud: str) -> Response:
    headers = {"date": _date(market, cloud, None), "content-type": "application/json; charset=utf-8"}
    return Response(json.dumps(document, separators=(",", ":")), status, headers)


def _date(market: Market, cloud: str, region: str | None) -> str:
    """The moment as of which the answer holds; a delayed feed gives old answers with their old date, as a cache does."""
    at = market.feed_time(cloud, region)
    return format_datetime(market.now() if at is None else datetime.fromtimestamp(int(at), UTC), usegmt=True)
