"""Projects, their services, organization policies.

Formats: Cloud Resource Manager v3, Cloud Billing v1, Service Usage v1, Organization Policy v2.
"""

from __future__ import annotations

import json

from localcloud.providers.faults import Conflict, Denied, NotFound
from localcloud.providers.gcp.resource import GcpHandler, filled
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_RESOURCES = "https://cloudresourcemanager.googleapis.com/v3/"
_BILLING = "https://cloudbilling.googleapis.com/v1/"
_SERVICES = "https://serviceusage.googleapis.com/v1/"
_POLICIES = "https://orgpolicy.googleapis.com/v2/"


class Project(GcpHandler):
    """``gcp:organizations/project:Project``. Its ``deletionPolicy`` is PREVENT unless set otherwise."""

    PLACES = ()
    FIELDS = "projectId name orgId folderId labels billingAccount autoCreateNetwork"

    def create(self, call: Call, inputs: Props) -> Made:
        project = inputs.get("projectId") or inputs["name"]
        body = filled(projectId=project, displayName=inputs.get("name"), labels=inputs.get("labels"), parent=_parent(inputs))
        try:
            self.google.long_running(call, _RESOURCES, self.google.request("POST", _RESOURCES + "projects", json=body))
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated):
                raise
        known = {**inputs, "projectId": project}
        if inputs.get("billingAccount"):
            self._bill(project, inputs["billingAccount"])
        if inputs.get("autoCreateNetwork") is False:
            self._without_network(call, project)
        return self.present(call, f"projects/{project}", known)

    def _without_network(self, call: Call, project: str) -> None:
        """Takes the default network away, as the provider does: Google makes it all the same, when Compute Engine is switched on."""
        answer = self.google.request("POST", f"{_SERVICES}projects/{project}/services:batchEnable", json={"serviceIds": ["compute.googleapis.com"]})
        self.google.long_running(call, _SERVICES, answer)
        place = f"projects/{project}/global"
        network = self.google.find(self.google.compute(f"{place}/networks/default"))
        if network is None:
            return
        rules = self.google.request("GET", self.google.compute(f"{place}/firewalls"), params={"filter": f"network eq {network['selfLink']}"})
        for rule in rules.get("items") or []:
            self.google.change(call, "DELETE", f"{place}/firewalls/{rule['name']}")
        self.google.change(call, "DELETE", f"{place}/networks/default")

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        project = id.removeprefix("projects/")
        try:
            document = self.google.request("GET", f"{_RESOURCES}projects/{project}")
        except (NotFound, Denied) as error:
            if "Spotlane boundary" in str(error):
                raise
            return None  # Google answers 403 for a project that doesn't exist
        if document.get("state") != "ACTIVE":
            return None
        kind, _, number = str(document.get("parent", "")).partition("/")
        labels = document.get("labels") or {}
        billing = self.google.request("GET", f"{_BILLING}projects/{project}/billingInfo").get("billingAccountName", "")
        state = filled(
            projectId=document["projectId"],
            name=document.get("displayName"),
            number=str(document["name"]).rpartition("/")[2],
            orgId=number if kind == "organizations" else None,
            folderId=number if kind == "folders" else None,
            labels=labels,
            effectiveLabels=labels,
            pulumiLabels=labels,
            billingAccount=str(billing).removeprefix("billingAccounts/") or None,
            autoCreateNetwork=known.get("autoCreateNetwork", True),
            deletionPolicy=known.get("deletionPolicy", "PREVENT"),
        )
        if str(known.get("folderId", "")).startswith("folders/"):
            state["folderId"] = f"folders/{number}"
        return Made(f"projects/{document['projectId']}", state)

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        if any(old.get(name) != new.get(name) for name in ("name", "labels")):
            body = filled(displayName=new.get("name"), labels=new.get("labels") or {})
            answer = self.google.request("PATCH", f"{_RESOURCES}{id}", json=body, params={"updateMask": "displayName,labels"})
            self.google.long_running(call, _RESOURCES, answer)
        if old.get("billingAccount") != new.get("billingAccount"):
            self._bill(id.removeprefix("projects/"), new.get("billingAccount"))
        if _parent(old) != _parent(new):
            self.google.long_running(call, _RESOURCES, self.google.request("POST", f"{_RESOURCES}{id}:move", json={"destinationParent": _parent(new)}))
        return self.present(call, id, {**known, **new}).outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        super().delete(call, id, {"deletionPolicy": "PREVENT", **known})

    def remove(self, call: Call, id: str, known: Props) -> None:
        if self.read(call, id, known) is not None:
            self.google.long_running(call, _RESOURCES, self.google.request("DELETE", f"{_RESOURCES}{id}"))

    def _bill(self, project: str, account: str | None) -> None:
        name = f"billingAccounts/{str(account).removeprefix('billingAccounts/')}" if account else ""
        self.google.request("PUT", f"{_BILLING}projects/{project}/billingInfo", json={"billingAccountName": name})


