"""IAM managed policies and identity providers. IAM is global: these take no region."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localcloud.providers.aws.identity import document_text
from localcloud.providers.aws.resource import AwsHandler, given, tags_of
from localcloud.providers.aws.session import ask, find
from localcloud.providers.aws.shapes import pairs
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_VERSIONS = 5
"""Versions that IAM keeps of a policy (IAM quotas)."""


class Policy(AwsHandler):
    """``aws:iam/policy:Policy``; its id is its ARN. A change is a new default version, the oldest one makes room."""

    FIELDS = "name namePrefix path description policy"
    REGIONAL = False

    def create(self, call: Call, inputs: Props) -> Made:
        iam = self.session.client("iam")
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        arn = f"arn:aws:iam::{self.session.account}:policy{inputs.get('path') or '/'}{name}"
        if not (call.resumed and find(iam.get_policy, PolicyArn=arn)):
            tags = {"Tags": pairs(inputs["tags"])} if inputs.get("tags") else {}
            wanted = given(inputs, Path="path", Description="description")
            arn = str(ask(iam.create_policy, PolicyName=name, PolicyDocument=_text(inputs["policy"]), **wanted, **tags)["Policy"]["Arn"])
        return self.present(call, arn, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        iam = self.session.client("iam")
        answer = find(iam.get_policy, PolicyArn=id)
        if answer is None:
            return None
        policy = answer["Policy"]
        version = ask(iam.get_policy_version, PolicyArn=id, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
        outputs: Props = {
            "arn": policy["Arn"],
            "name": policy["PolicyName"],
            "namePrefix": known.get("namePrefix", ""),
            "path": policy["Path"],
            "policy": document_text(version["Document"]),
            "policyId": policy["PolicyId"],
            "attachmentCount": policy.get("AttachmentCount", 0),
            **tags_of(policy),
        }
        if policy.get("Description") or known.get("description"):
            outputs["description"] = policy.get("Description")
        return Made(id, outputs)

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        if old.get("policy") == new.get("policy"):
            return
        iam = self.session.client("iam")
        versions = ask(iam.list_policy_versions, PolicyArn=id)["Versions"]
        if len(versions) >= _VERSIONS:
            oldest = min((one for one in versions if not one["IsDefaultVersion"]), key=lambda one: one["CreateDate"])
            ask(iam.delete_policy_version, PolicyArn=id, VersionId=oldest["VersionId"])
        ask(iam.create_policy_version, PolicyArn=id, PolicyDocument=_text(new["policy"]), SetAsDefault=True)

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        iam = self.session.client("iam")
        if gone := [key for key in old if key not in new]:
            ask(iam.untag_policy, PolicyArn=id, TagKeys=gone)
        if new:
            ask(iam.tag_policy, PolicyArn=id, Tags=pairs(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        iam = self.session.client("iam")
        versions = find(iam.list_policy_versions, PolicyArn=id)
        if versions is None:
            return
        for one in versions["Versions"]:
            if not one["IsDefaultVersion"]:
                find(iam.delete_policy_version, PolicyArn=id, VersionId=one["VersionId"])
        find(iam.delete_policy, PolicyArn=id)


class OpenIdConnectProvider(AwsHandler):
    """``aws:iam/openIdConnectProvider:OpenIdConnectProvider``; its id is its ARN."""

    FIELDS = "url clientIdLists thumbprintLists"
    REGIONAL = False

    def create(self, call: Call, inputs: Props) -> Made:
        iam = self.session.client("iam")
        arn = f"arn:aws:iam::{self.session.account}:oidc-provider/{_host(inputs['url'])}"
        if not (call.resumed and find(iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn)):
            tags = {"Tags": pairs(inputs["tags"])} if inputs.get("tags") else {}
            wanted = given(inputs, ClientIDList="clientIdLists", ThumbprintList="thumbprintLists")
            arn = str(ask(iam.create_open_id_connect_provider, Url=inputs["url"], **wanted, **tags)["OpenIDConnectProviderArn"])
        return self.present(call, arn, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        answer = find(self.session.client("iam").get_open_id_connect_provider, OpenIDConnectProviderArn=id)
        if answer is None:
            return None
        outputs = {
            "arn": id,
            # As written where it says the same: IAM answers without the scheme.
            "url": known["url"] if _host(str(known.get("url", ""))) == _host(answer["Url"]) else _host(answer["Url"]),
            "clientIdLists": answer.get("ClientIDList", []),
            "thumbprintLists": answer.get("ThumbprintList", []),
            **tags_of(answer),
        }
        return Made(id, outputs)

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        iam = self.session.client("iam")
        before, after = set(old.get("clientIdLists") or []), set(new.get("clientIdLists") or [])
        for gone in sorted(before - after):
            ask(iam.remove_client_id_from_open_id_connect_provider, OpenIDConnectProviderArn=id, ClientID=gone)
        for added in sorted(after - before):
            ask(iam.add_client_id_to_open_id_connect_provider, OpenIDConnectProviderArn=id, ClientID=added)

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        iam = self.session.client("iam")
        if gone := [key for key in old if key not in new]:
            ask(iam.untag_open_id_connect_provider, OpenIDConnectProviderArn=id, TagKeys=gone)
        if new:
            ask(iam.tag_open_id_connect_provider, OpenIDConnectProviderArn=id, Tags=pairs(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("iam").delete_open_id_connect_provider, OpenIDConnectProviderArn=id)


def _host(url: str) -> str:
    """IAM names an issuer without its scheme."""
    return url.removeprefix("https://").rstrip("/")


def _text(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)
