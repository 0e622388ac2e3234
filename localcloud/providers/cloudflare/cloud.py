"""The cloudflare provider: resources become calls of the Cloudflare API v4 (https://developers.cloudflare.com/api/)."""

from __future__ import annotations

import os
from typing import Any

import httpx

from localcloud.providers.calls import Rest, camel, refused_by_proxy, renamed
from localcloud.providers.cloudflare.objects import OBJECTS, ObjectHandler
from localcloud.providers.cloudflare.scripts import ScriptHandler
from localcloud.providers.faults import CloudFault, Conflict, Denied, NotFound, Rejected, Unsupported
from localcloud.providers.ports import Handler, ProviderSettings
from localcloud.providers.values import Props

SCRIPT = "cloudflare:index/workersScript:WorkersScript"
_TOKEN_FUNCTION = "cloudflare:index/getZeroTrustTunnelCloudflaredToken:getZeroTrustTunnelCloudflaredToken"


class CloudflarePackage:
    """The package."""

    package = "cloudflare"

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    @property
    def types(self) -> frozenset[str]:
        """The resource types that it can make."""
        return frozenset({SCRIPT, *OBJECTS})

    def connect(self, config: Props) -> CloudflareConnection:
        """A connection with a provider's config."""
        return CloudflareConnection(self._settings, config)


class CloudflareConnection:
    """One account's API."""

    def __init__(self, settings: ProviderSettings, config: Props) -> None:
        token = str(config.get("apiToken") or os.environ.get("CLOUDFLARE_API_TOKEN") or "local")
        base = str(config.get("baseUrl") or "https://api.cloudflare.com/client/v4").rstrip("/")
        self.rest = Rest(settings, base, fault_of, {"authorization": f"Bearer {token}"})

    def prepare(self, token: str, inputs: Props) -> Props:
        """Cloudflare's provider has no defaults of its own."""
        return inputs

    def places(self, token: str, inputs: Props) -> Props:
        """Nothing of Cloudflare has a place."""
        return {}

    def handler(self, token: str) -> Handler | None:
        """The handler of a resource type."""
        if token == SCRIPT:
            return ScriptHandler(self.rest)
        return ObjectHandler(self.rest, OBJECTS[token]) if token in OBJECTS else None

    def invoke(self, token: str, arguments: Props) -> Props:
        """A tunnel's token, for the machine's ``cloudflared``."""
        if token != _TOKEN_FUNCTION:
            raise Unsupported(f"the local cloud has no function {token}; it has {_TOKEN_FUNCTION}")
        answer = self.rest.call("GET", f"/accounts/{arguments['accountId']}/cfd_tunnel/{arguments['tunnelId']}/token")
        return {**arguments, "id": arguments["tunnelId"], "token": answer["result"]}


def fault_of(answer: httpx.Response) -> CloudFault:
    """Cloudflare's errors as ours: ``{"success": false, "errors": [{"code", "message"}]}``."""
    document = _json(answer)
    where = f"{answer.request.method} {answer.request.url.path.removeprefix('/client/v4')}"
    if refusal := refused_by_proxy(document):
        return Denied(f"{where}: {refusal}", "proxy")
    errors = (document.get("errors") if isinstance(document, dict) else None) or [{"code": answer.status_code, "message": answer.text[:300]}]
    text = f"{where}: " + "; ".join(f"{error.get('message')} ({error.get('code')})" for error in errors)
    code = str(errors[0].get("code"))
    kind = {404: NotFound, 409: Conflict, 401: Denied, 403: Denied}.get(answer.status_code, Rejected)
    return kind(text, code)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def properties(result: Any) -> Props:
    """An answer's result under the schema's names."""
    found = renamed(result, camel)
    return found if isinstance(found, dict) else {}
