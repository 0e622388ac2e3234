"""The ``cloudflare`` package: which handler serves which type."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.providers.cloudflare.api import Api, from_wire
from localcloud.providers.cloudflare.objects import COLLECTIONS, CollectionHandler
from localcloud.providers.cloudflare.workers import WorkersCronTrigger, WorkersKv, WorkersScript, with_asset_digest
from localcloud.providers.faults import Rejected, Unsupported
from localcloud.providers.ports import Handler, ProviderSettings
from localcloud.providers.rest import Rest
from localcloud.providers.values import Props

SCRIPT = "cloudflare:index/workersScript:WorkersScript"
HANDLERS: dict[str, Callable[[Api], Handler]] = {
    SCRIPT: WorkersScript,
    "cloudflare:index/workersCronTrigger:WorkersCronTrigger": WorkersCronTrigger,
    "cloudflare:index/workersKv:WorkersKv": WorkersKv,
}


def _tunnel_token(api: Api, arguments: Props) -> Props:
    token = api.request("GET", f"/accounts/{arguments['accountId']}/cfd_tunnel/{arguments['tunnelId']}/token")
    return {"accountId": arguments["accountId"], "tunnelId": arguments["tunnelId"], "token": token}


def _zone(api: Api, arguments: Props) -> Props:
    if arguments.get("zoneId"):
        found = api.request("GET", f"/zones/{arguments['zoneId']}")
    else:
        name = (arguments.get("filter") or {}).get("name")
        zones = api.request("GET", "/zones", params={"name": name} if name else {})
        if len(zones) != 1:
            raise Rejected(f"{len(zones)} zones are named {name!r}; exactly one is needed")
        found = zones[0]
    return {**from_wire(found), "zoneId": found["id"]}


FUNCTIONS: dict[str, Callable[[Api, Props], Props]] = {
    "cloudflare:index/getZeroTrustTunnelCloudflaredToken:getZeroTrustTunnelCloudflaredToken": _tunnel_token,
    "cloudflare:index/getZone:getZone": _zone,
}


class CloudflareConnection:
    """One configuration of the provider."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def prepare(self, token: str, inputs: Props) -> Props:
        """A script's assets get their digest."""
        return with_asset_digest(inputs) if token == SCRIPT else inputs

    def places(self, token: str, inputs: Props) -> Props:
        """None: account and zone are always given."""
        return {}

    def handler(self, token: str) -> Handler | None:
        """The handler of a type."""
        if token in COLLECTIONS:
            return CollectionHandler(self._api, COLLECTIONS[token])
        return HANDLERS[token](self._api) if token in HANDLERS else None

    def invoke(self, token: str, arguments: Props) -> Props:
        """A function's result."""
        function = FUNCTIONS.get(token)
        if function is None:
            raise Unsupported(f"{token}: the local cloud doesn't have this function; of cloudflare it has {', '.join(sorted(FUNCTIONS))}")
        return function(self._api, arguments)


class CloudflarePackage:
    """Makes connections."""

    package = "cloudflare"
    types = frozenset({*COLLECTIONS, *HANDLERS})

    def __init__(self, settings: ProviderSettings) -> None:
        self._rest = Rest(settings)

    def connect(self, config: Props) -> CloudflareConnection:
        """A connection with a provider's config."""
        return CloudflareConnection(Api(self._rest, config))
