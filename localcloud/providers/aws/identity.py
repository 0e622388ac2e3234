"""IAM roles, their inline policies and instance profiles. IAM is global: these take no region."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

from localcloud.providers.aws.resource import AwsHandler, given, tags_of
from localcloud.providers.aws.session import ask, find
from localcloud.providers.aws.shapes import pairs
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


def document_text(value: Any) -> str:
    """A policy as text; IAM's answers are URL-encoded, botocore decodes some of them to objects."""
    return value if isinstance(value, str) and value.lstrip().startswith("{") else urllib.parse.unquote(value) if isinstance(value, str) else json.dumps(value)


class Role(AwsHandler):
    """``aws:iam/role:Role``."""

    FIELDS = "name namePrefix path assumeRolePolicy description maxSessionDuration permissionsBoundary forceDetachPolicies inlinePolicies managedPolicyArns"
    REGIONAL = False

    def create(self, call: Call, inputs: Props) -> Made:
        iam = self.session.client("iam")
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        wanted = given(inputs, Path="path", Description="description", MaxSessionDuration="maxSessionDuration", PermissionsBoundary="permissionsBoundary")
        tags = {"Tags": pairs(inputs["tags"])} if inputs.get("tags") else {}
        if not (call.resumed and find(iam.get_role, RoleName=name)):
            ask(iam.create_role, RoleName=name, AssumeRolePolicyDocument=inputs["assumeRolePolicy"], **wanted, **tags)
        steps = [lambda: self._policies(name, {}, inputs)] if inputs.get("inlinePolicies") or inputs.get("managedPolicyArns") else []
        return self.finished(call, name, inputs, *steps)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        answer = find(self.session.client("iam").get_role, RoleName=id)
        if answer is None:
            return None
        role = answer["Role"]
        outputs = {
            "arn": role["Arn"],
            "name": role["RoleName"],
            "namePrefix": known.get("namePrefix", ""),
            "path": role["Path"],
            "assumeRolePolicy": document_text(role["AssumeRolePolicyDocument"]),
            "maxSessionDuration": role.get("MaxSessionDuration", 3600),
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
            "uniqueId": role["RoleId"],
            "forceDetachPolicies": known.get("forceDetachPolicies", False),
            **tags_of(role),
        }
        if role.get("Description") or known.get("description"):
            outputs["description"] = role.get("Description")
        return Made(id, outputs)

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        iam = self.session.client("iam")
        if old.get("assumeRolePolicy") != new.get("assumeRolePolicy"):
            ask(iam.update_assume_role_policy, RoleName=id, PolicyDocument=new["assumeRolePolicy"])
        if any(old.get(name) != new.get(name) for name in ("description", "maxSessionDuration")):
            ask(iam.update_role, RoleName=id, Description=new.get("description") or "", MaxSessionDuration=new.get("maxSessionDuration") or 3600)
        if old.get("permissionsBoundary") != new.get("permissionsBoundary"):
            if new.get("permissionsBoundary"):
                ask(iam.put_role_permissions_boundary, RoleName=id, PermissionsBoundary=new["permissionsBoundary"])
            else:
                find(iam.delete_role_permissions_boundary, RoleName=id)
        self._policies(id, old, new)

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        iam = self.session.client("iam")
        if gone := [key for key in old if key not in new]:
            ask(iam.untag_role, RoleName=id, TagKeys=gone)
        if new:
            ask(iam.tag_role, RoleName=id, Tags=pairs(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        iam = self.session.client("iam")
        profiles = find(iam.list_instance_profiles_for_role, RoleName=id)
        if profiles is None:
            return
        for profile in profiles["InstanceProfiles"]:
            find(iam.remove_role_from_instance_profile, InstanceProfileName=profile["InstanceProfileName"], RoleName=id)
        self._policies(id, known, {})
        if known.get("forceDetachPolicies"):
            for attached in ask(iam.list_attached_role_policies, RoleName=id)["AttachedPolicies"]:
                find(iam.detach_role_policy, RoleName=id, PolicyArn=attached["PolicyArn"])
            for name in ask(iam.list_role_policies, RoleName=id)["PolicyNames"]:
                find(iam.delete_role_policy, RoleName=id, PolicyName=name)
        find(iam.delete_role, RoleName=id)

    def _policies(self, name: str, old: Props, new: Props) -> None:
        iam = self.session.client("iam")
        before = {policy["name"]: policy["policy"] for policy in old.get("inlinePolicies") or [] if policy.get("name")}
        after = {policy["name"]: policy["policy"] for policy in new.get("inlinePolicies") or [] if policy.get("name")}
        for gone in before.keys() - after.keys():
            find(iam.delete_role_policy, RoleName=name, PolicyName=gone)
        for policy, document in after.items():
            if before.get(policy) != document:
                ask(iam.put_role_policy, RoleName=name, PolicyName=policy, PolicyDocument=document)
        held, wanted = set(old.get("managedPolicyArns") or []), set(new.get("managedPolicyArns") or [])
        for arn in held - wanted:
            find(iam.detach_role_policy, RoleName=name, PolicyArn=arn)
        for arn in wanted - held:
            ask(iam.attach_role_policy, RoleName=name, PolicyArn=arn)


class RolePolicy(AwsHandler):
    """``aws:iam/rolePolicy:RolePolicy``; id ``<role>:<name>``."""

    FIELDS = "name namePrefix role policy"
    REGIONAL = False
    TAGGED = False

    def create(self, call: Call, inputs: Props) -> Made:
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        return self._put(call, {**inputs, "name": name})

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        role, _, name = id.partition(":")
        answer = find(self.session.client("iam").get_role_policy, RoleName=role, PolicyName=name)
        if answer is None:
            return None
        prefix = known.get("namePrefix", "")
        return Made(id, {"role": answer["RoleName"], "name": answer["PolicyName"], "namePrefix": prefix, "policy": document_text(answer["PolicyDocument"])})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        self._put(call, {**new, "name": id.partition(":")[2]})

    def delete(self, call: Call, id: str, known: Props) -> None:
        role, _, name = id.partition(":")
        find(self.session.client("iam").delete_role_policy, RoleName=role, PolicyName=name)

    def _put(self, call: Call, inputs: Props) -> Made:
        role = str(inputs["role"]).rpartition("/")[2]
        policy = inputs["policy"] if isinstance(inputs["policy"], str) else json.dumps(inputs["policy"])
        ask(self.session.client("iam").put_role_policy, RoleName=role, PolicyName=inputs["name"], PolicyDocument=policy)
        return self.present(call, f"{role}:{inputs['name']}", inputs)


class InstanceProfile(AwsHandler):
    """``aws:iam/instanceProfile:InstanceProfile``."""

    FIELDS = "name namePrefix path role"
    REGIONAL = False

    def create(self, call: Call, inputs: Props) -> Made:
        iam = self.session.client("iam")
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        tags = {"Tags": pairs(inputs["tags"])} if inputs.get("tags") else {}
        if not (call.resumed and find(iam.get_instance_profile, InstanceProfileName=name)):
            ask(iam.create_instance_profile, InstanceProfileName=name, **given(inputs, Path="path"), **tags)
        return self.finished(call, name, inputs, *([lambda: self._give(name, None, inputs["role"])] if inputs.get("role") else []))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        answer = find(self.session.client("iam").get_instance_profile, InstanceProfileName=id)
        if answer is None:
            return None
        profile = answer["InstanceProfile"]
        return Made(
            id,
            {
                "arn": profile["Arn"],
                "name": profile["InstanceProfileName"],
                "namePrefix": known.get("namePrefix", ""),
                "path": profile["Path"],
                "role": next((role["RoleName"] for role in profile.get("Roles", [])), None),
                "createDate": profile["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
                "uniqueId": profile["InstanceProfileId"],
                **tags_of(profile),
            },
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        if old.get("role") != new.get("role"):
            self._give(id, old.get("role"), new.get("role"))

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        iam = self.session.client("iam")
        if gone := [key for key in old if key not in new]:
            ask(iam.untag_instance_profile, InstanceProfileName=id, TagKeys=gone)
        if new:
            ask(iam.tag_instance_profile, InstanceProfileName=id, Tags=pairs(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        iam = self.session.client("iam")
        made = self.read(call, id, known)
        if made is None:
            return
        if made.outputs["role"]:
            find(iam.remove_role_from_instance_profile, InstanceProfileName=id, RoleName=made.outputs["role"])
        find(iam.delete_instance_profile, InstanceProfileName=id)

    def _give(self, name: str, old: str | None, new: str | None) -> None:
        iam = self.session.client("iam")
        if old:
            find(iam.remove_role_from_instance_profile, InstanceProfileName=name, RoleName=old)
        if new:
            ask(iam.add_role_to_instance_profile, InstanceProfileName=name, RoleName=new)
