"""The market's part of the local control API (docs/architecture.md, "Local control API")."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.market.clock import ClockError
from localcloud.market.events import EventError
from localcloud.market.market import Market


def routes(market: Market) -> list[Route]:
    """``GET /market``, ``POST /market/clock``, ``POST /market/events``."""

    async def show(_: Request) -> Response:
        return JSONResponse(market.describe())

    async def clock(request: Request) -> Response:
        try:
            document = await _document(request)
            market.set_clock(**_clock_change(document))
        except (ClockError, EventError) as error:
            return _refused(error)
        return JSONResponse(market.describe())

    async def events(request: Request) -> Response:
        try:
            made = market.inject(await _document(request))
        except EventError as error:
            return _refused(error)
        return JSONResponse(made.document(), status_code=201)

    return [
        Route("/market", show, methods=["GET"]),
        Route("/market/clock", clock, methods=["POST"]),
        Route("/market/events", events, methods=["POST"]),
    ]


def _clock_change(document: dict[str, Any]) -> dict[str, Any]:
    faults = [f"{name}: no such field; use speed, running, advance_to" for name in sorted(set(document) - {"speed", "running", "advance_to"})]
    speed, running, advance_to = document.get("speed"), document.get("running"), document.get("advance_to")
    if speed is not None and (not isinstance(speed, int | float) or isinstance(speed, bool)):
        faults.append(f"speed: {speed!r} is no number of market seconds per second")
    if running is not None and not isinstance(running, bool):
        faults.append(f"running: {running!r} is neither true nor false")
    moment: datetime | None = None
    if advance_to is not None:
        try:
            moment = datetime.fromisoformat(str(advance_to))
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except ValueError:
            faults.append(f"advance_to: {advance_to!r} is no RFC 3339 time")
    if faults:
        raise EventError(faults)
    return {"speed": speed, "running": running, "advance_to": moment}


async def _document(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise EventError([f"the body is no JSON: {error}"]) from error
    if not isinstance(document, dict):
        raise EventError(["the body is no JSON object"])
    return document


def _refused(error: ClockError | EventError) -> Response:
    faults = error.faults if isinstance(error, EventError) else [str(error)]
    document = {"type": "https://spotlane.dev/problems/market", "title": "The market can't do this", "status": 400, "detail": str(error), "faults": faults}
    return JSONResponse(document, status_code=400, media_type="application/problem+json")
