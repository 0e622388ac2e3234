"""Budgets of AWS Budgets, served from one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.providers.aws.resource import AwsHandler
from localcloud.providers.aws.session import ask, find
from localcloud.providers.faults import Conflict
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class Budget(AwsHandler):
    """``aws:budgets/budget:Budget``; id ``<account>:<name>``."""

    FIELDS = "accountId name namePrefix budgetType limitAmount limitUnit timeUnit timePeriodStart timePeriodEnd costFilters notifications"
    REGIONAL = False

    def create(self, call: Call, inputs: Props) -> Made:
        client = self.session.client("budgets")
        account = inputs.get("accountId") or self.session.account
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        try:
            ask(client.create_budget, AccountId=account, Budget=_budget(name, inputs), NotificationsWithSubscribers=_notifications(inputs))
        except Conflict:
            if not call.resumed:
                raise
        return self.present(call, f"{account}:{name}", inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        account, _, name = id.partition(":")
        answer = find(self.session.client("budgets").describe_budget, AccountId=account, BudgetName=name)
        if answer is None:
            return None
        budget = answer["Budget"]
        limit = budget.get("BudgetLimit") or {}
        outputs: Props = {
            "accountId": account,
            "name": name,
            "namePrefix": known.get("namePrefix", ""),
            "arn": f"arn:aws:budgets::{account}:budget/{name}",
            "budgetType": budget["BudgetType"],
            # The API answers "200.0" for "200.00".
            "limitAmount": known["limitAmount"] if _same(known.get("limitAmount"), limit.get("Amount")) else limit.get("Amount"),
            "limitUnit": limit.get("Unit"),
            "timeUnit": budget["TimeUnit"],
            "costFilters": known.get("costFilters", []),
            "notifications": known.get("notifications"),
            "tags": known.get("tags", {}),
            "tagsAll": known.get("tags", {}),
        }
        return Made(id, outputs)

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        account, _, name = id.partition(":")
        client = self.session.client("budgets")
        if old.get("notifications") != new.get("notifications"):  # a budget has no call that changes them together
            find(client.delete_budget, AccountId=account, BudgetName=name)
            ask(client.create_budget, AccountId=account, Budget=_budget(name, new), NotificationsWithSubscribers=_notifications(new))
        else:
            ask(client.update_budget, AccountId=account, NewBudget=_budget(name, new))

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        """Kept in the state: the local AWS keeps none for budgets."""

    def delete(self, call: Call, id: str, known: Props) -> None:
        account, _, name = id.partition(":")
        find(self.session.client("budgets").delete_budget, AccountId=account, BudgetName=name)


def _budget(name: str, inputs: Props) -> dict[str, Any]:
    filters = {one["name"]: list(one["values"]) for one in inputs.get("costFilters") or []}
    limit = {"Amount": str(inputs["limitAmount"]), "Unit": inputs["limitUnit"]}
    wanted: dict[str, Any] = {"BudgetName": name, "BudgetType": inputs["budgetType"], "TimeUnit": inputs["timeUnit"], "BudgetLimit": limit}
    return wanted | ({"CostFilters": filters} if filters else {})


def _notifications(inputs: Props) -> list[dict[str, Any]]:
    return [
        {
            "Notification": {
                "NotificationType": one["notificationType"],
                "ComparisonOperator": one["comparisonOperator"],
                "Threshold": float(one["threshold"]),
                "ThresholdType": one["thresholdType"],
            },
            "Subscribers": [{"SubscriptionType": "EMAIL", "Address": address} for address in one.get("subscriberEmailAddresses") or []],
        }
        for one in inputs.get("notifications") or []
    ]


def _same(known: Any, answered: Any) -> bool:
    try:
        return float(known) == float(answered)
    except (TypeError, ValueError):
        return False
