"""Accounts of an organization, its policies and where they are attached. Called in the management account; no region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.providers.aws.resource import AwsHandler, given
from localcloud.providers.aws.session import ask, find
from localcloud.providers.aws.shapes import pairs, tag_map
from localcloud.providers.faults import Conflict, NotFound, Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class _OfOrganization(AwsHandler):
    REGIONAL = False

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        client = self.session.client("organizations")
        if gone := [key for key in old if key not in new]:
            ask(client.untag_resource, ResourceId=id, TagKeys=gone)
        if new:
            ask(client.tag_resource, ResourceId=id, Tags=pairs(new))

    def tags(self, id: str) -> Props:
        answer = find(self.session.client("organizations").list_tags_for_resource, ResourceId=id)
        tags = tag_map(answer["Tags"] if answer else [])
        return {"tags": tags, "tagsAll": tags}


class Account(_OfOrganization):
    """``aws:organizations/account:Account``. Deleting closes the account only with ``closeOnDeletion``; else it leaves the organization."""

    FIELDS = "name email roleName parentId iamUserAccessToBilling closeOnDeletion createGovcloud"

    def create(self, call: Call, inputs: Props) -> Made:
        client = self.session.client("organizations")
        id = self._by_email(inputs["email"]) if call.resumed else None
        if id is None:
            wanted = given(inputs, RoleName="roleName", IamUserAccessToBilling="iamUserAccessToBilling")
            tags = {"Tags": pairs(inputs["tags"])} if inputs.get("tags") else {}
            status = ask(client.create_account, Email=inputs["email"], AccountName=inputs["name"], **wanted, **tags)["CreateAccountStatus"]
            id = self._created(call, status)
        parent = inputs.get("parentId")
        return self.finished(call, id, inputs, *([lambda: self._move(id, parent)] if parent else []))

    def _created(self, call: Call, status: dict[str, Any]) -> str:
        latest = dict(status)

        def done() -> bool:
            if latest["State"] == "IN_PROGRESS":
                answer = ask(self.session.client("organizations").describe_create_account_status, CreateAccountRequestId=latest["Id"])
                latest.update(answer["CreateAccountStatus"])
            return bool(latest["State"] != "IN_PROGRESS")

        call.poll(done)
        if latest["State"] == "FAILED":
            kind = Conflict if latest.get("FailureReason") == "EMAIL_ALREADY_EXISTS" else Rejected
            raise kind(f"the account could not be created: {latest.get('FailureReason', 'no reason given')}", latest.get("FailureReason", ""))
        return str(latest["AccountId"])

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        client = self.session.client("organizations")
        answer = find(client.describe_account, AccountId=id)
        if answer is None or answer["Account"]["Status"] in ("SUSPENDED", "PENDING_CLOSURE"):
            return None
        account = answer["Account"]
        parents = find(client.list_parents, ChildId=id)
        return Made(
            id,
            {
                "arn": account["Arn"],
                "name": account["Name"],
                "email": account["Email"],
                "parentId": parents["Parents"][0]["Id"] if parents and parents["Parents"] else None,
                "status": account["Status"],
                "state": account.get("State", account["Status"]),
                "joinedMethod": account["JoinedMethod"],
                "joinedTimestamp": account["JoinedTimestamp"].strftime("%Y-%m-%dT%H:%M:%SZ"),
                "govcloudId": "",
                **self.tags(id),
            },
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        if new.get("parentId") and old.get("parentId") != new["parentId"]:
            self._move(id, new["parentId"])
        if old.get("name") != new.get("name"):
            ask(self.session.client("account").put_account_name, AccountId=id, AccountName=new["name"])

    def delete(self, call: Call, id: str, known: Props) -> None:
        client = self.session.client("organizations")
        if self.read(call, id, known) is None:
            return
        if known.get("closeOnDeletion"):
            find(client.close_account, AccountId=id)
            call.poll(lambda: self.read(call, id, known) is None)
        else:
            find(client.remove_account_from_organization, AccountId=id)

    def _move(self, id: str, parent: str) -> None:
        client = self.session.client("organizations")
        current = ask(client.list_parents, ChildId=id)["Parents"][0]["Id"]
        if current != parent:
            ask(client.move_account, AccountId=id, SourceParentId=current, DestinationParentId=parent)

    def _by_email(self, email: str) -> str | None:
        for account in ask(self.session.client("organizations").list_accounts)["Accounts"]:
            if account["Email"].casefold() == email.casefold() and account["Status"] == "ACTIVE":
                return str(account["Id"])
        return None


class Policy(_OfOrganization):
    """``aws:organizations/policy:Policy``."""

    FIELDS = "name type content description skipDestroy"

    def create(self, call: Call, inputs: Props) -> Made:
        client = self.session.client("organizations")
        tags = {"Tags": pairs(inputs["tags"])} if inputs.get("tags") else {}
        kind = inputs.get("type") or "SERVICE_CONTROL_POLICY"
        answer = ask(client.create_policy, Name=inputs["name"], Type=kind, Content=inputs["content"], Description=inputs.get("description") or "", **tags)
        return self.present(call, str(answer["Policy"]["PolicySummary"]["Id"]), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        answer = find(self.session.client("organizations").describe_policy, PolicyId=id)
        if answer is None:
            return None
        summary = answer["Policy"]["PolicySummary"]
        outputs = {"arn": summary["Arn"], "name": summary["Name"], "type": summary["Type"], "content": answer["Policy"]["Content"]}
        return Made(id, {**outputs, "description": summary.get("Description") or None, **self.tags(id)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        wanted = given({name: new.get(name) for name in ("name", "content") if old.get(name) != new.get(name)}, Name="name", Content="content")
        if old.get("description") != new.get("description"):
            wanted["Description"] = new.get("description") or ""
        if wanted:
            ask(self.session.client("organizations").update_policy, PolicyId=id, **wanted)

    def delete(self, call: Call, id: str, known: Props) -> None:
        if not known.get("skipDestroy"):
            find(self.session.client("organizations").delete_policy, PolicyId=id)


class PolicyAttachment(AwsHandler):
    """``aws:organizations/policyAttachment:PolicyAttachment``; id ``<target>:<policy>``."""

    FIELDS = "policyId targetId skipDestroy"
    REGIONAL = False
    TAGGED = False

    def create(self, call: Call, inputs: Props) -> Made:
        id = f"{inputs['targetId']}:{inputs['policyId']}"
        try:
            ask(self.session.client("organizations").attach_policy, PolicyId=inputs["policyId"], TargetId=inputs["targetId"])
        except Conflict:
            if not call.resumed:
                raise
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        target, _, policy = id.partition(":")
        client = self.session.client("organizations")
        try:
            pages = client.get_paginator("list_targets_for_policy").paginate(PolicyId=policy)
            targets = ask(lambda: [item["TargetId"] for page in pages for item in page["Targets"]])
        except NotFound:
            return None
        return Made(id, {"policyId": policy, "targetId": target, "skipDestroy": known.get("skipDestroy")}) if target in targets else None

    def delete(self, call: Call, id: str, known: Props) -> None:
        target, _, policy = id.partition(":")
        if not known.get("skipDestroy") and self.read(call, id, known) is not None:
            find(self.session.client("organizations").detach_policy, PolicyId=policy, TargetId=target)
