"""A network's default security group, which EC2 makes with it and never deletes."""

from __future__ import annotations

from localcloud.providers.aws.resource import one
from localcloud.providers.aws.security import SecurityGroup
from localcloud.providers.aws.session import ask
from localcloud.providers.faults import NotFound
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class DefaultSecurityGroup(SecurityGroup):
    """``aws:ec2/defaultSecurityGroup:DefaultSecurityGroup``: taken over with all its rules taken away; a delete only forgets it."""

    FIELDS = "vpcId ingress egress revokeRulesOnDelete"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        wanted = [{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [inputs["vpcId"]]}]
        group = one(ec2.describe_security_groups, "SecurityGroups", Filters=wanted)
        if group is None:
            raise NotFound(f"{inputs['vpcId']} has no default security group")
        id = str(group["GroupId"])
        if group.get("IpPermissions"):
            ask(ec2.revoke_security_group_ingress, GroupId=id, IpPermissions=group["IpPermissions"])
        if group.get("IpPermissionsEgress"):
            ask(ec2.revoke_security_group_egress, GroupId=id, IpPermissions=group["IpPermissionsEgress"])
        steps = [lambda: self.change(call, id, inputs, {}, inputs), lambda: self.retag(id, inputs, {}, inputs.get("tags") or {})]
        return self.finished(call, id, inputs, *steps)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        made = super().read(call, id, known)
        return None if made is None else Made(id, {name: value for name, value in made.outputs.items() if name != "namePrefix"})

    def delete(self, call: Call, id: str, known: Props) -> None:
        """It goes with its network."""
