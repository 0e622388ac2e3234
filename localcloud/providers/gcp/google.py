"""Google's APIs: calls, operations of each service, and Google's errors made ours.

Errors: https://cloud.google.com/apis/design/errors. Operations: Compute Engine's own (``zoneOperations`` …) and ``google.longrunning.Operation``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from localcloud.providers.faults import CloudFault, Conflict, NotFound, Rejected, of_status
from localcloud.providers.ports import Call
from localcloud.providers.rest import Answer, Rest
from localcloud.providers.values import Props

COMPUTE = "https://compute.googleapis.com/compute/v1/"


class Google:
    """Calls for one provider config (https://www.pulumi.com/registry/packages/gcp/installation-configuration/)."""

    def __init__(self, rest: Rest, config: Mapping[str, Any], locks: Locks) -> None:
        self._rest = rest
        self.locks = locks
        self.project = _setting(config, "project", "GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
        self.region = _setting(config, "region", "GOOGLE_REGION", "CLOUDSDK_COMPUTE_REGION")
        self.zone = _setting(config, "zone", "GOOGLE_ZONE", "CLOUDSDK_COMPUTE_ZONE")
        self._own_token = _setting(config, "accessToken", "GOOGLE_OAUTH_ACCESS_TOKEN") or "ya29.local-cloud"
        self._account = _setting(config, "impersonateServiceAccount", "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT")
        self._impersonated: tuple[str, float] = ("", 0.0)
        self._lock = threading.Lock()
        self._compute = str(config.get("computeCustomEndpoint") or COMPUTE)

    @property
    def token(self) -> str:
        """The token that calls carry: the caller's own, or one of the account that it impersonates, made anew a minute before its hour is over."""
        if not self._account:
            return self._own_token
        with self._lock:
            if self._impersonated[1] < time.monotonic():
                url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{self._account}:generateAccessToken"
                wanted = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s"}
                answer = self._call("POST", url, self._own_token, json=wanted)
                self._impersonated = (str(answer["accessToken"]), time.monotonic() + 3540)
            return self._impersonated[0]

    def request(self, method: str, url: str, **body: Any) -> Props:
        """One call's document. Raises :class:`CloudFault`."""
        return self._call(method, url, self.token, **body)

    def _call(self, method: str, url: str, token: str, **body: Any) -> Props:
        answer = self._rest.call(method, url, {"authorization": f"Bearer {token}"}, busy=_too_often, **body)
        if answer.status >= 400:
            fault = _fault(answer)
            if isinstance(fault, Conflict):
                fault.repeated = answer.repeated
            raise fault
        return dict(answer.document or {})

    def find(self, url: str) -> Props | None:
        """The document at ``url``, None if there is none."""
        try:
            return self.request("GET", url)
        except NotFound:
            return None

    def compute(self, path: str) -> str:
        """The URL of a Compute Engine path (``projects/…``)."""
        return self._compute + path

    def change(self, call: Call, method: str, path: str, document: Mapping[str, Any] | None = None) -> Props:
        """A mutation of Compute Engine; waits for its operation."""
        operation = self.request(method, self.compute(path), **({} if document is None else {"json": document}))
        latest = dict(operation)

        def done() -> bool:
            if latest.get("status") != "DONE":
                latest.update(self.request("GET", self.compute(_operation_path(operation, path))))
            return latest.get("status") == "DONE"

        call.poll(done)
        if errors := (latest.get("error") or {}).get("errors"):
            text = "; ".join(str(error.get("message")) for error in errors)
            status = int(latest.get("httpErrorStatusCode") or 400)
            raise of_status(max(status, 400), text, str(errors[0].get("code", "")))
        return latest

    def long_running(self, call: Call, base: str, operation: Props) -> Props:
        """The response of a ``google.longrunning.Operation`` under ``base`` (``https://…/v1/``)."""
        latest = dict(operation)

        def done() -> bool:
            if not latest.get("done"):
                latest.update(self.request("GET", base + latest["name"]))
            return bool(latest.get("done"))

        if "done" in latest or str(latest.get("name", "")).startswith("operations/"):
            call.poll(done)
        if error := latest.get("error"):
            raise Rejected(str(error.get("message")), str(error.get("code", "")))
        return dict(latest.get("response") or {})

    def project_of(self, inputs: Mapping[str, Any]) -> str:
        """The project of a resource: its own, else the provider's. Raises :class:`Rejected` where there is none."""
        project = str(inputs.get("project") or self.project)
        if not project:
            raise Rejected("project: required field is not set; set it on the resource or the provider (gcp:project)")
        return project.removeprefix("projects/")

    def region_of(self, inputs: Mapping[str, Any]) -> str:
        """The region of a resource: its own, its zone's, else the provider's."""
        region = str(inputs.get("region") or self.region or str(inputs.get("zone") or self.zone).rpartition("-")[0])
        if not region:
            raise Rejected("region: required field is not set; set it on the resource or the provider (gcp:region)")
        return last(region)

    def zone_of(self, inputs: Mapping[str, Any]) -> str:
        """The zone of a resource: its own, else the provider's."""
        zone = str(inputs.get("zone") or self.zone)
        if not zone:
            raise Rejected("zone: required field is not set; set it on the resource or the provider (gcp:zone)")
        return last(zone)


class Locks:
    """One lock a name: read-modify-write of a project's IAM policy or a router's list must not overlap in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def of(self, name: str) -> threading.Lock:
        """The lock of ``name``."""
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())


def last(link: str) -> str:
    """The last part of a link: ``…/zones/europe-west4-a`` → ``europe-west4-a``."""
    return link.rpartition("/")[2]


def _setting(config: Mapping[str, Any], name: str, *variables: str) -> str:
    return str(config.get(name) or next((os.environ[variable] for variable in variables if os.environ.get(variable)), ""))


def _operation_path(operation: Mapping[str, Any], path: str) -> str:
    link = str(operation.get("selfLink", ""))
    if "/projects/" in link:
        return "projects/" + link.partition("/projects/")[2]
    parts = path.split("/")
    place = "/".join(parts[2:4]) if parts[2] in ("zones", "regions") else "global"
    return f"{parts[0]}/{parts[1]}/{place}/operations/{operation['name']}"


def _too_often(answer: Answer) -> bool:
    """Compute Engine answers 403, not 429, where a quota of calls per minute is used up; the provider tries again (magic-modules, pull request 5913)."""
    errors = ((answer.document or {}).get("error") or {}).get("errors") or [] if answer.status == 403 and isinstance(answer.document, dict) else []
    return any(one.get("reason") in ("rateLimitExceeded", "userRateLimitExceeded") for one in errors)


def _fault(answer: Answer) -> CloudFault:
    error = (answer.document or {}).get("error") if isinstance(answer.document, dict) else None
    if not isinstance(error, dict):
        return of_status(answer.status, answer.text or f"HTTP {answer.status}")
    reasons = [str(detail.get("reason")) for detail in error.get("errors") or [] if detail.get("reason")]
    return of_status(answer.status, str(error.get("message") or answer.text), (reasons or [str(error.get("status", ""))])[0])
