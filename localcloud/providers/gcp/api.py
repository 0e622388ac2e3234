"""Google's APIs as the handlers use them: operations waited for, errors as ours."""

from __future__ import annotations

import os
from typing import Any

import httpx

from localcloud.providers.calls import Rest, refused_by_proxy
from localcloud.providers.faults import CloudFault, Conflict, Denied, NotFound, Rejected
from localcloud.providers.ports import Call, ProviderSettings
from localcloud.providers.values import Props

COMPUTE = "https://compute.googleapis.com/compute/v1"
RESOURCE_MANAGER = "https://cloudresourcemanager.googleapis.com/v1"
SERVICE_USAGE = "https://serviceusage.googleapis.com/v1"
BILLING = "https://cloudbilling.googleapis.com/v1"
IAM = "https://iam.googleapis.com/v1"
ORG_POLICY = "https://orgpolicy.googleapis.com/v2"


class GcpApi:
    """One provider's calls: its project, region and zone are the defaults of its resources."""

    def __init__(self, settings: ProviderSettings, config: Props) -> None:
        self.project = str(config.get("project") or os.environ.get("GOOGLE_PROJECT") or "")
        self.region = str(config.get("region") or "")
        self.zone = str(config.get("zone") or "")
        token = str(config.get("accessToken") or os.environ.get("GOOGLE_OAUTH_ACCESS_TOKEN") or "local")
        self._rest = Rest(settings, "", fault_of, {"authorization": f"Bearer {token}"})

    def get(self, url: str) -> dict[str, Any] | None:
        """A resource; None if it is gone."""
        try:
            found: dict[str, Any] = self._rest.call("GET", url)
        except NotFound:
            return None
        return found

    def send(self, call: Call, method: str, url: str, body: Any = None, params: dict[str, str] | None = None) -> dict[str, Any]:
        """Sends a change and waits for its operation; its answer or the ended operation. Raises the operation's own error."""
        call.check()
        answer: dict[str, Any] = self._rest.call(method, url, json=body, params=params) or {}
        kind = str(answer.get("kind", ""))
        if kind == "compute#operation":
            return self._compute_operation(call, answer)
        if str(answer.get("name", "")).startswith("operations/") or ("done" in answer and "name" in answer):
            return self._operation(call, answer, url)
        return answer

    def remove(self, call: Call, url: str) -> None:
        """Deletes a resource; one that is gone already is no error."""
        try:
            self.send(call, "DELETE", url)
        except NotFound:
            return

    def project_of(self, inputs: Props) -> str:
        """The resource's project. Raises :class:`Rejected` where neither it nor the provider names one."""
        project = str(inputs.get("project") or self.project)
        if not project:
            raise Rejected("project: required field is not set; set it on the resource or the provider")
        return project

    def _compute_operation(self, call: Call, answer: dict[str, Any]) -> dict[str, Any]:
        last = dict(answer)

        def done() -> bool:
            if last.get("status") != "DONE":
                last.update(self._rest.call("GET", str(last["selfLink"])))
            return last.get("status") == "DONE"

        call.poll(done)
        if errors := (last.get("error") or {}).get("errors"):
            raise Rejected("; ".join(f"{error.get('code')}: {error.get('message')}" for error in errors), str(errors[0].get("code")))
        return last

    def _operation(self, call: Call, answer: dict[str, Any], url: str) -> dict[str, Any]:
        base = "/".join(url.split("/")[:4])
        last = dict(answer)

        def done() -> bool:
            if not last.get("done"):
                last.update(self._rest.call("GET", f"{base}/{last['name']}"))
            return bool(last.get("done"))

        call.poll(done)
        if error := last.get("error"):
            raise Rejected(f"{error.get('status') or error.get('code')}: {error.get('message')}", str(error.get("status", "")))
        return last.get("response") or last


def fault_of(answer: httpx.Response) -> CloudFault:
    """Google's errors as ours: ``{"error": {"code", "message", "status", "errors": [{"reason"}]}}``."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    where = f"{answer.request.method} {answer.request.url.host}{answer.request.url.path}"
    if refusal := refused_by_proxy(document):
        return Denied(f"{where}: {refusal}", "proxy")
    error = (document.get("error") if isinstance(document, dict) else None) or {"message": answer.text[:300]}
    reasons = error.get("errors") or [{}]
    code = str(error.get("status") or reasons[0].get("reason") or answer.status_code)
    kind = {404: NotFound, 409: Conflict, 401: Denied, 403: Denied}.get(answer.status_code, Rejected)
    return kind(f"{where}: {code}: {error.get('message')}", code)
