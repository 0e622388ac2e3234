"""A tenant's Azure subscription: what Resource Manager lists with our tags, its removal, and the spot quota.

Formats: learn.microsoft.com/rest/api/resources (Resources - List), .../compute/usage/list, and "Track asynchronous Azure operations". The token is had by the
service principal's federated credential or secret, in the one POST of the OAuth 2.0 client credentials flow (learn.microsoft.com/entra/identity-platform/
v2-oauth2-client-creds-grant-flow).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from automation.accounts.port import CantRemove, Quota
from automation.feeds.fetch import FeedFault, Fetcher
from domain.catalog import CloudName
from domain.orphans import MANAGED_BY, CloudResource

_ARM = "https://management.azure.com"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
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
_GONE_SECONDS = 300.0


class ArmToken:
    """Bearer tokens for Resource Manager of the platform's service principal, from the environment variables of Pulumi's provider (``ARM_*``)."""

    def __init__(self, fetcher: Fetcher, environment: Mapping[str, str]) -> None:
        self._fetcher, self._environment = fetcher, environment
        self._held: tuple[str, float] = ("", 0.0)

    def __call__(self) -> str:
        """A token that is good for a minute at least. Raises :class:`FeedFault`."""
        if given := self._environment.get("ARM_ACCESS_TOKEN"):
            return given
        if self._held[1] > time.monotonic():
            return self._held[0]
        tenant, client = self._environment.get("ARM_TENANT_ID"), self._environment.get("ARM_CLIENT_ID")
        if not tenant or not client:
            raise FeedFault("denied", "no Azure credentials; set ARM_TENANT_ID and ARM_CLIENT_ID, and ARM_OIDC_TOKEN_FILE_PATH or ARM_CLIENT_SECRET")
        form = {"grant_type": "client_credentials", "client_id": client, "scope": f"{_ARM}/.default", **self._proof()}
        url, kind = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token", {"content-type": "application/x-www-form-urlencoded"}
        answer = self._fetcher.send(lambda: httpx.Request("POST", url, content=urlencode(form), headers=kind)).json()
        try:
            token, seconds = str(answer["access_token"]), float(answer["expires_in"])
        except (KeyError, TypeError, ValueError) as error:
            raise FeedFault("malformed", "login.microsoftonline.com sent no token") from error
        self._held = (token, time.monotonic() + seconds - 60)
        return token

    def _proof(self) -> dict[str, str]:
        if path := self._environment.get("ARM_OIDC_TOKEN_FILE_PATH"):
            try:
                return {"client_assertion_type": _ASSERTION, "client_assertion": Path(path).read_text(encoding="utf-8").strip()}
            except OSError as error:
                raise FeedFault("denied", f"ARM_OIDC_TOKEN_FILE_PATH: {path} can't be read ({error.strerror})") from error
        if assertion := self._environment.get("ARM_OIDC_TOKEN"):
            return {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
        if secret := self._environment.get("ARM_CLIENT_SECRET"):
            return {"client_secret": secret}
        raise FeedFault("denied", "no proof for the Azure application; set ARM_OIDC_TOKEN_FILE_PATH (federated) or ARM_CLIENT_SECRET")


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
        left = _GONE_SECONDS
        while self._send("GET", url, _GOOD | {404}).status_code != 404:
            if left <= 0:
                raise FeedFault("timeout", f"{resource.id} isn't gone after {_GONE_SECONDS:.0f} s; ask again")
            self._sleep(2.0)
            left -= 2.0

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
