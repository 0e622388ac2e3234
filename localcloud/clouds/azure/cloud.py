"""Azure's HTTP APIs: management.azure.com (Resource Manager) and login.microsoftonline.com (tokens, any credential).

Formats: https://learn.microsoft.com/rest/api/resources/ and .../azure-resource-manager/management/async-operations. A long-running operation answers 201 or
202 with ``Azure-AsyncOperation``; its work is done at once, its first poll tells how it ended.
"""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from domain.catalog import CATALOG
from localcloud.clouds.azure import networks, subscriptions
from localcloud.clouds.azure.errors import ArmError, group_not_found, resource_not_found
from localcloud.clouds.azure.machines import VM, VirtualMachines
from localcloud.clouds.azure.policy import GROUPS, RESOURCES, check_location
from localcloud.clouds.azure.resource_id import Target, parse
from localcloud.clouds.azure.types import TENANT, TYPES, ArmType, references
from localcloud.clouds.capacity import SpotMarket
from localcloud.clouds.documents import Document, Documents, Json, made_up_uuid
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.inventory import Account, Resource
from localcloud.hosts.room import MachineRoom

GROUP = "Microsoft.Resources/resourceGroups"
OPERATION = "operation"
_BASE = "https://management.azure.com"


class AzureCloud:
    """Answers Azure's calls. Machines run in ``room``; spot capacity and prices come from ``market``."""

    def __init__(self, store: Path, room: MachineRoom, market: SpotMarket) -> None:
        self.documents = Documents(store)
        self._room = room
        self._machines = VirtualMachines(self.documents, room, market)
        room.on_gone(lambda machine: self._machines.machine_gone(machine) if machine.cloud == "azure" else None)

    def handle(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one call. Blocks; to be run in a thread."""
        if request.host != "management.azure.com":
            return _login(request)
        with self.documents.lock:
            try:
                return self._arm(request)
            except ArmError as error:
                return error.answer()
            except ValueError as error:
                return ArmError(400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: '{error}'.").answer()

    def reconcile(self) -> None:
        """Brings the machines that ended while the local cloud was away into the record. To be called once at start."""
        for machine in self._room.machines():
            if machine.cloud == "azure" and not machine.living:
                self._machines.machine_gone(machine)

    def accounts(self) -> list[Account]:
        """The subscriptions; a cancelled one is gone."""
        return [Account("azure", one.account, one.body["displayName"], True) for one in self.documents.of(subscriptions.KIND)]

    def resources(self) -> list[Resource]:
        """Everything in them, resource groups included."""
        left_out = (OPERATION, subscriptions.KIND, subscriptions.ALIAS)
        return [
            Resource("azure", one.account, one.body.get("location", "global"), one.kind, one.key)
            for one in self.documents.of()
            if one.kind not in left_out and not networks.azures_own(one.kind, one.key)
        ]

    def _arm(self, request: HttpRequest) -> HttpAnswer:
        if "api-version" not in request.parameters:
            raise ArmError(400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
        target = parse(request.path)
        lowered = target.path.lower()
        if "/operations/" in lowered:
            return self._operation(target)
        if lowered.startswith("/providers/microsoft.subscription/"):
            return subscriptions.aliases(self.documents, request, target)
        if lowered.startswith("/providers/microsoft.management/managementgroups/") and request.method == "GET":
            return json_answer(200, subscriptions.management_group(target.path))
        if lowered == "/subscriptions":
            return json_answer(200, {"value": [document.body for document in self.documents.of(subscriptions.KIND)]})
        if lowered.endswith("/providers/microsoft.subscription/cancel") and request.method == "POST":
            return subscriptions.cancel(self.documents, target.subscription)
        if target.subscription:
            subscriptions.known(self.documents, target.subscription)
        if lowered.endswith("/usages") and target.type.lower() == "microsoft.compute/locations" and request.method == "GET":
            return json_answer(200, {"value": self._machines.usages(target.subscription, target.name.lower())})
        if target.type and not target.verb and target.name:
            return self._resource(request, target)
        if target.type and target.verb and request.method == "POST":
            return self._action(request, target)
        if "/" in target.type and request.method == "GET":
            return self._collection(target)
        if target.group:
            return self._group(request, target)
        return self._subscription(request, target)

    # Subscriptions and resource groups

    def _subscription(self, request: HttpRequest, target: Target) -> HttpAnswer:
        rest = target.path.split("/")[3:]
        base = f"/subscriptions/{target.subscription}"
        if not rest:
            return json_answer(200, subscriptions.known(self.documents, target.subscription).body)
        if rest[0].lower() == "resourcegroups":
            return json_answer(200, {"value": [self._shown(document) for document in self.documents.of(GROUP, target.subscription)]})
        if rest[0].lower() == "resources":
            return json_answer(200, {"value": [_summary(document) for document in self.documents.below(base) if _tracked(document)]})
        if rest[0].lower() == "locations":
            regions = [{"id": f"{base}/locations/{region.name}", "name": region.name} for region in CATALOG.regions("azure")]
            return json_answer(200, {"value": regions})
        if rest[0].lower() == "providers":
            namespace = rest[1] if len(rest) > 1 else ""
            return json_answer(200, {"id": f"{base}/providers/{namespace}", "namespace": namespace, "registrationState": "Registered"})
        raise ArmError(404, "NotFound", f"{request.method} {target.path}: no such operation on a subscription.")

    def _group(self, request: HttpRequest, target: Target) -> HttpAnswer:
        group_id = f"/subscriptions/{target.subscription}/resourceGroups/{target.group}"
        found = self.documents.get(group_id)
        if target.path.lower().endswith("/resources"):
            if found is None:
                raise group_not_found(target.group)
            return json_answer(200, {"value": [_summary(document) for document in self.documents.below(group_id) if _tracked(document)]})
        if request.method == "PUT":
            body = request.json()
            self._check_location(body)
            check_location(self.documents, group_id, body["location"], GROUPS)
            if found is not None and found.body["location"] != body["location"]:
                message = f"Invalid resource group location '{body['location']}'. The Resource group already exists in location '{found.body['location']}'."
                raise ArmError(409, "InvalidResourceGroupLocation", message)
            body = {"location": body["location"], "tags": body.get("tags") or {}, "properties": {"provisioningState": "Succeeded"}}
            document = self.documents.put(group_id, GROUP, target.subscription, body)
            return json_answer(200 if found else 201, self._shown(document))
        if found is None:
            raise group_not_found(target.group)
        if request.method == "DELETE":
            self._delete_group(found)
            return self._accepted(target, 202)
        if request.method == "HEAD":
            return HttpAnswer(204)
        return json_answer(200, self._shown(found))

    def _delete_group(self, group: Document) -> None:
        for document in reversed(self.documents.below(group.key)):
            if document.kind == VM:
                self._machines.delete(document)
            else:
                self.documents.delete(document.key)
        self.documents.delete(group.key)

    # Resources

    def _resource(self, request: HttpRequest, target: Target) -> HttpAnswer:
        kind = TYPES.get(target.type.lower())
        if kind is None:
            namespace, _, name = target.type.partition("/")
            message = f"The resource type '{name}' could not be found in the namespace '{namespace}' for api version '{request.parameters['api-version']}'."
            raise ArmError(404, "InvalidResourceType", message + " The local cloud serves: " + ", ".join(sorted(one.name for one in TYPES.values())))
        if target.group and self.documents.get(f"/subscriptions/{target.subscription}/resourceGroups/{target.group}") is None:
            raise group_not_found(target.group)
        if target.parent:
            parent = self.documents.get(target.parent)
            if parent is None:
                raise ArmError(
                    404,
                    "ParentResourceNotFound",
                    f"Failed to perform '{request.method}' on resource '{target.name}', because the parent resource '{target.parent}' could not be found.",
                )
            embedded = TYPES[parent.kind.lower()].embedded
            if embedded is not None and embedded[1].lower() == kind.name.lower():
                return self._child(request, target, parent, kind, embedded[0])
        found = self.documents.get(target.id)
        if request.method == "PUT":
            _check_etag(request, found)
            return self._put(request.json(), target, kind, found)
        if request.method == "DELETE":
            if found is None:
                return HttpAnswer(204)
            _check_etag(request, found)
            self._delete(found, kind)
            return self._accepted(target, 202) if kind.asynchronous else json_answer(200, self._shown(found))
        if found is None:
            raise resource_not_found(target.id, target.group)
        if request.method == "PATCH":
            _check_etag(request, found)
            change = request.json()
            body = {**found.body, "tags": change.get("tags", found.body.get("tags", {}))}
            body["properties"] = {**found.body["properties"], **change.get("properties", {})}
            body["etag"] = f'W/"{made_up_uuid(target.id, self.documents.next_number())}"'
            return json_answer(200, self._shown(self.documents.put(found.key, found.kind, found.account, body)))
        shown = self._shown(found)
        if found.kind == VM and "instanceview" in request.parameters.get("$expand", "").lower():
            shown["properties"]["instanceView"] = self._machines.instance_view(found)
        return json_answer(200, shown)

    def _put(self, body: Json, target: Target, kind: ArmType, found: Document | None) -> HttpAnswer:
        body = {key: value for key, value in body.items() if key not in ("id", "name", "type", "etag")}
        body.setdefault("properties", {})
        if kind.located:
            self._check_location(body)
            check_location(self.documents, target.id, body["location"], RESOURCES)
            if found is not None and found.body["location"] != body["location"]:
                message = f"The resource '{target.name}' already exists in location '{found.body['location']}' in resource group '{target.group}'."
                message += f" A resource with the same name cannot be created in location '{body['location']}'."
                raise ArmError(409, "InvalidResourceLocation", message + " Please select a new resource name.")
            body.setdefault("tags", {})
        self._check_references(target.id, body)
        failure: ArmError | None = None
        hidden: Json | None = None
        if kind.name == VM and found is not None:
            body = self._machines.update(found, body)
        elif kind.name == VM:
            body, hidden, failure = self._machines.create(target.id, target.subscription, body)
        else:
            if found is not None and kind.embedded is not None and kind.embedded[0] not in body["properties"]:
                body["properties"][kind.embedded[0]] = found.body["properties"].get(kind.embedded[0], [])
            kind.fill(target.id, body)
            if kind.name == networks.INTERFACE:
                networks.addressed(self.documents, target.id, body)
            elif kind.name == networks.PUBLIC_ADDRESS:
                networks.public(self.documents, target.id, body, lambda: self._room.reserve("azure"))
            elif kind.name == networks.NETWORK:
                networks.watched(self.documents, target.subscription, body["location"])
        if kind.asynchronous:
            body["properties"]["provisioningState"] = "Failed" if failure else "Succeeded"
        body["etag"] = f'W/"{made_up_uuid(target.id, self.documents.next_number())}"'
        document = self.documents.put(target.id, kind.name, target.subscription, body, hidden)
        status = 201 if found is None else 200
        if not kind.asynchronous:
            return json_answer(status, self._shown(document))
        shown = self._shown(document)
        shown["properties"]["provisioningState"] = "Creating" if kind.name == VM and found is None else "Updating"
        return self._accepted(target, status, shown, failure)

    def _child(self, request: HttpRequest, target: Target, parent: Document, kind: ArmType, member: str) -> HttpAnswer:
        """A subnet or rule, which is a part of its parent's document."""
        children: list[Json] = parent.body["properties"].setdefault(member, [])
        found = next((child for child in children if child["name"].lower() == target.name.lower()), None)
        if request.method == "GET":
            if found is None:
                raise ArmError(404, "NotFound", f"Resource {target.id} not found.")
            return json_answer(200, found)
        if request.method == "DELETE":
            if found is None:
                return HttpAnswer(204)
            self._check_unused(target.id, kind, parent.key)
            children.remove(found)
        else:
            body = request.json()
            self._check_references(target.id, body)
            child = {"name": target.name, "properties": body.get("properties", {})}
            if found is None:
                children.append(child)
            else:
                children[children.index(found)] = child
        TYPES[parent.kind.lower()].fill(parent.key, parent.body)
        parent.body["etag"] = f'W/"{made_up_uuid(parent.key, self.documents.next_number())}"'
        self.documents.put(parent.key, parent.kind, parent.account, parent.body)
        if request.method == "DELETE":
            return self._accepted(target, 202)
        shown = json.loads(json.dumps(next(child for child in children if child["name"] == target.name)))
        shown["properties"]["provisioningState"] = "Updating"
        return self._accepted(target, 200 if found else 201, shown)

    def _delete(self, document: Document, kind: ArmType) -> None:
        self._check_unused(document.key, kind, document.key)
        if document.kind == VM:
            self._machines.delete(document)
            return
        for child in self.documents.below(document.key):
            self.documents.delete(child.key)
        self.documents.delete(document.key)

    def _check_references(self, resource_id: str, body: Json) -> None:
        for reference in references(body):
            inside = reference.lower().startswith(resource_id.lower() + "/")
            if inside or not reference.lower().startswith("/subscriptions/") or self._exists(reference):
                continue
            message = f"Resource {reference} referenced by resource {resource_id} was not found."
            message += " Please make sure that the referenced resource exists, and that both resources are in the same region."
            raise ArmError(400, "InvalidResourceReference", message)

    def _exists(self, reference: str) -> bool:
        if self.documents.get(reference) is not None:
            return True
        target = parse(reference)
        kind = TYPES.get(target.type.lower())
        if kind is None:
            return True  # a type that the local cloud doesn't hold, such as a built-in role
        parent = self.documents.get(target.parent) if target.parent else None
        embedded = TYPES[parent.kind.lower()].embedded if parent is not None else None
        if parent is not None and embedded is not None:
            return any(child["name"].lower() == target.name.lower() for child in parent.body["properties"].get(embedded[0], []))
        return target.type.lower().startswith("microsoft.authorization/") and not target.group

    def _check_unused(self, resource_id: str, kind: ArmType, own: str) -> None:
        if not kind.in_use_code:
            return
        lowered = resource_id.lower()
        for other in self.documents.of():
            if other.key.lower() == own.lower() or other.kind in (OPERATION, GROUP):
                continue
            for reference in references(other.body):
                if reference.lower() == lowered or reference.lower().startswith(lowered + "/subnets/"):
                    message = f"Resource {resource_id} is in use by {other.key} and cannot be deleted. In order to delete it, first remove the reference."
                    raise ArmError(400, kind.in_use_code, message)

    def _check_location(self, body: Json) -> None:
        location = str(body.get("location") or "")
        if not location:
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.")
        body["location"] = location.replace(" ", "").lower()
        if not CATALOG.has_region("azure", body["location"]):
            names = ", ".join(region.name for region in CATALOG.regions("azure"))
            raise ArmError(
                400, "LocationNotAvailableForResourceType", f"The provided location '{location}' is not available. List of available regions is '{names}'."
            )

    def _action(self, request: HttpRequest, target: Target) -> HttpAnswer:
        found = self.documents.get(target.id)
        if found is None or found.kind != VM:
            raise resource_not_found(target.id, target.group)
        verb = target.verb.lower()
        failure: ArmError | None = None
        if verb in ("deallocate", "poweroff"):
            self._machines.deallocate(found)
        elif verb == "start":
            failure = self._machines.restart(found)
        elif verb == "simulateeviction":
            self._room.interrupt(found.body["properties"]["vmId"], reason="simulateEviction")
            return HttpAnswer(204)
        else:
            raise ArmError(
                400, "InvalidOperation", f"'{target.verb}' is no operation of virtual machines here; use start, deallocate, powerOff or simulateEviction."
            )
        return self._accepted(target, 202, None, failure)

    def _collection(self, target: Target) -> HttpAnswer:
        if target.verb.lower() == "instanceview":
            found = self.documents.get(target.id)
            if found is None:
                raise resource_not_found(target.id, target.group)
            return json_answer(200, self._machines.instance_view(found))
        wanted = "/".join([target.type, target.verb]).rstrip("/").lower()
        below = self.documents.below(target.id.rpartition("/providers/")[0]) if not target.verb else self.documents.below(target.id)
        if target.verb:
            parent = self.documents.get(target.id)
            embedded = TYPES[parent.kind.lower()].embedded if parent is not None and parent.kind.lower() in TYPES else None
            if parent is not None and embedded is not None and embedded[1].lower() == wanted:
                return json_answer(200, {"value": parent.body["properties"].get(embedded[0], [])})
        return json_answer(200, {"value": [self._shown(document) for document in below if document.kind.lower() == wanted]})

    # Operations

    def _accepted(self, target: Target, status: int, body: Json | None = None, failure: ArmError | None = None) -> HttpAnswer:
        operation = made_up_uuid("operation", self.documents.next_number())
        namespace = (target.type or "Microsoft.Resources").partition("/")[0]
        now = datetime.now(UTC).isoformat()
        document: Json = {"name": operation, "startTime": now, "endTime": now, "status": "Failed" if failure else "Succeeded"}
        if failure is not None:
            document["error"] = {"code": failure.code, "message": failure.message}
        path = f"/subscriptions/{target.subscription}/providers/{namespace}/locations/global/operations/{operation}"
        self.documents.put(path, OPERATION, target.subscription, document)
        self.documents.keep_last(OPERATION, 500)
        headers = {"azure-asyncoperation": f"{_BASE}{path}?api-version=2024-07-01", "retry-after": "0"}
        if status == 202:
            headers["location"] = f"{_BASE}{path}?api-version=2024-07-01&monitor=true"
        return json_answer(status, body, headers) if body is not None else HttpAnswer(status, b"", headers)

    def _operation(self, target: Target) -> HttpAnswer:
        found = self.documents.get(target.path)
        if found is None:
            raise ArmError(404, "OperationNotFound", f"Operation {target.path.rpartition('/')[2]} could not be found.")
        return json_answer(200, found.body)

    def _shown(self, document: Document) -> Json:
        name = document.key.rpartition("/")[2]
        return {"id": document.key, "name": name, "type": document.kind, **json.loads(json.dumps(document.body))}


def _check_etag(request: HttpRequest, found: Document | None) -> None:
    """Raises :class:`ArmError` 412 for a change of another version than ``If-Match`` names, or where ``If-None-Match: *`` wants nothing (RFC 9110, 13.1)."""
    wanted = request.headers.get("if-match", "")
    if wanted and (found is None or wanted not in ("*", found.body.get("etag"))):
        raise ArmError(412, "PreconditionFailed", f"The condition 'If-Match: {wanted}' is not met: the resource was changed or is not there.")
    if request.headers.get("if-none-match") == "*" and found is not None:
        raise ArmError(412, "PreconditionFailed", "The condition 'If-None-Match: *' is not met: the resource exists.")


def _tracked(document: Document) -> bool:
    return "location" in document.body and document.kind != GROUP


def _summary(document: Document) -> Json:
    name = document.key.rpartition("/")[2]
    return {"id": document.key, "name": name, "type": document.kind, "location": document.body["location"], "tags": document.body.get("tags", {})}


def _login(request: HttpRequest) -> HttpAnswer:
    """Microsoft Entra ID: a token for whoever asks, and what the client libraries look up first."""
    if request.path.endswith("/.well-known/openid-configuration"):
        base = f"https://login.microsoftonline.com/{TENANT}"
        return json_answer(
            200,
            {"token_endpoint": f"{base}/oauth2/v2.0/token", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize", "issuer": f"{base}/v2.0"}
            | {"jwks_uri": f"{base}/discovery/v2.0/keys"},
        )
    if request.path.startswith("/common/discovery/instance"):
        return json_answer(
            200, {"tenant_discovery_endpoint": f"https://login.microsoftonline.com/{TENANT}/v2.0/.well-known/openid-configuration", "metadata": []}
        )
    if not request.path.endswith("/token"):
        return json_answer(404, {"error": "invalid_request", "error_description": f"{request.path}: only the token endpoint is served"})
    form = parse_qs(request.body.decode())
    now = int(time.time())
    client = form.get("client_id", ["local"])[0]
    claims: dict[str, Any] = {
        "aud": _BASE,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "tid": TENANT,
        "appid": client,
        "iat": now,
        "nbf": now,
        "exp": now + 3599,
    }
    token = f"{_base64url({'typ': 'JWT', 'alg': 'none'})}.{_base64url(claims)}."
    answer: Json = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}
    if "/v2.0/" not in request.path:
        answer |= {"expires_on": str(now + 3599), "resource": _BASE + "/"}
    return json_answer(200, answer)


def _base64url(part: Json) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
