"""Where a name is reached: DNS, or the resolver that ``SPOTLANE_RESOLVER_URL`` names (the local cloud's host map)."""

from __future__ import annotations

import os

import httpx

from spotlane.errors import Unreachable


def address(host: str, port: int, environ: dict[str, str] | None = None) -> tuple[str, int]:
    """The address to connect to for ``host:port``. Raises :class:`Unreachable` where the resolver doesn't know it."""
    resolver = (os.environ if environ is None else environ).get("SPOTLANE_RESOLVER_URL")
    if not resolver:
        return host, port
    try:
        answer = httpx.get(resolver, params={"host": host}, timeout=5, trust_env=False)
    except httpx.TransportError as error:
        raise Unreachable("resolver", resolver, type(error).__name__, "look at `spotlane local status`") from error
    if answer.status_code == 404:
        raise Unreachable("name", host, "the host map doesn't know it", "is the workload's address deployed? see `spotlane workload show`")
    found = answer.json()
    return str(found["address"]), int(found.get("port") or port)
