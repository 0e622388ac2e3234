"""A tenant's Google project, entered by impersonating its automation account: what Compute Engine holds there with our labels, its removal, the spot quota.

Formats: cloud.google.com/compute/docs/reference/rest/v1 (aggregatedList, regions.get, operations) and iamcredentials v1 (generateAccessToken). Networks have no
labels: they are a region stack's own and cost nothing while no machine uses them, but for their NAT.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx

from automation.accounts.port import CantRemove, Quota, wait_until_gone
from automation.calls.fetch import FeedFault, Fetcher
from domain.boundary.regions import of_zone
from domain.catalog import CloudName
from domain.orphans import MANAGED_BY, CloudResource

_COMPUTE = "https://compute.googleapis.com/compute/v1/"
_CREDENTIALS = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
KINDS = ("instances", "disks", "addresses")
"""Collections that are looked at, in the order in which their members can be removed."""
_METRICS = ("PREEMPTIBLE_CPUS", "CPUS")
"""A project without a preemptible quota of its own uses that of all CPUs (Compute Engine, "Preemptible quotas")."""
_PAGES = 100
_MAY_BE_GONE = frozenset({200, 404})


class GcpAccount:
    """Keeps :class:`automation.accounts.port.Account`. ``token`` is the platform's own, ``email`` the tenant's automation account."""

    cloud: CloudName = "gcp"

    def __init__(self, fetcher: Fetcher, token: Callable[[], str], project: str, email: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.id = project
        self._fetcher, self._own, self._email, self._sleep = fetcher, token, email, sleep
        self._session: tuple[str, float] = ("", 0.0)

    def resources(self, regions: Sequence[str]) -> list[CloudResource]:
        found = []
        for kind in KINDS:
            for one in self._aggregated(kind):
                where = str(one.get("zone") or one.get("region") or "").rpartition("/")[2]
                region = of_zone("gcp", where)
                tags = {str(key): str(value) for key, value in (one.get("labels") or {}).items()}
                if region in regions and tags.get("managed-by") == MANAGED_BY and one.get("status") not in ("STOPPING", "TERMINATED"):
                    name = str(one["selfLink"]).partition("/compute/v1/")[2]
                    found.append(CloudResource("gcp", self.id, region, kind, name, tags, kind == "disks"))
        return found

    def remove(self, resource: CloudResource) -> None:
        if resource.kind not in KINDS:
            raise CantRemove(f"{resource.kind} {resource.id}: remove it by hand (gcloud compute, project {self.id})")
        url = _COMPUTE + resource.id
        if self._send("DELETE", url, _MAY_BE_GONE).status_code != 404:
            wait_until_gone(resource.id, lambda: self._send("GET", url, _MAY_BE_GONE).status_code == 404, self._sleep)

    def quotas(self, regions: Sequence[str]) -> list[Quota]:
        return [self._quota(region) for region in regions]

    def _quota(self, region: str) -> Quota:
        document = self._send("GET", f"{_COMPUTE}projects/{self.id}/regions/{region}").json()
        quotas = {str(one.get("metric")): one for one in document.get("quotas", []) if isinstance(one, dict)}
        for metric in _METRICS:
            if (one := quotas.get(metric)) is not None and float(one["limit"]) > 0:
                return Quota(region, float(one["limit"]), float(one["usage"]))
        return Quota(region, 0.0)

    def _aggregated(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query = {"filter": f"labels.managed-by={MANAGED_BY}", "maxResults": "500"}
        for _ in range(_PAGES):
            page = self._send("GET", f"{_COMPUTE}projects/{self.id}/aggregated/{kind}?{urlencode(query)}").json()
            for place in (page.get("items") or {}).values():
                found += [one for one in place.get(kind, []) if isinstance(one, dict)]
            if not page.get("nextPageToken"):
                return found
            query = {**query, "pageToken": str(page["nextPageToken"])}
        raise FeedFault("malformed", f"Compute Engine goes on naming next pages of {kind}")

    def _send(self, method: str, url: str, good: frozenset[int] = frozenset({200})) -> httpx.Response:
        return self._fetcher.send(lambda: httpx.Request(method, url, headers={"authorization": f"Bearer {self._enter()}"}), good).response

    def _enter(self) -> str:
        """A token of the automation account, made anew a minute before its hour is over."""
        if self._session[1] <= time.monotonic():
            body, own = json.dumps({"scope": [_SCOPE], "lifetime": "3600s"}).encode(), self._own()
            headers = {"authorization": f"Bearer {own}", "content-type": "application/json"}
            answer = self._fetcher.send(lambda: httpx.Request("POST", f"{_CREDENTIALS}{self._email}:generateAccessToken", content=body, headers=headers)).json()
            if not isinstance(answer.get("accessToken"), str):
                raise FeedFault("malformed", f"Google gave no token of {self._email}")
            self._session = (answer["accessToken"], time.monotonic() + 3540)
        return self._session[0]
