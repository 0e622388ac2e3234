"""Service accounts, custom roles and workload identity pools.

Format: IAM v1 (iam.googleapis.com). A deleted custom role is kept as ``deleted`` for ``undelete``; creating it anew replaces it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from localcloud.clouds.documents import Document, Documents, Json, made_up_number, made_up_uuid
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.gcp.constraints import check_account_key
from localcloud.clouds.gcp.errors import GoogleError
from localcloud.clouds.gcp.projects import Projects

ACCOUNT = "serviceAccount"
ROLE = "role"
POOL = "workloadIdentityPool"


class Iam:
    """iam.googleapis.com over ``documents``."""

    def __init__(self, documents: Documents, projects: Projects) -> None:
        self._documents = documents
        self._projects = projects

    def handle(self, request: HttpRequest) -> HttpAnswer:
        """The answer to one call. Raises :class:`GoogleError`."""
        parts = request.path.strip("/").split("/")
        if len(parts) < 4 or parts[1] != "projects":
            if parts[1:2] == ["roles"] and len(parts) == 3:
                return json_answer(200, {"name": f"roles/{parts[2]}", "title": parts[2], "stage": "GA", "includedPermissions": []})
            raise GoogleError(404, f"{request.path}: the local cloud serves v1/projects/*")
        if parts[3] == "serviceAccounts":
            return self._accounts(request, parts)
        project = self._projects.active(parts[2]).account
        if parts[3] == "roles":
            return self._roles(request, project, parts)
        if parts[3:5] == ["locations", "global"] and len(parts) > 5 and parts[5].startswith("workloadIdentityPools"):
            return self._pools(request, project, parts)
        raise GoogleError(404, f"{request.path}: the local cloud serves serviceAccounts, roles and workloadIdentityPools")

    def _accounts(self, request: HttpRequest, parts: list[str]) -> HttpAnswer:
        if len(parts) == 4 and request.method == "POST":
            return self._create_account(request.json(), self._projects.active(parts[2]).account)
        if len(parts) == 4:
            project = self._projects.active(parts[2]).account
            return json_answer(200, {"accounts": [document.body for document in self._documents.of(ACCOUNT, project)]})
        email, _, verb = parts[4].partition(":")
        found = self._account(email)
        if found is None:
            raise GoogleError(404, f"Unknown service account: {email}")
        if len(parts) > 5:
            return self._keys(request, found, parts[5])
        if verb in ("getIamPolicy", "setIamPolicy", "testIamPermissions"):
            return self._projects.policy(request, verb, found.key)
        if request.method == "DELETE":
            self._documents.delete(found.key)
            return json_answer(200, {})
        if verb in ("enable", "disable"):
            found.body["disabled"] = verb == "disable"
            self._documents.put(found.key, ACCOUNT, found.account, found.body)
            return json_answer(200, {})
        if request.method in ("PATCH", "PUT"):
            sent = request.json()
            change = sent.get("serviceAccount", sent)
            found.body.update({key: change[key] for key in ("displayName", "description") if key in change})
            self._documents.put(found.key, ACCOUNT, found.account, found.body)
        return json_answer(200, found.body)

    def _keys(self, request: HttpRequest, account: Document, collection: str) -> HttpAnswer:
        if request.method == "GET":
            return json_answer(200, {"keys": []})
        check_account_key(self._documents, account.account, upload=collection.endswith(":upload"))
        raise GoogleError(404, f"{request.path}: the local cloud makes no keys; impersonate the account instead")

    def _create_account(self, body: Json, project: str) -> HttpAnswer:
        name = str(body.get("accountId", ""))
        if not re.fullmatch(r"[a-z](?:[-a-z0-9]{4,28}[a-z0-9])", name):
            raise GoogleError(
                400, f"The account ID {name!r} does not have a length between 6 and 30, or holds other than lowercase letters, digits and hyphens."
            )
        email = f"{name}@{project}.iam.gserviceaccount.com"
        key = f"projects/{project}/serviceAccounts/{email}"
        if self._documents.get(key) is not None:
            raise GoogleError(409, f"Service account {name} already exists within project {key.rpartition('/')[0]}.")
        number = str(made_up_number(key, self._documents.next_number()))
        account: Json = {"name": key, "projectId": project, "uniqueId": number, "email": email, "oauth2ClientId": number, "etag": "MDEwMjE5MjA="}
        account |= body.get("serviceAccount", {})
        return json_answer(200, self._documents.put(key, ACCOUNT, project, account).body)

    def _account(self, email: str) -> Document | None:
        return next((document for document in self._documents.of(ACCOUNT) if email in (document.body["email"], document.body["uniqueId"])), None)

    def _roles(self, request: HttpRequest, project: str, parts: list[str]) -> HttpAnswer:
        base = f"projects/{project}/roles"
        if len(parts) == 4 and request.method == "POST":
            body = request.json()
            key = f"{base}/{body['roleId']}"
            known = self._documents.get(key)
            if known is not None and not known.body.get("deleted"):
                raise GoogleError(409, f"A role named {body['roleId']} in {base.rpartition('/')[0]} already exists.")
            role: Json = {"name": key, "stage": "ALPHA", "etag": made_up_uuid(key)[:8], **body.get("role", {})}
            return json_answer(200, self._documents.put(key, ROLE, project, role).body)
        if len(parts) == 4:
            return json_answer(200, {"roles": [document.body for document in self._documents.of(ROLE, project) if not document.body.get("deleted")]})
        name, _, verb = parts[4].partition(":")
        found = self._documents.get(f"{base}/{name}")
        if found is None:
            raise GoogleError(404, f"The role named {base}/{name} was not found.")
        if request.method == "DELETE":
            found.body["deleted"] = True
        elif verb == "undelete":
            found.body.pop("deleted", None)
        elif request.method == "PATCH":
            found.body.update({key: value for key, value in request.json().items() if key in ("title", "description", "includedPermissions", "stage")})
        else:
            return json_answer(200, found.body)
        return json_answer(200, self._documents.put(found.key, ROLE, project, found.body).body)

    def _pools(self, request: HttpRequest, project: str, parts: list[str]) -> HttpAnswer:
        """Pools and, below them, providers: the same methods. Google shows the project's number in their names, and keeps what is deleted for 30 days."""
        path, _, verb = "/".join(parts[1:]).replace(parts[2], project, 1).partition(":")
        if "/operations/" in path:
            return json_answer(200, self._operation(path))
        if path.endswith(("workloadIdentityPools", "providers")):
            if request.method == "GET":
                member = "workloadIdentityPools" if path.endswith("Pools") else "workloadIdentityPoolProviders"
                living = [one for one in self._documents.below(path) if one.key.count("/") == path.count("/") + 1 and one.body["state"] == "ACTIVE"]
                return json_answer(200, {member: [one.body for one in living]})
            return self._create_pool(request, project, path)
        found = self._documents.get(path)
        if found is None:
            raise GoogleError(404, f"Requested entity was not found: {path}")
        if request.method == "GET":
            return json_answer(200, found.body)
        if request.method == "DELETE":
            for document in [found, *self._documents.below(path)]:
                expires = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
                document.body.update({"state": "DELETED", "expireTime": expires})
                self._documents.put(document.key, POOL, project, document.body)
            return self._begun(path, found.body)
        if verb == "undelete":
            change: Json = {"state": "ACTIVE"}
            found.body.pop("expireTime", None)
        else:
            if found.body["state"] == "DELETED":
                raise GoogleError(400, f"{path} is deleted.", status="FAILED_PRECONDITION")
            change = request.json()
        return self._begun(path, self._documents.put(path, POOL, project, {**found.body, **change, "name": found.body["name"]}).body)

    def _create_pool(self, request: HttpRequest, project: str, path: str) -> HttpAnswer:
        pool = path.endswith("workloadIdentityPools")
        name = request.parameters.get("workloadIdentityPoolId" if pool else "workloadIdentityPoolProviderId", "")
        if not re.fullmatch(r"[a-z0-9-]{4,32}", name) or name.startswith("gcp-"):
            raise GoogleError(400, f"The id {name!r} must be 4 to 32 lowercase letters, digits or hyphens, and not begin with gcp-.")
        body = request.json()
        if not pool:
            self._check_provider(path, body)
        path = f"{path}/{name}"
        if self._documents.get(path) is not None:
            raise GoogleError(409, "Requested entity already exists")
        shown = path.replace(f"projects/{project}/", f"projects/{self._projects.active(project).body['projectNumber']}/", 1)
        return self._begun(path, self._documents.put(path, POOL, project, {"state": "ACTIVE", **body, "name": shown}).body)

    def _check_provider(self, path: str, body: Json) -> None:
        owner = self._documents.get(path.rpartition("/")[0])
        if owner is None or owner.body["state"] == "DELETED":
            raise GoogleError(404, f"Requested entity was not found: {path.rpartition('/')[0]}")
        if not str((body.get("oidc") or {}).get("issuerUri", "")).startswith("https://"):
            raise GoogleError(400, "Issuer URI must be a valid https URI; the local cloud has providers of kind oidc.")
        if "google.subject" not in body.get("attributeMapping", {}):
            raise GoogleError(400, "The attribute mapping must map google.subject.")

    def _begun(self, path: str, response: Json) -> HttpAnswer:
        """An operation that is done when it is asked for."""
        name = f"{path}/operations/{made_up_number(path, self._documents.next_number())}"
        self._documents.put(name, "operation", "", {"name": name, "done": True, "response": response})
        self._documents.keep_last("operation", 500)
        return json_answer(200, {"name": name, "done": False})

    def _operation(self, name: str) -> Json:
        found = self._documents.get(name)
        if found is None:
            raise GoogleError(404, f"Operation {name} was not found")
        return found.body
