"""Compute Engine: networks, subnetworks, firewalls, routers with NAT, instances (https://cloud.google.com/compute/docs/reference/rest/v1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.providers.faults import NotFound
from localcloud.providers.gcp.api import COMPUTE, GcpApi
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


@dataclass(frozen=True)
class ComputeType:
    """``collection`` is the URL's last part, ``scope`` global, region or zone; ``body`` makes the request's body, ``state`` outputs of an answer."""

    collection: str
    scope: str
    body: Callable[[Props, str], dict[str, Any]]
    state: Callable[[Mapping[str, Any]], Props] = field(default=lambda answer: {})


def _plain(*names: str) -> Callable[[Props, str], dict[str, Any]]:
    return lambda inputs, place: {name: inputs[name] for name in names if inputs.get(name) is not None}


def _network(inputs: Props, place: str) -> dict[str, Any]:
    body = _plain("name", "description", "autoCreateSubnetworks", "mtu")(inputs, place)
    body.setdefault("autoCreateSubnetworks", True)
    if inputs.get("routingMode"):
        body["routingConfig"] = {"routingMode": inputs["routingMode"]}
    return body


def _firewall(inputs: Props, place: str) -> dict[str, Any]:
    body = _plain("name", "description", "network", "direction", "priority", "sourceRanges", "destinationRanges", "sourceTags", "targetTags", "disabled")(
        inputs, place
    )
    for ours, theirs in (("allows", "allowed"), ("denies", "denied")):
        if inputs.get(ours):
            body[theirs] = [{"IPProtocol": rule["protocol"], **({"ports": rule["ports"]} if rule.get("ports") else {})} for rule in inputs[ours]]
    return body


def _instance(inputs: Props, place: str) -> dict[str, Any]:
    disk = inputs["bootDisk"]
    start = disk.get("initializeParams") or {}
    initial = {"sourceImage": start.get("image"), "diskSizeGb": start.get("size"), "labels": start.get("labels")}
    if start.get("type"):
        initial["diskType"] = f"{place}/diskTypes/{start['type']}"
    body = _plain("name", "description", "hostname", "labels", "scheduling", "networkInterfaces", "canIpForward", "deletionProtection")(inputs, place)
    body["machineType"] = f"{place}/machineTypes/{inputs['machineType']}"
    body["disks"] = [{"boot": True, "autoDelete": disk.get("autoDelete", True), "initializeParams": {k: v for k, v in initial.items() if v is not None}}]
    if inputs.get("metadata"):
        body["metadata"] = {"items": [{"key": key, "value": value} for key, value in inputs["metadata"].items()]}
    if inputs.get("serviceAccount"):
        body["serviceAccounts"] = [inputs["serviceAccount"]]
    if inputs.get("shieldedInstanceConfig"):
        body["shieldedInstanceConfig"] = inputs["shieldedInstanceConfig"]
    if inputs.get("tags"):
        body["tags"] = {"items": inputs["tags"]}
    body["networkInterfaces"] = [_interface(one) for one in inputs["networkInterfaces"]]
    return body


def _interface(given: Mapping[str, Any]) -> dict[str, Any]:
    body = {"network": given.get("network"), "subnetwork": given.get("subnetwork"), "networkIP": given.get("networkIp")}
    if "accessConfigs" in given:
        body["accessConfigs"] = [{"type": "ONE_TO_ONE_NAT", "name": "external-nat"} for _ in given["accessConfigs"] or [{}]]
    return {name: value for name, value in body.items() if value is not None}


def _instance_state(answer: Mapping[str, Any]) -> Props:
    interfaces = [
        {
            "name": one.get("name"),
            "network": one.get("network"),
            "subnetwork": _relative(str(one.get("subnetwork", ""))),
            "networkIp": one.get("networkIP"),
        }
        for one in answer.get("networkInterfaces") or []
    ]
    return {
        "instanceId": str(answer.get("id", "")),
        "currentStatus": answer.get("status"),
        "cpuPlatform": answer.get("cpuPlatform"),
        "networkInterfaces": [{key: value for key, value in one.items() if value} for one in interfaces],
    }


COMPUTE_TYPES: dict[str, ComputeType] = {
    "gcp:compute/network:Network": ComputeType(
        "networks",
        "global",
        _network,
        lambda answer: {
            "networkId": str(answer.get("id", "")),
            "gatewayIpv4": answer.get("gatewayIPv4"),
            "autoCreateSubnetworks": answer.get("autoCreateSubnetworks"),
        },
    ),
    "gcp:compute/subnetwork:Subnetwork": ComputeType(
        "subnetworks",
        "region",
        _plain("name", "description", "network", "ipCidrRange", "privateIpGoogleAccess", "secondaryIpRanges", "purpose", "role", "stackType"),
        lambda answer: {"gatewayAddress": answer.get("gatewayAddress"), "ipCidrRange": answer.get("ipCidrRange")},
    ),
    "gcp:compute/firewall:Firewall": ComputeType("firewalls", "global", _firewall),
    "gcp:compute/router:Router": ComputeType("routers", "region", _plain("name", "description", "network", "bgp")),
    "gcp:compute/instance:Instance": ComputeType("instances", "zone", _instance, _instance_state),
}


class ComputeHandler:
    """One type of the table."""

    fields = None

    def __init__(self, api: GcpApi, kind: ComputeType) -> None:
        self._api = api
        self._kind = kind

    def create(self, call: Call, inputs: Props) -> Made:
        """Inserts the resource and waits for its operation."""
        place = self._place(inputs)
        self._api.send(call, "POST", f"{COMPUTE}/{place}/{self._kind.collection}", self._kind.body(inputs, place))
        made = self.read(call, f"{place}/{self._kind.collection}/{inputs['name']}", inputs)
        if made is None:
            raise NotFound(f"{inputs['name']} was not found after it was made")
        return made

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The resource as it is now."""
        answer = self._api.get(f"{COMPUTE}/{id}")
        if answer is None or (self._kind.collection == "instances" and answer.get("status") in ("TERMINATED", "STOPPED", "STOPPING")):
            return None
        parts = id.split("/")
        place = {"project": parts[1]} | ({self._kind.scope: parts[3]} if self._kind.scope != "global" else {})
        state = {
            "name": answer.get("name"),
            "selfLink": answer.get("selfLink"),
            "creationTimestamp": answer.get("creationTimestamp"),
            **self._kind.state(answer),
        }
        if answer.get("labels"):
            state["labels"] = state["effectiveLabels"] = answer["labels"]
        return Made(id, {**known, **place, **{key: value for key, value in state.items() if value is not None}})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Patches the resource; labels and metadata of an instance have calls of their own."""
        url = f"{COMPUTE}/{id}"
        if self._kind.collection == "instances":
            self._update_instance(call, url, old, new)
        else:
            self._api.send(call, "PATCH", url, self._kind.body(new, self._place(new)))
        made = self.read(call, id, {**known, **new})
        if made is None:
            raise NotFound(f"{id} was not found after it was changed")
        return made.outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Deletes the resource and waits for its operation."""
        self._api.remove(call, f"{COMPUTE}/{id}")

    def _update_instance(self, call: Call, url: str, old: Props, new: Props) -> None:
        present = self._api.get(url) or {}
        if old.get("labels") != new.get("labels"):
            self._api.send(call, "POST", f"{url}/setLabels", {"labels": new.get("labels") or {}, "labelFingerprint": present.get("labelFingerprint")})
        if old.get("metadata") != new.get("metadata"):
            items = [{"key": key, "value": value} for key, value in (new.get("metadata") or {}).items()]
            fingerprint = (present.get("metadata") or {}).get("fingerprint")
            self._api.send(call, "POST", f"{url}/setMetadata", {"items": items, "fingerprint": fingerprint})

    def _place(self, inputs: Props) -> str:
        project = f"projects/{self._api.project_of(inputs)}"
        match self._kind.scope:
            case "region":
                return f"{project}/regions/{inputs.get('region') or self._api.region}"
            case "zone":
                return f"{project}/zones/{inputs.get('zone') or self._api.zone}"
        return f"{project}/global"


