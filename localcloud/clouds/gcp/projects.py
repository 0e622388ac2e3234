"""Projects, their services, billing and organization policies.

Formats: Cloud Resource Manager v1 and v3, Service Usage v1, Cloud Billing v1 (billingInfo), Organization Policy v2.
A deleted project shows DELETE_REQUESTED; its contents are gone at once, and its id may be taken again (Google waits 30 days and keeps the id).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from localcloud.clouds.documents import Document, Documents, Json, made_up_number, made_up_uuid
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.gcp import default_network
from localcloud.clouds.gcp.constraints import enforced
from localcloud.clouds.gcp.errors import GoogleError

PROJECT = "project"
POLICY = "orgpolicy"
DEFAULT_ACCOUNT = "Compute Engine default service account"
"""Its display name, by which it is known."""
_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")


class Projects:
    """Projects in ``documents``; ``emptied(project)`` is called when one is deleted."""

    def __init__(self, documents: Documents, emptied: Callable[[str], None]) -> None:
        self._documents = documents
        self._emptied = emptied

    def active(self, project: str) -> Document:
        """The project by id or number. Raises :class:`GoogleError`."""
        found = self._find(project)
        if found is None or found.body["state"] != "ACTIVE":
            message = f"Permission denied on resource project {project} (or it may not exist)."
            raise GoogleError(403, message)
        return found

    def require_service(self, project: str, service: str) -> Document:
        """The project, if it has ``service`` enabled. Raises :class:`GoogleError`."""
        found = self.active(project)
        if service not in found.body["services"]:
            message = f"{service} has not been used in project {found.body['projectNumber']} before or it is disabled. Enable it and retry."
            raise GoogleError(403, message, reason="accessNotConfigured")
        return found

    def resource_manager(self, request: HttpRequest) -> HttpAnswer:
        """cloudresourcemanager.googleapis.com, v1 and v3."""
        version, *rest = request.path.strip("/").split("/")
        if rest and rest[0] == "operations":
            return self._operation("/".join(rest))
        if version == "v3" and rest[:1] == ["folders"] and len(rest) == 2 and request.method == "GET":
            return json_answer(200, {"name": "/".join(rest), "displayName": "spotlane", "parent": "organizations/200000000000", "state": "ACTIVE"})
        if not rest or rest[0] != "projects":
            raise GoogleError(404, f"{request.method} {request.path}: the local cloud serves projects, folders and operations")
        if len(rest) == 1:
            if request.method == "POST":
                return self._create(request.json(), version)
            shown = [_shown(document, version) for document in self._documents.of(PROJECT) if document.body["state"] == "ACTIVE"]
            return json_answer(200, {"projects": shown})
        name, _, verb = rest[1].partition(":")
        if verb == "undelete":
            found = self._find(name)
            if found is not None:
                found.body["state"] = "ACTIVE"
                self._documents.put(found.key, PROJECT, found.account, found.body)
            return json_answer(200, {})
        if verb:
            return self.policy(request, verb, self.active(name).key)
        found = self._find(name)
        if found is None:
            raise GoogleError(403, "The caller does not have permission")
        if request.method == "DELETE":
            self.active(name)
            self._emptied(found.account)
            found.body["state"] = "DELETE_REQUESTED"
            self._documents.put(found.key, PROJECT, found.account, found.body)
            return json_answer(200, {}) if version == "v1" else self._done("dp", _shown(found, version), "Project")
        if request.method in ("PUT", "PATCH"):
            change = request.json()
            found.body["displayName"] = change.get("displayName", change.get("name" if version == "v1" else "displayName", found.body["displayName"]))
            found.body["labels"] = change.get("labels", found.body["labels"])
            self._documents.put(found.key, PROJECT, found.account, found.body)
            return json_answer(200, _shown(found, version)) if version == "v1" else self._done("up", _shown(found, version), "Project")
        return json_answer(200, _shown(found, version))

    def policy(self, request: HttpRequest, verb: str, key: str) -> HttpAnswer:
        """getIamPolicy, setIamPolicy and testIamPermissions of whatever stands at ``key``; a stale etag is refused."""
        found = self._documents.get(key)
        if found is None:
            raise GoogleError(404, f"{key} was not found")
        policy: Json = found.hidden.get("policy") or {"version": 1, "etag": "ACAB", "bindings": []}
        if verb == "testIamPermissions":
            return json_answer(200, {"permissions": request.json().get("permissions", [])})
        if verb == "setIamPolicy":
            wanted = request.json().get("policy", {})
            if wanted.get("etag") not in (None, "", policy["etag"]):
                raise GoogleError(
                    409, "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.", status="ABORTED"
                )
            etag = made_up_uuid(key, self._documents.next_number())[:8]
            policy = {"version": wanted.get("version", 1), "etag": etag, "bindings": [one for one in wanted.get("bindings", []) if one.get("members")]}
            self._documents.put(found.key, found.kind, found.account, found.body, {**found.hidden, "policy": policy})
        elif verb != "getIamPolicy":
            raise GoogleError(404, f"{request.path}: no such method")
        return json_answer(200, policy)

    def service_usage(self, request: HttpRequest) -> HttpAnswer:
        """serviceusage.googleapis.com v1."""
        parts = request.path.strip("/").split("/")
        if len(parts) > 1 and parts[1] == "operations":
            return self._operation("/".join(parts[1:]))
        if len(parts) < 4 or parts[1] != "projects":
            raise GoogleError(404, f"{request.path}: the local cloud serves v1/projects/*/services")
        project = self.active(parts[2])
        batch = parts[3].partition(":")[2]
        if len(parts) == 4 and batch in ("batchEnable", "batchGet"):
            names = (
                request.json().get("serviceIds", [])
                if batch == "batchEnable"
                else [part.split("=")[1].rpartition("/")[2] for part in request.query.split("&") if part.startswith("names=")]
            )
            if batch == "batchEnable":
                self._enable(project, names)
            shown = [_service(project, name) for name in names]
            return self._done("acf", {"services": shown}, "BatchEnableServicesResponse") if batch == "batchEnable" else json_answer(200, {"services": shown})
        if len(parts) == 4:
            wanted = request.parameters.get("filter", "state:ENABLED")
            return json_answer(200, {"services": [_service(project, name) for name in project.body["services"]] if "ENABLED" in wanted else []})
        name, _, verb = parts[4].partition(":")
        if verb == "enable":
            self._enable(project, [name])
            return self._done("acf", {"service": _service(project, name)}, "EnableServiceResponse")
        if verb == "disable":
            project.body["services"] = [one for one in project.body["services"] if one != name]
            self._documents.put(project.key, PROJECT, project.account, project.body)
            return self._done("acf", {"service": _service(project, name)}, "DisableServiceResponse")
        return json_answer(200, _service(project, name))

    def billing(self, request: HttpRequest) -> HttpAnswer:
        """cloudbilling.googleapis.com v1: billing accounts, all of them open, and that of a project."""
        parts = request.path.strip("/").split("/")
        if parts[1:2] == ["billingAccounts"] and len(parts) == 3 and request.method == "GET":
            return json_answer(200, {"name": "/".join(parts[1:]), "open": True, "displayName": "spotlane", "masterBillingAccount": ""})
        project = self.active(request.path.strip("/").split("/")[2])
        if request.method == "PUT":
            project.body["billingAccount"] = request.json().get("billingAccountName", "")
            self._documents.put(project.key, PROJECT, project.account, project.body)
        account = project.body.get("billingAccount", "")
        name = f"projects/{project.account}"
        return json_answer(200, {"name": f"{name}/billingInfo", "projectId": project.account, "billingAccountName": account, "billingEnabled": bool(account)})

    def organization_policies(self, request: HttpRequest) -> HttpAnswer:
        """orgpolicy.googleapis.com v2, on projects."""
        parts = request.path.strip("/").split("/")
        if len(parts) < 4 or parts[1] != "projects" or parts[3] != "policies":
            raise GoogleError(404, f"{request.path}: the local cloud serves v2/projects/*/policies")
        project = self.active(parts[2])
        base = f"projects/{project.account}/policies"
        if len(parts) == 4 and request.method == "GET":
            return json_answer(200, {"policies": [document.body for document in self._documents.of(POLICY, project.account)]})
        body = request.json()
        name = parts[4] if len(parts) > 4 else str(body.get("name", "")).rpartition("/")[2]
        if not name:
            raise GoogleError(400, "Policy.name must be projects/{project}/policies/{constraint}")
        constraint, _, verb = name.partition(":")
        found = self._documents.get(f"{base}/{constraint}")
        if request.method == "POST" and found is not None:
            raise GoogleError(409, f"Policy {base}/{constraint} already exists.")
        if request.method in ("POST", "PATCH"):
            spec = {**body.get("spec", {}), "etag": made_up_uuid(constraint, self._documents.next_number())[:8], "updateTime": _now()}
            shown: Json = {"name": f"projects/{project.body['projectNumber']}/policies/{constraint}", "spec": spec}
            if "dryRunSpec" in body:
                shown["dryRunSpec"] = body["dryRunSpec"]
            return json_answer(200, self._documents.put(f"{base}/{constraint}", POLICY, project.account, shown).body)
        if found is None:
            raise GoogleError(404, f"Requested entity was not found: {base}/{constraint}")
        if request.method == "DELETE":
            self._documents.delete(found.key)
            return json_answer(200, {})
        if verb == "getEffectivePolicy" or request.method == "GET":
            return json_answer(200, found.body)
        raise GoogleError(404, f"{request.method} {request.path}: no such method")

    def _create(self, body: Json, version: str) -> HttpAnswer:
        project = str(body.get("projectId", ""))
        if not _ID.fullmatch(project):
            raise GoogleError(
                400, f"field [project_id] has issue [project_id {project!r} must be 6 to 30 lowercase letters, digits or hyphens, starting with a letter]"
            )
        known = self._documents.get(f"projects/{project}")
        if known is not None and known.body["state"] == "ACTIVE":
            raise GoogleError(409, "Requested entity already exists")
        parent = body.get("parent") or ""
        if isinstance(parent, dict):
            parent = f"{parent['type']}s/{parent['id']}"
        number = str(100_000_000_000 + made_up_number(project, self._documents.next_number()) % 899_999_999_999)
        document = self._documents.put(
            f"projects/{project}",
            PROJECT,
            project,
            {
                "projectId": project,
                "projectNumber": number,
                "displayName": body.get("displayName") or body.get("name") or project,
                "parent": parent,
                "labels": body.get("labels", {}),
                "createTime": _now(),
                "state": "ACTIVE",
                "services": ["cloudapis.googleapis.com", "serviceusage.googleapis.com", "storage.googleapis.com"],
            },
            {},
        )
        return self._done("cp", _shown(document, version), "Project", finished=False)

    def _find(self, project: str) -> Document | None:
        found = self._documents.get(f"projects/{project}")
        if found is None and project.isdigit():
            found = next((document for document in self._documents.of(PROJECT) if document.body["projectNumber"] == project), None)
        return found

    def _enable(self, project: Document, names: list[str]) -> None:
        if "compute.googleapis.com" in names and "compute.googleapis.com" not in project.body["services"]:
            if not project.body.get("computeWasOn"):
                default_network.make(self._documents, project.account)
                project.body["computeWasOn"] = True
            project = self._default_account(project)
        project.body["services"] = sorted({*project.body["services"], *names})
        self._documents.put(project.key, PROJECT, project.account, project.body)

    def _default_account(self, project: Document) -> Document:
        """Compute Engine's default account, whom Google makes an editor of the project unless a policy forbids it."""
        email = f"{project.body['projectNumber']}-compute@developer.gserviceaccount.com"
        key = f"projects/{project.account}/serviceAccounts/{email}"
        if self._documents.get(key) is not None:
            return project
        number = str(made_up_number(key))
        account: Json = {"name": key, "projectId": project.account, "uniqueId": number, "email": email, "displayName": DEFAULT_ACCOUNT, "etag": "MDEwMjE5MjA="}
        self._documents.put(key, "serviceAccount", project.account, account)
        if enforced(self._documents, project.account, "iam.automaticIamGrantsForDefaultServiceAccounts"):
            return project
        policy: Json = project.hidden.get("policy") or {"version": 1, "etag": "ACAB", "bindings": []}
        editors = {"role": "roles/editor", "members": [f"serviceAccount:{email}"]}
        policy = {**policy, "etag": made_up_uuid(key, self._documents.next_number())[:8], "bindings": [*policy["bindings"], editors]}
        return self._documents.put(project.key, PROJECT, project.account, project.body, {**project.hidden, "policy": policy})

    def _done(self, prefix: str, response: Json, kind: str, *, finished: bool = True) -> HttpAnswer:
        name = f"operations/{prefix}.{made_up_number('operation', self._documents.next_number())}"
        operation: Json = {"name": name, "done": True, "response": {"@type": f"type.googleapis.com/{kind}", **response}}
        self._documents.put(name, "operation", "", operation)
        self._documents.keep_last("operation", 500)
        return json_answer(200, operation if finished else {"name": name})

    def _operation(self, name: str) -> HttpAnswer:
        found = self._documents.get(name)
        if found is None:
            raise GoogleError(404, f"Operation {name} was not found")
        return json_answer(200, found.body)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _shown(document: Document, version: str) -> Json:
    body = document.body
    if version == "v1":
        shown: Json = {key: body[key] for key in ("projectId", "projectNumber", "labels", "createTime")}
        shown |= {"name": body["displayName"], "lifecycleState": body["state"]}
        if body["parent"]:
            kind, _, number = body["parent"].partition("/")
            shown["parent"] = {"type": kind.rstrip("s"), "id": number}
        return shown
    keys = ("projectId", "displayName", "parent", "labels", "createTime", "state")
    return {"name": f"projects/{body['projectNumber']}", **{key: body[key] for key in keys}}


def _service(project: Document, name: str) -> Json:
    number = f"projects/{project.body['projectNumber']}"
    state = "ENABLED" if name in project.body["services"] else "DISABLED"
    return {"name": f"{number}/services/{name}", "parent": number, "config": {"name": name}, "state": state}