def _parent(inputs: Props) -> str | None:
    if inputs.get("folderId"):
        return f"folders/{str(inputs['folderId']).removeprefix('folders/')}"
    return f"organizations/{inputs['orgId']}" if inputs.get("orgId") else None


class Service(GcpHandler):
    """``gcp:projects/service:Service``; id ``<project>/<service>``."""

    FIELDS = "service disableOnDestroy disableDependentServices checkIfServiceHasUsageOnDestroy"

    def create(self, call: Call, inputs: Props) -> Made:
        project, service = self.google.project_of(inputs), inputs["service"]
        answer = self.google.request("POST", f"{_SERVICES}projects/{project}/services/{service}:enable", json={})
        self.google.long_running(call, _SERVICES, answer)
        return self.present(call, f"{project}/{service}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        project, _, service = id.partition("/")
        try:
            document = self.google.request("GET", f"{_SERVICES}projects/{project}/services/{service}")
        except (NotFound, Denied) as error:
            if "Spotlane boundary" in str(error):
                raise
            return None
        if document.get("state") != "ENABLED":
            return None
        own: Props = {name: known[name] for name in ("disableOnDestroy", "disableDependentServices") if name in known}
        return Made(f"{project}/{service}", {"project": project, "service": service, **own, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        project, _, service = id.partition("/")
        if known.get("disableOnDestroy", True) and self.read(call, id, known) is not None:
            body = {"disableDependentServices": bool(known.get("disableDependentServices"))}
            answer = self.google.request("POST", f"{_SERVICES}projects/{project}/services/{service}:disable", json=body)
            self.google.long_running(call, _SERVICES, answer)


class OrgPolicy(GcpHandler):
    """``gcp:orgpolicy/policy:Policy``; its id is its name, ``<parent>/policies/<constraint>``."""

    PLACES = ()
    FIELDS = "name parent spec dryRunSpec"

    def create(self, call: Call, inputs: Props) -> Made:
        id = self._id(inputs)
        try:
            self.google.request("POST", f"{_POLICIES}{inputs['parent']}/policies", json=self._body(id, inputs))
        except Conflict as conflict:
            if not (call.resumed or conflict.repeated):
                raise
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_POLICIES + id)
        if document is None:
            return None
        parent, _, constraint = id.partition("/policies/")
        name = known.get("name", id)
        state: Props = {"name": name, "parent": known.get("parent", parent), "etag": document.get("etag", (document.get("spec") or {}).get("etag", ""))}
        for key in ("spec", "dryRunSpec"):
            if document.get(key):
                state[key] = _shown_spec(document[key])
        return Made(f"{parent}/policies/{constraint}", {**state, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        self.google.request("PATCH", _POLICIES + id, json=self._body(id, new))
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        self.google.request("DELETE", _POLICIES + id)

    @staticmethod
    def _id(inputs: Props) -> str:
        name = str(inputs["name"])
        return name if "/policies/" in name else f"{inputs['parent']}/policies/{name}"

    @staticmethod
    def _body(id: str, inputs: Props) -> Props:
        specs = {name: _spec(inputs[name]) for name in ("spec", "dryRunSpec") if inputs.get(name)}
        return {"name": id, **specs}


_FLAGS = ("allowAll", "denyAll", "enforce")
"""Booleans of a rule, which the provider takes as the text TRUE or FALSE."""


def _spec(spec: Props) -> Props:
    rules = []
    for rule in spec.get("rules") or []:
        sent: Props = {name: str(value).upper() == "TRUE" if name in _FLAGS else value for name, value in rule.items() if value is not None}
        if isinstance(sent.get("parameters"), str):
            sent["parameters"] = json.loads(sent["parameters"])
        rules.append(sent)
    return filled(rules=rules or None, inheritFromParent=spec.get("inheritFromParent"), reset=spec.get("reset"))


def _shown_spec(spec: Props) -> Props:
    def shown(rule: Props) -> Props:
        values = {name: str(value).upper() if name in _FLAGS else value for name, value in rule.items()}
        return {**values, "parameters": json.dumps(values["parameters"])} if isinstance(values.get("parameters"), dict) else values

    return {**spec, "rules": [shown(rule) for rule in spec.get("rules") or []]}
