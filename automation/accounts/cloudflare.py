"""The platform's Cloudflare account, as far as resources are looked for there by what they were asked for with.

Formats: developers.cloudflare.com/api, "List Cloudflare Tunnels" and "List DNS Records".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import httpx

from automation.calls.fetch import Fetcher

_BASE = "https://api.cloudflare.com/client/v4"
_LISTED: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared": ("/accounts/{accountId}/cfd_tunnel", {"name": "name"}, {"is_deleted": "false"}),
    "cloudflare:index/dnsRecord:DnsRecord": ("/zones/{zoneId}/dns_records", {"name": "name", "type": "type"}, {}),
}
"""By type: the collection, the inputs that name a member of it in a query, and what else is asked."""


class CloudflareAccount:
    """Asks with ``token``; through the inline proxy where the environment names one."""

    def __init__(self, fetcher: Fetcher, token: str | None, environment: Mapping[str, str]) -> None:
        self._fetcher, self._token = fetcher, token
        self._base = (environment.get("CLOUDFLARE_BASE_URL") or _BASE).rstrip("/")

    def ids(self, type: str, inputs: Mapping[str, Any]) -> list[str]:
        """Ids of what was made with ``inputs`` of that Pulumi type; empty for types that aren't looked for. Raises FeedFault."""
        if type not in _LISTED or self._token is None:
            return []
        path, naming, more = _LISTED[type]
        asked = {name: str(inputs.get(field, "")) for name, field in naming.items()}
        url = f"{self._base}{path.format_map(inputs)}?{urlencode({**asked, **more})}"
        headers = {"authorization": f"Bearer {self._token}"}
        found = self._fetcher.send(lambda: httpx.Request("GET", url, headers=headers)).json().get("result") or []
        return [str(one["id"]) for one in found if not one.get("deleted_at") and all(str(one.get(name)) == value for name, value in asked.items())]