class RouterNatHandler:
    """A NAT is a part of its router; ``id`` is ``<project>/<region>/<router>/<name>``."""

    fields = None

    def __init__(self, api: GcpApi) -> None:
        self._api = api

    def create(self, call: Call, inputs: Props) -> Made:
        """Adds the NAT to its router."""
        project, region = self._api.project_of(inputs), str(inputs.get("region") or self._api.region)
        id = f"{project}/{region}/{inputs['router']}/{inputs['name']}"
        self._change(call, id, _nat(inputs))
        return Made(id, {**inputs, "project": project, "region": region})

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        """The NAT as it is now."""
        project, region, router, name = id.split("/")
        found = self._api.get(_router(id))
        nat = next((one for one in (found or {}).get("nats") or [] if one["name"] == name), None)
        return None if nat is None else Made(id, {**known, **nat, "project": project, "region": region, "router": router})

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        """Writes the NAT anew."""
        self._change(call, id, _nat(new))
        return {**known, **new}

    def delete(self, call: Call, id: str, known: Props) -> None:
        """Takes the NAT off its router."""
        try:
            self._change(call, id, None)
        except NotFound:
            return

    def _change(self, call: Call, id: str, nat: dict[str, Any] | None) -> None:
        name = id.rsplit("/", 1)[1]
        found = self._api.get(_router(id))
        if found is None:
            raise NotFound(f"router {id.split('/')[2]} is gone")
        kept = [one for one in found.get("nats") or [] if one["name"] != name]
        self._api.send(call, "PATCH", _router(id), {"nats": [*kept, nat] if nat else kept})


def _nat(inputs: Props) -> dict[str, Any]:
    names = ("name", "natIpAllocateOption", "natIps", "sourceSubnetworkIpRangesToNat", "minPortsPerVm", "logConfig")
    return {name: inputs[name] for name in names if inputs.get(name) is not None}


def _router(id: str) -> str:
    project, region, router, _ = id.split("/")
    return f"{COMPUTE}/projects/{project}/regions/{region}/routers/{router}"


def _relative(link: str) -> str:
    return link.partition("/compute/v1/")[2] or link
