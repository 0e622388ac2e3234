"""Instance metadata as each cloud serves it, as a pure function of the machine, its notice and the time.

Formats: AWS https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html and spot-instance-termination-notices.html;
Azure https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service and linux/scheduled-events;
GCP https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys.

Imported by the machine's first process, so only the standard library, and little of it.
"""

from __future__ import annotations

import json
from time import gmtime, strftime
from typing import Any, NamedTuple

PORT = 1338
ADDRESS = "169.254.169.254"
"""Of every cloud's service; on this computer it is the machine's own address, at :data:`PORT`."""
VARIABLES = {
    "aws": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://{}/"},
    "azure": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://{}"},
    "gcp": {"GCE_METADATA_HOST": "{}", "GCE_METADATA_IP": "{}", "GCE_METADATA_ROOT": "{}"},
}
"""How each cloud's SDKs are told where it is."""

Machine = dict[str, Any]
"""``boot.json``: id, cloud, account, region, zone, instance_type, address, name, image, user_data."""

Notice = dict[str, Any]
"""``notice.json``: id, issued_at and deadline (seconds since the epoch), kind ``interruption`` or ``rebalance``."""


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


class Request(NamedTuple):
    """An HTTP request; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


NOT_FOUND = Answer(404, b"Not Found")


def answer(machine: Machine, notice: Notice | None, request: Request) -> Answer:
    """What the metadata service of ``machine``'s cloud answers now."""
    return _SERVICES[machine["cloud"]](machine, notice, request)


def watches(machine: Machine, request: Request) -> bool:
    """Whether ``request`` asks to wait for a change (GCP's hanging GET)."""
    return machine["cloud"] == "gcp" and request.query.get("wait_for_change", "").lower() == "true"


def _json(value: Any) -> Answer:
    return Answer(200, json.dumps(value).encode(), "application/json")


def _aws(machine: Machine, notice: Notice | None, request: Request) -> Answer:
    token = "AQAE" + machine["id"].replace("-", "")
    if request.path == "/latest/api/token":
        seconds = request.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if request.method != "PUT" or not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
            return Answer(400, b"Bad Request")
        return Answer(200, token.encode(), headers=(("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", seconds),))
    if request.headers.get("x-aws-ec2-metadata-token") != token:
        return Answer(401, b"Unauthorized")
    interruption = notice if notice and notice["kind"] == "interruption" else None
    values: dict[str, Any] = {
        "instance-id": machine["id"],
        "instance-type": machine["instance_type"],
        "instance-life-cycle": "spot" if machine["spot"] else "on-demand",
        "ami-id": machine["image"],
        "local-ipv4": machine["address"],
        "hostname": machine["name"],
        "placement/availability-zone": machine["zone"],
        "placement/region": machine["region"],
        "services/domain": "amazonaws.com",
    }
    if notice:
        values["events/recommendations/rebalance"] = json.dumps({"noticeTime": _iso(notice["issued_at"])})
    if interruption:
        values["spot/instance-action"] = json.dumps({"action": "terminate", "time": _iso(interruption["deadline"])})
        values["spot/termination-time"] = _iso(interruption["deadline"])
    path = request.path.rstrip("/")
    if path == "/latest/dynamic/instance-identity/document":
        return _json(
            {
                "accountId": machine["account"],
                "architecture": machine.get("arch", "x86_64"),
                "availabilityZone": machine["zone"],
                "imageId": machine["image"],
                "instanceId": machine["id"],
                "instanceType": machine["instance_type"],
                "pendingTime": _iso(machine["created_at"]),
                "privateIp": machine["address"],
                "region": machine["region"],
                "version": "2017-09-30",
            }
        )
    if path == "/latest/user-data":
        return Answer(200, machine["user_data"].encode()) if machine["user_data"] else NOT_FOUND
    if path.startswith("/latest/meta-data"):
        key = path[len("/latest/meta-data") :].strip("/")
        if key in values:
            return Answer(200, str(values[key]).encode())
        below = sorted({_child(name, key) for name in values if not key or name.startswith(key + "/")})
        if below:
            return Answer(200, "\n".join(below).encode())
    return NOT_FOUND


