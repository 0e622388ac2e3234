"""Keys of KMS."""

from __future__ import annotations

import json
from collections.abc import Mapping

from localcloud.providers.aws.resource import AwsHandler, given
from localcloud.providers.aws.session import ask, find
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class Key(AwsHandler):
    """``aws:kms/key:Key``. Deleting schedules the key's end; until then the provider no longer knows it."""

    FIELDS = "description policy enableKeyRotation rotationPeriodInDays deletionWindowInDays isEnabled keyUsage customerMasterKeySpec multiRegion"

    def create(self, call: Call, inputs: Props) -> Made:
        kms = self.session.client("kms", inputs)
        wanted = given(inputs, Description="description", Policy="policy", KeyUsage="keyUsage", KeySpec="customerMasterKeySpec", MultiRegion="multiRegion")
        tags = {"Tags": _tags(inputs["tags"])} if inputs.get("tags") else {}
        id = str(ask(kms.create_key, **wanted, **tags)["KeyMetadata"]["KeyId"])
        steps = [lambda: ask(kms.enable_key_rotation, KeyId=id)] if inputs.get("enableKeyRotation") else []
        return self.finished(call, id, inputs, *steps)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        kms = self.session.client("kms", known)
        answer = find(kms.describe_key, KeyId=id)
        if answer is None or answer["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return None
        key = answer["KeyMetadata"]
        policy = ask(kms.get_key_policy, KeyId=id, PolicyName="default")["Policy"]
        tags = {one["TagKey"]: one["TagValue"] for one in ask(kms.list_resource_tags, KeyId=id).get("Tags", [])}
        outputs: Props = {
            "arn": key["Arn"],
            "keyId": id,
            "description": key.get("Description", ""),
            # As written where it says the same: AWS reorders what it keeps.
            "policy": known["policy"] if known.get("policy") and json.loads(known["policy"]) == json.loads(policy) else policy,
            "enableKeyRotation": ask(kms.get_key_rotation_status, KeyId=id)["KeyRotationEnabled"],
            "isEnabled": key["Enabled"],
            "keyUsage": key.get("KeyUsage", "ENCRYPT_DECRYPT"),
            "customerMasterKeySpec": key.get("KeySpec", "SYMMETRIC_DEFAULT"),
            "multiRegion": key.get("MultiRegion", False),
            "tags": tags,
            "tagsAll": tags,
        }
        if known.get("deletionWindowInDays"):
            outputs["deletionWindowInDays"] = known["deletionWindowInDays"]
        return Made(id, {**outputs, **self.placed(known)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        kms = self.session.client("kms", known)
        if old.get("description") != new.get("description"):
            ask(kms.update_key_description, KeyId=id, Description=new.get("description") or "")
        if old.get("policy") != new.get("policy"):
            ask(kms.put_key_policy, KeyId=id, PolicyName="default", Policy=new["policy"])
        if bool(old.get("enableKeyRotation")) != bool(new.get("enableKeyRotation")):
            ask(kms.enable_key_rotation if new.get("enableKeyRotation") else kms.disable_key_rotation, KeyId=id)

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        kms = self.session.client("kms", known)
        if gone := [key for key in old if key not in new]:
            ask(kms.untag_resource, KeyId=id, TagKeys=gone)
        if new:
            ask(kms.tag_resource, KeyId=id, Tags=_tags(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        if self.read(call, id, known) is not None:
            ask(self.session.client("kms", known).schedule_key_deletion, KeyId=id, PendingWindowInDays=int(known.get("deletionWindowInDays") or 30))


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in sorted(tags.items())]
