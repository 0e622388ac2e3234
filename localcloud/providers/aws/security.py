"""Security groups and their rules."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from localcloud.providers.aws.resource import AwsHandler, one, tagged, tags_of
from localcloud.providers.aws.session import ask, find
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

Direction = Literal["ingress", "egress"]


class SecurityGroup(AwsHandler):
    """``aws:ec2/securityGroup:SecurityGroup``. As Terraform's provider does, it takes AWS's own allow-all egress rule away."""

    FIELDS = "name namePrefix description vpcId ingress egress revokeRulesOnDelete"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        arguments = {"GroupName": name, "Description": inputs.get("description") or "Managed by Pulumi"}
        if inputs.get("vpcId"):
            arguments["VpcId"] = inputs["vpcId"]
        id = str(ask(ec2.create_security_group, **arguments, **tagged("security-group", inputs))["GroupId"])
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        steps = [lambda: find(ec2.revoke_security_group_egress, GroupId=id, IpPermissions=everything)]
        for direction in ("ingress", "egress"):
            for rule in inputs.get(direction) or []:
                steps.append(lambda direction=direction, rule=rule: self._authorize(id, inputs, direction, rule))  # type: ignore[misc]  # bound per rule
        return self.finished(call, id, {**inputs, "name": name}, *steps)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        group = one(self.session.client("ec2", known).describe_security_groups, "SecurityGroups", GroupIds=[id])
        if group is None:
            return None
        return Made(
            id,
            {
                "arn": self.session.arn("ec2", known, f"security-group/{id}"),
                "name": group["GroupName"],
                "namePrefix": known.get("namePrefix", ""),
                "description": group["Description"],
                "vpcId": group.get("VpcId"),
                "ownerId": group.get("OwnerId", self.session.account),
                "ingress": [_rule(permission, id) for permission in group.get("IpPermissions", [])],
                "egress": [_rule(permission, id) for permission in group.get("IpPermissionsEgress", [])],
                "revokeRulesOnDelete": known.get("revokeRulesOnDelete", False),
                **tags_of(group),
                **self.placed(known),
            },
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        ec2 = self.session.client("ec2", known)
        directions: tuple[Direction, ...] = ("ingress", "egress")
        for direction in directions:
            if new.get(direction) is None:
                continue
            before, after = old.get(direction) or [], new[direction]
            for rule in [rule for rule in before if rule not in after]:
                revoke = ec2.revoke_security_group_ingress if direction == "ingress" else ec2.revoke_security_group_egress
                find(revoke, GroupId=id, IpPermissions=[_permission(rule, id)])
            for rule in [rule for rule in after if rule not in before]:
                self._authorize(id, known, direction, rule)

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).delete_security_group, GroupId=id)

    def _authorize(self, id: str, props: Props, direction: Direction, rule: Props) -> None:
        ec2 = self.session.client("ec2", props)
        allow = ec2.authorize_security_group_ingress if direction == "ingress" else ec2.authorize_security_group_egress
        ask(allow, GroupId=id, IpPermissions=[_permission(rule, id)])


def _permission(rule: Props, group: str) -> dict[str, Any]:
    protocol = str(rule.get("protocol", "-1"))
    protocol = "-1" if protocol == "all" else protocol
    note = {"Description": rule["description"]} if rule.get("description") else {}
    permission: dict[str, Any] = {"IpProtocol": protocol}
    if protocol != "-1":
        permission |= {"FromPort": int(rule["fromPort"]), "ToPort": int(rule["toPort"])}
    groups = [*(rule.get("securityGroups") or []), *([group] if rule.get("self") else [])]
    if rule.get("cidrBlocks"):
        permission["IpRanges"] = [{"CidrIp": block, **note} for block in rule["cidrBlocks"]]
    if rule.get("ipv6CidrBlocks"):
        permission["Ipv6Ranges"] = [{"CidrIpv6": block, **note} for block in rule["ipv6CidrBlocks"]]
    if rule.get("prefixListIds"):
        permission["PrefixListIds"] = [{"PrefixListId": name, **note} for name in rule["prefixListIds"]]
    if groups:
        permission["UserIdGroupPairs"] = [{"GroupId": name, **note} for name in groups]
    return permission


def _rule(permission: dict[str, Any], group: str) -> Props:
    groups = [pair["GroupId"] for pair in permission.get("UserIdGroupPairs", [])]
    sources = [
        *permission.get("IpRanges", []),
        *permission.get("Ipv6Ranges", []),
        *permission.get("PrefixListIds", []),
        *permission.get("UserIdGroupPairs", []),
    ]
    return {
        "protocol": permission["IpProtocol"],
        "fromPort": permission.get("FromPort", 0),
        "toPort": permission.get("ToPort", 0),
        "cidrBlocks": [entry["CidrIp"] for entry in permission.get("IpRanges", [])],
        "ipv6CidrBlocks": [entry["CidrIpv6"] for entry in permission.get("Ipv6Ranges", [])],
        "prefixListIds": [entry["PrefixListId"] for entry in permission.get("PrefixListIds", [])],
        "securityGroups": [name for name in groups if name != group],
        "self": group in groups,
        "description": next((entry["Description"] for entry in sources if entry.get("Description")), ""),
    }


class SecurityGroupRule(AwsHandler):
    """One rule as a resource of its own; the base of both directions."""

    FIELDS = "securityGroupId ipProtocol fromPort toPort cidrIpv4 cidrIpv6 prefixListId referencedSecurityGroupId description"
    DIRECTION: ClassVar[Direction] = "egress"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        allow = ec2.authorize_security_group_ingress if self.DIRECTION == "ingress" else ec2.authorize_security_group_egress
        answer = ask(allow, GroupId=inputs["securityGroupId"], IpPermissions=[_single(inputs)], **tagged("security-group-rule", inputs))
        return self.present(call, str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        ec2 = self.session.client("ec2", known)
        rule = one(ec2.describe_security_group_rules, "SecurityGroupRules", SecurityGroupRuleIds=[id])
        if rule is None or rule["IsEgress"] != (self.DIRECTION == "egress"):
            return None
        every = rule["IpProtocol"] == "-1"
        return Made(
            id,
            {
                "arn": self.session.arn("ec2", known, f"security-group-rule/{id}"),
                "securityGroupRuleId": id,
                "securityGroupId": rule["GroupId"],
                "ipProtocol": rule["IpProtocol"],
                "fromPort": None if every else rule.get("FromPort"),
                "toPort": None if every else rule.get("ToPort"),
                "cidrIpv4": rule.get("CidrIpv4"),
                "cidrIpv6": rule.get("CidrIpv6"),
                "prefixListId": rule.get("PrefixListId"),
                "referencedSecurityGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
                "description": rule.get("Description") or None,
                **tags_of(rule),
                **self.placed(known),
            },
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        changed = {name for name in set(old) | set(new) if old.get(name) != new.get(name)} - {"tags"}
        if not changed:
            return
        names = {"ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort", "cidrIpv4": "CidrIpv4", "cidrIpv6": "CidrIpv6"}
        names |= {"prefixListId": "PrefixListId", "referencedSecurityGroupId": "ReferencedGroupId", "description": "Description"}
        rule = {parameter: new[name] for name, parameter in names.items() if new.get(name) is not None}
        update = [{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}]
        ask(self.session.client("ec2", known).modify_security_group_rules, GroupId=known["securityGroupId"], SecurityGroupRules=update)

    def delete(self, call: Call, id: str, known: Props) -> None:
        ec2 = self.session.client("ec2", known)
        revoke = ec2.revoke_security_group_ingress if self.DIRECTION == "ingress" else ec2.revoke_security_group_egress
        if self.read(call, id, known) is not None:
            find(revoke, GroupId=known["securityGroupId"], SecurityGroupRuleIds=[id])


class SecurityGroupEgressRule(SecurityGroupRule):
    """``aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule``."""


class SecurityGroupIngressRule(SecurityGroupRule):
    """``aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule``."""

    DIRECTION = "ingress"


def _single(inputs: Props) -> dict[str, Any]:
    rule: Props = {"protocol": inputs["ipProtocol"], "fromPort": inputs.get("fromPort", -1), "toPort": inputs.get("toPort", -1)}
    lists = {"cidrBlocks": "cidrIpv4", "ipv6CidrBlocks": "cidrIpv6", "prefixListIds": "prefixListId", "securityGroups": "referencedSecurityGroupId"}
    rule |= {many: [inputs[name]] for many, name in lists.items() if inputs.get(name)}
    return _permission({**rule, "description": inputs.get("description")}, inputs["securityGroupId"])