def _child(name: str, folder: str) -> str:
    """The first step of ``name`` below ``folder``; with a slash at its end if more follow."""
    rest = name[len(folder) + 1 :] if folder else name
    step, slash, _ = rest.partition("/")
    return step + slash


def _azure(machine: Machine, notice: Notice | None, request: Request) -> Answer:
    if request.headers.get("metadata", "").lower() != "true":
        return Answer(400, b'{ "error": "Bad request. Required metadata header not specified" }', "application/json")
    if "api-version" not in request.query:
        return Answer(400, b'{ "error": "Bad request. api-version was not specified in the request" }', "application/json")
    if request.path == "/metadata/instance":
        return _json(
            {
                "compute": {
                    "azEnvironment": "AzurePublicCloud",
                    "location": machine["region"],
                    "name": machine["name"],
                    "priority": "Spot" if machine["spot"] else "Regular",
                    "evictionPolicy": "Delete" if machine["spot"] else "",
                    "resourceId": machine["resource"],
                    "subscriptionId": machine["account"],
                    "vmId": machine["id"],
                    "vmSize": machine["instance_type"],
                    "zone": "" if machine["zone"] == "-" else machine["zone"],
                    "userData": machine["user_data"],
                },
                "network": {"interface": [{"ipv4": {"ipAddress": [{"privateIpAddress": machine["address"], "publicIpAddress": ""}]}}]},
            }
        )
    if request.path == "/metadata/scheduledevents":
        if request.method == "POST":
            return Answer(200, b"", "application/json")
        if notice is None or notice["kind"] != "interruption":
            return _json({"DocumentIncarnation": 1, "Events": []})
        event = {
            "EventId": notice["id"],
            "EventType": "Preempt",
            "ResourceType": "VirtualMachine",
            "Resources": [machine["name"]],
            "EventStatus": "Scheduled",
            "NotBefore": strftime("%a, %d %b %Y %H:%M:%S GMT", gmtime(notice["deadline"])),
            "Description": "The Spot VM is evicted.",
            "EventSource": "Platform",
            "DurationInSeconds": -1,
        }
        return _json({"DocumentIncarnation": 2, "Events": [event]})
    return NOT_FOUND


def _gcp(machine: Machine, notice: Notice | None, request: Request) -> Answer:
    flavor = (("Metadata-Flavor", "Google"), ("Server", "Metadata Server for VM"))
    if request.path in ("", "/"):
        return Answer(200, b"computeMetadata/\n", headers=flavor)
    if request.headers.get("metadata-flavor") != "Google":
        return Answer(403, b"Missing Metadata-Flavor:Google header.")
    preempted = notice is not None and notice["kind"] == "interruption"
    values = {
        "instance/id": str(machine["numeric_id"]),
        "instance/name": machine["name"],
        "instance/hostname": f"{machine['name']}.{machine['zone']}.c.{machine['account']}.internal",
        "instance/zone": f"projects/{machine['account']}/zones/{machine['zone']}",
        "instance/machine-type": f"projects/{machine['account']}/machineTypes/{machine['instance_type']}",
        "instance/preempted": "TRUE" if preempted else "FALSE",
        "instance/maintenance-event": "NONE",
        "instance/scheduling/preemptible": "TRUE" if machine["spot"] else "FALSE",
        "instance/network-interfaces/0/ip": machine["address"],
        "instance/attributes/user-data": machine["user_data"],
        "project/project-id": machine["account"],
    }
    key = request.path.removeprefix("/computeMetadata/v1/").strip("/")
    if key not in values:
        return NOT_FOUND._replace(headers=flavor)
    value = values[key]
    return Answer(200, value.encode(), "application/text", (*flavor, ("ETag", etag(value))))


def etag(value: str) -> str:
    """GCP's entity tag of ``value``: 16 hexadecimal digits."""
    code = 0xCBF29CE484222325
    for byte in value.encode():
        code = ((code ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{code:016x}"


def _iso(seconds: float) -> str:
    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(seconds))


_SERVICES = {"aws": _aws, "azure": _azure, "gcp": _gcp}
