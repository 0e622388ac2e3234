"""Budgets of billing accounts, and the channels by which Google tells of them: Cloud Billing Budgets v1 and Cloud Monitoring v3."""

from __future__ import annotations

import re

from localcloud.clouds.documents import Document, Documents, Json, made_up_number, made_up_uuid
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer
from localcloud.clouds.gcp.errors import GoogleError
from localcloud.clouds.gcp.projects import Projects

BUDGET = "budget"
CHANNEL = "notificationChannel"
_MOST_CHANNELS = 5


class Budgets:
    """billingbudgets.googleapis.com and monitoring.googleapis.com over ``documents``. Billing accounts here are in USD."""

    def __init__(self, documents: Documents, projects: Projects) -> None:
        self._documents = documents
        self._projects = projects

    def budgets(self, request: HttpRequest) -> HttpAnswer:
        """billingbudgets.googleapis.com v1. Raises :class:`GoogleError`."""
        parts = request.path.strip("/").split("/")
        if len(parts) < 4 or parts[1] != "billingAccounts" or parts[3] != "budgets":
            raise GoogleError(404, f"{request.path}: the local cloud serves v1/billingAccounts/*/budgets")
        base = "/".join(parts[1:4])
        if len(parts) == 4 and request.method == "GET":
            return json_answer(200, {"budgets": [one.body for one in self._documents.below(base)]})
        if len(parts) == 4:
            body = request.json()
            self._check(body)
            name = f"{base}/{made_up_uuid(base, self._documents.next_number())}"
            return self._written(name, parts[2], body)
        found = self._found("/".join(parts[1:]), "Budget")
        if request.method == "DELETE":
            self._documents.delete(found.key)
            return json_answer(200, {})
        if request.method == "PATCH":
            change = request.json()
            if change.get("etag") not in (None, "", found.body["etag"]):
                raise GoogleError(409, "The budget was changed by another call; read it again.", status="ABORTED")
            # Fields below a mask's path come and go with it.
            fields = {field.partition(".")[0] for field in request.parameters.get("updateMask", "").split(",") if field}
            body = {name: value for name, value in found.body.items() if name not in fields} | {name: change[name] for name in fields if name in change}
            self._check(body)
            return self._written(found.key, found.account, body)
        return json_answer(200, found.body)

    def channels(self, request: HttpRequest) -> HttpAnswer:
        """monitoring.googleapis.com v3. Raises :class:`GoogleError`."""
        parts = request.path.strip("/").split("/")
        if len(parts) < 4 or parts[1] != "projects" or parts[3] != "notificationChannels":
            raise GoogleError(404, f"{request.path}: the local cloud serves v3/projects/*/notificationChannels")
        project = self._projects.require_service(parts[2], "monitoring.googleapis.com").account
        base = f"projects/{project}/notificationChannels"
        if len(parts) == 4 and request.method == "GET":
            return json_answer(200, {"notificationChannels": [one.body for one in self._documents.below(base)]})
        if len(parts) == 4:
            body = request.json()
            if body.get("type") != "email" or not re.fullmatch(r"[^@\s]+@[^@\s]+", str(body.get("labels", {}).get("email_address", ""))):
                raise GoogleError(400, "Field notification_channel.labels[email_address] is missing or malformed; the local cloud has channels of type email.")
            name = f"{base}/{made_up_number(base, self._documents.next_number())}"
            return json_answer(200, self._documents.put(name, CHANNEL, project, {"enabled": True, **body, "name": name}).body)
        found = self._found(f"{base}/{parts[4]}", "Notification channel")
        if request.method == "DELETE":
            self._documents.delete(found.key)
            return json_answer(200, {})
        if request.method == "PATCH":
            body = {**found.body, **request.json(), "name": found.key}
            return json_answer(200, self._documents.put(found.key, CHANNEL, found.account, body).body)
        return json_answer(200, found.body)

    def _found(self, name: str, kind: str) -> Document:
        found = self._documents.get(name)
        if found is None:
            raise GoogleError(404, f"{kind} {name} was not found.")
        return found

    def _written(self, name: str, account: str, body: Json) -> HttpAnswer:
        etag = made_up_uuid(name, self._documents.next_number())[:16]
        return json_answer(200, self._documents.put(name, BUDGET, account, {**body, "name": name, "etag": etag}).body)

    def _check(self, body: Json) -> None:
        amount = body.get("amount", {})
        currency = amount.get("specifiedAmount", {}).get("currencyCode", "USD")
        if currency != "USD":
            raise GoogleError(400, f"Request contains an invalid argument: the budget's currency {currency} is not the billing account's, USD.")
        if not amount:
            raise GoogleError(400, "Budget.amount is required.")
        channels = (body.get("notificationsRule") or {}).get("monitoringNotificationChannels", [])
        if len(channels) > _MOST_CHANNELS:
            raise GoogleError(400, f"NotificationsRule.monitoring_notification_channels: at most {_MOST_CHANNELS} are allowed, {len(channels)} are given.")
        for channel in channels:
            self._found(channel, "Notification channel")
        for project in (body.get("budgetFilter") or {}).get("projects", []):
            self._projects.active(project.removeprefix("projects/"))
