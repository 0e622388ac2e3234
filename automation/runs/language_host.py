"""The warm language host, where there is one: an engine that would attach to one that is away starts its own instead."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import structlog

ATTACHED = "PULUMI_DEBUG_LANGUAGES"
"""The engine's variable: ``<language>:<port>``, several separated by commas (pulumi ``sdk/go/common/resource/plugin``)."""
_SECONDS = 0.5
_log = structlog.get_logger("spotlane.runs")


def usable(environment: Mapping[str, str]) -> Mapping[str, str]:
    """``environment``, without the attached language hosts where any of them doesn't take connections: slower, and it works."""
    named = environment.get(ATTACHED, "")
    away = [one for one in named.split(",") if one and not _listens(one.rpartition(":")[2])]
    if not away:
        return environment
    _log.warning("the warm language host is away; the engine starts one of its own", hosts=away)
    return {name: value for name, value in environment.items() if name != ATTACHED}


def _listens(port: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=_SECONDS):
            return True
    except (OSError, ValueError):
        return False
