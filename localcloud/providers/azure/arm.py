"""Azure Resource Manager: calls, long-running operations and ARM's errors made ours.

Operations: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from localcloud.providers.faults import Cancelled, CloudFault, NotFound, TimedOut, Unreachable, of_status
from localcloud.providers.ports import Call
from localcloud.providers.rest import Answer, Rest
from localcloud.providers.values import Props

_HOST = "https://management.azure.com"


class Unfinished(CloudFault):
    """What a PUT that was accepted ended with."""

    def __init__(self, cause: CloudFault) -> None:
        super().__init__(str(cause), cause.code)


class Arm:
    """Calls for one provider config (https://www.pulumi.com/registry/packages/azure-native/installation-configuration/)."""

    def __init__(self, rest: Rest, config: Mapping[str, Any]) -> None:
        self._rest = rest
        self.config = dict(config)
        self.subscription = str(config.get("subscriptionId") or os.environ.get("ARM_SUBSCRIPTION_ID") or "")
        self.location = str(config.get("location") or os.environ.get("ARM_LOCATION_NAME") or "")
        self._token = str(os.environ.get("ARM_ACCESS_TOKEN") or "local-cloud")

    def get(self, id: str, version: str) -> Props | None:
        """The resource ``id``, None if there is none."""
        answer = self._call("GET", id, version)
        if answer.status == 404:
            return None
        return self._document(answer)

    def put(self, call: Call, id: str, version: str, body: Mapping[str, Any]) -> Props:
        """Makes or replaces the resource, waits for its operation; its state afterwards. Raises :class:`Unfinished` for an operation that ARM took in and
        that failed: the resource may be there."""
        answer = self._call("PUT", id, version, json=body)
        shown = self._document(answer)
        try:
            return self._settle(call, id, version, answer, shown)
        except (Cancelled, TimedOut, Unreachable):
            raise
        except CloudFault as error:
            raise Unfinished(error) from error

    def _settle(self, call: Call, id: str, version: str, answer: Answer, shown: Props) -> Props:
        if self._operation(answer):
            self._wait(call, answer, version)
        elif answer.status != 202 and _settled(shown):
            return shown
        finished: Props = shown

        def settled() -> bool:
            nonlocal finished
            found = self.get(id, version)
            if found is None:
                raise NotFound(f"{id} was not found after it was made")
            finished = found
            return _settled(found)

        call.poll(settled)
        return finished

    def delete(self, call: Call, id: str, version: str) -> None:
        """Removes the resource, waits until it is gone."""
        answer = self._call("DELETE", id, version)
        if answer.status in (204, 404):
            return
        if answer.status >= 400:
            raise _fault(answer)
        if answer.status == 202:
            self._wait(call, answer, version)

    def _wait(self, call: Call, first: Answer, version: str) -> None:
        url = self._operation(first)
        if not url:
            return
        by_status = "azure-asyncoperation" in {name.lower() for name in first.headers}

        def done() -> bool:
            answer = self._rest.call("GET", url, self._headers())
            if answer.status >= 400:
                raise _fault(answer)
            if not by_status:
                return answer.status != 202
            status = str((answer.document or {}).get("status", "Succeeded"))
            if status in ("Failed", "Canceled"):
                error = (answer.document or {}).get("error") or {}
                raise _named(int(answer.status), error.get("message") or f"the operation ended as {status}", error.get("code") or status)
            return status == "Succeeded"

        call.poll(done)

    @staticmethod
    def _operation(answer: Answer) -> str:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return headers.get("azure-asyncoperation") or (headers.get("location", "") if answer.status == 202 else "")

    def _call(self, method: str, id: str, version: str, **body: Any) -> Answer:
        return self._rest.call(method, _HOST + id, self._headers(), params={"api-version": version}, **body)

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}", "user-agent": "pulumi-azure-native"}

    @staticmethod
    def _document(answer: Answer) -> Props:
        if answer.status >= 400:
            raise _fault(answer)
        return dict(answer.document or {})


def _settled(document: Mapping[str, Any]) -> bool:
    state = (document.get("properties") or {}).get("provisioningState") if isinstance(document.get("properties"), Mapping) else None
    if state in ("Failed", "Canceled"):
        raise _named(409, f"{document.get('id')}: provisioning ended as {state}", str(state))
    return state in (None, "Succeeded")


def _fault(answer: Answer) -> CloudFault:
    error = (answer.document or {}).get("error") if isinstance(answer.document, dict) else None
    if not isinstance(error, dict):
        return of_status(answer.status, answer.text or f"HTTP {answer.status}")
    return _named(answer.status, str(error.get("message") or answer.text), str(error.get("code") or ""))


def _named(status: int, message: str, code: str) -> CloudFault:
    """ARM's error (https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors) as ours."""
    return of_status(max(status, 400), message, code)
