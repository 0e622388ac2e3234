"""The azure-native provider: resources become calls of Azure Resource Manager (https://learn.microsoft.com/azure/azure-resource-manager/)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import httpx

from localcloud.providers.azure.types import TYPES, ArmType, body_of, outputs_of
from localcloud.providers.faults import CloudFault, Conflict, Denied, NotFound, Rejected, Unsupported, refused_by_proxy
from localcloud.providers.ports import Call, Handler, Made, ProviderSettings
from localcloud.providers.rest import Rest, overlaid
from localcloud.providers.values import Props

_DONE = {"Succeeded", "Failed", "Canceled"}
_CLIENT_CONFIG = "azure-native:authorization:getClientConfig"


class AzurePackage:
    """The package."""

    package = "azure-native"

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings

    @property
    def types(self) -> frozenset[str]:
        """The resource types that it can make."""
        return frozenset(TYPES)

    def connect(self, config: Props) -> AzureConnection:
        """A connection with a provider's config."""
        return AzureConnection(self._settings, config)


class AzureConnection:
    """One subscription's API."""

    def __init__(self, settings: ProviderSettings, config: Props) -> None:
        self.subscription = str(config.get("subscriptionId") or os.environ.get("ARM_SUBSCRIPTION_ID") or "")
        self.location = config.get("location")
        token = str(config.get("oidcToken") or os.environ.get("ARM_ACCESS_TOKEN") or "local")
        self.rest = Rest(settings, "https://management.azure.com", fault_of, {"authorization": f"Bearer {token}"})

    def prepare(self, token: str, inputs: Props) -> Props:
        """The inputs; a location that isn't given is the provider's or, in ARM itself, the group's."""
        return inputs

    def places(self, token: str, inputs: Props) -> Props:
        """The location, for types that have one."""
        return {"location": inputs["location"]} if inputs.get("location") else {}

    def handler(self, token: str) -> Handler | None:
        """The handler of a resource type."""
        return ResourceHandler(self, TYPES[token]) if token in TYPES else None

    def invoke(self, token: str, arguments: Props) -> Props:
        """The provider's own configuration."""
        if token == _CLIENT_CONFIG:
            return {"subscriptionId": self.subscription, "tenantId": os.environ.get("ARM_TENANT_ID", ""), "clientId": os.environ.get("ARM_CLIENT_ID", "")}
        raise Unsupported(f"the local cloud has no function {token}; it has {_CLIENT_CONFIG}")


class ResourceHandler:
    """One ARM type."""

    fields = None

    def __init__(self, connection: AzureConnection, kind: ArmType) -> None:
        self._connection = connection
        self._kind = kind

    def create(self, call: Call, inputs: Props) -> Made:
        """PUTs the resource and waits for its operation."""
        path = self._path(inputs)
        answer = self._put(call, path, inputs)
        return Made(str(answer.get("id") or path), self._outputs(inputs, answer))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The resource as it is now."""
        try:
            answer = self._connection.rest.call("GET", id, params={"api-version": self._kind.version})
        except NotFound:
            return None
        found = outputs_of(self._kind, answer)
        path_parts = self._parts(id)
        declared = {name: value for name, value in known.items() if name not in self._kind.parents}
        return Made(id, {**found, **overlaid(declared, _as_declared(found, declared)), **path_parts})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """PUTs the resource anew."""
        return self._outputs(new, self._put(call, id, new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the resource and waits for its operation."""
        try:
            answer = self._connection.rest.send("DELETE", id, params={"api-version": self._kind.version})
        except NotFound:
            return
        self._wait(call, answer)

    def _path(self, inputs: Props) -> str:
        if "{subscription}" in self._kind.path and not self._connection.subscription:
            raise Rejected("the provider has no subscriptionId; set it on the provider or in ARM_SUBSCRIPTION_ID")
        return self._kind.path.format(**{**inputs, "subscription": self._connection.subscription})

    def _parts(self, id: str) -> Props:
        """The inputs that stand in an id's path."""
        pattern = re.sub(r"\\\{(\w+)\\\}", lambda match: f"(?P<{match.group(1)}>.+?)", re.escape(self._kind.path)) + "$"
        match = re.match(pattern, id, re.IGNORECASE)
        return {name: value for name, value in match.groupdict().items() if name != "subscription"} if match else {}

    def _put(self, call: Call, path: str, inputs: Props) -> dict[str, Any]:
        call.check()
        rest, version = self._connection.rest, {"api-version": self._kind.version}
        self._wait(call, rest.send("PUT", path, params=version, json=body_of(self._kind, inputs)))
        answer: dict[str, Any] = rest.call("GET", path, params=version)
        return answer

    def _wait(self, call: Call, answer: httpx.Response) -> None:
        """Waits for a long-running operation (``Azure-AsyncOperation``). Raises the operation's own error."""
        monitor = answer.headers.get("azure-asyncoperation")
        if not monitor:
            return
        last: dict[str, Any] = {}

        def done() -> bool:
            last.update(self._connection.rest.call("GET", monitor))
            return last.get("status") in _DONE

        call.poll(done)
        if last["status"] != "Succeeded":
            error = last.get("error") or {}
            raise Rejected(f"{error.get('code', last['status'])}: {error.get('message', 'the operation failed')}", str(error.get("code", "")))

    def _outputs(self, inputs: Props, answer: Mapping[str, Any]) -> Props:
        found = outputs_of(self._kind, answer)
        merged = {**inputs, **{name: value for name, value in found.items() if name != "id"}}
        if self._kind.shaped(dict(inputs)).get("identity") is not inputs.get("identity"):
            merged["identity"] = found.get("identity")
        return {**merged, "azureApiVersion": self._kind.version}


def _as_declared(found: Props, declared: Props) -> Props:
    """What the cloud says in the form of the inputs: identities as a list, write-only parts as they were declared."""
    result = dict(found)
    identity, mine = result.get("identity"), declared.get("identity")
    if isinstance(identity, Mapping) and isinstance(mine, Mapping) and isinstance(mine.get("userAssignedIdentities"), list):
        result["identity"] = {**identity, "userAssignedIdentities": list(identity.get("userAssignedIdentities") or {})}
    return result


def fault_of(answer: httpx.Response) -> CloudFault:
    """ARM's errors as ours: ``{"error": {"code", "message"}}``."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    where = f"{answer.request.method} {answer.request.url.path}"
    if refusal := refused_by_proxy(document):
        return Denied(f"{where}: {refusal}", "proxy")
    error = (document.get("error") if isinstance(document, dict) else None) or {"code": str(answer.status_code), "message": answer.text[:300]}
    code = str(error.get("code"))
    kind = {404: NotFound, 409: Conflict, 401: Denied, 403: Denied}.get(answer.status_code, Rejected)
    return kind(f"{where}: {code}: {error.get('message')}", code)
