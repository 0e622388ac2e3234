"""Subscriptions, made by an alias as the billing account's owner does.

Format: https://learn.microsoft.com/rest/api/subscription/ (aliases 2021-10-01; cancel).
"""

from __future__ import annotations

from localcloud.clouds.azure.errors import ArmError, subscription_not_found
from localcloud.clouds.azure.resource_id import Target
from localcloud.clouds.azure.types import TENANT
from localcloud.clouds.documents import Document, Documents, Json, made_up_uuid
from localcloud.clouds.exchange import HttpAnswer, HttpRequest, json_answer

KIND = "Microsoft.Subscription/subscriptions"
ALIAS = "Microsoft.Subscription/aliases"


def known(documents: Documents, subscription: str) -> Document:
    """The subscription's document. Raises :class:`ArmError`."""
    found = documents.get(f"/subscriptions/{subscription}")
    if found is None:
        raise subscription_not_found(subscription)
    return found


def aliases(documents: Documents, request: HttpRequest, target: Target) -> HttpAnswer:
    """Creates, shows and removes aliases. The subscription outlives its alias, until it is cancelled."""
    if not target.name:
        return json_answer(200, {"value": [_shown(document) for document in documents.of(ALIAS)]})
    key = f"/providers/{ALIAS}/{target.name}"
    found = documents.get(key)
    if request.method == "PUT":
        return _create(documents, request, target.name, key, found)
    if request.method == "DELETE":
        documents.delete(key)
        return HttpAnswer(200 if found else 204)
    if found is None:
        raise ArmError(404, "AliasNotFound", f"Subscription alias '{target.name}' was not found.")
    return json_answer(200, _shown(found))


def management_group(path: str) -> Json:
    """Any management group: all subscriptions here are below it."""
    name = path.rpartition("/")[2]
    shown = {"displayName": name, "tenantId": TENANT, "details": {"version": 1, "parent": {}}}
    kind = "Microsoft.Management/managementGroups"
    return {"id": f"/providers/{kind}/{name}", "type": kind, "name": name, "properties": shown}


def cancel(documents: Documents, subscription: str) -> HttpAnswer:
    """Closes a subscription in which nothing is left. Raises :class:`ArmError`."""
    found = known(documents, subscription)
    if any("location" in document.body for document in documents.below(found.key)):
        raise ArmError(400, "SubscriptionNotEmpty", f"Subscription {subscription} still holds resources. Delete its resource groups before you cancel it.")
    for document in documents.below(found.key):
        documents.delete(document.key)
    documents.delete(found.key)
    return json_answer(200, {"subscriptionId": subscription})


def _create(documents: Documents, request: HttpRequest, name: str, key: str, found: Document | None) -> HttpAnswer:
    properties: Json = request.json().get("properties") or {}
    if found is not None:
        return json_answer(200, _shown(found))
    wanted = properties.get("subscriptionId")
    if not wanted and not properties.get("billingScope"):
        raise ArmError(400, "BadRequest", "properties.billingScope is required to create a subscription.")
    subscription = wanted or made_up_uuid("subscription", documents.next_number())
    display_name = properties.get("displayName", name)
    documents.put(
        f"/subscriptions/{subscription}",
        KIND,
        subscription,
        {
            "id": f"/subscriptions/{subscription}",
            "subscriptionId": subscription,
            "displayName": display_name,
            "state": "Enabled",
            "tenantId": TENANT,
            "tags": (properties.get("additionalProperties") or {}).get("tags") or {},
        },
    )
    body: Json = {"properties": {**properties, "subscriptionId": subscription, "displayName": display_name, "provisioningState": "Succeeded"}}
    shown = _shown(documents.put(key, ALIAS, subscription, body))
    return json_answer(201, shown | {"properties": {**shown["properties"], "provisioningState": "Accepted"}}, {"retry-after": "0"})


def _shown(document: Document) -> Json:
    return {"id": document.key, "name": document.key.rpartition("/")[2], "type": ALIAS, **document.body}
