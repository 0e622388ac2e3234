"""The faults' part of the local control API: ``GET``, ``POST /faults``, ``DELETE /faults``, ``DELETE /faults/{id}``."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.clouds.faults import FaultError, Faults, refused


def routes(faults: Faults) -> list[Route]:
    """Over ``faults``."""

    async def listed(_: Request) -> Response:
        return JSONResponse([fault.document() for fault in faults.listed()])

    async def add(request: Request) -> Response:
        try:
            document = json.loads(await request.body() or b"{}")
            if not isinstance(document, dict):
                raise FaultError(["the body is no JSON object"])
            return JSONResponse(faults.add(document).document(), status_code=201)
        except FaultError as error:
            answer = refused(error)
        except ValueError as error:
            answer = refused(FaultError([f"the body is no JSON: {error}"]))
        return Response(answer.body, answer.status, media_type="application/problem+json")

    async def clear(request: Request) -> Response:
        id = request.path_params.get("id")
        return JSONResponse({"cleared": faults.clear(id)}, status_code=200)

    return [
        Route("/faults", listed, methods=["GET"]),
        Route("/faults", add, methods=["POST"]),
        Route("/faults", clear, methods=["DELETE"]),
        Route("/faults/{id:int}", clear, methods=["DELETE"]),
    ]
