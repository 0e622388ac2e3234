"""Budgets of billing accounts and notification channels: Cloud Billing Budgets v1, Cloud Monitoring v3."""

from __future__ import annotations

from typing import Any

from localcloud.providers.gcp.resource import GcpHandler, filled
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_BUDGETS = "https://billingbudgets.googleapis.com/v1/"
_MONITORING = "https://monitoring.googleapis.com/v3/"


class Budget(GcpHandler):
    """``gcp:billing/budget:Budget``; id ``billingAccounts/<account>/budgets/<uuid>``."""

    PLACES = ()
    FIELDS = "billingAccount displayName amount budgetFilter thresholdRules allUpdatesRule ownershipScope"

    def create(self, call: Call, inputs: Props) -> Made:
        answer = self.google.request("POST", f"{_BUDGETS}billingAccounts/{inputs['billingAccount']}/budgets", json=_budget(inputs))
        return self.present(call, str(answer["name"]), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_BUDGETS + id)
        if document is None:
            return None
        state = filled(
            name=id.rpartition("/")[2],
            billingAccount=id.split("/")[1],
            displayName=document.get("displayName"),
            amount=document.get("amount"),
            budgetFilter=document.get("budgetFilter"),
            thresholdRules=[
                filled(thresholdPercent=rule["thresholdPercent"], spendBasis=rule.get("spendBasis")) for rule in document.get("thresholdRules", [])
            ],
            allUpdatesRule=document.get("notificationsRule"),
        )
        return Made(id, {**state, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        before, after = _budget(old), _budget(new)
        changed = sorted(name for name in set(before) | set(after) if before.get(name) != after.get(name))
        if changed:
            self.google.request("PATCH", _BUDGETS + id, params={"updateMask": ",".join(changed)}, json=after)
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        self.google.request("DELETE", _BUDGETS + id)


def _budget(inputs: Props) -> Props:
    return filled(
        displayName=inputs.get("displayName"),
        amount=_plain(inputs["amount"]),
        budgetFilter=_plain(inputs.get("budgetFilter")),
        thresholdRules=_plain(inputs.get("thresholdRules")),
        notificationsRule=_plain(inputs.get("allUpdatesRule")),
    )


def _plain(value: Any) -> Any:
    """Pulumi's values without nulls; whole numbers of money as Google writes them."""
    if isinstance(value, dict):
        return {name: int(part) if name == "nanos" else _plain(part) for name, part in value.items() if part is not None}
    return [_plain(one) for one in value] if isinstance(value, list) else value


class NotificationChannel(GcpHandler):
    """``gcp:monitoring/notificationChannel:NotificationChannel``; its id is its name, ``projects/<project>/notificationChannels/<number>``."""

    _SAME = "type displayName description enabled labels userLabels"
    FIELDS = _SAME + " forceDelete"

    def create(self, call: Call, inputs: Props) -> Made:
        base = f"projects/{self.google.project_of(inputs)}/notificationChannels"
        answer = self.google.request("POST", _MONITORING + base, json=self._body(inputs))
        return self.present(call, str(answer["name"]), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        document = self.google.find(_MONITORING + id)
        if document is None:
            return None
        same = {name: document.get(name) for name in self._SAME.split()}
        own = {"forceDelete": known["forceDelete"]} if "forceDelete" in known else {}
        return Made(id, {**filled(**same, name=document["name"], project=id.split("/")[1]), **own, **self.kept(known)})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        self.google.request("PATCH", _MONITORING + id, json=self._body(new))
        return self.present(call, id, {**known, **new}).outputs

    def remove(self, call: Call, id: str, known: Props) -> None:
        self.google.request("DELETE", _MONITORING + id)

    def _body(self, inputs: Props) -> Props:
        return filled(**{name: inputs.get(name) for name in self._SAME.split()})
