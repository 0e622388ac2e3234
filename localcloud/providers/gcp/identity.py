"""Service accounts, custom roles, workload identity pools and their providers.

Formats: IAM v1 (https://cloud.google.com/iam/docs/reference/rest).
"""

from __future__ import annotations

from typing import Any

from localcloud.providers.faults import Conflict
from localcloud.providers.gcp.members import Policy
from localcloud.providers.gcp.resource import GcpHandler, filled
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_IAM = "https://iam.googleapis.com/v1/"
_DEFAULT_NAMES = ("Compute Engine default service account", "App Engine default service account")


class ServiceAccount(GcpHandler):
    """``gcp:serviceaccount/account:Account``; id ``projects/<project>/serviceAccounts/<email>``."""

    FIELDS = "accountId displayName description disabled createIgnoreAlreadyExists"

    def create(self, call: Call, inputs: Props) -> Made:
        project = self.google.project_of(inputs)
        account = filled(displayName=inputs.get("displayName"), description=inputs.get("description"))
        id = f"projects/{project}/serviceAccounts/{inputs['accountId']}@{project}.iam.gserviceaccount.com"
        try:
            body = {"accountId": inputs["accountId"], "serviceAccount": account}
            id = str(self.google.request("POST", f"{_IAM}projects/{project}/serviceAccounts", json=body)["name"])
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated or inputs.get("createIgnoreAlreadyExists")):
                raise
        if inputs.get("disabled"):
            self.google.request("POST", f"{_IAM}{id}:disable", json={})
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_IAM + id)
        if document is None:
            return None
        email = document["email"]
        state = filled(
            name=document["name"],
            accountId=email.partition("@")[0],
            project=document.get("projectId"),
            email=email,
            member=f"serviceAccount:{email}",
            uniqueId=document.get("uniqueId"),
            displayName=document.get("displayName") or None,
            description=document.get("description") or None,
            disabled=document.get("disabled", False),
        )
        return Made(str(document["name"]), {**state, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        if any(old.get(name) != new.get(name) for name in ("displayName", "description")):
            account = {name: new.get(name) or "" for name in ("displayName", "description")}
            self.google.request("PATCH", _IAM + id, json={"serviceAccount": account, "updateMask": "displayName,description"})
        if bool(old.get("disabled")) != bool(new.get("disabled")):
            self.google.request("POST", f"{_IAM}{id}:{'disable' if new.get('disabled') else 'enable'}", json={})
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        self.google.request("DELETE", _IAM + id)


class CustomRole(GcpHandler):
    """``gcp:projects/iAMCustomRole:IAMCustomRole``; a deleted role of the same id is revived, as the provider does."""

    FIELDS = "roleId title description permissions stage"

    def create(self, call: Call, inputs: Props) -> Made:
        project = self.google.project_of(inputs)
        id = f"projects/{project}/roles/{inputs['roleId']}"
        current = self.google.find(_IAM + id)
        if current is not None and current.get("deleted"):
            self.google.request("POST", f"{_IAM}{id}:undelete", json={})
            self.google.request("PATCH", _IAM + id, json=_role(inputs))
        elif current is None or not call.resumed:
            self.google.request("POST", f"{_IAM}projects/{project}/roles", json={"roleId": inputs["roleId"], "role": _role(inputs)})
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_IAM + id)
        if document is None or document.get("deleted"):
            return None
        parts = str(document["name"]).split("/")
        state = filled(
            name=document["name"],
            project=parts[1],
            roleId=parts[-1],
            title=document.get("title"),
            description=document.get("description") or None,
            permissions=document.get("includedPermissions") or [],
            stage=document.get("stage", "GA"),
            deleted=False,
        )
        return Made(id, {**state, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        self.google.request("PATCH", _IAM + id, json=_role(new))
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        if self.read(call, id, known) is not None:
            self.google.request("DELETE", _IAM + id)


def _role(inputs: Props) -> Props:
    return filled(title=inputs["title"], description=inputs.get("description", ""), includedPermissions=inputs["permissions"], stage=inputs.get("stage", "GA"))


class WorkloadIdentityPool(GcpHandler):
    """``gcp:iam/workloadIdentityPool:WorkloadIdentityPool``; a deleted one, which Google keeps for 30 days, is gone."""

    FIELDS = "workloadIdentityPoolId displayName description disabled mode"

    def create(self, call: Call, inputs: Props) -> Made:
        base = f"projects/{self.google.project_of(inputs)}/locations/global/workloadIdentityPools"
        id = f"{base}/{inputs['workloadIdentityPoolId']}"
        try:
            answer = self.google.request("POST", _IAM + base, params={"workloadIdentityPoolId": inputs["workloadIdentityPoolId"]}, json=_pool(inputs))
            self.google.long_running(call, _IAM, answer)
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated):
                raise
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_IAM + id)
        if document is None or document.get("state") == "DELETED":
            return None
        state = filled(
            name=document["name"],
            project=id.split("/")[1],
            workloadIdentityPoolId=id.rpartition("/")[2],
            displayName=document.get("displayName"),
            description=document.get("description"),
            disabled=document.get("disabled", False),
            state=document.get("state"),
        )
        return Made(id, {**state, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        answer = self.google.request("PATCH", _IAM + id, params={"updateMask": "displayName,description,disabled"}, json=_pool(new))
        self.google.long_running(call, _IAM, answer)
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        if self.read(call, id, known) is not None:
            self.google.long_running(call, _IAM, self.google.request("DELETE", _IAM + id))


def _pool(inputs: Props) -> Props:
    return filled(**{name: inputs.get(name) for name in ("displayName", "description", "disabled", "mode")})


class WorkloadIdentityPoolProvider(GcpHandler):
    """``gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider``, of kind OIDC."""

    FIELDS = "workloadIdentityPoolId workloadIdentityPoolProviderId displayName description disabled attributeMapping attributeCondition oidc"
    _SAME = "displayName description disabled attributeMapping attributeCondition oidc"

    def create(self, call: Call, inputs: Props) -> Made:
        base = f"projects/{self.google.project_of(inputs)}/locations/global/workloadIdentityPools/{inputs['workloadIdentityPoolId']}/providers"
        name = inputs["workloadIdentityPoolProviderId"]
        try:
            answer = self.google.request("POST", _IAM + base, params={"workloadIdentityPoolProviderId": name}, json=self._body(inputs))
            self.google.long_running(call, _IAM, answer)
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated):
                raise
        return self.present(call, f"{base}/{name}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_IAM + id)
        if document is None or document.get("state") == "DELETED":
            return None
        parts = id.split("/")
        state = filled(**{name: document.get(name) for name in self._SAME.split()}, name=document["name"], state=document.get("state"), project=parts[1])
        return Made(id, {**state, "workloadIdentityPoolId": parts[5], "workloadIdentityPoolProviderId": parts[7], **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        answer = self.google.request("PATCH", _IAM + id, params={"updateMask": ",".join(self._SAME.split())}, json=self._body(new))
        self.google.long_running(call, _IAM, answer)
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        if self.read(call, id, known) is not None:
            self.google.long_running(call, _IAM, self.google.request("DELETE", _IAM + id))

    def _body(self, inputs: Props) -> Props:
        return filled(**{name: inputs.get(name) for name in self._SAME.split()})


class DefaultServiceAccounts(GcpHandler):
    """``gcp:projects/defaultServiceAccounts:DefaultServiceAccounts``: takes Editor from the accounts that Google made, or switches them off or away."""

    FIELDS = "action restorePolicy"

    def create(self, call: Call, inputs: Props) -> Made:
        project = self.google.project_of(inputs)
        answer = self.google.request("GET", f"{_IAM}projects/{project}/serviceAccounts")
        found = {account["uniqueId"]: account["email"] for account in answer.get("accounts") or [] if account.get("displayName") in _DEFAULT_NAMES}
        if inputs["action"] == "DEPRIVILEGE":
            members = {f"serviceAccount:{email}" for email in found.values()}
            Policy.of_project(self.google, project).edit(call, lambda bindings: _without(bindings, "roles/editor", members))
        for email in found.values() if inputs["action"] != "DEPRIVILEGE" else ():
            account = f"{_IAM}projects/{project}/serviceAccounts/{email}"
            self.google.request(*(("DELETE", account) if inputs["action"] == "DELETE" else ("POST", f"{account}:disable")))
        state = {"project": project, "action": inputs["action"], "restorePolicy": inputs.get("restorePolicy", "REVERT"), "serviceAccounts": found}
        return Made(f"projects/{project}", state)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        return Made(id, known)

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        return {**known, "restorePolicy": new.get("restorePolicy", "REVERT")}

    def remove(self, call: Call, id: str, known: Props) -> None:
        if not str(known.get("restorePolicy", "REVERT")).startswith("REVERT") or known.get("action") == "DEPRIVILEGE":
            return
        verb = {"DISABLE": "enable", "DELETE": "undelete"}[str(known["action"])]
        for unique, email in (known.get("serviceAccounts") or {}).items():
            name = email if verb == "enable" else unique
            self.google.request("POST", f"{_IAM}{id}/serviceAccounts/{name}:{verb}", json={})


def _without(bindings: list[Any], role: str, members: set[str]) -> list[Any]:
    left = [
        {**binding, "members": [one for one in binding.get("members", []) if one not in members]} if binding.get("role") == role else binding
        for binding in bindings
    ]
    return [binding for binding in left if binding.get("members")]
