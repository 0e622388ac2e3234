"""The local cloud's own control API (docs/architecture.md, "Local control API"): health, machines, what is left, and the market's part."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.hosts.room import Machine, MachineRoom, NoSuchMachine


def app(
    room: MachineRoom,
    health: Callable[[], dict[str, str]],
    resources: Callable[[], dict[str, Any]],
    busy: Callable[[], dict[str, Any]],
    more: Sequence[BaseRoute],
) -> Starlette:
    """The application. ``health`` says of each part ``ok``, ``starting`` or what is wrong; ``resources`` may block; ``busy`` are the providers' meters."""

    async def healthz(request: Request) -> Response:
        parts = health()
        wrong = [f"{name}: {state}" for name, state in parts.items() if state not in ("ok", "starting")]
        return JSONResponse({"status": "failed" if wrong else "ok", "parts": parts}, 500 if wrong else 200)

    async def hosts(request: Request) -> Response:
        return JSONResponse([_shown(machine) for machine in room.machines()])

    async def interrupt(request: Request) -> Response:
        body = await request.body()
        try:
            sent = json.loads(body) if body.strip() else {}
            seconds = sent.get("notice_seconds")
            notice = None if seconds is None else float(seconds)
            if notice is not None and not 0 <= notice <= 3600:
                raise ValueError("notice_seconds: must be from 0 to 3600")
        except (ValueError, TypeError, AttributeError) as error:
            return _problem(400, "bad-request", f'{error}; send {{}} or {{"notice_seconds": number}}')
        try:
            machine = await run_in_threadpool(room.interrupt, request.path_params["id"], notice, "asked for over the control API")
        except NoSuchMachine as error:
            return _problem(404, "no-such-machine", str(error))
        return JSONResponse(_shown(machine), 202)

    async def left(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(resources))

    async def at_work(request: Request) -> Response:
        return JSONResponse(busy())

    return Starlette(
        routes=[
            Route("/healthz", healthz, methods=["GET"]),
            Route("/hosts", hosts, methods=["GET"]),
            Route("/hosts/{id}/interrupt", interrupt, methods=["POST"]),
            Route("/resources", left, methods=["GET"]),
            Route("/providers", at_work, methods=["GET"]),
            *more,
        ]
    )


def _shown(machine: Machine) -> dict[str, Any]:
    keys = ("id", "cloud", "account", "region", "zone", "instance_type", "name", "address", "state", "pid", "deadline", "reason", "resource")
    return {key: getattr(machine, key) for key in keys}


def _problem(status: int, word: str, detail: str) -> Response:
    document = {"type": f"https://spotlane.dev/problems/{word}", "title": word.replace("-", " "), "status": status, "detail": detail}
    return JSONResponse(document, status, media_type="application/problem+json")
