"""Settings of a whole account: EBS encryption by default, no public buckets."""

from __future__ import annotations

from localcloud.providers.aws.resource import AwsHandler
from localcloud.providers.aws.session import ask, find
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class EncryptionByDefault(AwsHandler):
    """``aws:ebs/encryptionByDefault:EncryptionByDefault``: one setting a region; deleting turns it off."""

    FIELDS = "enabled"
    TAGGED = False

    def create(self, call: Call, inputs: Props) -> Made:
        self._set(inputs)
        return self.present(call, self.session.region_of(inputs), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        answer = ask(self.session.client("ec2", known).get_ebs_encryption_by_default)
        return Made(id, {"enabled": answer["EbsEncryptionByDefault"], **self.placed(known)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        self._set({**known, "enabled": new.get("enabled", True)})

    def delete(self, call: Call, id: str, known: Props) -> None:
        ask(self.session.client("ec2", known).disable_ebs_encryption_by_default)

    def _set(self, props: Props) -> None:
        ec2 = self.session.client("ec2", props)
        ask(ec2.enable_ebs_encryption_by_default if props.get("enabled", True) else ec2.disable_ebs_encryption_by_default)


_FLAGS = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}


class AccountPublicAccessBlock(AwsHandler):
    """``aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock``; its id is the account's."""

    FIELDS = "accountId " + " ".join(_FLAGS)
    REGIONAL = False
    TAGGED = False

    def create(self, call: Call, inputs: Props) -> Made:
        account = inputs.get("accountId") or self.session.account
        self._put(account, inputs)
        return self.present(call, account, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        answer = find(self.session.client("s3control").get_public_access_block, AccountId=id)
        if answer is None:
            return None
        block = answer["PublicAccessBlockConfiguration"]
        return Made(id, {"accountId": id, **{name: block.get(member, False) for name, member in _FLAGS.items()}})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        self._put(id, new)

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("s3control").delete_public_access_block, AccountId=id)

    def _put(self, account: str, inputs: Props) -> None:
        block = {member: bool(inputs.get(name, False)) for name, member in _FLAGS.items()}
        ask(self.session.client("s3control").put_public_access_block, AccountId=account, PublicAccessBlockConfiguration=block)


class InstanceMetadataDefaults(AwsHandler):
    """``aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults``: the default of a region; deleting takes it back."""

    FIELDS = "httpEndpoint httpPutResponseHopLimit httpTokens instanceMetadataTags"
    TAGGED = False

    def create(self, call: Call, inputs: Props) -> Made:
        self._set(inputs)
        return self.present(call, self.session.region_of(inputs), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        level = ask(self.session.client("ec2", known).get_instance_metadata_defaults).get("AccountLevel") or {}
        if not level:
            return None
        outputs = {
            "httpEndpoint": level.get("HttpEndpoint", "no-preference"),
            "httpTokens": level.get("HttpTokens", "no-preference"),
            "httpPutResponseHopLimit": level.get("HttpPutResponseHopLimit", -1),
            "instanceMetadataTags": level.get("InstanceMetadataTags", "no-preference"),
        }
        return Made(id, {**outputs, **self.placed(known)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        self._set({**new, "region": known.get("region")})

    def delete(self, call: Call, id: str, known: Props) -> None:
        self._set({"region": known.get("region")})

    def _set(self, props: Props) -> None:
        wanted = {
            "HttpEndpoint": props.get("httpEndpoint") or "no-preference",
            "HttpTokens": props.get("httpTokens") or "no-preference",
            "HttpPutResponseHopLimit": int(props.get("httpPutResponseHopLimit") or -1),
            "InstanceMetadataTags": props.get("instanceMetadataTags") or "no-preference",
        }
        ask(self.session.client("ec2", props).modify_instance_metadata_defaults, **wanted)
