"""A tenant's Azure subscription: what Resource Manager lists with our tags, its removal, and the spot quota.

Formats: learn.microsoft.com/rest/api/resources (Resources - List), .../compute/usage/list, and "Track asynchronous Azure operations".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx

from automation.accounts.port import CantRemove, Quota, wait_until_gone
from automation.calls.fetch import FeedFault, Fetcher
from domain.catalog import CloudName
from domain.orphans import MANAGED_BY, CloudResource

_ARM = "https://management.azure.com"
API_VERSIONS: Mapping[str, str] = {
    "microsoft.compute/virtualmachines": "2024-07-01",
    "microsoft.network/networkinterfaces": "2024-05-01",
    "microsoft.compute/disks": "2024-03-02",
    "microsoft.network/networkwatchers/flowlogs": "2024-05-01",
    "microsoft.network/virtualnetworks": "2024-05-01",
    "microsoft.network/natgateways": "2024-05-01",
    "microsoft.network/publicipaddresses": "2024-05-01",
    "microsoft.network/networksecuritygroups": "2024-05-01",
    "microsoft.storage/storageaccounts": "2023-05-01",
    "microsoft.compute/diskencryptionsets": "2024-03-02",
    "microsoft.managedidentity/userassignedidentities": "2023-01-31",
}
"""Types that are removed here, in the order in which they can be. Key vaults aren't: what a disk was encrypted with is a matter for people."""
_GOOD = frozenset({200, 201, 202, 204})
_PAGES = 100


class AzureAccount:
    """Keeps :class:`automation.accounts.port.Account`."""

    cloud: CloudName = "azure"

    def __init__(self, fetcher: Fetcher, token: Callable[[], str], subscription: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.id = subscription
        self._fetcher, self._token, self._sleep = fetcher, token, sleep

    def resources(self, regions: Sequence[str]) -> list[CloudResource]:
        query = urlencode({"api-version": "2021-04-01", "$filter": f"tagName eq 'managed-by' and tagValue eq '{MANAGED_BY}'"})
        found = []
        for one in self._listed(f"{_ARM}/subscriptions/{self.id}/resources?{query}"):
            region = str(one.get("location", "")).replace(" ", "").lower()
            tags = {str(key): str(value) for key, value in (one.get("tags") or {}).items()}
            if region in regions and tags.get("managed-by") == MANAGED_BY:
                kind = str(one["type"])
                found.append(CloudResource("azure", self.id, region, kind, str(one["id"]), tags, kind.lower() == "microsoft.compute/disks"))
        order = list(API_VERSIONS)
        return sorted(found, key=lambda one: (order.index(one.kind.lower()) if one.kind.lower() in order else len(order), one.id))

    def remove(self, resource: CloudResource) -> None:
        version = API_VERSIONS.get(resource.kind.lower())
        if version is None:
            raise CantRemove(f"{resource.kind} {resource.id}: remove it by hand (`az resource delete --ids`)")
        url = f"{_ARM}{resource.id}?api-version={version}"
        self._send("DELETE", url, _GOOD | {404})
        wait_until_gone(resource.id, lambda: self._send("GET", url, _GOOD | {404}).status_code == 404, self._sleep)

    def quotas(self, regions: Sequence[str]) -> list[Quota]:
        return [self._quota(region) for region in regions]

    def _quota(self, region: str) -> Quota:
        url = f"{_ARM}/subscriptions/{self.id}/providers/Microsoft.Compute/locations/{region}/usages?api-version=2024-07-01"
        for one in self._listed(url):
            if (one.get("name") or {}).get("value") == "lowPriorityCores":
                return Quota(region, float(one["limit"]), float(one["currentValue"]))
        raise FeedFault("malformed", f"Azure tells no quota of low-priority cores in {region}")

    def _listed(self, url: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for _ in range(_PAGES):
            page = self._send("GET", url).json()
            found += [one for one in page.get("value", []) if isinstance(one, dict)]
            link = page.get("nextLink")
            if not link:
                return found
            if not str(link).startswith(f"{_ARM}/"):
                raise FeedFault("malformed", "Resource Manager names a next page at another host")
            url = str(link)
        raise FeedFault("malformed", "Resource Manager goes on naming next pages")

    def _send(self, method: str, url: str, good: frozenset[int] = frozenset({200})) -> httpx.Response:
        return self._fetcher.send(lambda: httpx.Request(method, url, headers={"authorization": f"Bearer {self._token()}"}), good).response
