"""AWS's functions (invokes)."""

from __future__ import annotations

from collections.abc import Callable

from localcloud.providers.aws.session import AwsSession, ask
from localcloud.providers.values import Props


def _region(session: AwsSession, arguments: Props) -> Props:
    region = str(arguments.get("region") or arguments.get("name") or session.region)
    return {"id": region, "name": region, "region": region, "description": region, "endpoint": f"ec2.{region}.amazonaws.com"}


def _caller(session: AwsSession, arguments: Props) -> Props:
    answer = ask(session.client("sts").get_caller_identity)
    return {"id": answer["Account"], "accountId": answer["Account"], "arn": answer["Arn"], "userId": answer["UserId"]}


def _zones(session: AwsSession, arguments: Props) -> Props:
    wanted = [{"Name": entry["name"], "Values": entry["values"]} for entry in arguments.get("filters") or []]
    if arguments.get("state"):
        wanted.append({"Name": "state", "Values": [arguments["state"]]})
    answer = ask(session.client("ec2", arguments).describe_availability_zones, Filters=wanted)
    zones = [zone for zone in answer["AvailabilityZones"] if zone["ZoneName"] not in (arguments.get("excludeNames") or [])]
    zones.sort(key=lambda zone: str(zone["ZoneName"]))
    region = session.region_of(arguments)
    groups = sorted({str(zone.get("GroupName", region)) for zone in zones})
    names, ids = [zone["ZoneName"] for zone in zones], [zone["ZoneId"] for zone in zones]
    return {**arguments, "id": region, "region": region, "names": names, "zoneIds": ids, "groupNames": groups}


def _partition(session: AwsSession, arguments: Props) -> Props:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


FUNCTIONS: dict[str, Callable[[AwsSession, Props], Props]] = {
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getPartition:getPartition": _partition,
}
