"""Projects and what governs them: services, organization policies, service accounts, roles, members."""

from __future__ import annotations

from typing import Any

from localcloud.providers.faults import Conflict, NotFound, Rejected
from localcloud.providers.gcp.api import BILLING, IAM, ORG_POLICY, RESOURCE_MANAGER, SERVICE_USAGE, GcpApi
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class PlatformHandler:
    """Base: one API object a resource."""

    fields = None

    def __init__(self, api: GcpApi) -> None:
        self.api = api

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The object as it is now."""
        raise NotImplementedError

    def present(self, call: Call, id: str, known: Props) -> Made:
        """The object, which must exist. Raises :class:`NotFound`."""
        made = self.read(call, id, known)
        if made is None:
            raise NotFound(f"{id} was not found after it was made or changed")
        return made

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Carries out the difference; the object's state."""
        self.change(call, id, old, new)
        return self.present(call, id, {**known, **new}).outputs

    def change(self, call: Call, id: str, old: Props, new: Props) -> None:
        """Carries out the difference."""
        raise Rejected(f"{id} can't be changed in place")


class ProjectHandler(PlatformHandler):
    """``id`` is ``projects/<project id>``."""

    def create(self, call: Call, inputs: Props) -> Made:
        """Creates the project, then links it to its billing account."""
        project = str(inputs["projectId"])
        body: dict[str, Any] = {"projectId": project, "name": inputs.get("name") or project, "labels": inputs.get("labels") or {}}
        if inputs.get("folderId"):
            body["parent"] = {"type": "folder", "id": str(inputs["folderId"]).removeprefix("folders/")}
        elif inputs.get("orgId"):
            body["parent"] = {"type": "organization", "id": str(inputs["orgId"])}
        self.api.send(call, "POST", f"{RESOURCE_MANAGER}/projects", body)
        self._bill(call, project, inputs)
        return self.present(call, f"projects/{project}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The project; one that waits for its deletion is gone."""
        project = id.removeprefix("projects/")
        answer = self.api.get(f"{RESOURCE_MANAGER}/projects/{project}")
        if answer is None or answer.get("lifecycleState") not in (None, "ACTIVE"):
            return None
        labels = answer.get("labels") or {}
        state = {"projectId": project, "name": answer.get("name"), "number": str(answer.get("projectNumber", "")), "labels": labels, "effectiveLabels": labels}
        return Made(id, {**known, **state})

    def change(self, call: Call, id: str, old: Props, new: Props) -> None:
        """Name, labels and billing account."""
        project = id.removeprefix("projects/")
        self.api.send(call, "PUT", f"{RESOURCE_MANAGER}/projects/{project}", {"name": new.get("name") or project, "labels": new.get("labels") or {}})
        if old.get("billingAccount") != new.get("billingAccount"):
            self._bill(call, project, new)

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Shuts the project down. Raises :class:`Rejected` where its deletion policy prevents that, as it does by default."""
        if known.get("deletionPolicy", "PREVENT") == "PREVENT":
            raise Rejected("deletionPolicy is PREVENT: set it to DELETE (or ABANDON) and update before the project can be destroyed")
        if known.get("deletionPolicy") == "DELETE":
            self.api.remove(call, f"{RESOURCE_MANAGER}/{id}")

    def _bill(self, call: Call, project: str, inputs: Props) -> None:
        if inputs.get("billingAccount"):
            account = str(inputs["billingAccount"]).removeprefix("billingAccounts/")
            self.api.send(call, "PUT", f"{BILLING}/projects/{project}/billingInfo", {"billingAccountName": f"billingAccounts/{account}"})


class ServiceHandler(PlatformHandler):
    """``id`` is ``<project>/<service>``."""

    def create(self, call: Call, inputs: Props) -> Made:
        """Enables the service."""
        project = self.api.project_of(inputs)
        self.api.send(call, "POST", f"{SERVICE_USAGE}/projects/{project}/services/{inputs['service']}:enable", {})
        return Made(f"{project}/{inputs['service']}", {**inputs, "project": project})

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The service, if it is enabled."""
        project, service = id.split("/", 1)
        answer = self.api.get(f"{SERVICE_USAGE}/projects/{project}/services/{service}")
        return None if answer is None or answer.get("state") != "ENABLED" else Made(id, {**known, "project": project, "service": service})

    def change(self, call: Call, id: str, old: Props, new: Props) -> None:
        """Only what happens at a destroy can change."""

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Disables the service, unless it is to stay."""
        if known.get("disableOnDestroy", True) is not False:
            project, service = id.split("/", 1)
            try:
                self.api.send(call, "POST", f"{SERVICE_USAGE}/projects/{project}/services/{service}:disable", {})
            except NotFound:
                return


class OrgPolicyHandler(PlatformHandler):
    """``id`` is the policy's name, ``projects/<project>/policies/<constraint>``."""

    def create(self, call: Call, inputs: Props) -> Made:
        """Sets the policy."""
        self.api.send(call, "POST", f"{ORG_POLICY}/{inputs['parent']}/policies", _policy(inputs))
        return self.present(call, str(inputs["name"]), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The policy as it is now."""
        answer = self.api.get(f"{ORG_POLICY}/{id}")
        return None if answer is None else Made(id, {**known, "name": id, "etag": answer.get("etag")})

    def change(self, call: Call, id: str, old: Props, new: Props) -> None:
        """Sets the policy anew."""
        self.api.send(call, "PATCH", f"{ORG_POLICY}/{id}", _policy(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the policy."""
        self.api.remove(call, f"{ORG_POLICY}/{id}")


def _policy(inputs: Props) -> dict[str, Any]:
    rules = []
    for rule in (inputs.get("spec") or {}).get("rules") or []:
        body = {name: value for name, value in rule.items() if value is not None}
        for flag in ("allowAll", "denyAll", "enforce"):
            if flag in body:
                body[flag] = str(body[flag]).upper() == "TRUE"
        rules.append(body)
    return {"name": inputs["name"], "spec": {**(inputs.get("spec") or {}), "rules": rules}}


class ServiceAccountHandler(PlatformHandler):
    """``id`` is ``projects/<project>/serviceAccounts/<email>``."""

    def create(self, call: Call, inputs: Props) -> Made:
        """Creates the account."""
        project = self.api.project_of(inputs)
        account = {name: inputs[name] for name in ("displayName", "description") if inputs.get(name)}
        answer = self.api.send(call, "POST", f"{IAM}/projects/{project}/serviceAccounts", {"accountId": inputs["accountId"], "serviceAccount": account})
        return self.present(call, str(answer["name"]), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The account as it is now."""
        answer = self.api.get(f"{IAM}/{id}")
        if answer is None:
            return None
        email = str(answer["email"])
        state = {"name": answer["name"], "email": email, "uniqueId": str(answer.get("uniqueId", "")), "member": f"serviceAccount:{email}"}
        return Made(id, {**known, **state, "project": id.split("/")[1], "accountId": email.partition("@")[0]})

    def change(self, call: Call, id: str, old: Props, new: Props) -> None:
        """Display name and description."""
        account = {"displayName": new.get("displayName") or "", "description": new.get("description") or ""}
        self.api.send(call, "PATCH", f"{IAM}/{id}", {"serviceAccount": account, "updateMask": "displayName,description"})

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Deletes the account."""
        self.api.remove(call, f"{IAM}/{id}")


class CustomRoleHandler(PlatformHandler):
    """``id`` and ``name`` are ``projects/<project>/roles/<role id>``."""

    def create(self, call: Call, inputs: Props) -> Made:
        """Creates the role."""
        project = self.api.project_of(inputs)
        self.api.send(call, "POST", f"{IAM}/projects/{project}/roles", {"roleId": inputs["roleId"], "role": _role(inputs)})
        return self.present(call, f"projects/{project}/roles/{inputs['roleId']}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The role; a deleted one is gone."""
        answer = self.api.get(f"{IAM}/{id}")
        if answer is None or answer.get("deleted"):
            return None
        return Made(id, {**known, "name": id, "project": id.split("/")[1], "roleId": id.rsplit("/", 1)[1], "deleted": False})

    def change(self, call: Call, id: str, old: Props, new: Props) -> None:
        """Writes the role anew."""
        self.api.send(call, "PATCH", f"{IAM}/{id}", _role(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Deletes the role."""
        self.api.remove(call, f"{IAM}/{id}")


def _role(inputs: Props) -> dict[str, Any]:
    body = {"title": inputs.get("title"), "description": inputs.get("description"), "stage": inputs.get("stage") or "GA"}
    return {name: value for name, value in body.items() if value is not None} | {"includedPermissions": inputs.get("permissions") or []}


class MemberHandler(PlatformHandler):
    """One member of one role of a project's policy; ``id`` is ``<project>/<role>/<member>``."""

    _ATTEMPTS = 5

    def create(self, call: Call, inputs: Props) -> Made:
        """Adds the member."""
        project = str(inputs["project"]).removeprefix("projects/")
        self._edit(call, project, str(inputs["role"]), str(inputs["member"]), present=True)
        return Made(f"{project}/{inputs['role']}/{inputs['member']}", dict(inputs))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The member, if the policy has it."""
        project, role, member = str(known["project"]).removeprefix("projects/"), known["role"], known["member"]
        try:
            policy = self.api.send(call, "POST", f"{RESOURCE_MANAGER}/projects/{project}:getIamPolicy", {})
        except NotFound:
            return None
        held = any(binding["role"] == role and member in binding.get("members", []) for binding in policy.get("bindings") or [])
        return Made(id, {**known, "etag": policy.get("etag")}) if held else None

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Removes the member."""
        try:
            self._edit(call, str(known["project"]).removeprefix("projects/"), str(known["role"]), str(known["member"]), present=False)
        except NotFound:
            return

    def _edit(self, call: Call, project: str, role: str, member: str, *, present: bool) -> None:
        """Read-modify-write by etag; a policy that somebody else has written meanwhile is read again."""
        for attempt in range(1, self._ATTEMPTS + 1):
            policy = self.api.send(call, "POST", f"{RESOURCE_MANAGER}/projects/{project}:getIamPolicy", {})
            bindings = {str(binding["role"]): list(binding.get("members") or []) for binding in policy.get("bindings") or []}
            members = [one for one in bindings.get(role, []) if one != member] + ([member] if present else [])
            bindings[role] = members
            written = {**policy, "bindings": [{"role": name, "members": held} for name, held in bindings.items() if held]}
            try:
                self.api.send(call, "POST", f"{RESOURCE_MANAGER}/projects/{project}:setIamPolicy", {"policy": written})
                return
            except Conflict:
                if attempt == self._ATTEMPTS:
                    raise
