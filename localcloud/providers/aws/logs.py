"""Log groups of CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.providers.aws.resource import AwsHandler, given
from localcloud.providers.aws.session import ask, find
from localcloud.providers.faults import Conflict
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class LogGroup(AwsHandler):
    """``aws:cloudwatch/logGroup:LogGroup``; its id is its name."""

    FIELDS = "name namePrefix retentionInDays kmsKeyId skipDestroy logGroupClass"

    def create(self, call: Call, inputs: Props) -> Made:
        logs = self.session.client("logs", inputs)
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        wanted = given(inputs, kmsKeyId="kmsKeyId", logGroupClass="logGroupClass", tags="tags")
        try:
            ask(logs.create_log_group, logGroupName=name, **wanted)
        except Conflict:
            if not call.resumed:
                raise
        days = inputs.get("retentionInDays")
        return self.finished(call, name, inputs, *([lambda: ask(logs.put_retention_policy, logGroupName=name, retentionInDays=int(days))] if days else []))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        logs = self.session.client("logs", known)
        groups = ask(logs.describe_log_groups, logGroupNamePrefix=id)["logGroups"]
        group = next((one for one in groups if one["logGroupName"] == id), None)
        if group is None:
            return None
        arn = str(group["arn"]).removesuffix(":*")
        tags = ask(logs.list_tags_for_resource, resourceArn=arn).get("tags", {})
        outputs: Props = {
            "arn": arn,
            "name": id,
            "namePrefix": known.get("namePrefix", ""),
            "retentionInDays": group.get("retentionInDays", 0),
            "kmsKeyId": group.get("kmsKeyId", ""),
            "logGroupClass": group.get("logGroupClass", "STANDARD"),
            "skipDestroy": known.get("skipDestroy", False),
            "tags": tags,
            "tagsAll": tags,
        }
        return Made(id, {**outputs, **self.placed(known)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        if old.get("retentionInDays") == new.get("retentionInDays"):
            return
        logs = self.session.client("logs", known)
        if new.get("retentionInDays"):
            ask(logs.put_retention_policy, logGroupName=id, retentionInDays=int(new["retentionInDays"]))
        else:
            ask(logs.delete_retention_policy, logGroupName=id)

    def retag(self, id: str, known: Props, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        logs, arn = self.session.client("logs", known), known["arn"]
        if gone := [key for key in old if key not in new]:
            ask(logs.untag_resource, resourceArn=arn, tagKeys=gone)
        if new:
            ask(logs.tag_resource, resourceArn=arn, tags=dict(new))

    def delete(self, call: Call, id: str, known: Props) -> None:
        if not known.get("skipDestroy"):
            find(self.session.client("logs", known).delete_log_group, logGroupName=id)
